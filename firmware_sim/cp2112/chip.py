"""The simulated CP2112: feature reports in and out. No I/O, no clock."""

import struct
from collections.abc import Mapping, Sequence
from random import Random

from firmware_sim.cp2112.identity import HID_DESCRIPTOR, REPORT_DESCRIPTOR, identity
from firmware_sim.cp2112.lines import COUNT, Lines
from firmware_sim.faults import Faults, Kind
from firmware_sim.outcomes import Event
from firmware_sim.usb.descriptors import Descriptors
from firmware_sim.usb.function import FunctionOutcome
from firmware_sim.usb.transfers import Setup

__all__ = ["Cp2112"]

CONFIGURATION, GET, VERSION, SMBUS, LOCK = 2, 3, 5, 6, 0x20
UNLOCKED = b"\xff"  # nothing of its memory has been customised
PART, FIRMWARE = 0x0C, 3
# 100 kHz, address 2, no automatic read, no time-outs, no retries (AN495, 4.6).
SMBUS_DEFAULT = struct.pack(">IBBHHBH", 100_000, 2, 0, 0, 0, 0, 0)
VERBS = {
    "drive": "drive LINE 0|1, as a contact outside does",
    "let-go": "let-go LINE",
}


class Cp2112:
    """A `firmware_sim.usb.function.Function`.

    Each change of a line that the computer drives is a `line` event with its number and level:
    what a relay at that line would hear. An unplugged chip drives nothing.
    """

    def __init__(self, random: Random, serial: str = "0001", pulled_down: int = 0) -> None:
        """`pulled_down`: the lines (bit n: line n) with a resistor to ground instead of power."""
        self._identity = identity(serial)
        self.faults = Faults(random)
        self.fault_kinds: Mapping[str, Kind] = {}
        self.verbs: Mapping[str, str] = VERBS
        self.random = random
        self.lines = Lines(pulled_down=pulled_down)
        self._smbus = SMBUS_DEFAULT
        self._told = self.lines.levels
        self._outcomes: list[FunctionOutcome] = []

    @property
    def descriptors(self) -> Descriptors:
        """Return the identity of this chip."""
        return self._identity

    def control(self, setup: Setup, data: bytes, now_ns: int) -> bytes | None:
        """Answer the requests of the HID class (HID 1.11, 7.2): feature reports only."""
        feature, number = setup.value >> 8 == 3, setup.value & 0xFF  # noqa: PLR2004  (HID's number)
        match setup.request_type, setup.request:
            case 0x81, 6:  # GET_DESCRIPTOR of the interface
                kinds = {0x21: HID_DESCRIPTOR, 0x22: REPORT_DESCRIPTOR}
                return kinds.get(setup.value >> 8)
            case 0x21, 10:  # SET_IDLE
                return b""
            case 0xA1, 1 if feature:
                return self._get(number)
            case 0x21, 9 if feature and data[:1] == bytes((number,)):
                return self._set(number, data[1:], now_ns)
            case _:
                return None

    def receive(self, endpoint: int, data: bytes, now_ns: int) -> None:
        """Ignore output reports: they are the SMBus's, to which nothing is connected."""

    def obey(self, words: Sequence[str], now_ns: int) -> None:
        """Do a verb. Raises ValueError."""
        match words:
            case ["drive", line, "0" | "1" as level]:
                self.lines.drive(_line(line), int(level))
            case ["let-go", line]:
                self.lines.drive(_line(line), None)
            case [verb, *_]:
                raise ValueError(f"write {VERBS[verb]}")
        self._tell(now_ns)

    def powered(self, on: bool, now_ns: int) -> None:
        """Take that the bus gives power, or no longer: either way no line is an output."""
        del on
        self.lines.reset()
        self._smbus = SMBUS_DEFAULT
        self._tell(now_ns)

    def bus_reset(self, now_ns: int) -> None:
        """Do nothing. *Assumed*: the lines stay as they are, as AN495 does not say otherwise."""

    def advance(self, now_ns: int) -> Sequence[FunctionOutcome]:
        """Return the events since the last call."""
        del now_ns
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def due_ns(self) -> int | None:
        """Return None: it waits for an input."""
        return None

    def status(self) -> Mapping[str, object]:
        """Return the registers and levels; each is eight characters, line 7 first."""
        lines = self.lines
        every = {"outputs": lines.outputs, "latch": lines.latch, "levels": lines.levels}
        return {name: f"{value:0{COUNT}b}" for name, value in every.items()}

    def _get(self, number: int) -> bytes | None:
        lines = self.lines
        bodies = {
            CONFIGURATION: bytes((lines.outputs, lines.push_pull, 0, 0)),
            GET: bytes((lines.levels,)),
            VERSION: bytes((PART, FIRMWARE)),
            SMBUS: self._smbus,
            LOCK: UNLOCKED,
        }
        body = bodies.get(number)
        return None if body is None else bytes((number,)) + body

    def _set(self, number: int, body: bytes, now_ns: int) -> bytes | None:
        match number, len(body):
            case (2, 4):
                self.lines.outputs, self.lines.push_pull = body[0], body[1]
            case (4, 2):
                self.lines.set(body[0], body[1])
            case (6, 13):
                self._smbus = body
            case _:
                return None
        self._tell(now_ns)
        return b""

    def _tell(self, now_ns: int) -> None:
        """Report each line whose level has changed."""
        levels = self.lines.levels
        for line in range(COUNT):
            if (levels ^ self._told) >> line & 1:
                level, output = levels >> line & 1, self.lines.outputs >> line & 1
                details = {"line": line, "level": level, "output": bool(output)}
                self._outcomes.append(Event("line", now_ns, details))
        self._told = levels


def _line(text: str) -> int:
    if text not in {str(number) for number in range(COUNT)}:
        raise ValueError(f"{text!r} is no line; write 0 to {COUNT - 1}")
    return int(text)
