"""A board whose driver cannot be loaded: it is lost for ever, and says what to install."""

import time

from validator.domain.events import BoardEvent, BoardLost
from validator.domain.outcomes import Direction, Outcome

_HOUR_NS = 3_600_000_000_000


class AbsentBoard:
    """A validator.lane.ports.Board that reports its loss once, and does nothing."""

    def __init__(self, reason: str) -> None:
        """Report `reason`: one line with the driver, what is missing, and the package to install.

        The lane has to be started again after that, since a library is loaded only once.
        """
        self._reason = reason

    def fileno(self) -> int:
        """Return -1: there is nothing to wait for."""
        return -1

    def deadline_ns(self) -> int:
        """See ports.Board."""
        return 0 if self._reason else time.monotonic_ns() + _HOUR_NS

    def take(self) -> BoardEvent | None:
        """Return the loss, the first time."""
        reason, self._reason = self._reason, ""
        return BoardLost(reason, time.monotonic_ns()) if reason else None

    def open(self, tap: int, direction: Direction, hold_ms: int) -> None:
        """See ports.Board."""

    def show(self, outcome: Outcome, hold_ms: int, date: int) -> None:
        """See ports.Board."""

    def close(self) -> None:
        """See ports.Board."""
