"""The clerk: the lane process's second thread, which does what the loop must not wait for. It keeps reports, adopts lists, writes the log.

It decides nothing and touches no device. It never holds the interpreter for long: no loops over lists, no big JSON. It looks at a list step
by step and does what waits between two steps, so that a report never waits for a list to be verified. The loop speaks to it through `file`
and `note` (ports.Desk) and reads one reference back: the list in force. The gate's other programs ask it on the lane socket.
"""

import queue
import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, assert_never

from validator.domain.decision import list_state
from validator.domain.latency import LatencyHistogram
from validator.domain.report import Report
from validator.ipc.requests import (
    Delivered,
    Histograms,
    ListChanged,
    Rejected,
    Reports,
    Request,
    Retry,
    Status,
    Watch,
)
from validator.lane.clerk_ports import (
    Callers,
    KeptClock,
    ListSource,
    Log,
    Looked,
    Seals,
    TimeSource,
)
from validator.lane.ports import Note, Outbox, OutboxError, TapDone
from validator.lane.tally import Account

if TYPE_CHECKING:
    from validator.domain.rules import RuleSet
    from validator.lists.names import ListName

LOOK_S = (
    1.0  # how often the list folder and the kernel's clock state are looked at, without being asked
)
SUMMARY_S = 60.0  # how often the latencies go into the log
NOTES_MAX = 10_000  # hours of taps: a clerk so far behind is stuck on a dying disk, and memory must not pay for it


class ListInForce:
    """ports.Lists: one reference, swapped by the clerk between two taps; a tap in flight keeps what it has pinned."""

    def __init__(self) -> None:
        self.current: RuleSet | None = None


@dataclass(slots=True)
class _Filing:
    report: Report
    done: threading.Lock  # held until the report is safe
    kept: bool = False


class _Look:
    """A request to look at the list folder now."""


class _Stop:
    """A request to write what waits and end."""


