"""The simulated RC-S380: frames in, frames out, cards in its field. No I/O, no clock."""

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from random import Random

from firmware_sim.cards import Card
from firmware_sim.faults import Fault, Faults, Kind
from firmware_sim.outcomes import Event
from firmware_sim.radio.field import Field, Presence
from firmware_sim.radio.hand import CARD_VERBS, Hand
from firmware_sim.rcs380.commands import IDEAL, Commands, Run, Timing
from firmware_sim.rcs380.faults import RCS380_FAULTS
from firmware_sim.rcs380.frames import ACK, ERROR, Ack, Command, Invalid, decode, encode
from firmware_sim.rcs380.identity import ENDPOINT_IN, identity
from firmware_sim.usb.descriptors import Descriptors
from firmware_sim.usb.function import Flush, FunctionOutcome, Packets
from firmware_sim.usb.transfers import Setup

__all__ = ["Rcs380"]

MS = 1_000_000
NOISE_MAX_BYTES = 64
FLOOD_NS = 100_000  # between two answers that nobody asked for: above what a lane may read
UNASKED = encode(b"\x21\x11\x01")  # a firmware version


class Rcs380:
    """A `firmware_sim.usb.function.Function`.

    With equal inputs at equal times and an equally seeded `random`, two readers send the same.
    """

    def __init__(
        self, random: Random, timing: Timing = IDEAL, model: str = "P", serial: str = "0000001"
    ) -> None:
        self._identity = identity(model, serial)
        self.faults = Faults(random)
        self.fault_kinds: Mapping[str, Kind] = RCS380_FAULTS
        self.verbs: Mapping[str, str] = CARD_VERBS
        self.random = random
        self.field = Field(random)
        self.skipped_frames = 0
        self._commands = Commands(self.field, timing)
        self._hand = Hand(self, self.faults, random)
        self._outcomes: list[FunctionOutcome] = []
        self._departures: list[tuple[int, int, bytes]] = []
        self._turn = 0
        self._powered = False
        self._running: Run | None = None
        self._code = 0
        self._due_ns = 0
        self._flood_ns = 0

    @property
    def descriptors(self) -> Descriptors:
        """Return the identity of this reader."""
        return self._identity

    # Inputs

    def receive(self, endpoint: int, data: bytes, now_ns: int) -> None:
        """Take what one transfer of the host brought."""
        del endpoint  # there is one
        self._settle(now_ns)
        if not data:
            return  # the end of a transfer of whole packets
        match decode(data):
            case Ack():
                self._abort(now_ns)
            case Command(code, body):
                self._begin(code, body, now_ns)
            case Invalid():
                self.skipped_frames += 1
                self._stop()
                self._depart(ERROR, now_ns)
        self._settle(now_ns)

    def control(self, setup: Setup, data: bytes, now_ns: int) -> bytes | None:
        """Stall: it has no requests of its own."""
        del setup, data, now_ns
        return None

    def obey(self, words: Sequence[str], now_ns: int) -> None:
        """Do a verb about cards. Raises ValueError."""
        self._settle(now_ns)
        self._outcomes += self._hand.obey(words, now_ns)
        self._report(now_ns)

    def powered(self, on: bool, now_ns: int) -> None:
        """Take that the bus gives power, or no longer: either way it starts afresh."""
        self._settle(now_ns)
        self._powered = on
        self._stop()
        self._commands.reset()

    def bus_reset(self, now_ns: int) -> None:
        """Stop the command that runs."""
        self._settle(now_ns)
        self._stop()

    def enter(self, now_ns: int, *cards: Card) -> list[Presence]:
        """Put cards into the field at once. Raises ValueError."""
        self._settle(now_ns)
        entered = self.field.enter(*cards)
        self._commands.entered(now_ns)
        return entered

    def leave(self, now_ns: int, *leaving: Presence) -> None:
        """Take cards out of the field, all at once."""
        self._settle(now_ns)
        for presence in leaving:
            self.field.leave(presence)

    # Outputs

    def advance(self, now_ns: int) -> list[FunctionOutcome]:
        """Do what is due by `now_ns`; return the outcomes since the last call."""
        self._settle(now_ns)
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def due_ns(self) -> int | None:
        """Return when `advance` has something to do; None when it waits for an input."""
        due = [self._departures[0][0]] if self._departures else []
        due += [self._due_ns] if self._running is not None else []
        due += [self._flood_ns] if self._powered and self.faults.on("flood") else []
        return min(due, default=None)

    def status(self) -> Mapping[str, object]:
        """Return the details of the `status` event."""
        return {
            "field": self.field.on,
            "running": None if self._running is None else f"{self._code:02x}",
            "cards": self.field.about(),
            "skipped_frames": self.skipped_frames,
        }

    # Commands

    def _begin(self, code: int, body: bytes, now_ns: int) -> None:
        """Acknowledge a command and start it, in place of one that still runs (assumed)."""
        self._stop()
        if not self._powered:
            return
        if self._struck("dropped-ack", now_ns) is None:
            self._depart(ACK, now_ns)
        self._code = code
        running = self._commands.run(code, body, now_ns)
        self._due_ns = next(running)
        self._running = running

    def _abort(self, now_ns: int) -> None:
        if self._running is not None or self._departures:
            self._outcomes.append(Event("aborted", now_ns, {"command": f"{self._code:02x}"}))
        self._stop()

    def _stop(self) -> None:
        """Drop the command that runs, and answers that the host has not taken."""
        running, self._running = self._running, None
        if running is not None:
            running.close()
        self._departures.clear()
        self._outcomes.append(Flush(ENDPOINT_IN))

    # Time

    def _settle(self, now_ns: int) -> None:
        """Do everything that is due by `now_ns`, in order of time."""
        while (due_ns := self.due_ns()) is not None and due_ns <= now_ns:
            if self._departures and self._departures[0][0] == due_ns:
                frame = heappop(self._departures)[2]
                self._outcomes.append(Packets(ENDPOINT_IN, frame))
            elif self._running is not None and self._due_ns == due_ns:
                self._step(due_ns)
            else:
                self._outcomes.append(Packets(ENDPOINT_IN, UNASKED))
                self._flood_ns = max(due_ns, now_ns - MS) + FLOOD_NS

    def _step(self, now_ns: int) -> None:
        """Resume the command that runs; what it returns is its answer."""
        assert self._running is not None  # noqa: S101  (the caller has checked)
        try:
            self._due_ns = max(now_ns, self._running.send(now_ns))
        except StopIteration as end:
            self._running = None
            self._answer(end.value, now_ns)
        self._report(now_ns)

    def _depart(self, frame: bytes, due_ns: int) -> None:
        self._turn += 1
        heappush(self._departures, (due_ns, self._turn, frame))

    def _answer(self, parameters: bytes, now_ns: int) -> None:
        """Send an answer, or what the faults make of it."""
        code = (self._code + 1) & 0xFF
        if self._struck("wrong-frame", now_ns) is not None:
            code ^= 0x10
        frame = encode(bytes((code,)) + parameters)
        if self._struck("error-frame", now_ns) is not None:
            frame = ERROR
        if self._struck("noise", now_ns) is not None:
            frame = self.random.randbytes(self.random.randrange(1, NOISE_MAX_BYTES + 1))
        if self._struck("bad-checksum", now_ns) is not None:
            frame = frame[:-2] + bytes((frame[-2] ^ 0x5A, frame[-1]))
        if self._struck("truncated", now_ns) is not None:
            frame = frame[: self.random.randrange(1, len(frame))]
        if self._struck("dropped", now_ns) is not None:
            return
        delay = self._struck("delayed", now_ns)
        late_ns = delay.value * MS if delay is not None and isinstance(delay.value, int) else 0
        self._depart(frame, now_ns + late_ns)

    # Events

    def _struck(self, name: str, now_ns: int) -> Fault | None:
        fault = self.faults.strike(name)
        if fault is not None:
            self._outcomes.append(Event("fault", now_ns, {"fault": name, "state": "struck"}))
        return fault

    def _report(self, now_ns: int) -> None:
        """Make events of what happened to cards."""
        for name, there in self._commands.air.take_happened():
            details: dict[str, object] = {"uid": there.card.uid.hex()}
            if name == "selected":
                details["shown"] = there.shown_uid.hex()
            self._outcomes.append(Event(name, now_ns, details))
        for there in self.field.take_left():
            stage = {} if there.left_at is None else {"stage": there.left_at.value}
            self._outcomes.append(Event("removed", now_ns, {"uid": there.card.uid.hex(), **stage}))
