"""The kernel's side of a simulated input device: a unix socket in place of /dev/input/eventN.

A program that has shim.c loaded opens the socket. It sends one message of REQUEST_BYTES for the
opening, on a connection that then carries its struct input_event, and one for each ioctl, on a
connection of its own that carries the answer. As in the kernel, one program can take the device
(EVIOCGRAB); all others, and the console, then get nothing.
"""

import contextlib
import errno
import fcntl
import os
import select
import shutil
import socket
import struct
import tempfile
import termios
import time
from collections.abc import Sequence
from pathlib import Path

from firmware_sim.keyboard.keys import EV_KEY, EV_MSC, EV_SYN, KEYS, LEFT_SHIFT, InputEvent

__all__ = ["Node"]

OPEN, IOCTL = 1, 2
DATA_BYTES = 256
_REQUEST = struct.Struct(f"<IIQQ{DATA_BYTES}s")  # what, ioctl's request, client, argument, data
_ANSWER = struct.Struct(f"<ii{DATA_BYTES}s")  # result, errno, data
REQUEST_BYTES = _REQUEST.size
_EVENT = struct.Struct("@llHHi")
CLIENTS_MAX = 64

EVIOCGVERSION, EVIOCGID, EVIOCGRAB, EVIOCSCLOCKID = 0x80044501, 0x80084502, 0x40044590, 0x400445A0
LENGTH_BITS = 0x3FFF0000
EVIOCGNAME, EVIOCGKEY, EVIOCGBIT = 0x80004506, 0x80004518, 0x80004520
DEVICE_VERSION = 0x0100
EV_VERSION = 0x010001
CLOCK_REALTIME, CLOCK_MONOTONIC = 0, 1
BUS_USB = 3
IDS = (0xFFFF, 0x0035)
NAME = b"Turnike simulated reader that types\0"
_PRESS = 1


