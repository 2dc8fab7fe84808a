"""The clerk: the lane process's second thread, which does what the loop must not wait for. It keeps reports, adopts lists, writes the log.

It decides nothing and touches no device. It never holds the interpreter for long: no loops over lists, no big JSON. It looks at a list step
by step and does what waits between two steps, so that a report never waits for a list to be verified. The loop speaks to it through `file`
and `note` (ports.Desk) and reads one reference back: the list in force.
"""

import queue
import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, assert_never

from validator.domain.events import BoardBack, BoardLost, Emergency, Forced, ReaderBack, ReaderLost, Tamper
from validator.domain.passage import RecordPassage
from validator.domain.report import Report
from validator.domain.rules import RuleSet
from validator.formats.signed_time import SignedTime
from validator.ports import DeviceNote, Note, Outbox, TapDone, WallClock

LOOK_S = 1.0  # how often the list folder and the kernel's clock state are looked at, without being asked
SUMMARY_S = 60.0  # how often the latencies go into the log
NOTES_MAX = (
    10_000  # hours of taps: a clerk so far behind is stuck on a dying disk, and memory must not pay for it
)


class Looked(Protocol):
    """What a look at the list folder found: the rules in force from now on, and one clear line for each thing wrong."""

    @property
    def rules(self) -> RuleSet | None:
        """None while there is no usable list."""

    @property
    def problems(self) -> tuple[str, ...]:
        """For the log."""

    @property
    def is_news(self) -> bool:
        """False when the same list came from other files: not worth a line."""


class ListSource(Protocol):
    """Where lists come from."""

    def looking(self) -> Generator[None, None, Looked | None]:
        """What there is now, or None when nothing has changed since the last look, in steps that each take a moment. Never raises."""


class FoundTime(Protocol):
    """What the courier left of the newest signed time, or in one line why that cannot be told."""

    @property
    def signed(self) -> SignedTime | None:
        """None if it cannot be told."""

    @property
    def problem(self) -> str:
        """For the log."""


class TimeSource(Protocol):
    """Where signed times come from."""

    def look(self) -> FoundTime | None:
        """What there is now, or None when nothing has changed since the last look. Never raises."""


class KeptClock(WallClock, Protocol):
    """The clock, as its keeper sees it."""

    def refresh(self) -> None:
        """Ask the kernel whether it is synchronised."""

    def begin_with(self, accepted: SignedTime) -> None:
        """Count from this signed time."""

    def raise_floor(self, issued_unix_s: int) -> None:
        """Count from a list's own time while there is no signed one."""


