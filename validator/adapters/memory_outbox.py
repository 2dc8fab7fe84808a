"""Reports kept in memory until reports travel: they do not outlive the process, and nothing here claims so.

It is bounded and honest about what it refuses. The outbox on disk takes its place behind the same port.
"""

from collections import deque

from validator.domain.report import Report


class MemoryOutbox:
    """ports.Outbox in memory; one owner thread."""

    def __init__(self, reports_max: int) -> None:
        """A full outbox refuses the newest: the oldest was promised first."""
        self.refused = 0
        self._reports_max = reports_max
        self._reports: deque[Report] = deque()

    @property
    def waiting(self) -> int:
        """See ports.Outbox."""
        return len(self._reports)

    def append(self, report: Report) -> bool:
        """See ports.Outbox."""
        if len(self._reports) >= self._reports_max:
            self.refused += 1
            return False
        self._reports.append(report)
        return True
