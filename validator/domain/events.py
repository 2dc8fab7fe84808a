"""What can happen at a gate, as values. Readers and boards make them; the passage consumes them.

Every event has `at_ns`, the monotonic time in nanoseconds at which the lane learned of it. The
fault of a device is an event, never an exception.
"""

from dataclasses import dataclass

from validator.domain.cards import Card


@dataclass(frozen=True, slots=True)
class CardSeen:
    """Exactly one card, with its whole UID."""

    card: Card
    at_ns: int


@dataclass(frozen=True, slots=True)
class Clash:
    """More than one card in the field: no verdict."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class LeftEarly:
    """A card left before it had answered in full: no verdict, and no part of its UID."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class LaidBefore:
    """A card that lay on the reader when this lane began: no verdict until it has left.

    The lane before may have opened for it, and left no trace of that.
    """

    at_ns: int


@dataclass(frozen=True, slots=True)
class Unsupported:
    """An answer that this gate cannot read, such as a UID of a length that does not exist."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class ReaderLost:
    """The reader cannot be used; `reason` is one clear line. It is retried for ever."""

    reason: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class ReaderBack:
    """The reader is ready, at start and after each loss."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class BoardLost:
    """The board cannot be used; `reason` is one clear line. It is retried for ever."""

    reason: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class BoardBack:
    """A session with the board has begun: at start, after a loss, or after the board restarted."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class Passed:
    """The passenger of `tap` went through, `after_ms` after the arms were released."""

    tap: int
    after_ms: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class NotPassed:
    """The arms locked again before anyone went through."""

    tap: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The arms locked again, and this board cannot tell whether anyone went through."""

    tap: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class Forced:
    """Someone went through the locked arms."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class Emergency:
    """The hardware's emergency release went on or off. Software never overrules it."""

    on: bool
    at_ns: int


@dataclass(frozen=True, slots=True)
class Tamper:
    """The housing was opened or closed."""

    on: bool
    at_ns: int


@dataclass(frozen=True, slots=True)
class StoodStill:
    """The lane did not run for a while: an admitted passenger may have gone.

    `unopened` is the tap whose OPEN was withheld for that, 0 for none.
    """

    unopened: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time went by, and no other event came."""

    at_ns: int


ReaderEvent = CardSeen | Clash | LeftEarly | LaidBefore | Unsupported | ReaderLost | ReaderBack
BoardEvent = BoardLost | BoardBack | Passed | NotPassed | Closed | Forced | Emergency | Tamper
Event = ReaderEvent | BoardEvent | StoodStill | Tick
