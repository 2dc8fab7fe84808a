"""A simulated RC-S380 without process and bus, nfcpy on it, and a clock that the test moves."""

import errno
from random import Random
from typing import Any

import nfc.clf
import nfc.clf.rcs380

from firmware_sim.cards import card_of
from firmware_sim.radio.field import Presence, Stage
from firmware_sim.rcs380.commands import IDEAL, Timing
from firmware_sim.rcs380.reader import Rcs380
from firmware_sim.usb.transfers import Status
from tests.support.devices.usb_bench import MS, Bench

ACK = bytes.fromhex("0000ff00ff00")
DESFIRE = bytes.fromhex("04a1b2c3d4e5f6")
CLASSIC = bytes.fromhex("11223344")
PHONE = bytes.fromhex("08000000")


def frame(command: str, first: int = 0xD6) -> bytes:
    """Return a host's frame with this command and its parameters, in hex; with D7 the chip's."""
    data = bytes((first,)) + bytes.fromhex(command)
    size = len(data).to_bytes(2, "little")
    return (
        bytes.fromhex("0000ffffff")
        + size
        + bytes((-sum(size) & 0xFF,))
        + data
        + bytes((-sum(data) & 0xFF, 0))
    )


def from_chip(answer: str) -> bytes:
    """Return the chip's frame with this answer, in hex."""
    return frame(answer, 0xD7)


class ReaderBench(Bench):
    """A reader that is plugged in, its cards, and a host that reads what it sends."""

    def __init__(self, timing: Timing = IDEAL, seed: int = 1) -> None:
        self.reader = Rcs380(Random(seed), timing)
        super().__init__(self.reader)

    def put(self, uid: bytes, leaves: Stage | None = None) -> Presence:
        """Lay a card on the reader."""
        (there,) = self.reader.enter(self.now_ns, card_of(uid))
        there.leaves = leaves
        self.turn()
        return there

    def take(self, there: Presence) -> None:
        """Take a card away."""
        self.reader.leave(self.now_ns, there)
        self.turn()

    def receive(self, wait_ms: float = 0.0) -> bytes | None:
        """Return the next frame of the reader, or None if none comes within the time."""
        key = self._next()
        ended = self.read_as(key) or self.turn(wait_ms)
        if ended:
            assert ended[0].status is Status.OK
            return ended[0].data
        assert self.device.cancel(key, self.now_ns)
        return None

    def ask(self, command: str, wait_ms: float = 0.0) -> str:
        """Send a command; return its answer without its frame, in hex; "" if none comes."""
        self.write(frame(command))
        assert self.receive() == ACK
        answer = self.receive(wait_ms)
        return "" if answer is None else answer[9:-2].hex()

    def until_due(self) -> None:
        """Let the time pass until the device has something to do."""
        due_ns = self.device.due_ns()
        if due_ns is not None and due_ns > self.now_ns:
            self.turn((due_ns - self.now_ns) / MS)


class NfcpyTransport:
    """A transport of nfcpy whose USB line is a bench; it keeps every frame."""

    TYPE = "USB"
    manufacturer_name, product_name = "SONY", "RC-S380/P"

    def __init__(self, bench: ReaderBench) -> None:
        self._bench = bench
        self.frames: list[tuple[str, str]] = []

    def write(self, data: bytes, timeout: int = 0) -> None:
        del timeout
        self.frames.append(("host", bytes(data).hex()))
        self._bench.write(bytes(data))

    def read(self, timeout: int = 0) -> bytearray:
        data = self._bench.receive(timeout or 10_000)
        if data is None:
            raise OSError(errno.ETIMEDOUT, "no answer")
        self.frames.append(("chip", data.hex()))
        return bytearray(data)

    def close(self) -> None:
        """Do nothing: the bench is the test's."""


def nfcpy_on(bench: ReaderBench) -> tuple[Any, NfcpyTransport]:
    """Return nfcpy's device on a bench, and its transport."""
    transport = NfcpyTransport(bench)
    return nfc.clf.rcs380.init(transport), transport
