"""The clerk: the lane process's second thread, for all that the loop must not wait for.

It keeps reports, adopts lists, writes the log and answers the gate's other programs. It decides
nothing and touches no device.

The loop hands over by `file` and `note` (the clerk queue), and reads one reference, the list in
force. A report never waits for a list to be verified: the clerk scans the list folder step by
step, and serves the queue between two steps. It never holds the interpreter for long either: no
loops over lists, no big JSON.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, assert_never

import msgspec

from validator.domain.latency import LatencyHistogram
from validator.domain.report import Report
from validator.host.clock import Clock
from validator.ipc import answers
from validator.ipc.requests import (
    Delivered,
    Histograms,
    Learn,
    Learned,
    LearnHere,
    ListChanged,
    Rejected,
    Reports,
    Request,
    Retry,
    Status,
    Watch,
)
from validator.lane.learning import Learning
from validator.lane.ports import (
    Adopted,
    CardToLearn,
    FoundTime,
    LaneClients,
    ListInForce,
    Note,
    Outbox,
    OutboxError,
    Scan,
    TapDone,
)
from validator.lane.status import lane_status, report_counts
from validator.lane.tally import Tally

if TYPE_CHECKING:
    from validator.lists.names import ListName

SCAN_S = 1.0  # between two scans of the list folder, at each of which the kernel's clock is checked
SUMMARY_S = 60.0  # between two summaries in the log
NOTES_MAX = 10_000  # hours of taps: a clerk so far behind waits for a dying disk; bound its memory

_NO_TIMES = answers.Percentiles(0, 0, 0, 0, 0)
_NOTHING_MEASURED = answers.Figures(_NO_TIMES, _NO_TIMES, _NO_TIMES, told_before_durable=0)


@dataclass(slots=True)
class _Filing:
    report: Report
    done: threading.Lock  # held until the report is safe
    kept: bool = False


class _ScanNow:
    """A request to scan the list folder now."""


class _Stop:
    """A request to serve what waits and end."""


def acquired_within(lock: threading.Lock, limit_s: float) -> bool:
    """Wait for a lock, at most `limit_s` seconds. Returns whether it was acquired."""
    return lock.acquire(timeout=limit_s)


class Clerk:
    """Both ends of the clerk queue.

    `run` is the clerk's thread. Any thread may call `file`, `note`, `scan_now` and `stop`.

    Nothing is opened or read before `run` or `scan_to_end`.

    Args:
        tally: counts taps and device states of this run.
        scan: begins a scan of the list folder, which never raises.
        signed_time: returns the newest signed time, or None when it has not changed. Never
            raises.
        lists: where the loop reads the list in force. Only the clerk writes it.
        outbox: where reports wait.
        seal_to: sets the key to which reports seal the UID; None: no key.
        prepare_seal: does in advance what the next sealing needs.
        clients: the gate's other programs. The clerk waits with it.
        clock: wall time by the floor rule. The clerk refreshes it and sets its floor.
        log: writes one line, or drops and counts it. Never raises, never waits.
        commit_budget_ms: how long `file` waits for a commit.
        courier: returns the courier's health at a Unix time; None: a gate without a courier.
        monotonic_s: the clock for everything that happens regularly, in seconds.
        acquired: how `file` waits for the commit: a lock and a limit in seconds.
    """

    def __init__(
        self,
        *,
        tally: Tally,
        scan: Callable[[], Scan],
        signed_time: Callable[[], FoundTime | None],
        lists: ListInForce,
        outbox: Outbox,
        seal_to: Callable[[bytes | None], None],
        prepare_seal: Callable[[], None],
        clients: LaneClients,
        clock: Clock,
        log: Callable[[Mapping[str, Any]], None],
        commit_budget_ms: int,
        courier: Callable[[int], answers.CourierHealth | None] = lambda _now_unix_s: None,
        monotonic_s: Callable[[], float] = time.monotonic,
        acquired: Callable[[threading.Lock, float], bool] = acquired_within,
    ) -> None:
        self.notes_dropped = 0
        self.learning = Learning(tally.gate_id, tally.lane, tally.run_id, clock.now, monotonic_s)
        self._tally = tally
        self._new_scan = scan
        self._signed_time = signed_time
        self._lists = lists
        self._outbox = outbox
        self._seal_to = seal_to
        self._prepare_seal = prepare_seal
        self._clients = clients
        self._clock = clock
        self._log = log
        self._commit_budget_s = commit_budget_ms / 1_000
        self._courier = courier
        self._monotonic_s = monotonic_s
        self._acquired = acquired
        self._queue: queue.SimpleQueue[_Filing | Note | _ScanNow | _Stop] = queue.SimpleQueue()
        self._figures: Callable[[], answers.Figures] = lambda: _NOTHING_MEASURED
        self._histograms: Mapping[str, LatencyHistogram] = MappingProxyType(
            {stage: LatencyHistogram() for stage in answers.StageHistograms.__struct_fields__}
        )
        self._problems: tuple[str, ...] = ()  # of the last scan
        self._cards = 0  # entries of the list in force
        self._refused: tuple[ListName, ...] = ()  # in the last scan
        self._delivered = 0  # reports, since the start
        self._scan: Scan | None = None  # under way
        self._scan_due_s = self._summary_due_s = 0.0

    # The clerk queue: for the loop's thread and signal handlers

    def file(self, report: Report) -> bool:
        """Hand a report over and wait for its commit, at most the commit budget.

        Returns:
            Whether it is safe. False: its commit is still to come, or it was refused.
        """
        filing = _Filing(report, threading.Lock())
        filing.done.acquire()
        self._put(filing)
        return self._acquired(filing.done, self._commit_budget_s) and filing.kept

    def note(self, note: Note) -> None:
        """Hand bookkeeping over. Never waits; drops and counts the note if NOTES_MAX wait."""
        if self._queue.qsize() < NOTES_MAX:
            self._put(note)
        else:
            self.notes_dropped += 1

    def scan_now(self) -> None:
        """Scan the list folder at once, not within a second."""
        self._put(_ScanNow())

    def stop(self) -> None:
        """Ask `run` to end once it has served what waits already."""
        self._put(_Stop())

    def _put(self, item: "_Filing | Note | _ScanNow | _Stop") -> None:
        self._queue.put(item)
        self._clients.wake()

    # The thread

    def measure(
        self, figures: Callable[[], answers.Figures], histograms: Mapping[str, LatencyHistogram]
    ) -> None:
        """Report the loop's figures and histograms from now on. Call before `run`.

        Args:
            figures: for the status, and for the log's summary each minute and at the end.
            histograms: for clients, by stage (the fields of StageHistograms).
        """
        self._figures, self._histograms = figures, histograms

    def run(self) -> None:
        """Work until `stop`."""
        self._outbox.open()
        self._scan_due_s = self._monotonic_s() + SCAN_S
        self._summary_due_s = self._monotonic_s() + SUMMARY_S
        while self._turn():
            pass
        if self._scan is not None:
            self._scan.close()
        self._summary("stopped")
        self._outbox.close()

    def scan_to_end(self) -> None:
        """Scan the list folder and adopt what is new. The main thread calls it before `run`."""
        self._begin_scan()
        while self._scan is not None:
            self._step()

    def _turn(self) -> bool:
        """Wait unless work is under way; then serve the queue, a client and the scan once each.

        The queue comes first after the wait: it may hold a report, for which a passenger waits.
        """
        wait_s = 0.0
        if self._queue.empty():
            self._prepare_seal()
            self._outbox.prepare()
        if self._scan is None and self._queue.empty():
            wait_s = min(self._scan_due_s, self._summary_due_s) - self._monotonic_s()
        self._clients.wait(wait_s)
        try:
            item = self._queue.get_nowait()
        except queue.Empty:
            item = None
        if isinstance(item, _Stop):
            return False
        if isinstance(item, _Filing):
            self._commit(item)
        elif isinstance(item, _ScanNow):
            self._scan_due_s = 0.0  # a scan under way may have seen the folder too early: another
        elif item is not None:
            self._record(item)
        asked = self._clients.take()
        if asked is not None:
            answer = self._answer(asked.request, by_owner=asked.by_owner)
            self._clients.answer(asked.client, answer)
        self._regular()
        self._step()
        return True

    def _commit(self, filing: _Filing) -> None:
        filing.kept = self._outbox.append(filing.report)
        filing.done.release()

    def _record(self, note: Note) -> None:
        if isinstance(note, CardToLearn):
            self.learning.card(note.uid, note.number)
            return
        event = self._tally.event(note)
        if isinstance(note, TapDone) and self._tally.with_grounds:
            event["reports_waiting"] = self._outbox.waiting
        self._tell(event)

    def _regular(self) -> None:
        self.learning.check_time()
        while self.learning.news:
            self._tell(self.learning.news.pop(0))
        while self._outbox.news:
            self._tell({"event": "reports problem", "problem": self._outbox.news.pop(0)})
        while self._clients.news:
            self._tell({"event": "socket problem", "problem": self._clients.news.pop(0)})
        now_s = self._monotonic_s()
        if self._scan is None and now_s >= self._scan_due_s:
            self._scan_due_s = now_s + SCAN_S
            self._outbox.try_again()
            self._begin_scan()
        if now_s >= self._summary_due_s:
            self._summary_due_s = now_s + SUMMARY_S
            self._summary("summary")

    def _tell(self, event: dict[str, Any]) -> None:
        """Log an event and send it to watchers, with the time and whether to believe it."""
        now = self._clock.now()
        event |= {"unix_s": now.unix_s, "clock_synchronised": now.synchronised}
        self._log(event)
        self._clients.tell(event)

    # Lists

    def _begin_scan(self) -> None:
        """Read the signed time first: a list's own time counts only while there is none."""
        self._clock.refresh()
        found = self._signed_time()
        if found is not None and found.signed is not None:
            self._clock.begin_with(found.signed)
            self.learning.trust(found.signed.targets_keys)
        if found is not None and found.problem:
            self._tell({"event": "time problem", "problem": found.problem})
        self._scan = self._new_scan()

    def _step(self) -> None:
        if self._scan is None:
            return
        try:
            next(self._scan)
        except StopIteration as ended:
            self._scan = None
            if ended.value is not None:
                self._adopt(ended.value)

    def _adopt(self, found: Adopted) -> None:
        if found.rules is not None:
            self._clock.raise_floor(found.rules.issued_unix_s)
        self._lists.current = found.rules
        self._problems, self._cards, self._refused = found.problems, found.cards, found.refused
        self._seal_to(found.rules.sealing_key if found.rules else None)
        for problem in found.problems:
            self._tell({"event": "list problem", "problem": problem})
        if found.is_news:
            version = found.rules.version if found.rules else None
            self._tell({"event": "list", "list_version": version})

    # Answers

    def _answer(self, request: Request, *, by_owner: bool = False) -> answers.Answer:
        """Serve a request. What the disk does not allow now is an error to this client alone."""
        try:
            match request:
                case Status():
                    return answers.StatusAnswer(self._status())
                case Watch():
                    return answers.Watching()
                case Reports():
                    return answers.ReportsAnswer(
                        tuple(self._outbox.oldest(request.max, request.skip))
                    )
                case Delivered():
                    forgotten = self._outbox.forget(request.ids)
                    self._delivered += forgotten
                    return answers.Forgotten(forgotten)
                case Rejected():
                    return self._reject(request)
                case Retry():
                    return answers.WaitingAgain(self._outbox.retry(request.max))
                case Histograms():
                    return self._counts()
                case ListChanged():
                    self._scan_due_s = 0.0
                    return answers.Looking()
                case Learn() | LearnHere() | Learned():
                    return self.learning.take(request, by_owner=by_owner)
        except OutboxError as error:
            return answers.Refusal(str(error))
        assert_never(request)

    def _reject(self, request: Rejected) -> answers.PutAside:
        """Log only what is true: a client could otherwise log any text for an id that is none."""
        put_aside = self._outbox.reject(request.id, request.reason)
        if put_aside:
            event = {"event": "report rejected", "report_id": request.id, "reason": request.reason}
            self._tell(event)
        return answers.PutAside(put_aside)

    def _counts(self) -> answers.Counts:
        stages = {
            stage: answers.Histogram(tuple(histogram.buckets()), histogram.max_ns)
            for stage, histogram in self._histograms.items()
        }
        return answers.Counts(answers.StageHistograms(**stages), self._tally.run_id)

    def _status(self) -> answers.LaneStatus:
        now = self._clock.now()
        return lane_status(
            tally=self._tally,
            now=now,
            rules=self._lists.current,
            cards=self._cards,
            problems=self._problems,
            # A scan under way may find them usable: the last result may be out of date.
            refused=self._refused if self._scan is None else (),
            outbox=self._outbox,
            delivered=self._delivered,
            notes_dropped=self.notes_dropped,
            courier=self._courier(now.unix_s),
            figures=self._figures(),
        )

    def _summary(self, event: str) -> None:
        version = self._lists.current.version if self._lists.current else None
        figures = msgspec.structs.asdict(self._figures())
        reports = report_counts(self._outbox, self.notes_dropped)
        self._tell({"event": event, **reports, "list_version": version, **figures})
