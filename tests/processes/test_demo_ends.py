"""However the demo ends, it leaves no process, no folder and no traceback.

Real processes, most of them in a terminal.
"""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

LIMIT_S = 240  # what takes a second on an idle machine
DEMO = [
    sys.executable,
    "-m",
    "validator",
    "demo",
    "--cards",
    "1000",
    "--timing",
    "ideal",
    "--page-port",
    "0",
]
MARK = "TURNIKE_TEST_MARK"
ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+)/\n")
RUNS = "to play with"  # the last line of its start
STAGES = ("founding a back office", "importing cards", "publishing the first list")


class Terminal:
    """A command in a terminal of its own; all its processes have its mark in their environment."""

    def __init__(self, folder: Path, *command: str) -> None:
        self.mark = f"{MARK}={uuid.uuid4()}"
        self.output = ""
        self.is_open = True
        self.pid, self._fd = pty.fork()
        if not self.pid:
            name, value = self.mark.split("=")
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the test run may ignore it
            more = {
                "TERM": "xterm",
                "COLUMNS": "140",
                "LINES": "50",
                "TMPDIR": str(folder),
                name: value,
            }
            os.execve(command[0], command, os.environ | more)  # noqa: S606 — no shell is wanted

    def read(self) -> bool:
        """Read once; return whether more may come."""
        select.select([self._fd], [], [], LIMIT_S)
        try:
            read = os.read(self._fd, 65_536).decode(errors="replace")
        except OSError:  # no process has the terminal open
            return False
        self.output += read
        return True

    def wait_for(self, words: str) -> None:
        """Read until the command has printed this."""
        while words not in self.output:
            assert self.read(), self.output

    def press(self, keys: bytes) -> None:
        """Press keys, as an operator does."""
        os.write(self._fd, keys)

    def close(self) -> None:
        """Close the terminal's window."""
        if self.is_open:
            os.close(self._fd)
            self.is_open = False

    def ended(self) -> int:
        """Wait for the end; return the exit code, or the signal below 0."""
        while self.is_open and self.read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def alive(self) -> list[str]:
        """Return the commands of all processes with the mark."""
        return [*commands_with(self.mark)]


