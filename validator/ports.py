"""What the lane needs from the world, as Protocols. One contract suite in tests/contracts runs on every implementation.

No port raises for a device's fault: a fault is a ReaderLost or BoardLost value, and the adapter goes on trying by itself, for ever.
A port has one owner thread, the lane's loop, and never holds it up for more than 100 ms, not even during a fault.
"""

from typing import Protocol

from validator.domain.events import BoardEvent, ReaderEvent
from validator.domain.outcomes import Direction, Outcome


class Reader(Protocol):
    """One card reader."""

    def fileno(self) -> int:
        """The descriptor to poll for input, or -1 while there is none. It may change at every call of the others."""

    def deadline_ns(self) -> int:
        """The monotonic time at which `take` wants to be called even without input: liveness, retries."""

    def arm(self) -> None:
        """Ask for the next card; the one just told is left alone until it is gone. Nothing happens when armed already or lost."""

    def take(self) -> ReaderEvent | None:
        """The next event, or None. Call it until None when `fileno` is readable or `deadline_ns` has come.

        The first event of a reader is ReaderBack or ReaderLost. After a card event the reader is not armed.
        """

    def close(self) -> None:
        """Leave the device as a fresh program expects it. Never raises; may be called twice."""


class Board(Protocol):
    """The turnstile controller."""

    def fileno(self) -> int:
        """The descriptor to poll for input, or -1 while there is none. It may change at every call of the others."""

    def deadline_ns(self) -> int:
        """The monotonic time at which `take` wants to be called even without input: heartbeats, resends, retries."""

    def take(self) -> BoardEvent | None:
        """The next event, or None. Call it until None when `fileno` is readable or `deadline_ns` has come."""

    def open(self, tap: int, direction: Direction, hold_ms: int) -> None:
        """Release the arms for one passage. Lost without a word when the board is lost: the event has told."""

    def show(self, outcome: Outcome, hold_ms: int, date: int) -> None:
        """Show an outcome for `hold_ms`, or, with 0, as the resting picture; `date` in days since 2020-01-01, 0 for none."""

    def close(self) -> None:
        """Send what waits, as far as it goes at once, and let the device go. Never raises; may be called twice."""