class Log(Protocol):
    """Where one JSON object a line goes."""

    def line(self, fields: Mapping[str, Any]) -> None:
        """Write one line, or drop and count it when nobody takes it. Never raises, never waits."""


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
        source: ListSource,
        times: TimeSource,
        lists: ListInForce,
        outbox: Outbox,
        clock: KeptClock,
        log: Log,
        commit_budget_ms: int,
    ) -> None:
        """`lists` is what the loop reads; nothing else writes it."""
        self.notes_dropped = 0
        self._source = source
        self._times = times
        self._lists = lists
        self._outbox = outbox
        self._clock = clock
        self._log = log
        self._commit_budget_s = commit_budget_ms / 1_000
        self._in: queue.SimpleQueue[_Filing | Note | _Look | _Stop] = queue.SimpleQueue()
        self._figures: Callable[[], dict[str, Any]] = dict
        self._looking: Generator[None, None, Looked | None] | None = None  # a look that is not at its end
        self._look_s = self._summary_s = 0.0

    def file(self, report: Report) -> bool:
        """See ports.Desk. The wait ends at the budget; the commit goes on."""
        filing = _Filing(report, threading.Lock())
        filing.done.acquire()
        self._in.put(filing)
        return filing.done.acquire(timeout=self._commit_budget_s) and filing.kept

    def note(self, note: Note) -> None:
        """See ports.Desk."""
        if self._in.qsize() < NOTES_MAX:
            self._in.put(note)
        else:
            self.notes_dropped += 1

    def look_now(self) -> None:
        """Look at the list folder before the second is over."""
        self._in.put(_Look())

    def stop(self) -> None:
        """Ask `run` to end after what waits already."""
        self._in.put(_Stop())

    def watch(self, figures: Callable[[], dict[str, Any]]) -> None:
        """Put `figures` into the log every minute and at the end. Before `run`."""
        self._figures = figures

    def run(self) -> None:
        """Work until `stop`."""
        self._look_s = time.monotonic() + LOOK_S
        self._summary_s = time.monotonic() + SUMMARY_S
        while self._turn():
            pass
        if self._looking is not None:
            self._looking.close()
        self._summary("stopped")

    def look(self) -> None:
        """Look at the list folder and adopt what is new, to its end. At start the main thread calls it, before `run`."""
        self._begin_look()
        while self._looking is not None:
            self._step()

    def _turn(self) -> bool:
        """One thing that was asked for, if there is one, and one step of the look, if one is under way."""
        asked = self._asked()
        if isinstance(asked, _Stop):
            return False
        if isinstance(asked, _Filing):
            self._commit(asked)
        elif isinstance(asked, _Look):
            self._look_s = 0.0  # after the one under way, which may have seen the folder too early
        elif asked is not None:
            self._say(self._line(asked))
        self._regular()
        self._step()
        return True

    def _asked(self) -> "_Filing | Note | _Look | _Stop | None":
        try:
            if self._looking is not None:
                return self._in.get_nowait()
            return self._in.get(timeout=max(0.0, min(self._look_s, self._summary_s) - time.monotonic()))
        except queue.Empty:
            return None

    def _commit(self, filing: _Filing) -> None:
        filing.kept = self._outbox.append(filing.report)
        filing.done.release()

    def _regular(self) -> None:
        now_s = time.monotonic()
        if self._looking is None and now_s >= self._look_s:
            self._look_s = now_s + LOOK_S
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
        elif found is not None:
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
        for problem in looked.problems:
            self._say({"event": "list problem", "problem": problem})
        if looked.is_news:
            self._say({"event": "list", "list_version": looked.rules.version if looked.rules else None})

    def _say(self, line: dict[str, Any]) -> None:
        """Every line says when, and whether the clock was worth believing."""
        now = self._clock.now()
        self._log.line(line | {"unix_s": now.unix_s, "clock_synchronised": now.synchronised})

    def _line(self, note: Note) -> dict[str, Any]:
        match note:
            case TapDone():
                return self._tap_line(note)
            case RecordPassage():
                return {"event": "passage", "tap": note.tap, "passed": note.passed, "after_ms": note.after_ms}
            case _:
                return _device_line(note)

    def _tap_line(self, done: TapDone) -> dict[str, Any]:
        tap, times, decision = done.tap, done.times, done.tap.decision
        line: dict[str, Any] = {
            "event": "tap",
            "tap": tap.tap,
            "token": tap.token,
            "outcome": tap.outcome.name.lower(),
            "decided_us": times.decided_ns // 1_000,
            "told_us": times.told_ns // 1_000,
            "waited": tap.waited,
            "reported": tap.reported,
            "reports_waiting": self._outbox.waiting,
        }
        if decision is not None:
            line |= {
                "verdict": decision.verdict.value,
                "ground": decision.ground.value,
                "rule": decision.rule,
                "list_state": decision.list_state.value,
                "list_version": decision.list_version,
            }
        return line

    def _summary(self, event: str) -> None:
        line: dict[str, Any] = {
            "event": event,
            "reports_waiting": self._outbox.waiting,
            "reports_refused": self._outbox.refused,
            "notes_dropped": self.notes_dropped,
            "list_version": self._lists.current.version if self._lists.current else None,
        }
        self._say(line | self._figures())


def _device_line(note: DeviceNote) -> dict[str, Any]:
    match note:
        case ReaderLost() | BoardLost():
            device = "reader" if isinstance(note, ReaderLost) else "board"
            return {"event": device, "state": "lost", "reason": note.reason}
        case ReaderBack():
            return {"event": "reader", "state": "ready"}
        case BoardBack():
            return {"event": "board", "state": "ready"}
        case Emergency() | Tamper():
            return {"event": type(note).__name__.lower(), "on": note.on}
        case Forced():
            return {"event": "forced"}
        case _:
            assert_never(note)
