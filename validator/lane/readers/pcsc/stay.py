"""The card that lies in a slot, from what pcscd says of the slot and what each read brought. Pure.

    stays.slot(state)           the slot's state, after a wait: news of a card that left
    stays.read(reading, at_ns)  what a read brought: news of a card that came, or lies there still

pcscd alone does not know which card lies there. It notices a swap of two cards only if the reader
has switched its field off in between, so every read compares the UID. A read that failed proves
nothing: a card that stays must not count as two, so it ends only by the slot's state or by another
UID.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from validator.domain.cards import Card
from validator.lane.readers.pcsc.card import NoCard, Reading
from validator.lane.readers.pcsc.codes import State

# Between two reads of a card that lies there: a swap without an event is noticed, and a card that
# waits for the loop is known to lie there still.
REREAD_MS = 150
RETRY_MS = 20  # the same while a card has not answered
TRIES_MAX = 20  # then a card that pcscd calls present is reported as unreadable
_COUNT_BITS = 16
_COUNT_MASK = 0xFFFF
# pcscd counts each card that came and each that left. It counts one without a card, too, when a
# reader answers again that has missed a question; so one step alone is no new card.
_STEPS_OF_A_NEW_CARD = 2


@dataclass(frozen=True, slots=True)
class Arrived:
    """A card that was not there before; `what` is NO_ANSWER if it left before it was read.

    `read_ns` is the monotonic time at which the read began: the card lay there then.
    """

    what: Card | NoCard
    read_ns: int


@dataclass(frozen=True, slots=True)
class StillThere:
    """The same card was read again; `read_ns` as above."""

    read_ns: int


@dataclass(frozen=True, slots=True)
class Gone:
    """The card that arrived last has left."""


News = Arrived | StillThere | Gone


def is_same(card: Card | NoCard, other: Card | NoCard) -> bool:
    """Whether both are one card. A phone draws a new UID whenever the reader powers it again."""
    if isinstance(card, Card) and isinstance(other, Card):
        return card.uid == other.uid or (card.uid.is_random and other.uid.is_random)
    return card is other


class Stays:
    """The stays of cards in one slot, one after the other."""

    def __init__(self) -> None:
        self._count = 0  # of the slot's events
        self._what: Card | NoCard | None = None  # as it was reported; None: not yet
        self._tries = 0
        self.is_card_there = False

    @property
    def pause_ms(self) -> int:
        """How long to wait for an event before the next read."""
        return RETRY_MS if self._what is None else REREAD_MS

    def slot(self, state: int, at_ns: int) -> Iterator[News]:
        """Take the slot's state; yield what follows for the card that lay there.

        Args:
            state: with the count of events in its high word.
            at_ns: the monotonic time.
        """
        was_there, self.is_card_there = self.is_card_there, bool(state & State.PRESENT)
        steps = ((state >> _COUNT_BITS) - self._count) & _COUNT_MASK
        self._count = state >> _COUNT_BITS & _COUNT_MASK
        stays = was_there and self.is_card_there and steps < _STEPS_OF_A_NEW_CARD
        if stays:
            return
        what, self._what, self._tries = self._what, None, 0
        if was_there:
            if what is None:
                yield Arrived(NoCard.NO_ANSWER, at_ns)
            yield Gone()

    def read(self, reading: Reading, read_ns: int) -> News | None:
        """Take what a read brought.

        Args:
            reading: of the card in the slot; a card that another program holds brings nothing.
            read_ns: when the read began.
        """
        what: Card | NoCard = reading
        if reading is NoCard.HELD:
            return None
        if reading is NoCard.NO_ANSWER:
            self._tries += 1
            if self._tries < TRIES_MAX or isinstance(self._what, Card):
                return None
            what = NoCard.UNREADABLE
        else:
            self._tries = 0
        if self._what is not None and is_same(what, self._what):
            return StillThere(read_ns)
        if what is NoCard.UNREADABLE and isinstance(self._what, Card):
            return None  # it was read before: this is a fault, not another card
        self._what = what
        return Arrived(what, read_ns)
