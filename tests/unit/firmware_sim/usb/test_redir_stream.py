"""usbredir, as qemu speaks it: the other end here writes its packets by hand."""

import struct
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.rcs380.reader import Rcs380
from firmware_sim.usb.device import UsbDevice
from firmware_sim.usb.redir_stream import RedirStream
from firmware_sim.usb.transfers import Completion
from firmware_sim.usb.urb_stream import StreamError

HELLO, CONNECT, RESET, INTERFACES, ENDPOINTS = 0, 1, 3, 4, 5
SET_CONFIGURATION, CONFIGURATION, CANCEL, CONTROL, BULK = 6, 8, 21, 100, 101
WIDE_IDS = 1 << 5
ACK = bytes.fromhex("0000ff00ff00")
GET_FIRMWARE_VERSION = bytes.fromhex("0000ffffff0200fed6200a00")


class Qemu:
    """The other end of one connection."""

    def __init__(self, capabilities: int) -> None:
        self.device = UsbDevice(Rcs380(Random(0)))
        self.device.plugged(True, 0)
        self.stream = RedirStream(self.device)
        self.wide = False
        self.send(HELLO, bytes(64) + struct.pack("<I", capabilities))
        self.greeting = self.packets()

    def send(self, kind: int, body: bytes, number: int = 0) -> None:
        self.stream.receive(self._head(kind, len(body), number) + body, 0)
        while outcomes := self.device.advance(0):
            for outcome in outcomes:
                if isinstance(outcome, Completion):
                    self.stream.complete(outcome, 0)

    def packets(self) -> list[tuple[int, int, bytes]]:
        data, found = self.stream.take(), []
        while data:
            kind, length, number = struct.unpack_from("<III", data)
            size = 12
            if self.wide:
                (number,), size = struct.unpack_from("<Q", data, 8), 16
            found.append((kind, number, data[size : size + length]))
            data = data[size + length :]
            self.wide = self.wide or (kind == HELLO and self.is_wide)
        return found

    is_wide = False

    def _head(self, kind: int, length: int, number: int) -> bytes:
        return struct.pack("<IIQ" if self.wide else "<III", kind, length, number)


class WideQemu(Qemu):
    """One whose ids have 64 bits once both have greeted."""

    is_wide = True


@pytest.fixture(params=[(Qemu, 0), (WideQemu, WIDE_IDS)], ids=["ids of 32 bits", "of 64 bits"])
def qemu(request: pytest.FixtureRequest) -> Qemu:
    kind, capabilities = request.param
    made = kind(capabilities)
    assert isinstance(made, Qemu)
    return made


def test_it_connects_once_qemu_has_greeted(qemu: Qemu) -> None:
    device = UsbDevice(Rcs380(Random(0)))
    before = RedirStream(device).take()
    assert struct.unpack_from("<III", before) == (HELLO, 68, 0)
    assert len(before) == 12 + 68
    assert [kind for kind, _, _ in qemu.greeting] == [HELLO, ENDPOINTS, INTERFACES, CONNECT]
    endpoints, interfaces, connect = (body for _, _, body in qemu.greeting[1:])
    bulk, invalid = 2, 255
    assert [endpoints[slot] for slot in (0, 1, 2, 16, 17, 18)] == [
        *(0, invalid, bulk, 0, bulk, invalid)
    ]
    assert struct.unpack_from("<32H", endpoints, 96)[2] == 64
    assert struct.unpack_from("<I", interfaces) == (1,)
    assert interfaces[36] == 0xFF, "the class of the first interface"
    full_speed = 1
    assert connect == struct.pack("<4B3H", full_speed, 0, 0, 0, 0x054C, 0x06C3, 0x0111)


def test_transfers_go_there_and_back(qemu: Qemu) -> None:
    qemu.send(SET_CONFIGURATION, b"\x01", 7)
    assert qemu.packets() == [(CONFIGURATION, 7, b"\x00\x01")]
    qemu.send(CONTROL, struct.pack("<4B3H", 0x80, 6, 0x80, 0, 0x0100, 0, 8), 8)
    ((kind, number, body),) = qemu.packets()
    assert (kind, number) == (CONTROL, 8)
    assert body[10:] == bytes.fromhex("1201000200000040"), "a device descriptor's first 8 bytes"
    qemu.send(BULK, struct.pack("<BBHIH", 0x81, 0, 64, 0, 0), 9)
    assert qemu.packets() == [], "nothing to read yet"
    length = len(GET_FIRMWARE_VERSION)
    qemu.send(BULK, struct.pack("<BBHIH", 0x02, 0, length, 0, 0) + GET_FIRMWARE_VERSION, 10)
    assert qemu.packets() == [
        (BULK, 10, struct.pack("<BBHIH", 0x02, 0, length, 0, 0)),
        (BULK, 9, struct.pack("<BBHIH", 0x81, 0, 6, 0, 0) + ACK),
    ]


def test_a_request_that_the_device_does_not_know_stalls(qemu: Qemu) -> None:
    qemu.send(CONTROL, struct.pack("<4B3H", 0, 99, 0x40, 0, 0, 0, 0), 3)
    stall = 4
    assert qemu.packets() == [(CONTROL, 3, struct.pack("<4B3H", 0, 99, 0x40, stall, 0, 0, 0))]


def test_a_transfer_that_waits_can_be_cancelled_once(qemu: Qemu) -> None:
    qemu.send(BULK, struct.pack("<BBHIH", 0x81, 0, 64, 0, 0), 9)
    qemu.send(CANCEL, b"", 9)
    cancelled = 1
    assert qemu.packets() == [(BULK, 9, struct.pack("<BBHIH", 0x81, cancelled, 0, 0, 0))]
    qemu.send(CANCEL, b"", 9)
    assert qemu.packets() == []
    assert qemu.device.status()["pending"] == 0


def test_the_end_of_the_connection_cancels_what_waits(qemu: Qemu) -> None:
    qemu.send(BULK, struct.pack("<BBHIH", 0x81, 0, 64, 0, 0), 9)
    assert qemu.device.status()["pending"] == 1
    qemu.stream.close(0)
    assert qemu.device.status()["pending"] == 0


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (HELLO, bytes(68)),
        (BULK, b"\x81"),
        (SET_CONFIGURATION, b""),
        (SET_CONFIGURATION + 93, b""),
        (12, b"\x81\x01\x01"),
    ],
    ids=["a second hello", "too short", "no configuration", "no such kind", "isochronous"],
)
def test_what_is_no_usbredir_raises_one_error(qemu: Qemu, kind: int, body: bytes) -> None:
    with pytest.raises(StreamError):
        qemu.send(kind, body)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_taken_or_refused_by_one_error(data: bytes, greeted: bool) -> None:
    qemu = Qemu(0)
    stream = qemu.stream if greeted else RedirStream(qemu.device)
    try:
        stream.receive(data, 0)
    except StreamError:
        return
    stream.take()
