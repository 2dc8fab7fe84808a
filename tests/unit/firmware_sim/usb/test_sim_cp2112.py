"""The simulated CP2112: its registers, and what a relay at a line would see."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.cp2112.chip import Cp2112
from firmware_sim.cp2112.identity import REPORT_DESCRIPTOR
from firmware_sim.outcomes import Event, RefusedError
from firmware_sim.usb.device import UsbDevice
from firmware_sim.usb.transfers import Completion, Setup, Status, Transfer

RELAY, SENSOR = 0, 3
CONFIGURATION, LEVELS, LATCH = 2, 3, 4


class Bench:
    """A plugged chip; `events` are those since the last look."""

    def __init__(self) -> None:
        self.chip = Cp2112(Random(0), pulled_down=1 << RELAY)
        self.device = UsbDevice(self.chip)
        self.device.plugged(True, 0)
        self.events: list[tuple[object, object]] = []

    def ask(self, setup: Setup, data: bytes = b"") -> bytes | None:
        """One control transfer; None for a stall."""
        self.device.submit(Transfer("one", 0, setup.length, data, setup), 0)
        answer = None
        for outcome in self.device.advance(0):
            if isinstance(outcome, Completion):
                answer = outcome.data if outcome.status is Status.OK else None
            elif isinstance(outcome, Event):
                self.events.append((outcome.details["line"], outcome.details["level"]))
        return answer

    def get(self, report: int) -> bytes | None:
        return self.ask(Setup(0xA1, 1, 0x0300 | report, 0, 64))

    def set(self, report: int, body: bytes) -> bytes | None:
        data = bytes((report,)) + body
        return self.ask(Setup(0x21, 9, 0x0300 | report, 0, len(data)), data)

    def do(self, verb: str) -> None:
        self.device.obey(verb.split(), 0)
        self.ask(Setup(0x80, 0, 0, 0, 2))


def test_its_report_descriptor_is_what_hid_asks_for() -> None:
    bench = Bench()
    assert bench.ask(Setup(0x81, 6, 0x2200, 0, 255)) == REPORT_DESCRIPTOR
    assert REPORT_DESCRIPTOR[:3] == bytes.fromhex("0600ff")
    assert REPORT_DESCRIPTOR[-1:] == b"\xc0"
    hid = bench.ask(Setup(0x81, 6, 0x2100, 0, 9))
    assert hid is not None
    assert int.from_bytes(hid[7:9], "little") == len(REPORT_DESCRIPTOR)


def test_an_output_drives_its_latch_and_an_input_keeps_none() -> None:
    bench = Bench()
    relay = 1 << RELAY
    assert bench.set(LATCH, bytes((relay, relay))) == b""
    assert bench.get(LEVELS) == bytes((LEVELS, 0xFF & ~relay)), "an input: its resistor's level"
    bench.set(CONFIGURATION, bytes((relay, relay, 0, 0)))
    assert bench.events == [], "nothing that was said to the input is driven now"
    bench.set(LATCH, bytes((0xFF, relay)))
    assert bench.events == [(RELAY, 1)]
    assert bench.get(LEVELS) == b"\x03\xff"
    assert bench.get(CONFIGURATION) == bytes((CONFIGURATION, relay, relay, 0, 0))


def test_an_open_drain_output_only_pulls_down() -> None:
    bench = Bench()
    bench.set(CONFIGURATION, bytes((1 << RELAY | 1 << SENSOR, 0, 0, 0)))
    bench.set(LATCH, bytes((0xFF, 0xFF)))
    assert bench.events == [(SENSOR, 0), (SENSOR, 1)], "the relay's line stays pulled down"


def test_a_contact_outside_moves_an_input() -> None:
    bench = Bench()
    bench.do(f"drive {SENSOR} 0")
    bench.do(f"drive {SENSOR} 1")
    bench.do(f"drive {SENSOR} 0")
    bench.do(f"let-go {SENSOR}")
    assert bench.events == [(SENSOR, 0), (SENSOR, 1), (SENSOR, 0), (SENSOR, 1)]


def test_an_unplugged_chip_drives_nothing() -> None:
    bench = Bench()
    relay = 1 << RELAY
    bench.set(CONFIGURATION, bytes((relay, relay, 0, 0)))
    bench.set(LATCH, bytes((relay, relay)))
    bench.device.plugged(False, 0)
    assert bench.device.status()["levels"] == "11111110"
    bench.device.plugged(True, 0)
    assert bench.get(CONFIGURATION) == bytes((CONFIGURATION, 0, 0, 0, 0))


@pytest.mark.parametrize("verb", ["drive 8 1", "drive 0 2", "drive", "let-go x", "drive -1 0"])
def test_a_wrong_verb_says_what_to_write(verb: str) -> None:
    with pytest.raises(RefusedError, match="write"):
        Bench().device.obey(verb.split(), 0)


@pytest.mark.parametrize(
    ("report", "body"), [(CONFIGURATION, b"\x01"), (LATCH, b"\x01"), (LEVELS, b"\x00"), (9, b"")]
)
def test_a_wrong_report_stalls(report: int, body: bytes) -> None:
    assert Bench().set(report, body) is None


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 0xFFFF), st.binary(max_size=70))
def test_any_control_transfer_is_answered_or_stalls(
    request_type: int, request: int, value: int, data: bytes
) -> None:
    bench = Bench()
    answer = bench.ask(Setup(request_type, request, value, 0, 64), data)
    assert answer is None or len(answer) <= 64
