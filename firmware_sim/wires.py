"""The wire between a simulated device and a program: a pty that behaves like a UART.

It has speeds, wire time, unplugging, and a symlink as stable name. It has no clock: every method
takes `now_ns`; runner.py drives it.

What a pty cannot do: parity, framing errors, modem lines. And bytes sent while no program has the
port open wait for the next one (programs flush the input when they open a port, so this is not
seen in practice).
"""

import contextlib
import os
import termios
import tty
from collections import deque
from pathlib import Path
from random import Random

__all__ = ["Line", "Wire"]

BITS_A_BYTE = 10  # 8N1: start, eight data, stop
READ_MAX_BYTES = 4096  # what Linux keeps for a pty in one direction
# More than any device here sends in a second; on overrun it drops, as a real UART does.
LINE_MAX_BYTES = 65536

_CODES = {
    number: getattr(termios, f"B{number}")
    for number in (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600, 1152000)
    if hasattr(termios, f"B{number}")
}
_SPEEDS = {code: number for number, code in _CODES.items()}


class Line:
    """One direction of a serial line.

    A chunk stays whole: `pop` returns it when a UART would have carried its last byte, or at once
    without `real` pacing. Holds at most LINE_MAX_BYTES; further bytes are dropped and counted.
    """

    def __init__(self, *, real: bool) -> None:
        self._real = real
        self._queue: deque[tuple[int, bytes]] = deque()
        self._held_bytes = 0
        self._free_ns = 0
        self.dropped_bytes = 0

    def push(self, data: bytes, now_ns: int, baud: int) -> None:
        """Put a chunk on the line at `now_ns`, at `baud` bits a second."""
        if self._held_bytes + len(data) > LINE_MAX_BYTES:
            self.dropped_bytes += len(data)
            return
        if self._real:
            wire_ns = len(data) * BITS_A_BYTE * 1_000_000_000 // baud
            self._free_ns = max(self._free_ns, now_ns) + wire_ns
        self._queue.append((max(self._free_ns, now_ns) if self._real else now_ns, data))
        self._held_bytes += len(data)

    def pop(self, now_ns: int) -> bytes:
        """Return the bytes that have arrived by `now_ns`, oldest first."""
        arrived = bytearray()
        while self._queue and self._queue[0][0] <= now_ns:
            arrived += self._queue.popleft()[1]
        self._held_bytes -= len(arrived)
        return bytes(arrived)

    def due_ns(self) -> int | None:
        """Return when the next chunk arrives; None when the line is empty."""
        return self._queue[0][0] if self._queue else None

    def clear(self) -> None:
        """Drop the bytes that are under way."""
        self._queue.clear()
        self._held_bytes = 0
        self._free_ns = 0


