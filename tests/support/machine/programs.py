"""Real processes for tests: started as a user would, read line by line, and always ended.

Nothing here waits for time to pass. It waits for a line, with a time limit, and fails with all
lines so far if the line does not come.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

WAIT_S = 90.0  # a shared machine may stall for seconds; a test that passes never waits so long
HARDWARE_NICE = -15  # hardware does not wait for a busy machine, so what plays it should not either

Line = dict[str, Any]


class Program:
    """One child process with its standard input, and its standard output as JSON lines."""

    def __init__(self, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        """Start `python -m arguments`."""
        self.heard: list[Line] = []
        self.name = " ".join(arguments[:2])
        self._rest = b""
        self._looked = 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
            bufsize=0,
        )
        if arguments[0] == "firmware_sim":
            with suppress(PermissionError):  # only root may
                os.setpriority(os.PRIO_PROCESS, self.process.pid, HARDWARE_NICE)

    def say(self, verb: str) -> None:
        """Write one line to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{verb}\n".encode())

    def first_line(self) -> str:
        """The first line as text: a simulated device's path."""
        return str(self.wait_for(lambda line: "text" in line)["text"])

    def wait_for(self, wanted: Callable[[Line], bool], wait_s: float = WAIT_S) -> Line:
        """The next line that is wanted, after the one found last; `heard` keeps all lines."""
        deadline_s = time.monotonic() + wait_s
        while True:
            while self._looked < len(self.heard):
                self._looked += 1
                if wanted(self.heard[self._looked - 1]):
                    return self.heard[self._looked - 1]
            if not self._hear(deadline_s - time.monotonic()):
                raise AssertionError(
                    f"{self.name}: the line did not come; lines so far: {self.heard[-30:]}"
                    f" {self._last_words()}"
                )

    def event(self, name: str, wait_s: float = WAIT_S, **fields: object) -> Line:
        """The next line with this `event` and these fields."""
        return self.wait_for(
            lambda line: (
                line.get("event") == name
                and all(line.get(key) == value for key, value in fields.items())
            ),
            wait_s,
        )

    def catch_up(self) -> list[Line]:
        """All lines so far, without waiting."""
        while self._hear(0):
            pass
        self._looked = len(self.heard)
        return self.heard

    def kill(self) -> None:
        """Send SIGKILL: a power cut for one process."""
        self.process.kill()
        self.process.wait()

    def end(self, wait_s: float = WAIT_S) -> int:
        """Send SIGTERM; return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(wait_s)
        self.catch_up()
        return code

    def close(self) -> None:
        """End the process, whatever its state."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def _hear(self, wait_s: float) -> bool:
        out = self.process.stdout
        assert out is not None
        if not select.select([out], [], [], max(wait_s, 0))[0]:
            return False
        data = os.read(out.fileno(), 65_536)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.heard += [_parsed(line) for line in lines]
        return bool(data)

    def _last_words(self) -> str:
        if self.process.poll() is None or self.process.stderr is None:
            return "and it still runs"
        errors = self.process.stderr.read().decode(errors="replace")
        return f"exit {self.process.returncode}, {errors[-2_000:]}"


def _parsed(line: bytes) -> Line:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"text": line.decode(errors="replace")}


@contextmanager
def program(*arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Program]:
    """A program for the length of a test."""
    started = Program(*arguments, env=env)
    try:
        yield started
    finally:
        started.close()


def lane_config(
    folder: Path,
    *,
    driver: str = "pn532",
    stale: str = "decide",
    missing: str = "deny",
    more: str = "",
) -> Path:
    """A lane's configuration: devices `folder`/reader and `folder`/board, lists `folder`/lists."""
    device = f'device = "{folder}/reader"' if driver == "pn532" else ""
    path = folder / "validator.toml"
    path.write_text(f"""
gate_id = "test"
[reader]
driver = "{driver}"
{device}
[board]
device = "{folder}/board"
[list]
folder = "{folder}/lists"
keys = "{folder}/keys"
stale = "{stale}"
missing = "{missing}"
[reports]
folder = "{folder}/reports"
socket = "{folder}/lane.sock"
reserve_mb = 0
[log]
grounds = true
[passage]
feedback_ms = 300
{more}
""")
    return path
