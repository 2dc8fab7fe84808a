"""Reports counted, and not kept, until reports travel: a UID that nobody will fetch has no business in a gate's memory.

It is honest about that: nothing outlives the process. The outbox on disk takes its place behind the same port.
"""

from validator.domain.report import Report


class CountingOutbox:
    """ports.Outbox that only counts; one owner thread."""

    def __init__(self, reports_max: int) -> None:
        """A full outbox refuses the newest: the oldest was promised first."""
        self.waiting = 0
        self.refused = 0
        self._reports_max = reports_max

    def append(self, report: Report) -> bool:
        """See ports.Outbox."""
        del report
        if self.waiting >= self._reports_max:
            self.refused += 1
            return False
        self.waiting += 1
        return True