class _Client:
    """One opening of the device."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.number = 0  # which the program chose; 0 before its first message
        self.clock = CLOCK_REALTIME
        self.received = bytearray()
        self.unsent = bytearray()

    def stamp_ns(self, now_ns: int) -> int:
        return now_ns if self.clock == CLOCK_MONOTONIC else time.time_ns()


class Node:
    """An input device with a link as stable name.

    Attributes:
        held_by_other: whether a program that is not there takes it from every program that asks.
        console_keys: how many keys went to the console since the start.
    """

    def __init__(self, link: Path | None) -> None:
        """Make a folder for the sockets: `link` may be too long for one.

        Args:
            link: where to keep a symlink to the device; None for none.
        """
        self.held_by_other = False
        self.console_keys = 0
        self._link = link
        self._folder = Path(tempfile.mkdtemp(prefix="firmware-sim-input-"))
        self._number = 0
        self._listener: socket.socket | None = None
        self._clients: list[_Client] = []
        self._grabber: _Client | None = None

    @property
    def path(self) -> str:
        """The path that a program opens."""
        return str(self._link) if self._link is not None else str(self._device)

    @property
    def plugged(self) -> bool:
        """Whether there is a device."""
        return self._listener is not None

    @property
    def _device(self) -> Path:
        return self._folder / f"event{self._number}"

    def plug(self) -> None:
        """Make the device under the next number. Raises OSError: the link cannot be made."""
        self._number += 1
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            listener.bind(str(self._device))
            listener.listen(CLIENTS_MAX)
            if self._link is not None:
                fresh = self._link.with_name(f".{self._link.name}.{os.getpid()}")
                fresh.unlink(missing_ok=True)
                fresh.symlink_to(self._device)
                fresh.replace(self._link)
        except OSError:
            listener.close()
            raise
        self._listener = listener

    def unplug(self) -> None:
        """Take the device away: reading it fails with ENODEV."""
        if self._listener is None:
            return
        if self._link is not None:
            with contextlib.suppress(OSError):
                self._link.unlink()
        with contextlib.suppress(OSError):
            self._device.unlink()
        self._listener.close()
        self._listener = None
        for client in self._clients:
            client.connection.close()
        self._clients.clear()
        self._grabber = None

    def close(self) -> None:
        """Take the device away for good."""
        self.unplug()
        shutil.rmtree(self._folder, ignore_errors=True)

    def reading(self) -> list[int]:
        """Return the descriptors to wait on for input."""
        if self._listener is None:
            return []
        return [self._listener.fileno(), *(client.connection.fileno() for client in self._clients)]

    def writing(self) -> list[int]:
        """Return the descriptors to wait on for room."""
        return [client.connection.fileno() for client in self._clients if client.unsent]

    def read(self) -> None:
        """Take openings, ioctls and closings, in the order in which programs made them."""
        while self._listener is not None:
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                break
            connection.setblocking(False)
            self._clients.append(_Client(connection))
        # Closings first: a program that has closed the device may open it again at once.
        for client in [each for each in self._clients if _has_gone(each.connection)]:
            self._drop(client)
        for client in list(self._clients):
            self._hear(client)

    def send(self, packet: Sequence[InputEvent], now_ns: int) -> None:
        """Report a packet to the program that has taken the device, else to all and the console."""
        if self._grabber is None:
            self.console_keys += sum(
                event.kind == EV_KEY and event.value == _PRESS for event in packet
            )
        for client in self._clients:
            if client.number and self._grabber in {None, client}:
                seconds, ns = divmod(client.stamp_ns(now_ns), 1_000_000_000)
                client.unsent += b"".join(
                    _EVENT.pack(seconds, ns // 1_000, *each) for each in packet
                )

    @property
    def unread(self) -> bool:
        """Whether the program that has taken the device has not read all that was sent."""
        if self._grabber is None:
            return False
        connection = self._grabber.connection
        queued = fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4))
        return bool(self._grabber.unsent) or any(queued)

    def flush(self) -> None:
        """Send to programs what they take."""
        for client in self._clients:
            with contextlib.suppress(OSError):
                sent = client.connection.send(client.unsent) if client.unsent else 0
                del client.unsent[:sent]

    def _hear(self, client: _Client) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            client.received += client.connection.recv(REQUEST_BYTES)
        if len(client.received) < REQUEST_BYTES:
            return
        what, request, number, argument, data = _REQUEST.unpack(client.received)
        client.received.clear()
        if what == OPEN:
            client.number = number
        elif what == IOCTL:
            opening = next((each for each in self._clients if each.number == number), None)
            client.unsent += self._ioctl(opening, request, argument, data)

    def _ioctl(self, client: _Client | None, request: int, argument: int, data: bytes) -> bytes:
        if client is None:
            return _answer(error=errno.ENODEV)
        if request == EVIOCGRAB:
            return self._grab(client, taken=argument != 0)
        if request == EVIOCSCLOCKID:
            clock = int.from_bytes(data[:4], "little")
            if clock not in {CLOCK_REALTIME, CLOCK_MONOTONIC}:
                return _answer(error=errno.EINVAL)
            client.clock = clock
            return _answer()
        if request == EVIOCGVERSION:
            return _answer(data=struct.pack("<i", EV_VERSION))
        if request == EVIOCGID:
            return _answer(data=struct.pack("<4H", BUS_USB, *IDS, DEVICE_VERSION))
        return _sized(request)

    def _grab(self, client: _Client, *, taken: bool) -> bytes:
        if not taken:
            if self._grabber is not client:
                return _answer(error=errno.EINVAL)
            self._grabber = None
            return _answer()
        if self._grabber is not None or self.held_by_other:
            return _answer(error=errno.EBUSY)
        self._grabber = client
        return _answer()

    def _drop(self, client: _Client) -> None:
        client.connection.close()
        self._clients.remove(client)
        if self._grabber is client:
            self._grabber = None


def _sized(request: int) -> bytes:
    """Answer the requests that carry the length of their answer."""
    length = min(request >> 16 & 0x3FFF, DATA_BYTES)
    keys = {code for code, _, _ in KEYS.values()} | {LEFT_SHIFT}
    answers = {
        EVIOCGBIT: _bitmap({EV_SYN, EV_KEY, EV_MSC}, length),
        EVIOCGBIT | EV_KEY: _bitmap(keys, length),
        EVIOCGKEY: bytes(length),  # no key is held
        EVIOCGNAME: NAME[:length],
    }
    data = answers.get(request & ~LENGTH_BITS)
    return _answer(error=errno.EINVAL) if data is None else _answer(data=data, result=len(data))


def _has_gone(connection: socket.socket) -> bool:
    """Return whether the program has closed its end and left nothing to read."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    if not poll.poll(0):
        return False
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _answer(*, result: int = 0, error: int = 0, data: bytes = b"") -> bytes:
    return _ANSWER.pack(-1 if error else result, error, data.ljust(DATA_BYTES, b"\0"))


def _bitmap(codes: set[int], length: int) -> bytes:
    return sum(1 << code for code in codes).to_bytes(DATA_BYTES, "little")[:length]
