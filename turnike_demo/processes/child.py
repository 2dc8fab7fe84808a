"""A child process of the demo: a command that an operator can start by hand.

lane = Child("lane", "validator", "lane", "--config", "v.toml")
for line in lane.read_lines(): ...
lane.close()
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import IO

from turnike_demo.processes.events import READ_BYTES, Line, parsed

END_WAIT_S = 10
_NICE_OF_OTHER_MACHINES = 10
_PR_SET_PDEATHSIG = 1
# Loaded here, since nothing may be loaded between fork and exec: another thread may hold the
# loader's lock.
_prctl = ctypes.CDLL(None).prctl


class Child:
    """A child process: its standard input, and its standard output as lines."""

    def __init__(self, name: str, *command: str, is_elsewhere: bool = False) -> None:
        """Start `python -m command`.

        The child has a process group of its own, so that Ctrl-C reaches the demo alone. The kernel
        kills it when the demo ends, however the demo ends.

        Args:
            name: the source of its events.
            command: the module and its arguments.
            is_elsewhere: the program would run on another machine; here it yields the processor
                to those of the gate.
        """
        self.name = name
        parent = os.getpid()
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Otherwise its progress bars would be drawn into the live view.
            env=os.environ | {"TTY_COMPATIBLE": "0"},
            process_group=0,
            # Calls into libc, which take no lock that a thread may hold.
            preexec_fn=lambda: _before_exec(parent, is_elsewhere=is_elsewhere),  # noqa: PLW1509
        )
        self._rest = b""

    @property
    def output(self) -> IO[bytes]:
        """Its standard output."""
        assert self.process.stdout is not None  # noqa: S101 — it is a pipe
        return self.process.stdout

    def send(self, text: str) -> None:
        """Write one line to its standard input; to a child that has ended, nothing."""
        assert self.process.stdin is not None  # noqa: S101 — it is a pipe
        with suppress(BrokenPipeError):
            self.process.stdin.write(f"{text}\n".encode())
            self.process.stdin.flush()

    def end_of_input(self) -> None:
        """Close its standard input."""
        assert self.process.stdin is not None  # noqa: S101 — it is a pipe
        with suppress(BrokenPipeError):
            self.process.stdin.close()

    def read_lines(self) -> Iterator[Line]:
        """Yield the lines of one read of its output; `ended` at its end."""
        data = os.read(self.output.fileno(), READ_BYTES)
        if not data:
            yield {"event": "ended"}
            return
        *whole, self._rest = (self._rest + data).split(b"\n")
        yield from map(parsed, whole)

    def remaining_lines(self) -> Iterator[Line]:
        """Yield the lines that a child which has ended left in its pipe."""
        while (lines := list(self.read_lines())) != [{"event": "ended"}]:
            yield from lines

    def end(self) -> int:
        """Send SIGTERM if it still runs, SIGKILL if it then stays; return its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(END_WAIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def close(self) -> int:
        """End it, close its pipes, and return its exit code."""
        code = self.end()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        return code


def _before_exec(parent: int, *, is_elsewhere: bool) -> None:
    """Run in the child before its program starts: make the kernel kill it with its parent.

    SIGKILL, since no process is left to wait for a slower end, and a stopped process would ignore
    another signal.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent died before the call above; no signal will come
        os._exit(1)
    if is_elsewhere:
        os.nice(_NICE_OF_OTHER_MACHINES)
