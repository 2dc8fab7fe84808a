"""The two ends of the report upload in memory: a lane's outbox, and a back office.

tests/contracts/test_courier_ports.py holds both against the real ones.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from validator.courier.ports import ReportAnswer, Result
from validator.errors import LaneGoneError
from validator.ipc.requests import BATCH_MAX as ASKED_MAX
from validator.ipc.requests import SKIP_MAX
from validator.reports.stored_report import StoredReport


@dataclass
class MemoryLane:
    """A lane's outbox in memory; it counts the ids of reports that it does not have."""

    reports: list[StoredReport] = field(default_factory=list)
    aside: dict[str, str] = field(default_factory=dict)
    is_gone: bool = False

    def oldest(self, count_max: int, skipped: int) -> Sequence[StoredReport]:
        """See LaneReports."""
        if self.is_gone:
            raise LaneGoneError("lane 1 does not answer")
        assert count_max <= ASKED_MAX
        assert skipped <= SKIP_MAX
        return self.reports[skipped : skipped + count_max]

    def delivered(self, report_ids: Sequence[str]) -> None:
        """See LaneReports."""
        assert len(report_ids) <= ASKED_MAX
        assert set(report_ids) <= {report.report_id for report in self.reports}
        self.reports = [
            report for report in self.reports if report.report_id not in set(report_ids)
        ]

    def rejected(self, report_id: str, reason: str) -> None:
        """See LaneReports."""
        self.delivered([report_id])
        self.aside[report_id] = reason


Rule = Callable[[Sequence[StoredReport]], Mapping[str, ReportAnswer]]


@dataclass
class MemoryReceiver:
    """A back office that stores by id; each call meets one of `rules`, until they are used up."""

    rules: list[Rule] = field(default_factory=list)
    stored: dict[str, StoredReport] = field(default_factory=dict)
    sent: list[int] = field(default_factory=list)
    copies: Counter[str] = field(default_factory=Counter)

    def send(self, reports: Sequence[StoredReport]) -> Mapping[str, ReportAnswer]:
        """See courier.ports.ReportReceiver."""
        self.sent.append(len(reports))
        return self.rules.pop(0)(reports) if self.rules else self.take(reports)

    def take(self, reports: Sequence[StoredReport]) -> Mapping[str, ReportAnswer]:
        """Store them, as it does when it is well."""
        answers = {}
        for report in reports:
            known = report.report_id in self.stored
            self.copies[report.report_id] += 1
            self.stored.setdefault(report.report_id, report)
            answers[report.report_id] = ReportAnswer(Result.ALREADY if known else Result.STORED)
        return answers
