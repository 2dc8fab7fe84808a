"""The simulated reader that types: cards in its field, keys out. Driven by runner.py.

It reads one card after the other, as such readers do: two cards that are laid at once are typed one
after the other, in any order, and nothing says that they were two.
"""

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from random import Random

from firmware_sim.cards import Card
from firmware_sim.faults import Fault, Faults, parse
from firmware_sim.keyboard.faults import KEYBOARD_FAULTS
from firmware_sim.keyboard.keys import Packet, strokes
from firmware_sim.keyboard.node import Node
from firmware_sim.keyboard.typed import ENDS, Way
from firmware_sim.outcomes import Event, RefusedError, Unplug
from firmware_sim.radio.field import Field, Presence, State
from firmware_sim.radio.hand import CARD_FAULTS, CARD_VERBS, Hand

__all__ = ["FAULTS", "VERBS", "TypingReader"]

MS = 1_000_000
POWER_UP_NS = 800 * MS  # assumed: from a replug to the first card
DIP_NS = 300 * MS  # a brown-out takes the device off the bus for so long
FAULTS = {**KEYBOARD_FAULTS, **CARD_FAULTS}
VERBS = {
    **CARD_VERBS,
    "brownout": "brownout",
    "fault": "fault NAME[=VALUE][/WHEN], or fault none",
}
LOOP_VERBS = "unplug, replug, status, quit"
GARBAGE = ";?!zk"


