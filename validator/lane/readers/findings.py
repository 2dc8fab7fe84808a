"""What a search of the field finds: a card, or why there is none; and the event of it.

For drivers that talk to the chip. Behind PC/SC the reader searches, and `pcsc/card.py` has what it
tells.
"""

from enum import Enum

from validator.domain.cards import Card
from validator.domain.events import CardSeen, Clash, LeftEarly, ReaderEvent, Unsupported


class NoCard(Enum):
    """Why no card was read."""

    NONE = "no card answers"
    SEVERAL = "more than one card"
    INCOMPLETE = "a card that did not answer in full"
    UNREADABLE = "nothing that this gate can read"


Found = Card | NoCard


def as_event(found: Found, at_ns: int) -> ReaderEvent:
    """Return the event of what was found. NONE is for the caller to leave out.

    Args:
        found: a card or why there is none.
        at_ns: monotonic time at which it was found.
    """
    match found:
        case Card():
            return CardSeen(found, at_ns)
        case NoCard.SEVERAL:
            return Clash(at_ns)
        case NoCard.UNREADABLE:
            return Unsupported(at_ns)
        case _:
            return LeftEarly(at_ns)
