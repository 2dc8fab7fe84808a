"""A simulated PN532 without process and pty: frames in, replies out, and a clock of the test."""

from dataclasses import dataclass, field
from random import Random

from firmware_sim.cards import card_of
from firmware_sim.outcomes import Event, Outcome, Send
from firmware_sim.pn532.chip import Chip
from firmware_sim.pn532.frames import ACK, ERROR
from firmware_sim.pn532.radio import IDEAL, REAL, Timing
from firmware_sim.radio.field import Presence, Stage

MS = 1_000_000
DESFIRE = bytes.fromhex("04a1b2c3d4e5f6")
DESFIRE_DATA = "0344200704a1b2c3d4e5f6067577810280"  # without the target number
CLASSIC = bytes.fromhex("11223344")


def frame(command: str) -> bytes:
    payload = b"\xd4" + bytes.fromhex(command)
    return (
        b"\x00\x00\xff"
        + bytes((len(payload), -len(payload) & 0xFF))
        + payload
        + bytes((-sum(payload) & 0xFF, 0))
    )


@dataclass
class Bench:
    """A chip, and a clock that only the test moves."""

    timing: Timing = IDEAL
    chip: Chip = field(init=False)
    now_ns: int = 0
    outcomes: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chip = Chip(Random(1), self.timing)

    def awake(self) -> "Bench":
        self.send(bytes(10) + frame("1401"))
        self.pass_ms(50)
        self.said()
        return self

    def send(self, data: bytes) -> None:
        self.chip.receive(data, self.now_ns)
        self.outcomes += self.chip.advance(self.now_ns)

    def pass_ms(self, ms: float) -> None:
        self.now_ns += round(ms * MS)
        self.outcomes += self.chip.advance(self.now_ns)

    def put(self, uid: bytes, leaves: Stage | None = None, number: str | None = None) -> Presence:
        (presence,) = self.chip.enter(self.now_ns, card_of(uid, number))
        presence.leaves = leaves
        self.outcomes += self.chip.advance(self.now_ns)
        return presence

    def take(self, presence: Presence) -> None:
        self.chip.leave(self.now_ns, presence)
        self.outcomes += self.chip.advance(self.now_ns)

    def said(self) -> list[bytes]:
        """Return what the chip has sent since the last call."""
        sent = [outcome.data for outcome in self.outcomes if isinstance(outcome, Send)]
        self.outcomes = [outcome for outcome in self.outcomes if not isinstance(outcome, Send)]
        return sent

    def events(self) -> list[str]:
        return [outcome.name for outcome in self.outcomes if isinstance(outcome, Event)]

    def answer(self, command: str) -> str:
        """Return the response to a command in hex, from its response code on.

        `error` for the error frame, "" for silence.
        """
        self.send(frame(command))
        if self.timing is REAL:
            self.pass_ms(100)
        sent = self.said()
        assert sent[0] == ACK
        if len(sent) == 1:
            return ""
        assert len(sent) == 2
        return "error" if sent[1] == ERROR else sent[1][6:-2].hex()