class TypingReader:
    """A `firmware_sim.runner.Port`.

    Args:
        node: the input device on which it types.
        way: what it types for a UID.
        random: draws what is left to chance.
        key_ns: from one key to the next; a key is held for half of it.
        patience_ns: how long it waits, for each card, for a program that has not read its keys.
            No reader does so; but on a busy machine a lane would lose cards for no reason of its
            own (see shim.c). A lane that stalls for longer loses them all the same.
    """

    def __init__(
        self, node: Node, way: Way, random: Random, key_ns: int, patience_ns: int = 0
    ) -> None:
        self._node = node
        self._way = way
        self._random = random
        self._key_ns = key_ns
        self._patience_ns = patience_ns
        self._gives_up_ns = 0  # of the card that it types
        self.faults = Faults(random)
        self.field = Field(random)
        self._hand = Hand(self, self.faults, random)
        self._events: list[Event | Unplug] = []
        self._packets: deque[tuple[int, Packet]] = deque()  # each with its pause before it
        self._pulls_at = 0  # how many packets are left when the plug comes out; 0 for never
        self._pulls_for_ns: int | None = None
        self._next_ns = 0
        self._powers_up_ns: int | None = None
        self._again: list[tuple[int, Presence]] = []

    # The plug

    @property
    def path(self) -> str:
        """The path that a program opens."""
        return self._node.path

    @property
    def plugged(self) -> bool:
        """Whether there is a device."""
        return self._node.plugged

    def about(self) -> Mapping[str, object]:
        """Return no more details than the path."""
        return {}

    def plug(self, now_ns: int) -> None:
        """Plug it in; it reads cards once it has started. Raises OSError: see Node.plug."""
        self._node.plug()
        self._powers_up_ns = now_ns + POWER_UP_NS

    def start(self, now_ns: int) -> None:
        """Plug it in as one that has started long ago. Raises OSError: see Node.plug."""
        self._node.plug()
        self._powers_up_ns = now_ns

    def unplug(self, now_ns: int) -> None:
        """Pull it out; what it has not typed yet is gone."""
        del now_ns
        self._node.unplug()
        self._powers_up_ns = None
        self._packets.clear()
        self._again.clear()
        self._pulls_at = 0
        self.field.power(on=False)

    def close(self) -> None:
        """Take the device away at the end of the process."""
        self._node.close()

    def reading(self) -> list[int]:
        """Return the descriptors to wait on for input."""
        return self._node.reading()

    def writing(self) -> list[int]:
        """Return the descriptors to wait on for room."""
        return self._node.writing()

    def read(self, ready: Collection[int], now_ns: int) -> None:
        """Take what programs ask of the device."""
        del ready, now_ns
        self._node.held_by_other = self.faults.on("grabbed")
        self._node.read()

    def flush(self, now_ns: int) -> None:
        """Send to programs what they take."""
        del now_ns
        self._node.flush()

    # The hand

    def enter(self, now_ns: int, *cards: Card) -> list[Presence]:
        """Put cards into the field at once. Raises ValueError."""
        del now_ns
        return self.field.enter(*cards)

    def leave(self, now_ns: int, *leaving: Presence) -> None:
        """Take cards out of the field, all at once."""
        del now_ns
        for presence in leaving:
            self.field.leave(presence)

    def obey(self, words: Sequence[str], now_ns: int) -> None:
        """Do one verb. Raises RefusedError; the text has what is wrong, and what to write."""
        usage = VERBS.get(words[0])
        if usage is None:
            known = f"{', '.join(VERBS)}, {LOOP_VERBS}"
            raise RefusedError(f"no verb is called {words[0]!r}; there are {known}")
        try:
            self._obey(words, now_ns, usage)
        except ValueError as error:
            raise RefusedError(f"{words[0]}: {error}") from error

    def _obey(self, words: Sequence[str], now_ns: int, usage: str) -> None:
        match words:
            case [verb, *_] if verb in CARD_VERBS:
                self._events += self._hand.obey(words, now_ns)
            case ["brownout"]:
                self._event("brownout", now_ns)
                if self.plugged:
                    self._events.append(Unplug(DIP_NS))
            case ["fault", "none"]:
                self.faults.clear()
                self._event("fault", now_ns, fault="none", state="cleared")
            case ["fault", text]:
                self.set_fault(parse(text, FAULTS), now_ns)
            case _:
                raise ValueError(f"write {usage}")

    def set_fault(self, fault: Fault, now_ns: int) -> None:
        """Switch a fault on."""
        self.faults.set(fault)
        self._event("fault", now_ns, fault=fault.name, state="set")

    def status(self) -> Mapping[str, object]:
        """Return the details of the `status` event."""
        return {
            "cards": self.field.about(),
            "typing": bool(self._packets) or self._has_unread(),
            "console_keys": self._node.console_keys,
            "faults": self.faults.names(),
        }

    # Time

    def due_ns(self) -> int | None:
        """Return when to call `advance` next; None when it waits for a card."""
        due = [] if self._powers_up_ns is None else [self._powers_up_ns]
        due += [self._next_ns] if self._packets or (self.field.on and self._has_unread()) else []
        due += [at_ns for at_ns, _ in self._again]
        return min(due, default=None)

    def advance(self, now_ns: int) -> Iterator[Event | Unplug]:
        """Read cards and type them, as far as is due; yield events, and the plug's coming out."""
        if self._powers_up_ns is not None and self._powers_up_ns <= now_ns:
            self._powers_up_ns = None
            self.field.power(on=True)
        self._lay_again(now_ns)
        if not self._packets:
            self._read_card(now_ns)
        # One packet a turn: after a pause of this process no keys come at once, as on a real bus.
        if self._packets and self._next_ns <= now_ns:
            self._press(now_ns)
        for there in self.field.take_left():
            stage = {} if there.left_at is None else {"stage": there.left_at.value}
            self._event("removed", now_ns, uid=there.card.uid.hex(), **stage)
        events, self._events = self._events, []
        yield from events

    def _lay_again(self, now_ns: int) -> None:
        """Read cards anew that have lain there for as long as the fault `repeats` says."""
        due = [there for at_ns, there in self._again if at_ns <= now_ns]
        self._again = [(at_ns, there) for at_ns, there in self._again if at_ns > now_ns]
        for there in due:
            if not there.gone:
                there.state = State.IDLE

    def _has_unread(self) -> bool:
        return any(there.state is State.IDLE for there in self.field.present)

    def _read_card(self, now_ns: int) -> None:
        """Read a card that has not been read during this stay, and begin to type it."""
        if not self.field.on:
            return
        answering, _ = self.field.request()
        if not answering or self.field.select(answering[0], rats=False) is None:
            return
        there = answering[0]
        text = self._text(there.shown_uid)
        repeats = self.faults.strike("repeats")
        self.field.release(there)
        if repeats is not None:
            typing_ns = len(text) * self._key_ns
            self._again.append((now_ns + typing_ns + _value_ns(repeats), there))
        if not text:
            return
        self._event("typed", now_ns, uid=there.card.uid.hex(), keys=len(text))
        self._packets.extend(self._paced(strokes(text)))
        self._next_ns = now_ns + self._packets[0][0]
        self._gives_up_ns = self._next_ns + sum(pause for pause, _ in self._packets)
        self._gives_up_ns += self._patience_ns
        unplug = self.faults.strike("unplug")
        if unplug is not None:
            self._pulls_at = len(self._packets) // 2
            self._pulls_for_ns = None if unplug.value is None else _value_ns(unplug)

    def _text(self, uid: bytes) -> str:
        """Return what is typed for a card, or what the faults make of it."""
        if self.faults.strike("silent") is not None:
            return ""
        digits = self._way.digits(bytes(len(uid)) if self.faults.strike("zeros") else uid)
        if not digits:
            return ""
        if self.faults.strike("dropped") is not None:
            place = self._random.randrange(len(digits))
            digits = digits[:place] + digits[place + 1 :]
        if self.faults.strike("doubled") is not None:
            place = self._random.randrange(len(digits))
            digits = digits[:place] + digits[place] + digits[place:]
        if self.faults.strike("garbage") is not None:
            digits = self._random.choice(GARBAGE) + digits + self._random.choice(GARBAGE)
        end = ENDS[self._way.end]
        if self.faults.strike("no-end") is not None:
            end = ""
        return digits + end * (1 + (self.faults.strike("two-ends") is not None))

    def _paced(self, packets: Sequence[Packet]) -> Iterator[tuple[int, Packet]]:
        slow = self.faults.strike("slow")
        step_ns = (self._key_ns if slow is None else _value_ns(slow)) // 2
        stops = self.faults.strike("stops")
        for place, packet in enumerate(packets):
            stop_ns = 0 if stops is None or place != len(packets) // 2 else _value_ns(stops)
            yield step_ns + stop_ns, packet

    def _press(self, now_ns: int) -> None:
        if self._patience_ns and now_ns < self._gives_up_ns and self._node.unread:
            self._next_ns = now_ns + MS
            return
        _, packet = self._packets.popleft()
        self._node.send(packet, now_ns)
        if self._pulls_at and len(self._packets) <= self._pulls_at:
            self._events.append(Unplug(self._pulls_for_ns))
        if self._packets:
            self._next_ns = now_ns + self._packets[0][0]

    def _event(self, name: str, at_ns: int, **details: object) -> None:
        self._events.append(Event(name, at_ns, details))


def _value_ns(fault: Fault) -> int:
    return fault.value * MS if isinstance(fault.value, int) else 0