class Clerk:
    """Both sides of the desk. `run` is the thread; `file`, `note`, `look_now` and `stop` may be called from any other."""

    def __init__(
        self,
        *,
        account: Account,
        source: ListSource,
        times: TimeSource,
        lists: ListInForce,
        outbox: Outbox,
        seals: Seals,
        callers: Callers,
        clock: KeptClock,
        log: Log,
        commit_budget_ms: int,
        courier: Callable[[int], dict[str, Any] | None] = lambda _now_unix_s: None,
    ) -> None:
        """`lists` is what the loop reads; nothing else writes it. `courier` says how the courier fares at a time, None of a gate without one."""
        self._courier = courier
        self.notes_dropped = 0
        self._account = account
        self._source = source
        self._times = times
        self._lists = lists
        self._outbox = outbox
        self._seals = seals
        self._callers = callers
        self._clock = clock
        self._log = log
        self._commit_budget_s = commit_budget_ms / 1_000
        self._in: queue.SimpleQueue[_Filing | Note | _Look | _Stop] = queue.SimpleQueue()
        self._figures: Callable[[], dict[str, Any]] = dict
        self._histograms: Mapping[str, LatencyHistogram] = {}
        self._problems: tuple[str, ...] = ()  # of the last look
        self._cards = 0  # entries of the list in force
        self._refused: tuple[ListName, ...] = ()  # in the last look
        self._delivered = 0  # reports, since the start
        self._looking: Generator[None, None, Looked | None] | None = (
            None  # a look that is not at its end
        )
        self._look_s = self._summary_s = 0.0

    def file(self, report: Report) -> bool:
        """See ports.Desk. The wait ends at the budget; the commit goes on."""
        filing = _Filing(report, threading.Lock())
        filing.done.acquire()
        self._put(filing)
        return filing.done.acquire(timeout=self._commit_budget_s) and filing.kept

    def note(self, note: Note) -> None:
        """See ports.Desk."""
        if self._in.qsize() < NOTES_MAX:
            self._put(note)
        else:
            self.notes_dropped += 1

    def look_now(self) -> None:
        """Look at the list folder before the second is over."""
        self._put(_Look())

    def stop(self) -> None:
        """Ask `run` to end after what waits already."""
        self._put(_Stop())

    def watch(
        self,
        figures: Callable[[], dict[str, Any]],
        histograms: Mapping[str, LatencyHistogram] = MappingProxyType({}),
    ) -> None:
        """Put `figures` into the log every minute and at the end; tell `histograms` to whoever asks for them. Before `run`."""
        self._figures, self._histograms = figures, histograms

    def run(self) -> None:
        """Work until `stop`."""
        self._outbox.open()
        self._look_s = time.monotonic() + LOOK_S
        self._summary_s = time.monotonic() + SUMMARY_S
        while self._turn():
            pass
        if self._looking is not None:
            self._looking.close()
        self._summary("stopped")
        self._outbox.close()

    def look(self) -> None:
        """Look at the list folder and adopt what is new, to its end. At start the main thread calls it, before `run`."""
        self._begin_look()
        while self._looking is not None:
            self._step()

    def _turn(self) -> bool:
        """A wait unless something is under way; then one thing that was handed over, one that a caller asks, and one step of the look, if there are.

        What was handed over comes first after the wait: it may be a report, for which a passenger waits.
        """
        wait_s = 0.0
        if self._in.empty():
            self._seals.prepare()
            self._outbox.prepare()
        if self._looking is None and self._in.empty():
            wait_s = min(self._look_s, self._summary_s) - time.monotonic()
        self._callers.wait(wait_s)
        try:
            handed = self._in.get_nowait()
        except queue.Empty:
            handed = None
        if isinstance(handed, _Stop):
            return False
        if isinstance(handed, _Filing):
            self._commit(handed)
        elif isinstance(handed, _Look):
            self._look_s = 0.0  # after the one under way, which may have seen the folder too early
        elif handed is not None:
            self._take(handed)
        asked = self._callers.take()
        if asked is not None:
            self._callers.answer(asked.caller, self._answer(asked.request))
        self._regular()
        self._step()
        return True

    def _put(self, item: "_Filing | Note | _Look | _Stop") -> None:
        self._in.put(item)
        self._callers.wake()

    def _take(self, note: Note) -> None:
        line = self._account.line(note)
        if isinstance(note, TapDone) and self._account.with_grounds:
            line["reports_waiting"] = self._outbox.waiting
        self._say(line)

    def _commit(self, filing: _Filing) -> None:
        filing.kept = self._outbox.append(filing.report)
        filing.done.release()

    def _answer(self, request: Request) -> dict[str, Any]:
        """What the caller gets; what cannot be done now is an error to it, and to nobody else."""
        try:
            match request:
                case Status():
                    return {"status": self._status()}
                case Watch():
                    return {"watching": True}
                case Reports():
                    return {"reports": self._outbox.oldest(request.max, request.skip)}
                case Delivered():
                    forgotten = self._outbox.forget(request.ids)
                    self._delivered += forgotten
                    return {"forgotten": forgotten}
                case Rejected():
                    put_aside = self._outbox.reject(request.id, request.reason)
                    if put_aside:  # whoever may ask could say anything of a report that is none
                        told = {"report_id": request.id, "reason": request.reason}
                        self._say({"event": "report rejected", **told})
                    return {"put_aside": put_aside}
                case Retry():
                    return {"waiting_again": self._outbox.retry(request.max)}
                case Histograms():
                    return {"histograms": self._buckets(), "run_id": self._account.run_id}
                case ListChanged():
                    self._look_s = 0.0
                    return {"looking": True}
        except OutboxError as error:
            return {"error": str(error)}
        assert_never(request)

    def _buckets(self) -> dict[str, Any]:
        return {
            name: {"counts": histogram.buckets(), "max_ns": histogram.max_ns}
            for name, histogram in self._histograms.items()
        }

    def _regular(self) -> None:
        while self._outbox.news:
            self._say({"event": "reports problem", "problem": self._outbox.news.pop(0)})
        while self._callers.news:
            self._say({"event": "socket problem", "problem": self._callers.news.pop(0)})
        now_s = time.monotonic()
        if self._looking is None and now_s >= self._look_s:
            self._look_s = now_s + LOOK_S
            self._outbox.try_again()
            self._begin_look()
        if now_s >= self._summary_s:
            self._summary_s = now_s + SUMMARY_S
            self._summary("summary")

    def _begin_look(self) -> None:
        """Time first: a list's own counts only while there is no signed one."""
        self._clock.refresh()
        found = self._times.look()
        if found is not None and found.signed is not None:
            self._clock.begin_with(found.signed)
        if found is not None and found.problem:
            self._say({"event": "time problem", "problem": found.problem})
        self._looking = self._source.looking()

    def _step(self) -> None:
        if self._looking is None:
            return
        try:
            next(self._looking)
        except StopIteration as ended:
            self._looking = None
            if ended.value is not None:
                self._adopt(ended.value)

    def _adopt(self, looked: Looked) -> None:
        if looked.rules is not None:
            self._clock.raise_floor(looked.rules.issued_unix_s)
        self._lists.current = looked.rules
        self._problems, self._cards, self._refused = looked.problems, looked.cards, looked.refused
        self._seals.seal_to(looked.rules.sealing_key if looked.rules else None)
        for problem in looked.problems:
            self._say({"event": "list problem", "problem": problem})
        if looked.is_news:
            self._say(
                {"event": "list", "list_version": looked.rules.version if looked.rules else None}
            )

    def _say(self, line: dict[str, Any]) -> None:
        """Every line says when, and whether the clock was worth believing."""
        now = self._clock.now()
        line |= {"unix_s": now.unix_s, "clock_synchronised": now.synchronised}
        self._log.line(line)
        self._callers.tell(line)

    def _status(self) -> dict[str, Any]:
        """How the lane fares, for the gate's other programs and for a person."""
        now, rules = self._clock.now(), self._lists.current
        return {
            **self._account.status(),
            "unix_s": now.unix_s,
            "clock_synchronised": now.synchronised,
            "list_state": list_state(rules, now).value,
            "list_version": rules.version if rules else None,
            "list_issued_unix_s": rules.issued_unix_s if rules else None,
            "list_expires_unix_s": rules.expires_unix_s if rules else None,
            "list_cards": self._cards,
            "list_problems": self._problems,
            # While a look is under way, what the last one found may not be so any more.
            "lists_refused": self._refused if self._looking is None else (),
            "courier": self._courier(now.unix_s),
            **self._reports(),
            "reports_delivered": self._delivered,
            "reports_trouble": self._outbox.trouble,
            "disk_free_bytes": self._outbox.free_bytes(),
            **self._figures(),
        }

    def _reports(self) -> dict[str, int | None]:
        return {
            "reports_waiting": self._outbox.waiting,
            "reports_refused": self._outbox.refused,
            "reports_rejected": self._outbox.rejected,
            "notes_dropped": self.notes_dropped,
        }

    def _summary(self, event: str) -> None:
        version = self._lists.current.version if self._lists.current else None
        self._say({"event": event, **self._reports(), "list_version": version, **self._figures()})
