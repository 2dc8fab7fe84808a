"""A city, an enrolled gate with simulated devices, and an operator who learns a card there."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from backoffice.home.config import load
from backoffice.reports.gate_views import lane_runs
from backoffice.reports.store import ReportStore
from tests.processes.test_reports_process import free_port, run
from tests.support.machine.programs import WAIT_S, Line, Program, lane_config

UID, OTHER, NUMBER = "04112233445566", "04998877665544", "1234567890123456"
MORE = """
[courier]
url = "{url}"
root = "{folder}/city/root/1.root.json"
poll_s = 1
[upload]
url = "{url}"
key = "{folder}/gate.pem"
lanes = ["{folder}/lane.sock"]
"""


@dataclass
class Gate:
    """Processes by name: serve, courier, lane, reader, board; and the city's folder."""

    folder: Path
    port: int
    running: dict[str, Program] = field(default_factory=dict)
    is_open: bool = False
    commands: "list[subprocess.Popen[str]]" = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "city"

    @property
    def config(self) -> Path:
        return self.folder / "validator.toml"

    def start(self, name: str) -> Program:
        """Start one of the processes."""
        config = ("--config", str(self.config))
        arguments = {
            "serve": ("backoffice", "serve", "--home", str(self.home), "--port", str(self.port)),
            "courier": ("validator", "courier", *config),
            "lane": ("validator", "lane", *config),
            "reader": ("firmware_sim", "pn532", "--link", str(self.folder / "reader")),
            "board": ("firmware_sim", "board", "--link", str(self.folder / "board")),
        }
        self.running[name] = Program(*arguments[name])
        if name in {"serve", "reader", "board"}:
            self.running[name].first_line()
        return self.running[name]

    def kill(self, name: str) -> None:
        """SIGKILL one of the processes."""
        self.running[name].kill()
        self.running.pop(name).close()

    def lane(self) -> Program:
        """Start the lane; return once it has a list and serves."""
        lane = self.start("lane")
        missing = {"list", "board", "reader"}

        def serves(line: Line) -> bool:
            if line.get("state", "ready") == "ready":
                missing.discard(str(line.get("event")))
            return not missing

        lane.wait_for(serves)
        return lane

    def present(self, uid: str, number: str = NUMBER) -> None:
        """Put a card on the reader."""
        self.running["reader"].say(f"present {uid} number={number}")

    def take_away(self) -> None:
        """Take the cards off the reader."""
        self.running["reader"].say("remove")

    def hurry(self) -> None:
        """Let the gate send its status within seconds: its housing was opened, or closed."""
        self.is_open = not self.is_open
        self.running["board"].say(f"tamper {'on' if self.is_open else 'off'}")

    def store(self) -> ReportStore:
        return ReportStore.open(load(self.home).database_url)

    def until_heard(self) -> None:
        """Wait for a status with a run of the lane."""
        until_s = time.monotonic() + WAIT_S
        with self.store() as store:
            while True:
                (row,) = store.gate_rows()
                if 1 in lane_runs(row["status"]):
                    return
                assert time.monotonic() < until_s, row
                time.sleep(0.1)

    def learn(self, *options: str) -> "subprocess.Popen[str]":
        """Start the operator's command; return once its order is where the gate finds it."""
        command = [sys.executable, "-m", "backoffice", "learn", "test", "--home", str(self.home)]
        started = subprocess.Popen(
            [*command, "--who", "Ayşe", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.commands.append(started)
        assert started.stderr is not None
        line = started.stderr.readline()
        assert "takes the order" in line, line + started.stderr.read()
        return started

    def said(self, *arguments: str) -> str:
        """The output of a command in the city."""
        command = [sys.executable, "-m", "backoffice", *arguments, "--home", str(self.home)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=True
        ).stdout

    def places_of(self, *secrets: str) -> list[str]:
        """The files under the folder, and the programs' output, that hold one of these texts.

        Bytes and hex are the same: a UID is searched in both.
        """
        wanted = [form for text in secrets for form in (text.encode(), bytes.fromhex(text))]
        logs = [
            (name, repr(program.catch_up()).encode())
            for name, program in self.running.items()
            if name not in {"reader", "board"}
        ]
        files = [(str(path), path.read_bytes()) for path in self._files()]
        return [
            name for name, content in (*logs, *files) if any(form in content for form in wanted)
        ]

    def _files(self) -> Iterator[Path]:
        return (path for path in self.folder.rglob("*") if path.is_file() and not path.is_symlink())

    def close(self) -> None:
        for command in self.commands:
            if command.poll() is None:
                command.kill()
            command.wait()
            for pipe in (command.stdout, command.stderr):
                if pipe is not None:
                    pipe.close()
        for process in self.running.values():
            process.close()


@contextmanager
def gate(folder: Path, *, read_number: bool = True) -> Iterator[Gate]:
    """A city that has published an empty list, its receiver, and a gate that serves by it."""
    made = Gate(folder, free_port())
    run("backoffice", "init", str(made.home), "--development")
    for name in ("lists", "keys"):
        (folder / name).mkdir()
    url = f"http://127.0.0.1:{made.port}/"
    lane_config(folder, more=MORE.format(folder=folder, url=url))
    text = made.config.read_text().replace("grounds = true", "grounds = false")
    number = f"read_number = {'true' if read_number else 'false'}"
    made.config.write_text(re.sub(r'(driver = "pn532")', rf"\1\n{number}", text))
    try:
        run("backoffice", "publish", "--home", str(made.home))
        with made.store() as store:
            token = store.invite("test", int(time.time()))
        for name in ("serve", "reader", "board"):
            made.start(name)
        run("validator", "enroll", "--config", str(made.config), stdin=token)
        made.start("courier").event("courier", state="fresh", list_version=1)
        made.lane()
        made.until_heard()
        yield made
    finally:
        made.close()
