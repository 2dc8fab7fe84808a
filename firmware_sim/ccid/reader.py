"""The simulated CCID reader: messages in, messages out, cards in its field. No I/O, no clock."""

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from random import Random

from firmware_sim.cards import Card, card_of, parse_uid
from firmware_sim.ccid.faults import CCID_FAULTS
from firmware_sim.ccid.messages import Answer, Command, Error, Icc, Messages, slot_change
from firmware_sim.ccid.models import Model, endpoints_of
from firmware_sim.ccid.slot import ContactlessSlot, EmptySlot, Slot, Timing
from firmware_sim.faults import Fault, Faults, Kind
from firmware_sim.outcomes import Event
from firmware_sim.radio.field import Field, Presence
from firmware_sim.radio.hand import CARD_VERBS, Hand
from firmware_sim.usb.descriptors import Descriptors
from firmware_sim.usb.function import Flush, FunctionOutcome, Packets
from firmware_sim.usb.transfers import Setup

__all__ = ["IDEAL", "REAL", "Ccid"]

MS = 1_000_000
NOISE_MAX_BYTES = 64
SEQUENCE_AT = 6  # bSeq in a message
IDEAL = Timing(0, 0)
REAL = Timing(poll_ns=250 * MS, exchange_ns=5 * MS)
VERBS = {**CARD_VERBS, "swap": "swap UID"}
ABORT = Setup(0x21, 0x01, 0, 0, 0)


