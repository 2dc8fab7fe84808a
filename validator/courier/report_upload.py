"""The courier's second loop: it brings reports from the lanes' outboxes to the back office.

One round takes each lane's oldest reports, sends them, and reports to the lane which of them the
city has. A lane forgets a report only when the back office answered for it by its id. Whatever else
happens, the report stays in the outbox and is sent again. Sending twice is harmless: the id is the
key on the other side.

A batch that is refused is halved until the refused report is alone. That report becomes a suspect.
It is quarantined only if it is refused again after others were taken: a server, or a proxy before
it, that takes nothing at all must not decide over reports.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from validator.courier.ports import BatchError, LaneReports, ReportAnswer, ReportReceiver, Result
from validator.courier.waits import upload_wait_s
from validator.errors import LaneGoneError, RemoteError, SourceState
from validator.ipc.requests import BATCH_MAX as ASKED_MAX
from validator.reports.stored_report import StoredReport

BATCH_MAX = 200
LOOK_S = 2.0  # how often the lanes are asked when nothing waits: they are on this machine
AWAY = {
    SourceState.UNREACHABLE,
    SourceState.SLOW,
    SourceState.BUSY,
    SourceState.TLS,
    SourceState.PROXY,
}
"""States in which the gate's status is not sent either: it would not arrive, or must wait."""
REFUSED_MAX = 20  # reports refused alone, one after the other: then the server is at fault


class UploadStatus(NamedTuple):
    """The result of a round: the state of the back office, why, and counts since the start."""

    state: SourceState
    problem: str
    delivered: int
    rejected: int


@dataclass(slots=True)
class _Suspects:
    """The reports of one lane that the back office refused even alone, oldest first."""

    refused: list[str] = field(default_factory=list)
    """Refused since the last report was taken. Skipped: the server may be at fault, not they."""
    again: set[str] = field(default_factory=set)
    """Refused before another report was taken. Each gets one more attempt, then is quarantined."""
    why: str = ""
    """Why the last of them was refused."""
    batch_max: int = BATCH_MAX
    """How many reports are sent at once; fewer while the refused one is searched for."""


class ReportUpload:
    """Uploads one gate's reports. For one thread."""

    def __init__(
        self, lanes: Sequence[LaneReports], receiver: ReportReceiver, draw: Callable[[], float]
    ) -> None:
        """`draw` returns random numbers, uniform in [0, 1)."""
        self._lanes = [(lane, _Suspects()) for lane in lanes]
        self._receiver = receiver
        self._draw = draw
        self._failures = 0
        self._is_divided = False  # in this round a batch was refused as it was
        self._is_unacknowledged = False  # in this round a lane did not take its answers
        self._before = (SourceState.FRESH, "")
        self._delivered = self._rejected = 0

    def round(self) -> tuple[UploadStatus, float]:
        """Send one batch from each lane.

        Returns:
            The status, and the seconds until the next round.
        """
        problem, waits = "", False
        self._is_divided = self._is_unacknowledged = False
        try:
            for lane, suspects in self._lanes:
                try:
                    waits = self._send_oldest(lane, suspects) or waits
                except LaneGoneError as error:
                    problem = str(error)  # its reports are safe; the other lanes' go on
                    suspects.refused.clear()
        except RemoteError as error:
            self._failures += 1
            return self._result(error.state, str(error)), self._wait_s(error.retry_after_s)
        if self._is_unacknowledged:  # else its reports would be sent again at once, and again
            self._failures += 1
            return self._result(SourceState.FRESH, problem), self._wait_s()
        if self._is_divided:  # the status of before holds until a report is taken
            return self._result(*self._before), 0.0
        self._failures = 0
        return self._result(SourceState.FRESH, problem), 0.0 if waits else LOOK_S

    def _send_oldest(self, lane: LaneReports, suspects: _Suspects) -> bool:
        """Send the oldest reports of a lane. Returns whether more may wait."""
        batch = self._oldest(lane, suspects)
        if not batch:
            self._end_search(suspects)
            return False
        try:
            answers = self._receiver.send(batch)
        except BatchError as error:
            return self._divide(lane, batch, suspects, error)
        ours = {
            report.report_id: answers[report.report_id]
            for report in batch
            if report.report_id in answers
        }
        if not ours:
            raise RemoteError(
                SourceState.NOT_OURS,
                "the back office answered for none of the reports that it was sent",
            )
        for _, of_lane in self._lanes:  # a server that takes one lane's decides over the other's
            if of_lane.refused:
                of_lane.refused, of_lane.again = [], set(of_lane.refused)
        self._acknowledge(lane, ours)
        is_full = len(batch) >= suspects.batch_max
        suspects.batch_max = min(2 * suspects.batch_max, BATCH_MAX)
        return is_full

    @staticmethod
    def _oldest(lane: LaneReports, suspects: _Suspects) -> list[StoredReport]:
        """The reports that have waited longest, after those that were refused alone."""
        batch: list[StoredReport] = []
        while len(batch) < suspects.batch_max:
            wanted = min(ASKED_MAX, suspects.batch_max - len(batch))
            found = lane.oldest(wanted, len(suspects.refused) + len(batch))
            batch += found
            if len(found) < wanted:
                break
        return batch

    def _divide(
        self,
        lane: LaneReports,
        batch: Sequence[StoredReport],
        suspects: _Suspects,
        error: BatchError,
    ) -> bool:
        """Send half as many next time, until the refused report is alone."""
        self._is_divided = True
        suspects.batch_max = max(len(batch) // 2, 1)
        if len(batch) == 1:
            report_id = batch[0].report_id
            if report_id in suspects.again:
                self._acknowledge(lane, {report_id: ReportAnswer(Result.REJECTED, str(error))})
            else:
                suspects.refused.append(report_id)
                suspects.why = str(error)
        if len(suspects.refused) == REFUSED_MAX:
            self._end_search(suspects)
        return True

    @staticmethod
    def _end_search(suspects: _Suspects) -> None:
        """Blame the server, which took no other report. Raises RemoteError if any was refused."""
        if count := len(suspects.refused):
            suspects.refused.clear()
            raise RemoteError(SourceState.NOT_OURS, f"{suspects.why}; none of {count} was taken")

    def _acknowledge(self, lane: LaneReports, answers: Mapping[str, ReportAnswer]) -> None:
        """Pass the answers on to the lane. Raises LaneGoneError."""
        done = [
            report_id
            for report_id, answer in answers.items()
            if answer.result is not Result.REJECTED
        ]
        try:
            for some in _parts(done, ASKED_MAX):
                lane.delivered(some)
                self._delivered += len(some)
            for report_id, answer in answers.items():
                if answer.result is Result.REJECTED:
                    lane.rejected(report_id, answer.reason)
                    self._rejected += 1
        except LaneGoneError:
            self._is_unacknowledged = True
            raise

    def _result(self, state: SourceState, problem: str) -> UploadStatus:
        self._before = (state, problem)
        return UploadStatus(state, problem, self._delivered, self._rejected)

    def _wait_s(self, retry_after_s: float = 0.0) -> float:
        return upload_wait_s(self._failures, retry_after_s, self._draw)


def _parts(ids: Sequence[str], count_max: int) -> Iterable[Sequence[str]]:
    return (ids[at : at + count_max] for at in range(0, len(ids), count_max))
