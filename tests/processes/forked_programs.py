"""Programs that start in 10 ms, for tests that start hundreds: forked from one that imported them.

    with Forks() as forks:
        courier = forks.start("turnike", "courier", "--config", "validator.toml")
        line = courier.read(0.1)
        courier.kill()

Each is a process of its own that runs the same `main` as its command, and SIGKILL ends it as any
other. What a start costs in
imports is left out: hardly anything can go wrong there, and it is nine tenths of a short life.
"""

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from importlib import import_module
from types import TracebackType
from typing import Any, NoReturn, Self

from tests.support.machine.programs import WAIT_S, Line

MAINS = {"turnike": "validator.cli", "turnike-backoffice": "backoffice.cli.program"}
IMPORTED = (
    "validator.programs.lane",
    "validator.programs.courier",
    "backoffice.cli.publish",
    "backoffice.publishing.publisher",
)
_COMMAND_BYTES_MAX = 1 << 16
_READ_BYTES = 1 << 16


class Fork:
    """One program. `heard` is all its output: standard output, and standard error as text."""

    def __init__(self, name: str, pid: int, out_fd: int) -> None:
        self.name = name
        self.pid = pid
        self.heard: list[Line] = []
        self.started_s = time.monotonic()
        self._pidfd: int | None = os.pidfd_open(pid)
        self._out_fd = out_fd
        self._rest = b""

    def fileno(self) -> int:
        """For select: readable when it has printed something, or has ended."""
        return self._out_fd

    def read(self) -> list[Line]:
        """The program's output since the last call. Does not wait."""
        lines: list[Line] = []
        while select.select([self._out_fd], [], [], 0)[0]:
            data = os.read(self._out_fd, _READ_BYTES)
            if not data:
                break
            *whole, self._rest = (self._rest + data).split(b"\n")
            lines += [_parsed(line) for line in whole]
        self.heard += lines
        return lines

    def has_ended(self) -> bool:
        """Whether the program has ended."""
        return self._pidfd is None or bool(select.select([self._pidfd], [], [], 0)[0])

    def signal(self, number: int) -> None:
        """Send it a signal; nothing if it has ended."""
        if self._pidfd is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> list[Line]:
        """Send SIGKILL and wait for the end. Returns the output that was not read yet."""
        assert self._pidfd is not None
        self.signal(signal.SIGKILL)
        assert select.select([self._pidfd], [], [], WAIT_S)[0], f"{self.name} outlives SIGKILL"
        last = self.read()
        os.close(self._pidfd)
        os.close(self._out_fd)
        self._pidfd = None
        return last


def _parsed(line: bytes) -> Line:
    with suppress(ValueError):
        value = json.loads(line)
        if isinstance(value, dict):
            return value
    return {"text": line.decode(errors="replace")}


class Forks:
    """The process from which programs are forked. For one thread."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                # One thread: a second one would not be forked.
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )
        self._socket.settimeout(WAIT_S)
        assert self._socket.recv(16) == b"ready"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends whatever was started and runs still."""
        self._socket.close()
        self._process.wait(WAIT_S)

    def start(self, *command: str) -> Fork:
        """Start a program."""
        out_fd, their_fd = os.pipe2(os.O_CLOEXEC)
        try:
            socket.send_fds(self._socket, [json.dumps(command).encode()], [their_fd])
        finally:
            os.close(their_fd)
        return Fork(" ".join(command[:2]), int(self._socket.recv(16)), out_fd)


def _fork(command: list[str], out_fd: int) -> int:
    pid = os.fork()
    if pid:
        os.close(out_fd)
        return pid
    for fd in (1, 2):
        os.dup2(out_fd, fd)
    os.closerange(3, 256)
    # As a new process has them: the parent's were made for a file, and take it for seekable.
    sys.stdout, sys.stderr = (
        open(fd, "w", buffering=1, closefd=False)  # noqa: SIM115
        for fd in (1, 2)
    )
    sys.argv = command
    code: Any = 1
    try:
        import_module(MAINS[command[0]]).main()
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001  # it is printed, and nothing of the parent's may run here
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


def _serve(fd: int) -> NoReturn:
    """Fork what is asked for until the asking end closes; then end all that was forked."""
    for name in (*MAINS.values(), *IMPORTED):
        import_module(name)
    gc.freeze()
    running: deque[int] = deque()
    with socket.socket(fileno=fd) as asked:
        asked.send(b"ready")
        while True:
            content, fds, _, _ = socket.recv_fds(asked, _COMMAND_BYTES_MAX, 1)
            if not content:
                break
            running.append(_fork(json.loads(content), fds[0]))
            asked.send(str(running[-1]).encode())
            _reap(running)
    for pid in running:
        os.kill(pid, signal.SIGKILL)
    sys.exit(0)


def _reap(running: deque[int]) -> None:
    for _ in range(len(running)):
        pid = running.popleft()
        if os.waitpid(pid, os.WNOHANG) == (0, 0):
            running.append(pid)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
