"""A program: a loop as the lane's, over a reader and a board that sends a stamp every 5 ms.

    python -m benchmarks.lane.board_wait rcs380 usb:054c:06c3 5

After `serve` on standard input it prints `serves` as a JSON line, once the reader does. After
`measure` and the seconds asked for it prints `waited`, with how long each stamp lay there before
the loop took it, in ns. It runs until killed.
"""

import json
import os
import select
import struct
import subprocess
import sys
import time

from validator.domain.events import ReaderBack, ReaderLost
from validator.host.usb_devices import UsbName
from validator.lane.ports import Reader

STAMP = struct.Struct("q")
TICK_S = 0.005
BOARD = (
    "import os, struct, time\n"
    "while True:\n"
    f"    time.sleep({TICK_S})\n"
    "    os.write(1, struct.pack('q', time.monotonic_ns()))\n"
)


def main() -> None:
    """Run until killed."""
    kind, path, seconds = sys.argv[1:]
    reader = _reader(kind, path)
    with subprocess.Popen([sys.executable, "-c", BOARD], stdout=subprocess.PIPE) as board:
        if board.stdout is None:
            raise TypeError("a pipe was asked for")
        loop = Loop(reader, board.stdout.fileno())
        while True:
            if loop.line() == "serve":
                while not loop.serves:
                    loop.turn()
                _say("serves")
                continue
            loop.waited_ns.clear()
            end = time.monotonic() + float(seconds)
            while time.monotonic() < end:
                loop.turn()
            _say("waited", ns=loop.waited_ns)


def _say(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, "at_ns": time.monotonic_ns(), **fields}), flush=True)


def _reader(kind: str, path: str) -> Reader:
    if kind == "rcs380":
        from validator.lane.readers.rcs380.reader import Rcs380Reader  # noqa: PLC0415

        return Rcs380Reader(UsbName())
    from validator.lane.readers.pn532.reader import Pn532Reader  # noqa: PLC0415

    return Pn532Reader(path)


class Loop:
    """Serves the reader when it is due, and the board when its bytes are there."""

    def __init__(self, reader: Reader, board: int) -> None:
        self.waited_ns: list[int] = []
        self.serves = False
        self._reader = reader
        self._board = board
        self._more = False  # the reader's last `take` returned an event

    def turn(self, line: int | None = None) -> bool:
        """Take one turn; whether `line` is readable."""
        poll = select.poll()
        for fd in (self._board, self._reader.fileno(), *([] if line is None else [line])):
            if fd >= 0:
                poll.register(fd, select.POLLIN)
        due_ns = 0 if self._more else self._reader.deadline_ns()
        ready = {fd for fd, _ in poll.poll(max(0, due_ns - time.monotonic_ns()) / 1e6)}
        if self._more or self._reader.fileno() in ready or time.monotonic_ns() >= due_ns:
            event = self._reader.take()
            self._more = event is not None
            if isinstance(event, ReaderBack | ReaderLost):
                self.serves = isinstance(event, ReaderBack)
            self._reader.arm()
        if self._board in ready:
            data = os.read(self._board, 65_536)
            now_ns = time.monotonic_ns()
            self.waited_ns += [now_ns - stamp for (stamp,) in STAMP.iter_unpack(data)]
        return line in ready

    def line(self) -> str:
        """Serve until a line comes on standard input, and return it."""
        while not self.turn(sys.stdin.fileno()):
            pass
        return sys.stdin.readline().strip()


if __name__ == "__main__":
    main()
