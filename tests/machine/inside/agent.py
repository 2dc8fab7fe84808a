"""The guest's first process: mounts what programs expect, and starts them for the test outside.

Test and agent talk in JSON lines over a virtio serial port. The test asks:

    {"do": "start", "id": 1, "argv": [...], "env": {...}}
    {"do": "say", "id": 1, "text": "present 04a1b2c3"}     a line of standard input
    {"do": "signal", "id": 1, "number": 15}
    {"do": "off"}                                          switches the machine off

and the agent tells:

    {"agent": "ready"}
    {"id": 1, "pid": 812}                                  it has started
    {"id": 1, "out": "a line"}, {"id": 1, "err": "a line"}
    {"id": 1, "exit": 0}                                   the exit code, or minus a signal

It uses the standard library alone: it runs before anything of the project can be imported.
"""

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

PORT = "/dev/vport0p1"
PORT_WAIT_S = 30
WORK = Path("/run/work")
MOUNTS = (
    ("devpts", "/dev/pts", "mode=620,ptmxmode=666"),
    ("tmpfs", "/dev/shm", ""),  # noqa: S108  (the path that programs know)
)
SHARED = ("9p", "/run/shared", "trans=virtio,version=9p2000.L,msize=262144,cache=none")


class Agent:
    """Serves one connection until the machine is switched off."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._asked = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(port, selectors.EVENT_READ, self._hear)
        self._programs: dict[int, subprocess.Popen[bytes]] = {}
        self._open_pipes: dict[int, int] = {}

    def tell(self, **what: object) -> None:
        """Send one line; a port that takes less than all of it is asked again."""
        data = json.dumps(what).encode() + b"\n"
        while data:
            data = data[os.write(self._port, data) :]

    def serve(self) -> None:
        """Do what is asked, for ever."""
        self.tell(agent="ready", after_s=float(Path("/proc/uptime").read_text().split()[0]))
        while True:
            for key, _ in self._selector.select():
                key.data()

    def _hear(self) -> None:
        data = os.read(self._port, 65_536)
        if not data:  # the test is gone
            _switch_off()
        *lines, self._asked = (self._asked + data).split(b"\n")
        for line in lines:
            self._do(**json.loads(line))

    def _do(self, do: str, id: int = 0, **more: Any) -> None:  # noqa: A002  (as it is on the wire)
        match do:
            case "start":
                self._start(id, more["argv"], more.get("env", {}))
            case "say":
                self._say(id, more["text"])
            case "signal":
                if id in self._programs:
                    self._programs[id].send_signal(more["number"])
            case "off":
                _switch_off()

    def _start(self, number: int, argv: list[str], env: dict[str, str]) -> None:
        try:
            program = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **env},
                cwd=WORK,
                bufsize=0,
            )
        except OSError as error:
            self.tell(id=number, err=f"{argv[0]}: {error}")
            self.tell(id=number, exit=127)
            return
        self._programs[number], self._open_pipes[number] = program, 2
        self.tell(id=number, pid=program.pid)
        for name, pipe in (("out", program.stdout), ("err", program.stderr)):
            assert pipe is not None
            self._selector.register(pipe, selectors.EVENT_READ, self._reading(number, name, pipe))

    def _reading(self, number: int, name: str, pipe: IO[bytes]) -> Callable[[], None]:
        rest = b""

        def read() -> None:
            nonlocal rest
            data = os.read(pipe.fileno(), 65_536)
            *lines, rest = (rest + data).split(b"\n")
            if not data and rest:
                lines, rest = [rest], b""
            for line in lines:
                self.tell(id=number, **{name: line.decode(errors="replace")})
            if not data:
                self._selector.unregister(pipe)
                pipe.close()
                self._ended(number)

        return read

    def _ended(self, number: int) -> None:
        """Tell the exit code once both pipes are at their end."""
        self._open_pipes[number] -= 1
        if self._open_pipes[number] == 0:
            program = self._programs.pop(number)
            self.tell(id=number, exit=program.wait())
            assert program.stdin is not None
            program.stdin.close()

    def _say(self, number: int, text: str) -> None:
        program = self._programs.get(number)
        if program is not None and program.stdin is not None:
            program.stdin.write(f"{text}\n".encode())


def _switch_off() -> None:
    subprocess.run(["busybox", "poweroff", "-f"], check=False)


def _port() -> int:
    """Open the port to the test; its driver makes the node a moment after it was loaded."""
    end_s = time.monotonic() + PORT_WAIT_S
    while True:
        try:
            return os.open(PORT, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            if time.monotonic() > end_s:
                raise
            time.sleep(0.01)


def _mount(kind: str, where: str, options: str) -> None:
    Path(where).mkdir(parents=True, exist_ok=True)
    source = "shared" if kind == "9p" else kind
    more = ["-o", options] if options else []
    subprocess.run(["busybox", "mount", "-t", kind, *more, source, where], check=True)


def main() -> None:
    """Become the guest's init."""
    os.environ.update(
        PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        TMPDIR=str(WORK),  # /tmp belongs to the root, which is read-only
        HOME=str(WORK),
        PYTHONDONTWRITEBYTECODE="1",
        LC_ALL="C.UTF-8",
    )
    WORK.mkdir()
    for mount in (*MOUNTS, SHARED):
        _mount(*mount)
    subprocess.run(["busybox", "ip", "link", "set", "lo", "up"], check=True)
    Agent(_port()).serve()


if __name__ == "__main__":
    try:
        main()
    except BaseException as error:  # noqa: BLE001  (a first process that ends is a kernel panic)
        sys.stderr.write(f"agent: {error!r}\n")
        _switch_off()