class Ccid:
    """A `firmware_sim.usb.function.Function`: a reader whose first interface has the field."""

    def __init__(
        self, random: Random, model: Model, timing: Timing = IDEAL, serial: str = ""
    ) -> None:
        self._identity = model.identity(serial)
        self.faults = Faults(random)
        self.fault_kinds: Mapping[str, Kind] = CCID_FAULTS
        self.verbs: Mapping[str, str] = VERBS
        self.random = random
        self._timing = timing
        self._picc = ContactlessSlot(random, self.faults)
        others = [EmptySlot() for _ in model.slots[1:]]
        self._slots: Sequence[Slot] = [self._picc, *others]
        self._messages = [Messages(model.message_bytes_max) for _ in model.slots]
        self._hand = Hand(self, self.faults, random)
        self._outcomes: list[FunctionOutcome] = []
        self._departures: list[tuple[int, int, int, bytes]] = []
        self._turn = 0
        self._search_ns: int | None = None
        self._recovered_ns = 0

    @property
    def descriptors(self) -> Descriptors:
        """Return the identity of this reader."""
        return self._identity

    @property
    def field(self) -> Field:
        """The cards in its field."""
        return self._picc.field

    # Inputs

    def receive(self, endpoint: int, data: bytes, now_ns: int) -> None:
        """Take what one transfer of the host brought."""
        self._settle(now_ns)
        number = next(
            each for each in range(len(self._slots)) if endpoints_of(each).commands == endpoint
        )
        for command in self._messages[number].feed(data):
            self._answer(number, command, now_ns)
        self._settle(now_ns)

    def control(self, setup: Setup, data: bytes, now_ns: int) -> bytes | None:
        """Take an abort; stall all else, as readers do that have no list of clocks and rates."""
        del data
        if (setup.request_type, setup.request) != (ABORT.request_type, ABORT.request):
            return None
        self._settle(now_ns)
        self._stop()
        return b""

    def obey(self, words: Sequence[str], now_ns: int) -> None:
        """Do a verb about cards. Raises ValueError."""
        self._settle(now_ns)
        match words:
            case ["swap", uid]:
                entered = self._picc.swap(card_of(parse_uid(uid)))
                self._outcomes.append(Event("swap", now_ns, {"uid": entered.card.uid.hex()}))
            case ["swap", *_]:
                raise ValueError(f"write {VERBS['swap']}")
            case _:
                self._outcomes += self._hand.obey(words, now_ns)
        self._settle(now_ns)

    def powered(self, on: bool, now_ns: int) -> None:
        """Take that the bus gives power, or no longer: either way it starts afresh."""
        self._settle(now_ns)
        self._stop()
        self._picc.switch(on=on)
        self._search_ns = now_ns if on else None
        self._recovered_ns = now_ns

    def bus_reset(self, now_ns: int) -> None:
        """Drop what is under way."""
        self._settle(now_ns)
        self._stop()

    def enter(self, now_ns: int, *cards: Card) -> list[Presence]:
        """Put cards into the field at once. Raises ValueError."""
        entered = self.field.enter(*cards)
        self._plan_search(now_ns)
        return entered

    def leave(self, now_ns: int, *leaving: Presence) -> None:
        """Take cards out of the field, all at once."""
        for presence in leaving:
            self.field.leave(presence)
        self._plan_search(now_ns)

    # Outputs

    def advance(self, now_ns: int) -> list[FunctionOutcome]:
        """Do what is due by `now_ns`; return the outcomes since the last call."""
        self._settle(now_ns)
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def due_ns(self) -> int | None:
        """Return when `advance` has something to do; None when it waits for an input."""
        due = [self._departures[0][0]] if self._departures else []
        due += [self._search_ns] if self._search_ns is not None else []
        return min(due, default=None)

    def status(self) -> Mapping[str, object]:
        """Return the details of the `status` event."""
        skipped = sum(each.skipped for each in self._messages)
        return {**self._picc.status(), "skipped_messages": skipped}

    # Time

    def _settle(self, now_ns: int) -> None:
        """Do everything that is due by `now_ns`, in order of time."""
        while (due_ns := self.due_ns()) is not None and due_ns <= now_ns:
            if self._search_ns == due_ns:
                self._search(due_ns)
            else:
                _, _, endpoint, data = heappop(self._departures)
                self._outcomes.append(Packets(endpoint, data))

    def _plan_search(self, now_ns: int) -> None:
        """Search the field at the next turn of the reader's own poll."""
        poll_ns = self._timing.poll_ns
        next_ns = now_ns if not poll_ns else now_ns + poll_ns - now_ns % poll_ns
        if self._search_ns is None and self.field.on:
            self._search_ns = max(next_ns, self._recovered_ns)
        self._report(now_ns)

    def _search(self, now_ns: int) -> None:
        self._search_ns = None
        if self._picc.search():
            self._notify(now_ns)
            if self._picc.chosen is None:
                self._recovered_ns = now_ns + self._timing.recovery_ns
                self._plan_search(now_ns)
        self._report(now_ns)

    def _notify(self, now_ns: int) -> None:
        """Notify the host that a card came or left."""
        if self._struck("dropped-event", now_ns) is not None:
            return
        event = slot_change(present=self._picc.icc is not Icc.ABSENT)
        self._depart(endpoints_of(0).events, event, now_ns)

    def _answer(self, number: int, command: Command, now_ns: int) -> None:
        if command.slot != 0:
            answer = Answer(Icc.ABSENT, error=Error.BAD_SLOT)
        elif self._struck("hardware-error", now_ns) is not None:
            answer = Answer(self._slots[number].icc, error=Error.HARDWARE)
        else:
            answer = self._slots[number].answer(command)
        self._send(number, answer.encode(command), now_ns + self._timing.exchange_ns)
        if number == 0 and self._picc.chosen is not None and self._picc.chosen.gone:
            self._plan_search(now_ns)

    def _send(self, number: int, message: bytes, due_ns: int) -> None:
        """Send an answer, or what the faults make of it."""
        if self._struck("wrong-answer", due_ns) is not None:
            message = (
                bytes((message[0] ^ 3,)) + message[1:6] + bytes((message[6] ^ 0x55,)) + message[7:]
            )
        if self._struck("noise", due_ns) is not None:
            message = self.random.randbytes(self.random.randrange(1, NOISE_MAX_BYTES + 1))
        if self._struck("truncated", due_ns) is not None:
            message = message[: self.random.randrange(1, len(message))]
        if self._struck("dropped", due_ns) is not None:
            return
        delay = self._struck("delayed", due_ns)
        late_ns = delay.value * MS if delay is not None and isinstance(delay.value, int) else 0
        self._depart(endpoints_of(number).answers, message, due_ns + late_ns)

    def _depart(self, endpoint: int, data: bytes, due_ns: int) -> None:
        self._turn += 1
        heappush(self._departures, (due_ns, self._turn, endpoint, data))

    def _stop(self) -> None:
        """Drop what was received in part, and what the host has not taken."""
        self._departures.clear()
        for number, messages in enumerate(self._messages):
            messages.clear()
            ends = endpoints_of(number)
            self._outcomes += [Flush(ends.answers), Flush(ends.events)]

    # Events

    def _struck(self, name: str, at_ns: int) -> Fault | None:
        fault = self.faults.strike(name)
        if fault is not None:
            self._outcomes.append(Event("fault", at_ns, {"fault": name, "state": "struck"}))
        return fault

    def _report(self, now_ns: int) -> None:
        """Make events of what happened to cards."""
        for there in self._picc.selected:
            uids: dict[str, object] = {"uid": there.card.uid.hex(), "shown": there.shown_uid.hex()}
            self._outcomes.append(Event("selected", now_ns, uids))
        self._picc.selected.clear()
        for there in self.field.take_left():
            stage = {} if there.left_at is None else {"stage": there.left_at.value}
            self._outcomes.append(Event("removed", now_ns, {"uid": there.card.uid.hex(), **stage}))