class Wire:
    """A pty and its name.

    Args:
        link: where to keep a symlink to the slave; replaced by rename, removed at `unplug`.
        real: pace both directions at the current baud rate; otherwise bytes arrive at once.
        random: draws the garbage that a wrong speed makes of bytes.
        baud: the device's speed at start, in bits a second; the loop keeps it up to date.

    Raises:
        OSError: the link's folder is missing or not writable, or its path is no symlink.
    """

    def __init__(
        self, link: Path | None, *, real: bool, random: Random, baud: int = 115200
    ) -> None:
        self.baud = baud
        self._link = link
        self._random = random
        self._in = Line(real=real)
        self._out = Line(real=real)
        self._master = -1
        self._slave = -1
        self._slave_path = ""
        self.plug()

    @property
    def path(self) -> str:
        """The path that a program opens: the link if there is one, else the slave."""
        return str(self._link) if self._link is not None else self._slave_path

    @property
    def plugged(self) -> bool:
        """Whether there is a port."""
        return self._master >= 0

    def fileno(self) -> int:
        """Return the descriptor to wait on; -1 while unplugged, and another at each `plug`."""
        return self._master

    def plug(self) -> None:
        """Make a new pty behind the same link; do nothing if there is one."""
        if self.plugged:
            return
        master, slave = os.openpty()
        try:
            # The slave stays open here: otherwise the master reports a hang-up while no program
            # has the port open.
            tty.setraw(slave)
            _set_speed(slave, self.baud)
            os.set_blocking(master, False)
            self._slave_path = os.ttyname(slave)
            if self._link is not None:
                _point(self._link, self._slave_path)
        except OSError:
            os.close(master)
            os.close(slave)
            raise
        self._master, self._slave = master, slave

    def unplug(self) -> None:
        """Remove the port, which a program that has it open sees as a hang-up; or do nothing."""
        if not self.plugged:
            return
        self._remove_link()
        master, slave, self._master, self._slave = self._master, self._slave, -1, -1
        os.close(master)
        os.close(slave)
        self._in.clear()
        self._out.clear()

    close = unplug

    def host_baud(self) -> int:
        """Return the program's speed in bits a second; 0 when unplugged, or without a name here."""
        if not self.plugged:
            return 0
        # On a pty's master, Linux answers with the slave's settings.
        return _SPEEDS.get(termios.tcgetattr(self._master)[5], 0)

    def fill(self, now_ns: int) -> None:
        """Read what the program has written; bytes at another speed than `baud` are garbled."""
        if not self.plugged:
            return
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._master, READ_MAX_BYTES)
            speed = self.host_baud()
            if speed != self.baud:
                data = self._garbage(len(data), speed, self.baud)
            self._in.push(data, now_ns, speed or self.baud)

    def received(self, now_ns: int) -> bytes:
        """Return the bytes that have arrived at the device by `now_ns`."""
        return self._in.pop(now_ns)

    def send(self, data: bytes, now_ns: int) -> None:
        """Send bytes to the program, at the device's `baud`."""
        if self.plugged:
            self._out.push(data, now_ns, self.baud)

    def flush(self, now_ns: int) -> None:
        """Write to the pty what has arrived at the program by `now_ns`.

        Bytes that the pty does not take are dropped, as by a UART.
        """
        data = self._out.pop(now_ns)
        if not data or not self.plugged:
            return
        speed = self.host_baud()
        if speed != self.baud:
            data = self._garbage(len(data), self.baud, speed)
        with contextlib.suppress(BlockingIOError):
            os.write(self._master, data)

    def due_ns(self) -> int | None:
        """Return when `received` or `flush` has something to do; None when the line is empty."""
        due = [at for at in (self._in.due_ns(), self._out.due_ns()) if at is not None]
        return min(due, default=None)

    def _garbage(self, count: int, sent_baud: int, read_baud: int) -> bytes:
        """Garble `count` bytes as another speed does; no zero, so that none can start a frame."""
        seen = max(1, min(count * (read_baud or 1) // (sent_baud or 1), READ_MAX_BYTES))
        return bytes(self._random.randrange(1, 256) for _ in range(seen))

    def _remove_link(self) -> None:
        """Remove the link unless another simulator has taken its name."""
        if self._link is None:
            return
        with contextlib.suppress(OSError):
            # os.readlink, since Path would normalise the name.
            if os.readlink(self._link) == self._slave_path:  # noqa: PTH115
                self._link.unlink()


def _point(link: Path, target: str) -> None:
    """Point the symlink `link` to `target` in one step, so that it always exists."""
    if link.exists() and not link.is_symlink():
        raise FileExistsError(f"{link} exists and is no symlink; name another path")
    if not link.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {link.parent} for the link; create it first")
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)


def _set_speed(descriptor: int, baud: int) -> None:
    """Set the port to the device's own speed, for a program that sets none."""
    settings = termios.tcgetattr(descriptor)
    settings[4] = settings[5] = _CODES.get(baud, termios.B115200)
    termios.tcsetattr(descriptor, termios.TCSANOW, settings)
