"""The carrier that plugs a device into the emulated computer of qemu, by usbredir."""

import contextlib
import socket
from collections.abc import Collection, Mapping
from pathlib import Path

from firmware_sim.usb.device import UsbDevice
from firmware_sim.usb.redir_stream import RedirStream
from firmware_sim.usb.transfers import Completion
from firmware_sim.usb.urb_stream import StreamError

__all__ = ["RedirCarrier"]

READ_MAX_BYTES = 65536
UNSENT_MAX_BYTES = 4 << 20  # to a qemu that reads nothing; then the device is gone for it


class RedirCarrier:
    """A `firmware_sim.usb.port.Carrier`: connecting plugs the device in, closing unplugs it.

    Args:
        path: the unix socket at which qemu listens for one device:
            `-chardev socket,id=C,path=PATH,server=on,wait=off -device usb-redir,chardev=C`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._device: UsbDevice | None = None
        self._qemu: socket.socket | None = None
        self._stream: RedirStream | None = None
        self._unsent = bytearray()

    @property
    def plugged(self) -> bool:
        """Whether the device is plugged in; also after qemu has ended."""
        return self._device is not None

    def about(self) -> Mapping[str, object]:
        """Return where the device is, for events."""
        return {"redir": str(self._path) if self._qemu is not None else None}

    def plug(self, device: UsbDevice, *, elsewhere: bool = False) -> None:
        """Connect to qemu. Raises OSError: it does not listen."""
        del elsewhere  # a usb-redir of qemu has one port of its hub
        qemu = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            qemu.connect(str(self._path))
        except OSError:
            qemu.close()
            raise
        qemu.setblocking(False)
        self._unsent.clear()
        self._device, self._qemu, self._stream = device, qemu, RedirStream(device)

    def unplug(self) -> None:
        """Close the connection."""
        self._device = None
        self._disconnect()

    def hold(self, *, held: bool) -> None:
        """Do nothing: programs that hold a device run in the emulated computer."""

    def bind_driver(self, name: str) -> None:
        """Do nothing: the real kernel binds its drivers itself."""

    def reading(self) -> list[int]:
        """Return the descriptors to wait on for input."""
        return [self._qemu.fileno()] if self._qemu is not None else []

    def writing(self) -> list[int]:
        """Return the descriptors to wait on for room."""
        return self.reading() if self._unsent else []

    def read(self, ready: Collection[int], now_ns: int) -> None:
        """Take what qemu has sent."""
        if self._qemu is None or self._stream is None or self._qemu.fileno() not in ready:
            return
        with contextlib.suppress(BlockingIOError):
            try:
                data = self._qemu.recv(READ_MAX_BYTES)
                self._stream.receive(data, now_ns)
            except (ConnectionError, StreamError):
                data = b""
            if not data:
                self._hang_up(now_ns)

    def complete(self, completion: Completion, now_ns: int) -> None:
        """Take the end of a transfer."""
        if self._stream is not None:
            self._stream.complete(completion, now_ns)

    def flush(self, now_ns: int) -> None:
        """Send what qemu takes."""
        if self._qemu is None or self._stream is None:
            return
        self._unsent += self._stream.take()
        try:
            while self._unsent:
                del self._unsent[: self._qemu.send(self._unsent)]
        except BlockingIOError:
            if len(self._unsent) > UNSENT_MAX_BYTES:
                self._hang_up(now_ns)
        except OSError:
            self._hang_up(now_ns)

    def _hang_up(self, now_ns: int) -> None:
        """Take that qemu has gone: the device stays plugged into nothing."""
        if self._stream is not None:
            self._stream.close(now_ns)
        self._disconnect()

    def _disconnect(self) -> None:
        qemu, self._qemu, self._stream = self._qemu, None, None
        self._unsent.clear()
        if qemu is not None:
            qemu.close()
