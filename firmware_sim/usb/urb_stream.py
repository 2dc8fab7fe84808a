"""The URB stream of USB/IP as bytes: what Linux' vhci-hcd and our usbfs shim speak.

Of USB/IP (Linux, Documentation/usb/usbip_protocol.rst) it has the part after the import: USBIP_
CMD_SUBMIT, RET_SUBMIT, CMD_UNLINK, RET_UNLINK. No I/O, no clock.
"""

import errno
import struct
from collections.abc import Iterator

from firmware_sim.usb.device import UsbDevice
from firmware_sim.usb.transfers import Completion, Setup, Status, Transfer

__all__ = ["StreamError", "UrbStream"]

HEAD_BYTES = 48
TRANSFER_MAX_BYTES = 1 << 20  # usbfs allows 16 MB in all; a reader's transfers have some hundreds
CMD_SUBMIT, CMD_UNLINK, RET_SUBMIT, RET_UNLINK = 1, 2, 3, 4
# A hub's SET_FEATURE(PORT_RESET): with it vhci-hcd, and usbip-host, mean a reset of the device.
PORT_RESET = Setup(0x23, 3, 4, 0, 0)
_ERRORS = {
    Status.OK: 0,
    Status.STALL: -errno.EPIPE,
    Status.BABBLE: -errno.EOVERFLOW,
    Status.CANCELLED: -errno.ENOENT,
    Status.GONE: -errno.ENODEV,
}


class StreamError(Exception):
    """The other side sent what is no URB stream; the connection cannot go on."""


class UrbStream:
    """One program's connection to a device."""

    def __init__(self, device: UsbDevice) -> None:
        self._device = device
        self._received = bytearray()
        self._pending: set[int] = set()
        self._answers = bytearray()
        self._unlinked = bytearray()

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take any piece of the stream.

        Raises:
            StreamError: it is none.
        """
        self._received += data
        for head, body in self._messages():
            command, number, _, inward, endpoint = struct.unpack_from(">5I", head)
            if command == CMD_UNLINK:
                self._unlink(number, struct.unpack_from(">I", head, 20)[0], now_ns)
            else:
                self._submit(number, head, body, endpoint | (0x80 if inward else 0), now_ns)

    def complete(self, completion: Completion) -> bool:
        """Take a completion; return False if the transfer is another connection's."""
        owner, number = completion.key if isinstance(completion.key, tuple) else (None, 0)
        if owner is not self:
            return False
        self._pending.discard(number)
        self._answers += struct.pack(
            ">5I5i8x",
            *(RET_SUBMIT, number, 0, 0, 0),
            *(_ERRORS[completion.status], completion.count, 0, 0, 0),
        )
        self._answers += completion.data
        return True

    def take(self) -> bytes:
        """Return the bytes to send since the last call.

        Call it after all completions: the answer to an unlink must not overtake the completion of a
        transfer that had ended before.
        """
        answers = bytes(self._answers + self._unlinked)
        self._answers.clear()
        self._unlinked.clear()
        return answers

    def close(self, now_ns: int) -> None:
        """Cancel what is pending: the program has closed the device."""
        for number in self._pending:
            self._device.cancel((self, number), now_ns)
        self._pending.clear()

    def _messages(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield whole messages: the head, and the data of an OUT transfer."""
        while len(self._received) >= HEAD_BYTES:
            head = bytes(self._received[:HEAD_BYTES])
            size = HEAD_BYTES + _body_bytes(head)
            if len(self._received) < size:
                return
            body = bytes(self._received[HEAD_BYTES:size])
            del self._received[:size]
            yield head, body

    def _submit(self, number: int, head: bytes, body: bytes, endpoint: int, now_ns: int) -> None:
        if number in self._pending:
            raise StreamError(f"two URBs with the number {number} at once")
        length = struct.unpack_from(">I", head, 24)[0]
        setup = Setup.parse(head[40:48]) if endpoint & 0x7F == 0 else None
        self._pending.add(number)
        key = (self, number)
        if setup == PORT_RESET:
            self._device.bus_reset(now_ns)
            self.complete(Completion(key, Status.OK))
        else:
            address = 0 if setup is not None else endpoint
            self._device.submit(Transfer(key, address, length, body, setup), now_ns)

    def _unlink(self, number: int, victim: int, now_ns: int) -> None:
        """Cancel a transfer; the answer is ECONNRESET, or 0 if it had ended (stub_rx.c)."""
        cancelled = self._device.cancel((self, victim), now_ns)
        if cancelled:
            self._pending.discard(victim)
        status = -errno.ECONNRESET if cancelled else 0
        self._unlinked += struct.pack(">5Ii24x", RET_UNLINK, number, 0, 0, 0, status)


def _body_bytes(head: bytes) -> int:
    """Return how many bytes follow a head. Raises StreamError."""
    command, _, _, inward, endpoint = struct.unpack_from(">5I", head)
    length: int = struct.unpack_from(">I", head, 24)[0]
    if command == CMD_UNLINK:
        return 0
    if command != CMD_SUBMIT or endpoint > 15 or length > TRANSFER_MAX_BYTES:  # noqa: PLR2004
        raise StreamError(f"no URB: command {command}, endpoint {endpoint}, {length} bytes")
    return 0 if inward else length
