"""The usbredir protocol as bytes: how a USB device reaches the emulated computer of qemu.

It has what full-speed card readers and GPIO expanders need: control, bulk and interrupt transfers;
no isochronous ones, no bulk streams, no buffered bulk input (usbredir 0.13, usbredirproto.h). The
other end is qemu's "usb-redir", which the protocol calls the guest. No I/O, no clock.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import IntEnum

from firmware_sim.usb.descriptors import Descriptors
from firmware_sim.usb.device import UsbDevice
from firmware_sim.usb.transfers import Completion, Setup, Status, Transfer
from firmware_sim.usb.urb_stream import StreamError

__all__ = ["RedirStream"]

PACKET_MAX_BYTES = 1 << 20
VERSION = b"firmware-sim".ljust(64, b"\0")
# connect_device_version, ep_info_max_packet_size, 64bits_ids, 32bits_bulk_length
WIDE_IDS = 1 << 5
CAPABILITIES = 1 << 1 | 1 << 4 | WIDE_IDS | 1 << 6
SLOTS = 32  # endpoints 0 to 15 OUT, then 0 to 15 IN; interfaces, too, have 32 places
NO_ENDPOINT = 255
SUCCESS = 0
SET_CONFIGURATION = Setup(0x00, 9, 0, 0, 0)
GET_CONFIGURATION = Setup(0x80, 8, 0, 0, 1)
_STATUSES = {
    Status.OK: SUCCESS,
    Status.CANCELLED: 1,
    Status.GONE: 3,
    Status.STALL: 4,
    Status.BABBLE: 6,
}


class Kind(IntEnum):
    """A packet's kind."""

    HELLO = 0
    CONNECT = 1
    RESET = 3
    INTERFACES = 4
    ENDPOINTS = 5
    SET_CONFIGURATION = 6
    GET_CONFIGURATION = 7
    CONFIGURATION = 8
    SET_SETTING = 9
    GET_SETTING = 10
    SETTING = 11
    START_INTERRUPTS = 15
    STOP_INTERRUPTS = 16
    INTERRUPTS = 17
    CANCEL = 21
    CONTROL = 100
    BULK = 101
    INTERRUPT = 103


