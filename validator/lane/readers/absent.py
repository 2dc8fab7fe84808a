"""A reader whose driver cannot be loaded: it is lost for ever, and says what to install."""

import time

from validator.domain.events import ReaderEvent, ReaderLost

_HOUR_NS = 3_600_000_000_000


class AbsentReader:
    """A validator.lane.ports.Reader that reports its loss once, and nothing after that."""

    def __init__(self, reason: str) -> None:
        """Report `reason`: one line with the driver, what is missing, and the package to install.

        The lane has to be started again after that, since a library is loaded only once.
        """
        self._reason = reason

    def fileno(self) -> int:
        """Return -1: there is nothing to wait for."""
        return -1

    def deadline_ns(self) -> int:
        """See ports.Reader."""
        return 0 if self._reason else time.monotonic_ns() + _HOUR_NS

    def arm(self) -> None:
        """See ports.Reader."""

    def forget(self) -> None:
        """See ports.Reader."""

    def take(self) -> ReaderEvent | None:
        """Return the loss, the first time."""
        reason, self._reason = self._reason, ""
        return ReaderLost(reason, time.monotonic_ns()) if reason else None

    def close(self) -> None:
        """See ports.Reader."""
