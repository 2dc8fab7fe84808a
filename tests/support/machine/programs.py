"""Real processes for tests: started as a user would, read line by line, and always ended.

heard_lines.py waits for their lines.
"""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.machine.heard_lines import WAIT_S, HeardLines, Line

__all__ = ["WAIT_S", "Line", "Program", "as_hardware", "lane_config", "program"]

_HARDWARE_NICE = -15


def as_hardware(pid: int) -> None:
    """Let this process go first: hardware does not wait for a busy machine, nor should its play."""
    with suppress(PermissionError):  # only root may
        os.setpriority(os.PRIO_PROCESS, pid, _HARDWARE_NICE)


class Program(HeardLines):
    """One child process with its standard input, and its standard output as JSON lines."""

    def __init__(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
    ) -> None:
        """Start `python -m arguments`; `before` is a command that becomes it, as a rig's does."""
        super().__init__(" ".join(arguments[:2]))
        self._rest = b""
        self.process = subprocess.Popen(
            [*before, sys.executable, "-m", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
            bufsize=0,
        )
        if arguments[0] == "firmware_sim":
            as_hardware(self.process.pid)

    def say(self, verb: str) -> None:
        """Write one line to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{verb}\n".encode())

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

    def hear(self, wait_s: float) -> bool:
        """Read what it prints within a time; False when nothing came, or at its end."""
        out = self.process.stdout
        assert out is not None
        if not select.select([out], [], [], max(wait_s, 0))[0]:
            return False
        data = os.read(out.fileno(), 65_536)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.add(line)
        return bool(data)

    def last_words(self) -> str:
        """Return how it ended and its complaints."""
        if self.process.poll() is None or self.process.stderr is None:
            return "and it still runs"
        errors = self.process.stderr.read().decode(errors="replace")
        return f"exit {self.process.returncode}, {errors[-2_000:]}"


@contextmanager
def program(
    *arguments: str, env: Mapping[str, str] | None = None, before: Sequence[str] = ()
) -> Iterator[Program]:
    """A program for the length of a test."""
    started = Program(*arguments, env=env, before=before)
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
    device = {"pn532": f'device = "{folder}/reader"', "rcs380": 'device = "usb"'}.get(driver, "")
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