class RedirStream:
    """One connection to qemu: from a plug of the device to its unplugging."""

    def __init__(self, device: UsbDevice) -> None:
        self._device = device
        self._received = bytearray()
        self._to_send = bytearray()
        self._wide = False
        self._greeted = False
        self._answers: dict[tuple[object, ...], Callable[[Completion, int], None]] = {}
        self._interrupts = 0
        self._put(Kind.HELLO, 0, VERSION + struct.pack("<I", CAPABILITIES))

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take any piece of the stream.

        Raises:
            StreamError: it is none, or needs what this module has not.
        """
        self._received += data
        for kind, number, body in self._packets():
            try:
                self._handle(kind, number, body, now_ns)
            except (struct.error, IndexError) as error:
                raise StreamError(f"a packet of kind {kind} is too short") from error

    def complete(self, completion: Completion, now_ns: int) -> None:
        """Take the end of a transfer."""
        key = completion.key
        if isinstance(key, tuple) and key in self._answers:
            self._answers.pop(key)(completion, now_ns)

    def take(self) -> bytes:
        """Return the bytes to send since the last call."""
        data = bytes(self._to_send)
        self._to_send.clear()
        return data

    def close(self, now_ns: int) -> None:
        """Cancel what is pending: qemu has gone."""
        for key in self._answers:
            self._device.cancel(key, now_ns)
        self._answers.clear()

    def _packets(self) -> Iterator[tuple[int, int, bytes]]:
        while True:
            head = "<IIQ" if self._wide else "<III"
            size = struct.calcsize(head)
            if len(self._received) < size:
                return
            kind, length, number = struct.unpack_from(head, self._received)
            if length > PACKET_MAX_BYTES or (kind == Kind.HELLO) == self._greeted:
                raise StreamError(f"no usbredir: kind {kind}, {length} bytes")
            if len(self._received) < size + length:
                return
            body = bytes(self._received[size : size + length])
            del self._received[: size + length]
            yield kind, number, body

    def _put(self, kind: Kind, number: int, body: bytes = b"") -> None:
        self._to_send += struct.pack("<IIQ" if self._wide else "<III", kind, len(body), number)
        self._to_send += body

    def _handle(self, kind: int, number: int, body: bytes, now_ns: int) -> None:
        match kind:
            case Kind.HELLO:
                self._greet(body)
            case Kind.RESET:
                self._device.bus_reset(now_ns)
            case Kind.SET_CONFIGURATION | Kind.GET_CONFIGURATION:
                wanted = bytes((body[0],)) if kind == Kind.SET_CONFIGURATION else b""
                self._configuration(number, wanted, now_ns)
            case Kind.SET_SETTING | Kind.GET_SETTING:
                wanted = bytes((body[1],)) if kind == Kind.SET_SETTING else b""
                self._setting(number, body[0], wanted, now_ns)
            case Kind.START_INTERRUPTS:
                self._put(Kind.INTERRUPTS, number, bytes((SUCCESS, body[0])))
                self._wait_for_interrupt(body[0], now_ns)
            case Kind.STOP_INTERRUPTS:
                self._cancel(("interrupts", body[0]), now_ns)
                self._put(Kind.INTERRUPTS, number, bytes((SUCCESS, body[0])))
            case Kind.CANCEL:
                self._cancel((number,), now_ns)
            case Kind.CONTROL:
                self._control(number, body, now_ns)
            case Kind.BULK:
                self._bulk(number, body, now_ns)
            case Kind.INTERRUPT:
                self._interrupt_out(number, body, now_ns)
            case _:
                raise StreamError(f"a usbredir packet of kind {kind} is not known here")

    def _greet(self, body: bytes) -> None:
        """Take qemu's hello; only then may a device connect, with ids as wide as both can."""
        theirs = struct.unpack_from("<I", body, len(VERSION))[0] if len(body) > len(VERSION) else 0
        self._greeted, self._wide = True, bool(theirs & WIDE_IDS)
        identity = self._device.descriptors
        self._put(Kind.ENDPOINTS, 0, _endpoints(identity))
        self._put(Kind.INTERFACES, 0, _interfaces(identity))
        device_class = bytes(3)  # each interface has its own
        numbers = (identity.vendor, identity.product, identity.release)
        connect = struct.pack("<B3s3H", identity.speed, device_class, *numbers)
        self._put(Kind.CONNECT, 0, connect)

    # Transfers

    def _submit(
        self,
        key: tuple[object, ...],
        transfer: tuple[int, int, bytes, Setup | None],
        answer: Callable[[Completion, int], None],
        now_ns: int,
    ) -> None:
        key = (self, *key)
        self._answers[key] = answer
        self._device.submit(Transfer(key, *transfer), now_ns)

    def _cancel(self, key: tuple[object, ...], now_ns: int) -> None:
        key = (self, *key)
        if self._device.cancel(key, now_ns):
            self._answers.pop(key)(Completion(key, Status.CANCELLED), now_ns)

    def _control(self, number: int, body: bytes, now_ns: int) -> None:
        endpoint, request, request_type, _, value, index, length = struct.unpack_from("<4B3H", body)

        def answer(done: Completion, _: int) -> None:
            head = (endpoint, request, request_type, _STATUSES[done.status], value, index)
            self._put(Kind.CONTROL, number, struct.pack("<4B3H", *head, done.count) + done.data)

        setup = Setup(request_type, request, value, index, length)
        self._submit((number,), (0, length, body[10:], setup), answer, now_ns)

    def _bulk(self, number: int, body: bytes, now_ns: int) -> None:
        endpoint, _, low, stream, high = struct.unpack_from("<BBHIH", body)

        def answer(done: Completion, _: int) -> None:
            low, high = done.count & 0xFFFF, done.count >> 16
            head = struct.pack("<BBHIH", endpoint, _STATUSES[done.status], low, stream, high)
            self._put(Kind.BULK, number, head + done.data)

        transfer = (endpoint, low | high << 16, body[10:], None)
        self._submit((number,), transfer, answer, now_ns)

    def _interrupt_out(self, number: int, body: bytes, now_ns: int) -> None:
        endpoint, _, length = struct.unpack_from("<BBH", body)

        def answer(done: Completion, _: int) -> None:
            head = struct.pack("<BBH", endpoint, _STATUSES[done.status], done.count)
            self._put(Kind.INTERRUPT, number, head)

        self._submit((number,), (endpoint, length, body[4:], None), answer, now_ns)

    def _wait_for_interrupt(self, endpoint: int, now_ns: int) -> None:
        """Keep a transfer waiting: once asked, each packet of the endpoint goes to qemu unasked."""
        known = {each.address: each.packet_bytes for each in self._device.descriptors.endpoints}

        def answer(done: Completion, now_ns: int) -> None:
            if done.status is Status.CANCELLED:
                return
            if done.status is not Status.OK:
                status = bytes((_STATUSES[done.status], endpoint))
                self._put(Kind.INTERRUPTS, 0, status)
                return
            self._interrupts += 1
            head = struct.pack("<BBH", endpoint, SUCCESS, done.count)
            self._put(Kind.INTERRUPT, self._interrupts, head + done.data)
            self._wait_for_interrupt(endpoint, now_ns)

        transfer = (endpoint, known.get(endpoint, 0), b"", None)
        self._submit(("interrupts", endpoint), transfer, answer, now_ns)

    # Requests of the standard that qemu does not send as control transfers

    def _configuration(self, number: int, wanted: bytes, now_ns: int) -> None:
        setup = replace(SET_CONFIGURATION, value=wanted[0]) if wanted else GET_CONFIGURATION

        def answer(done: Completion, _: int) -> None:
            value = (done.data or wanted or b"\0")[0]
            status = bytes((_STATUSES[done.status], value))
            self._put(Kind.CONFIGURATION, number, status)

        self._submit(("own", number), (0, setup.length, b"", setup), answer, now_ns)

    def _setting(self, number: int, interface: int, wanted: bytes, now_ns: int) -> None:
        setup = (
            Setup(0x01, 11, wanted[0], interface, 0) if wanted else Setup(0x81, 10, 0, interface, 1)
        )

        def answer(done: Completion, _: int) -> None:
            value = (done.data or wanted or b"\0")[0]
            self._put(Kind.SETTING, number, bytes((_STATUSES[done.status], interface, value)))

        self._submit(("own", number), (0, setup.length, b"", setup), answer, now_ns)


def _endpoints(identity: Descriptors) -> bytes:
    kinds, intervals, interfaces, sizes = (
        [NO_ENDPOINT] * SLOTS,
        [0] * SLOTS,
        [0] * SLOTS,
        [0] * SLOTS,
    )
    for slot in (0, SLOTS // 2):
        kinds[slot], sizes[slot] = 0, 64
    for number, interface in enumerate(identity.interfaces):
        for endpoint in interface.endpoints:
            slot = (endpoint.address & 0x0F) + (SLOTS // 2 if endpoint.is_in else 0)
            kinds[slot], intervals[slot] = endpoint.kind, endpoint.interval
            interfaces[slot], sizes[slot] = number, endpoint.packet_bytes
    return bytes(kinds + intervals + interfaces) + struct.pack(f"<{SLOTS}H", *sizes)


def _interfaces(identity: Descriptors) -> bytes:
    count = len(identity.interfaces)
    triples = [each.triple for each in identity.interfaces] + [(0, 0, 0)] * (SLOTS - count)
    numbers = bytes(range(count)).ljust(SLOTS, b"\0")
    return (
        struct.pack("<I", count)
        + numbers
        + b"".join(bytes(part) for part in zip(*triples, strict=True))
    )
