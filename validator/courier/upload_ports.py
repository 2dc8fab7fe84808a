"""What the carrier needs from the world, as Protocols: the lanes' reports on one side, the back office on the other."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from validator.courier.ports import TownError
from validator.reports.stored_report import StoredReport


class Result(Enum):
    """What the back office says of one report."""

    STORED = "stored"
    ALREADY = "already"
    REJECTED = "rejected"


class Answer(NamedTuple):
    """The same, with its reason if it was rejected."""

    result: Result
    reason: str = ""


class BatchError(TownError):
    """The back office cannot take these reports together, and would not take them tomorrow: too large, or one among them is wrong."""


class LaneReports(Protocol):
    """The reports of one lane. Every method raises LaneGoneError."""

    def oldest(self, count_max: int, skipped: int) -> Sequence[StoredReport]:
        """The reports that have waited longest, after so many of them."""

    def delivered(self, report_ids: Sequence[str]) -> None:
        """These are in the city."""

    def rejected(self, report_id: str, reason: str) -> None:
        """This one will never be."""


class ReportOffice(Protocol):
    """The back office."""

    def send(self, reports: Sequence[StoredReport]) -> Mapping[str, Answer]:
        """What it says of each report, by id. Raises TownError, BatchError."""