def commands_with(mark: str) -> Iterator[str]:
    """Yield the commands of running processes with this in their environment."""
    for each in Path("/proc").iterdir():
        try:
            if each.name.isdigit() and mark.encode() in (each / "environ").read_bytes().split(
                b"\0"
            ):
                yield (each / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # it has ended since


def until(is_so: Callable[[], object], what: Callable[[], object]) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < end_s, what()
        time.sleep(0.05)


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Open terminals; kill what still runs in them after the test."""
    opened: list[Terminal] = []

    def open_one(*command: str) -> Terminal:
        opened.append(Terminal(tmp_path, *command))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and has_mark(process, each.mark):
                os.kill(int(process.name), signal.SIGKILL)


def has_mark(process: Path, mark: str) -> bool:
    try:
        return mark.encode() in (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


@pytest.mark.parametrize("stage", [*STAGES, RUNS])
def test_a_closed_terminal_leaves_nothing_of_the_demo(
    tmp_path: Path, terminals: Callable[..., Terminal], stage: str
) -> None:
    terminal = terminals(*DEMO)
    terminal.wait_for(stage)
    assert len(terminal.alive()) > (8 if stage == RUNS else 1), "there is something to leave"
    terminal.close()
    assert terminal.ended() == 128 + signal.SIGHUP
    until(lambda: not terminal.alive(), terminal.alive)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stage", [STAGES[1], RUNS])
@pytest.mark.parametrize("killed", ["the demo", "its starter"])
def test_its_programs_end_when_it_or_its_starter_is_killed(
    tmp_path: Path, terminals: Callable[..., Terminal], killed: str, stage: str
) -> None:
    shell = ("/bin/sh", "-c", '"$@"; echo ended', "sh", *DEMO)
    terminal = terminals(*(DEMO if killed == "the demo" else shell))
    terminal.wait_for(stage)
    os.kill(terminal.pid, signal.SIGKILL)
    terminal.ended()
    until(lambda: not terminal.alive(), terminal.alive)
    if killed == "its starter":
        assert list(tmp_path.iterdir()) == []


def test_a_stopped_program_of_a_demo_that_is_killed_ends_too(
    terminals: Callable[..., Terminal],
) -> None:
    terminal = terminals(*DEMO)
    terminal.wait_for(RUNS)
    for process in Path("/proc").iterdir():
        if (
            process.name.isdigit()
            and has_mark(process, terminal.mark)
            and int(process.name) != terminal.pid
        ):
            os.kill(int(process.name), signal.SIGSTOP)
    os.kill(terminal.pid, signal.SIGKILL)
    terminal.ended()
    # The crowd's own two devices end when their reader has gone; a stopped one cannot notice that.
    until(
        lambda: all(" pn532 " in each or " board " in each for each in terminal.alive()),
        terminal.alive,
    )


@pytest.mark.parametrize("stage", STAGES)
def test_ctrl_c_while_the_city_is_founded_ends_it_in_one_line(
    tmp_path: Path, terminals: Callable[..., Terminal], stage: str
) -> None:
    terminal = terminals(*DEMO)
    terminal.wait_for(stage)
    terminal.press(b"\x03")
    assert terminal.ended() == 130, terminal.output
    assert "Traceback" not in terminal.output
    assert terminal.output.count("ended before the crowd came") == 1
    assert terminal.alive() == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_without_a_terminal_a_signal_while_its_programs_start_ends_it_in_one_line(
    tmp_path: Path, number: signal.Signals
) -> None:
    started = subprocess.Popen(
        DEMO,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    try:
        # The configuration is there: the gate is being enrolled, and the crowd has not started.
        until(
            lambda: list(tmp_path.glob("*/validator.toml")) or started.poll() is not None,
            lambda: started,
        )
        started.send_signal(number)
        out, err = started.communicate(timeout=LIMIT_S)
    finally:
        started.kill()
    assert (started.returncode, out) == (128 + number, ""), err
    assert "Traceback" not in err
    assert "ended before the crowd came" in err
    assert list(tmp_path.iterdir()) == []


def test_under_nohup_it_survives_its_shell(
    tmp_path: Path, terminals: Callable[..., Terminal]
) -> None:
    """With SIGHUP ignored, as nohup does, it ignores the end of its terminal and its shell."""
    printed = tmp_path / "printed"
    printed.touch()
    script = 'trap "" HUP; "$@" </dev/null >"$TMPDIR/printed" 2>&1 & echo started; read line'
    terminal = terminals("/bin/sh", "-c", script, "sh", *DEMO)
    terminal.wait_for("started")
    until(lambda: ADDRESS.search(printed.read_text()), printed.read_text)
    terminal.close()
    os.kill(terminal.pid, signal.SIGKILL)
    os.waitpid(terminal.pid, 0)
    found = ADDRESS.search(printed.read_text())
    assert found
    # The demo that answers the second has taken every event from before the first.
    for _ in range(2):
        pushed = {"content-type": "application/json", "origin": found[1]}
        asked = Request(f"{found[1]}/do", b'{"verb":"push"}', pushed)  # noqa: S310
        with urlopen(asked, timeout=LIMIT_S) as answer:  # noqa: S310
            assert answer.status == 204


def test_the_next_demo_removes_what_a_killed_one_left_and_nothing_else(tmp_path: Path) -> None:
    program = (
        "from turnike_demo.folder import folder; import sys\n"
        "with folder() as f: print(f, flush=True); sys.stdin.read()"
    )

    def start() -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"TMPDIR": str(tmp_path)},
        )

    def folder_of(process: "subprocess.Popen[str]") -> Path:
        assert process.stdout is not None
        return Path(process.stdout.readline().strip())

    others = tmp_path / "turnike-demo-mine"
    others.mkdir()
    (others / "notes").write_text("not a demo's")
    (tmp_path / "turnike-demo-link").symlink_to(others)
    first, second = start(), start()
    left, running = folder_of(first), folder_of(second)
    (left / "city").mkdir()
    first.kill()
    first.communicate()
    third = start()
    folder_of(third)
    assert not left.exists()
    assert running.exists()
    assert (others / "notes").exists()
    for each in (second, third):
        each.communicate("")
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "turnike-demo-link",
        "turnike-demo-mine",
    ]
