"""The carrier: brings the reports that wait in the lanes' outboxes to the back office. The courier's second loop; it knows no socket and no network.

One round a lane: take the oldest reports, send them, and tell the lane which of them are in the city. A report is forgotten only when
the back office has answered for it by its id; whatever else happens, it stays where it is and is sent again. Sending twice is harmless: the id
is the key on the other side. A report that makes a request fail is doubted, and put aside only when others are taken: a server, or a proxy in
front of it, that takes nothing at all is no judge of reports.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from validator.courier.ports import BatchError, LaneReports, ReportAnswer, ReportReceiver, Result
from validator.errors import LaneGoneError, RemoteError, SourceState
from validator.ipc.requests import BATCH_MAX as ASKED_MAX
from validator.reports.stored_report import StoredReport

BATCH_MAX = 200
LOOK_S = 2.0  # how often the lanes are asked when nothing waits: they are on this machine
WAIT_S_MIN, WAIT_S_MAX = (
    1.0,
    300.0,
)  # between attempts, doubled each time, drawn whole: 20,000 gates come back at once
RETRY_AFTER_S_MAX = 3_600.0
STATUS_S, STATUS_S_MAX = 60.0, 900.0  # a busy server slows them down
_SLOWER, _FASTER = 2.0, 0.9
STATUS_LOOK_S = 2.0  # how often it is looked whether something has changed meanwhile
# The back office would not hear how the gate fares either, or has asked to be left alone.
AWAY = {
    SourceState.UNREACHABLE,
    SourceState.SLOW,
    SourceState.BUSY,
    SourceState.TLS,
    SourceState.PROXY,
}
DOUBTED_MAX = 20  # one after the other that are not taken alone either: then it is not they
_WAIT_S_LEAST = 0.1
_DOUBLINGS_MAX = 16


class UploadStatus(NamedTuple):
    """How it stands after a round: the state of the way to the back office, why it is so, and counts since the start."""

    state: SourceState
    problem: str
    delivered: int
    rejected: int


@dataclass(slots=True)
class _Doubts:
    """The oldest reports of a lane, which were not taken alone either."""

    doubted: list[str] = field(default_factory=list)
    """Since then none was taken: it may not be they. Those after them are tried."""
    suspected: set[str] = field(default_factory=set)
    """Others were taken since. They are tried once more, since a server may have come to its senses meanwhile."""
    why: str = ""
    """Why the last of them was not taken."""
    batch_max: int = BATCH_MAX
    """How many are sent at once: fewer while one is looked for that is not taken."""


class ReportUpload:
    """One gate's way to the back office. For one thread."""

    def __init__(
        self, lanes: Sequence[LaneReports], office: ReportReceiver, draw: Callable[[], float]
    ) -> None:
        """`draw` is uniform in [0, 1)."""
        self._lanes = [(lane, _Doubts()) for lane in lanes]
        self._office = office
        self._draw = draw
        self._failures = 0
        self._is_divided = False  # in this round a batch was not taken as it is
        self._is_untold = False  # in this round a lane could not be told of what is in the city
        self._stood = (SourceState.FRESH, "")
        self._delivered = self._rejected = 0

    def round(self) -> tuple[UploadStatus, float]:
        """Carry one batch from each lane. Returns how it stands, and how many seconds to wait before the next round."""
        problem, waits = "", False
        self._is_divided = self._is_untold = False
        try:
            for lane, doubts in self._lanes:
                try:
                    waits = self._carry(lane, doubts) or waits
                except LaneGoneError as error:
                    problem = str(error)  # its reports are safe; the other lanes' go on
                    doubts.doubted.clear()
        except RemoteError as error:
            self._failures += 1
            return self._stand(error.state, str(error)), self._wait_s(error.retry_after_s)
        if self._is_untold:  # else all that it has would be sent again at once, and again
            self._failures += 1
            return self._stand(SourceState.FRESH, problem), self._wait_s()
        if self._is_divided:  # it stands as it did until somebody has taken something
            return self._stand(*self._stood), 0.0
        self._failures = 0
        return self._stand(SourceState.FRESH, problem), 0.0 if waits else LOOK_S

    def _carry(self, lane: LaneReports, doubts: _Doubts) -> bool:
        """Carry the oldest reports of a lane; whether more may wait."""
        batch = self._oldest(lane, doubts)
        if not batch:
            self._end_doubts(doubts)
            return False
        try:
            answers = self._office.send(batch)
        except BatchError as error:
            return self._divide(lane, batch, doubts, error)
        told = {
            report.report_id: answers[report.report_id]
            for report in batch
            if report.report_id in answers
        }
        if not told:
            raise RemoteError(
                SourceState.NOT_OURS,
                "the back office answered for none of the reports that it was sent",
            )
        for _, of_lane in self._lanes:  # a server that takes one lane's is a judge of the other's
            if of_lane.doubted:
                of_lane.doubted, of_lane.suspected = [], set(of_lane.doubted)
        self._tell(lane, told)
        is_full = len(batch) >= doubts.batch_max
        doubts.batch_max = min(2 * doubts.batch_max, BATCH_MAX)
        return is_full

    @staticmethod
    def _oldest(lane: LaneReports, doubts: _Doubts) -> list[StoredReport]:
        """The reports that have waited longest, after those that are doubted."""
        batch: list[StoredReport] = []
        while len(batch) < doubts.batch_max:
            wanted = min(ASKED_MAX, doubts.batch_max - len(batch))
            found = lane.oldest(wanted, len(doubts.doubted) + len(batch))
            batch += found
            if len(found) < wanted:
                break
        return batch

    def _divide(
        self, lane: LaneReports, batch: Sequence[StoredReport], doubts: _Doubts, error: BatchError
    ) -> bool:
        """Send fewer at a time, until the one that is not taken stands alone."""
        self._is_divided = True
        doubts.batch_max = max(len(batch) // 2, 1)
        if len(batch) == 1:
            report_id = batch[0].report_id
            if report_id in doubts.suspected:
                self._tell(lane, {report_id: ReportAnswer(Result.REJECTED, str(error))})
            else:
                doubts.doubted.append(report_id)
                doubts.why = str(error)
        if len(doubts.doubted) == DOUBTED_MAX:
            self._end_doubts(doubts)
        return True

    @staticmethod
    def _end_doubts(doubts: _Doubts) -> None:
        """Nobody is left to be taken instead of them. Raises RemoteError if there are any."""
        if count := len(doubts.doubted):
            doubts.doubted.clear()
            raise RemoteError(SourceState.NOT_OURS, f"{doubts.why}; none of {count} was taken")

    def _tell(self, lane: LaneReports, answers: Mapping[str, ReportAnswer]) -> None:
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
            self._is_untold = True
            raise

    def _stand(self, state: SourceState, problem: str) -> UploadStatus:
        self._stood = (state, problem)
        return UploadStatus(state, problem, self._delivered, self._rejected)

    def _wait_s(self, retry_after_s: float = 0.0) -> float:
        return _wait_s(self._failures, retry_after_s, self._draw)


class StatusTimes:
    """When the gate says how it fares: each minute, soon after a change, and the less often the longer nobody takes it.

    It backs off by itself: a gate where no report waits asks for nothing else, and would not notice that the city is away. While a server is
    too busy, gates find the pace at which it takes what they say: a report must not wait for it that 20,000 gates fare well.
    """

    def __init__(self, draw: Callable[[], float]) -> None:
        """`draw` is uniform in [0, 1)."""
        self._draw = draw
        self._failures = 0
        self.every_s = STATUS_S
        """How often it is said at present, while nothing changes."""
        self._told: object = None
        self.look_s = 0.0
        """Before that the lanes need not be asked how they fare."""
        self.due_s = 0.0
        """When it is said, whatever has changed or not."""

    def is_due(self, now_s: float, notable: object) -> bool:
        """Whether it is to be said now, with this in it that an operator would want to know soon."""
        self.look_s = now_s + STATUS_LOOK_S
        return now_s >= self.due_s or notable != self._told

    def told(self, now_s: float, notable: object) -> None:
        """It was said."""
        self.every_s = max(self.every_s * _FASTER, STATUS_S)
        self._told, self._failures, self.due_s = notable, 0, now_s + self.every_s

    def failed(self, now_s: float, error: RemoteError) -> None:
        """Nobody took it."""
        if error.state in (SourceState.BUSY, SourceState.SLOW):
            self.every_s = min(self.every_s * _SLOWER, STATUS_S_MAX)
        self._failures += 1
        self.look_s = self.due_s = now_s + _wait_s(self._failures, error.retry_after_s, self._draw)


def _wait_s(failures: int, retry_after_s: float, draw: Callable[[], float]) -> float:
    """Full jitter: the whole of a wait that doubles is drawn; what the server asks for comes first."""
    longest_s = min(WAIT_S_MIN * (1 << min(failures, _DOUBLINGS_MAX)), WAIT_S_MAX)
    return min(retry_after_s, RETRY_AFTER_S_MAX) + max(longest_s * draw(), _WAIT_S_LEAST)


def _parts(all_: Sequence[str], count_max: int) -> Iterable[Sequence[str]]:
    return (all_[at : at + count_max] for at in range(0, len(all_), count_max))
