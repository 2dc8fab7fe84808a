"""The carrier that puts a device behind /dev/bus/usb: a unix socket, and programs' connections."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Collection, Mapping

from firmware_sim.usb.device import UsbDevice
from firmware_sim.usb.transfers import Completion
from firmware_sim.usb.urb_stream import StreamError, UrbStream
from firmware_sim.usb.usbfs.bus import Slot

__all__ = ["UsbfsCarrier"]

READ_MAX_BYTES = 65536
CONNECTIONS_MAX = 32  # programs; the next is refused
UNSENT_MAX_BYTES = 4 << 20  # to a program that reads nothing; then its connection ends


class Connection:
    """One program that has the node open."""

    def __init__(self, device: UsbDevice, program: socket.socket) -> None:
        program.setblocking(False)
        self.socket = program
        self.stream = UrbStream(device)
        self._unsent = bytearray()
        self.ended = False

    @property
    def waits(self) -> bool:
        """Whether there are bytes that the program has not taken."""
        return bool(self._unsent)

    def read(self, now_ns: int) -> None:
        """Take what the program has sent."""
        try:
            data = self.socket.recv(READ_MAX_BYTES)
            self.ended = not data
            self.stream.receive(data, now_ns)
        except BlockingIOError:
            pass
        except (OSError, StreamError):
            self.ended = True

    def write(self) -> None:
        """Send what the program takes."""
        self._unsent += self.stream.take()
        try:
            while self._unsent:
                del self._unsent[: self.socket.send(self._unsent)]
        except BlockingIOError:
            self.ended = self.ended or len(self._unsent) > UNSENT_MAX_BYTES
        except OSError:
            self.ended = True


class UsbfsCarrier:
    """A `firmware_sim.usb.port.Carrier`.

    Args:
        port: the port of the simulated hub to take if it is free.
    """

    def __init__(self, port: int | None = None) -> None:
        self._wanted = port
        self._slot: Slot | None = None
        self._device: UsbDevice | None = None
        self._listener: socket.socket | None = None
        self._connections: list[Connection] = []
        self._claims: list[int] = []
        self._is_held = False
        self._driver = ""

    @property
    def plugged(self) -> bool:
        """Whether the device is on the bus."""
        return self._slot is not None

    def about(self) -> Mapping[str, object]:
        """Return where the device is, for events."""
        if self._slot is None:
            return {"node": None, "port": None}
        return {"node": str(self._slot.node), "port": self._slot.name}

    def plug(self, device: UsbDevice, *, elsewhere: bool = False) -> None:
        """Put the device on the bus; `elsewhere` takes another port than before.

        Raises:
            OSError: this is no rig, or it has no free port.
        """
        but = self._wanted if elsewhere else None
        slot = Slot.take(device.descriptors, wanted=self._wanted, but=but)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(slot.socket))
        listener.listen(CONNECTIONS_MAX)
        listener.setblocking(False)
        self._wanted, self._slot, self._listener = slot.port, slot, listener
        self._device = device
        # Before a program can find the device: it would be quicker.
        self._claim()
        if self._driver:
            slot.beside("driver").write_text(self._driver)
            self._driver = ""
        slot.enter()

    def unplug(self) -> None:
        """Take the device off the bus: every connection ends."""
        slot, self._slot = self._slot, None
        listener, self._listener = self._listener, None
        if slot is None or listener is None:
            return
        listener.close()
        slot.leave()
        for connection in self._connections:
            connection.socket.close()
        self._connections.clear()
        self._release()

    def hold(self, *, held: bool) -> None:
        """Claim the device as another program would, once no program has it; or let it go."""
        self._is_held = held
        if not held:
            self._release()
        elif not self._claims:
            self._claim()

    def bind_driver(self, name: str) -> None:
        """Let a kernel driver have the device from the next plug, until a program detaches it."""
        self._driver = name

    def reading(self) -> list[int]:
        """Return the descriptors to wait on for input."""
        listener = [self._listener.fileno()] if self._listener is not None else []
        return listener + [each.socket.fileno() for each in self._connections]

    def writing(self) -> list[int]:
        """Return the descriptors to wait on for room."""
        return [each.socket.fileno() for each in self._connections if each.waits]

    def read(self, ready: Collection[int], now_ns: int) -> None:
        """Take connections and what programs have sent."""
        for connection in self._connections:
            if connection.socket.fileno() in ready:
                connection.read(now_ns)
        if self._listener is not None and self._listener.fileno() in ready:
            self._accept()

    def complete(self, completion: Completion, now_ns: int) -> None:
        """Take the end of a transfer."""
        del now_ns
        any(each.stream.complete(completion) for each in self._connections)

    def flush(self, now_ns: int) -> None:
        """Send what programs take; forget the connections that have ended."""
        for connection in self._connections:
            connection.write()
            if connection.ended:
                connection.stream.close(now_ns)
                connection.socket.close()
        self._connections = [each for each in self._connections if not each.ended]

    def _accept(self) -> None:
        assert self._listener is not None  # noqa: S101  (the caller has checked)
        assert self._device is not None  # noqa: S101  (it listens, so it is plugged)
        with contextlib.suppress(BlockingIOError):
            program, _ = self._listener.accept()
            if len(self._connections) < CONNECTIONS_MAX:
                self._connections.append(Connection(self._device, program))
            else:
                program.close()

    def _claim(self) -> None:
        """Claim every interface, or none if a program has one."""
        if self._slot is None or not self._is_held:
            return
        for number in range(len(self._slot.identity.interfaces)):
            claim = self._slot.beside(f"claim{number}")
            descriptor = os.open(claim, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._claims.append(descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._release()
                return

    def _release(self) -> None:
        for descriptor in self._claims:
            os.close(descriptor)
        self._claims.clear()
