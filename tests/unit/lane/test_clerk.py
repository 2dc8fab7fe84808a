"""The clerk: reports are handed over within a limit, lists swap one reference, and the log tells what the passenger is not told."""

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from tests.support.gate.reports import stored
from validator.domain.cards import CardUid
from validator.domain.decision import Decision, Ground, ListState, Verdict
from validator.domain.events import (
    BoardBack,
    BoardLost,
    Emergency,
    Forced,
    ReaderBack,
    ReaderLost,
    Tamper,
)
from validator.domain.latency import LatencyHistogram
from validator.domain.outcomes import Outcome
from validator.domain.passage import RecordPassage, RecordTap
from validator.domain.report import Report, ReportKind
from validator.domain.rules import RuleSet
from validator.domain.trusted_time import Now
from validator.ipc.requests import (
    Delivered,
    Histograms,
    ListChanged,
    Rejected,
    Reports,
    Request,
    Status,
    Watch,
)
from validator.ipc.signed_time import SignedTime
from validator.lane.clerk import NOTES_MAX, Clerk, ListInForce
from validator.lane.ports import OutboxError, TapDone, TapTimes
from validator.lane.tally import Account
from validator.lane.time_file import FoundTime
from validator.lists.names import ListName
from validator.reports.stored_report import StoredReport

REPORT = Report(
    ReportKind.DENIED_BOARDING, 1, CardUid(bytes(7)), "suspended", 3, 100, clock_synchronised=True
)


WHEN = {"unix_s": 77, "clock_synchronised": True}  # on every line


STORED = stored(1, unix_s=100, list_version=3, sealed="", sealed_to="")
WAITING = (STORED,)


class Asked(NamedTuple):
    """A request, and where its answer goes."""

    caller: "queue.SimpleQueue[Mapping[str, Any]]"
    request: Request


class Callers:
    """clerk.Callers on queues: a caller is where its answer goes."""

    def __init__(self, told: list[dict[str, Any]]) -> None:
        self.news: list[str] = []
        self._asked: queue.SimpleQueue[Asked] = queue.SimpleQueue()
        self._woken = threading.Event()
        self._told = told

    def ask(self, request: Request) -> Mapping[str, Any]:
        """Ask, and wait for the answer."""
        answers: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self._asked.put(Asked(answers, request))
        self.wake()
        return answers.get(timeout=90)

    def wait(self, limit_s: float) -> None:
        self._woken.wait(max(limit_s, 0.0))
        self._woken.clear()

    def wake(self) -> None:
        self._woken.set()

    def take(self) -> Asked | None:
        try:
            return self._asked.get_nowait()
        except queue.Empty:
            return None

    def answer(
        self, caller: "queue.SimpleQueue[Mapping[str, Any]]", answer: Mapping[str, Any]
    ) -> None:
        caller.put(answer)

    def tell(self, event: Mapping[str, Any]) -> None:
        self._told.append(dict(event))


class Looked:
    """A look's result."""

    def __init__(self, version: int | None, *problems: str) -> None:
        self.rules = None if version is None else RuleSet(version, 1_000 + version, 9_000, ())
        self.problems = problems
        self.refused = tuple(ListName(1, 9) for _ in problems)
        self.cards = 0 if version is None else 1_000
        self.is_news = True


class World:
    """Every port of the clerk, played by hand."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.looks: list[Looked | None] = []
        self.steps = 0  # of the next look
        self.between: list[Callable[[], object]] = []  # what happens after each of them
        self.times: list[FoundTime] = []
        self.kept: list[Report] = []
        self.disk = threading.Event()
        self.disk.set()
        self.full = False
        self.floor = 0
        self.is_signed = False
        self.lists = ListInForce()
        self.rejected = 0
        self.trouble = ""
        self.news: list[str] = []
        self.is_open = False
        self.sealed_to: bytes | None = None
        self.told: list[dict[str, Any]] = []
        self.callers = Callers(self.told)
        self.tried_again = 0
        self.clerk = Clerk(
            account=Account("kadikoy-03", 2, "1.2.3", with_grounds=True),
            source=self,
            times=self,
            lists=self.lists,
            outbox=self,
            seals=self,
            callers=self.callers,
            clock=self,
            log=self,
            commit_budget_ms=60,
        )

    @contextmanager
    def running(self) -> Iterator[Clerk]:
        thread = threading.Thread(target=self.clerk.run)
        thread.start()
        try:
            yield self.clerk
        finally:
            self.disk.set()
            self.clerk.stop()
            thread.join()

    def looking(self) -> Generator[None, None, Looked | None]:
        for _ in range(self.steps):
            yield
            if self.between:
                self.between.pop(0)()
        return self.looks.pop(0) if self.looks else None

    def look(self) -> FoundTime | None:
        return self.times.pop(0) if self.times else None

    def line(self, fields: Mapping[str, Any]) -> None:
        self.lines.append(dict(fields))

    def now(self) -> Now:
        return Now(77, synchronised=True)

    def refresh(self) -> None:
        """Nobody to ask."""

    def begin_with(self, accepted: SignedTime) -> None:
        self.floor = accepted.signed_unix_s
        self.is_signed = True

    def raise_floor(self, issued_unix_s: int) -> None:
        if not self.is_signed:
            self.floor = issued_unix_s

    @property
    def waiting(self) -> int:
        return len(self.kept)

    @property
    def refused(self) -> int:
        return int(self.full)

    def open(self) -> bool:
        self.is_open = True
        return True

    def close(self) -> None:
        self.is_open = False

    def oldest(self, count_max: int, skipped: int = 0) -> Sequence[StoredReport]:
        if self.trouble:
            raise OutboxError(self.trouble)
        return WAITING[skipped : skipped + count_max]

    def forget(self, report_ids: Iterable[str]) -> int:
        return len(list(report_ids))

    def reject(self, report_id: str, reason: str) -> int:
        del report_id, reason
        self.rejected += 1
        return 1

    def retry(self, count_max: int) -> int:
        again = min(self.rejected, count_max)
        self.rejected -= again
        return again

    def try_again(self) -> None:
        self.tried_again += 1

    def free_bytes(self) -> int | None:
        return 7_000

    def seal_to(self, public: bytes | None) -> None:
        self.sealed_to = public

    def prepare(self) -> None:
        """Nothing to prepare."""

    def append(self, report: Report) -> bool:
        self.disk.wait()
        if not self.full:
            self.kept.append(report)
        return not self.full


def test_a_report_is_filed_when_it_is_kept() -> None:
    world = World()
    with world.running() as clerk:
        assert clerk.file(REPORT) is True
        assert world.kept == [REPORT]


def test_the_wait_for_a_slow_disk_ends_at_the_budget_and_the_commit_goes_on() -> None:
    world = World()
    world.disk.clear()
    with world.running() as clerk:
        assert clerk.file(REPORT) is False
        assert world.kept == []
    assert world.kept == [REPORT]


def test_a_full_outbox_is_not_a_filed_report() -> None:
    world = World()
    world.full = True
    with world.running() as clerk:
        assert clerk.file(REPORT) is False
    assert world.lines[-1]["reports_refused"] == 1


def test_a_new_list_swaps_the_reference_and_raises_the_floor() -> None:
    world = World()
    world.looks = [Looked(4), None, Looked(5, "version 6 is torn")]
    world.clerk.look()
    first = world.lists.current
    world.clerk.look()
    assert world.lists.current is first
    world.clerk.look()
    assert first is not None
    assert (first.version, world.lists.current and world.lists.current.version, world.floor) == (
        4,
        5,
        1_005,
    )
    assert world.lines == [
        {"event": "list", "list_version": 4} | WHEN,
        {"event": "list problem", "problem": "version 6 is torn"} | WHEN,
        {"event": "list", "list_version": 5} | WHEN,
    ]


def test_no_list_is_told_as_none() -> None:
    world = World()
    world.looks = [Looked(None, "no list")]
    world.clerk.look()
    assert world.lists.current is None
    assert world.lines[-1] == {"event": "list", "list_version": None} | WHEN


def test_the_status_says_which_lists_are_refused_unless_a_look_is_under_way() -> None:
    world = World()
    world.looks = [Looked(8, "list version 9 of era 1 is not used: torn")]
    world.clerk.look()
    status = world.clerk._status()
    assert (status["list_version"], status["lists_refused"]) == (8, (ListName(1, 9),))
    world.looks, world.steps = [Looked(9)], 1_000
    world.clerk._begin_look()
    world.clerk._step()
    assert world.clerk._status()["lists_refused"] == ()


def test_look_now_does_not_wait_for_the_second() -> None:
    world = World()
    world.looks = [Looked(8)]
    with world.running() as clerk:
        clerk.look_now()
        assert clerk.file(REPORT), "filed after the look"
        assert world.lists.current is not None


def test_the_same_list_from_other_files_is_put_in_force_without_a_line() -> None:
    world = World()
    again = Looked(4)
    again.is_news = False
    world.looks = [Looked(4), again]
    world.clerk.look()
    world.clerk.look()
    assert world.lists.current is again.rules
    assert world.lines == [{"event": "list", "list_version": 4} | WHEN]


def test_reports_and_notes_are_served_between_the_steps_of_a_look() -> None:
    world = World()
    ended = threading.Event()

    def looking() -> Generator[None, None, Looked | None]:
        while not (world.kept and world.lines):
            yield
        ended.set()
        return Looked(8)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "looking", looking)
        with world.running() as clerk:
            clerk.look_now()
            clerk.note(Forced(1))
            clerk.file(REPORT)
            assert ended.wait(90), "the look waits for the report, not the report for the look"
    assert world.lists.current is not None


def test_a_look_asked_for_while_one_is_under_way_is_taken_after_it() -> None:
    world = World()
    again = threading.Event()
    world.looks, world.steps = [Looked(8), Looked(9)], 2
    with world.running() as clerk:
        world.between = [clerk.look_now, lambda: None, lambda: None, again.set]
        clerk.look_now()
        assert again.wait(90)
    assert world.lists.current is not None
    assert world.lists.current.version == 9


def test_the_end_does_not_wait_for_a_look() -> None:
    world = World()
    world.looks, world.steps = [Looked(8)], 1_000_000_000
    with world.running() as clerk:
        clerk.look_now()
    assert world.lists.current is None
    assert world.lines[-1]["event"] == "stopped"


def test_a_signed_time_goes_before_a_lists_own() -> None:
    world = World()
    world.times = [FoundTime(SignedTime(500, "boot", 1))]
    world.looks = [Looked(4)]
    world.clerk.look()
    assert world.floor == 500


def test_a_signed_time_that_cannot_be_told_is_a_line_and_a_lists_own_counts() -> None:
    world = World()
    world.times = [FoundTime(None, "accepted.json: no signed time")]
    world.looks = [Looked(4)]
    world.clerk.look()
    assert world.floor == 1_004
    assert (
        world.lines[0]
        == {"event": "time problem", "problem": "accepted.json: no signed time"} | WHEN
    )


def test_an_event_says_of_a_refused_card_nothing_that_tells_why() -> None:
    """A suspended card is reported and an unmatched one is not: their events differ in nothing but the times of reading."""
    lines = []
    for ground, rule, reported, report_ns in (
        (Ground.IN_TABLE, "suspended", True, 900_000),
        (Ground.NOT_IN_TABLE, "matched", False, 0),
        (Ground.LIST_MISSING, "", False, 0),
    ):
        decision = Decision(Verdict.DENY, ground, rule, reported, 0, ListState.FRESH, 3, True)
        tap = RecordTap(9, "ab12", Outcome.DENIED, decision, reported=reported, seen_at_ns=5)
        account = Account("kadikoy-03", 2, "1.2.3")
        lines.append(account.line(TapDone(tap, TapTimes(7_000, 9_000 + report_ns, report_ns))))
        assert account.status()["taps"] == [
            {"outcome": "denied", "ground": ground.value, "count": 1}
        ]
    assert (
        lines
        == [
            {
                "event": "tap",
                "tap": 9,
                "token": "ab12",
                "outcome": "denied",
                "read_ns": 5,
                "decided_us": 7,
                "waited": False,
                "verdict": "deny",
                "list_state": "fresh",
                "list_version": 3,
            }
        ]
        * 3
    )


def test_every_note_becomes_one_line_and_no_line_names_a_card() -> None:
    world = World()
    decision = Decision(
        Verdict.DENY, Ground.IN_TABLE, "suspended", True, 0, ListState.FRESH, 3, True
    )
    tap = RecordTap(9, "ab12", Outcome.DENIED, decision, reported=True, seen_at_ns=5)
    with world.running() as clerk:
        clerk.note(TapDone(tap, TapTimes(7_000, 9_000, 1_000)))
        clerk.note(
            TapDone(
                RecordTap(10, "", Outcome.TRY_AGAIN, None, reported=False, seen_at_ns=6),
                TapTimes(1, 2, 0),
            )
        )
        for note in (
            RecordPassage(9, passed=True, after_ms=812),
            ReaderLost("it is gone", 1),
            ReaderBack(2),
            BoardLost("silent", 3),
            BoardBack(4),
            Emergency(on=True, at_ns=5),
            Forced(6),
        ):
            clerk.note(note)
    told = [
        line
        for line in world.lines[:-1]
        if line.pop("unix_s") == 77 and line.pop("clock_synchronised")
    ]
    assert told == [
        {
            "event": "tap",
            "tap": 9,
            "token": "ab12",
            "outcome": "denied",
            "read_ns": 5,
            "decided_us": 7,
            "report_us": 1,
            "told_us": 9,
            "waited": False,
            "reported": True,
            "reports_waiting": 0,
            "verdict": "deny",
            "ground": "in table",
            "rule": "suspended",
            "list_state": "fresh",
            "list_version": 3,
        },
        {
            "event": "tap",
            "tap": 10,
            "token": "",
            "outcome": "try_again",
            "read_ns": 6,
            "decided_us": 0,
            "report_us": 0,
            "told_us": 0,
            "waited": False,
            "reported": False,
            "reports_waiting": 0,
        },
        {"event": "passage", "tap": 9, "passed": True, "after_ms": 812},
        {"event": "reader", "state": "lost", "reason": "it is gone"},
        {"event": "reader", "state": "ready"},
        {"event": "board", "state": "lost", "reason": "silent"},
        {"event": "board", "state": "ready"},
        {"event": "emergency", "on": True},
        {"event": "forced"},
    ]
    assert world.lines[-1]["event"] == "stopped"


def test_a_clerk_that_is_stuck_drops_notes_and_counts_them() -> None:
    world = World()
    for _ in range(NOTES_MAX + 5):
        world.clerk.note(Forced(1))
    assert world.clerk.notes_dropped == 5


def test_the_outbox_is_opened_and_closed_by_the_thread_that_owns_it() -> None:
    world = World()
    with world.running() as clerk:
        clerk.file(REPORT)
        assert world.is_open
    assert not world.is_open


def test_a_caller_gets_reports_and_says_which_are_in_the_city() -> None:
    world = World()
    with world.running():
        assert world.callers.ask(Reports(20)) == {"reports": (STORED,)}
        assert world.callers.ask(Reports(20, 1)) == {"reports": ()}
        assert world.callers.ask(Delivered((STORED.report_id,))) == {"forgotten": 1}
        assert world.callers.ask(Rejected("an id", "no such gate")) == {"put_aside": 1}
    (line,) = [line for line in world.lines if line["event"] == "report rejected"]
    assert line["reason"] == "no such gate"


def test_a_rejection_of_what_is_no_report_is_no_line_of_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever may ask could have the log say anything."""
    world = World()
    monkeypatch.setattr(World, "reject", lambda *_: 0)
    with world.running():
        assert world.callers.ask(Rejected("an id", "all is well")) == {"put_aside": 0}
    assert not [line for line in world.lines if "all is well" in str(line)]


def test_an_outbox_in_trouble_is_an_error_to_the_caller_and_to_nobody_else() -> None:
    world = World()
    world.trouble = "the disk is gone"
    with world.running() as clerk:
        assert world.callers.ask(Reports(20)) == {"error": "the disk is gone"}
        assert clerk.file(REPORT)


def test_status_says_how_the_lane_fares() -> None:
    world = World()
    world.looks = [Looked(3)]
    world.clerk.look()
    with world.running() as clerk:
        clerk.note(ReaderLost("unplugged", 1))
        clerk.file(REPORT)
        status = world.callers.ask(Status())["status"]
    assert (status["gate_id"], status["lane"], status["version"]) == ("kadikoy-03", 2, "1.2.3")
    assert status["devices"] == {"reader": "lost"}
    assert (status["list_state"], status["list_version"], status["list_cards"]) == (
        "fresh",
        3,
        1_000,
    )
    assert (status["emergency"], status["tamper"], status["disk_free_bytes"]) == (
        False,
        False,
        7_000,
    )
    assert status["forced"] == 0
    assert (status["reports_waiting"], status["reports_trouble"], status["notes_dropped"]) == (
        1,
        "",
        0,
    )


def test_status_counts_taps_by_what_was_seen_and_why_and_reports_that_are_in_the_city() -> None:
    world = World()
    denied = Decision(Verdict.DENY, Ground.IN_TABLE, "suspended", True, 0, ListState.FRESH, 3, True)
    pulled = RecordTap(10, "", Outcome.TRY_AGAIN, None, reported=False, seen_at_ns=6)
    with world.running() as clerk:
        for number in (1, 2):
            tap = RecordTap(number, "ab12", Outcome.DENIED, denied, reported=True, seen_at_ns=5)
            clerk.note(TapDone(tap, TapTimes(7_000, 9_000, 1_000)))
        clerk.note(TapDone(pulled, TapTimes(1, 2, 0)))
        clerk.note(Emergency(on=True, at_ns=5))
        clerk.note(Forced(6))
        clerk.note(Forced(7))
        clerk.note(Tamper(on=True, at_ns=8))
        assert world.callers.ask(Delivered((STORED.report_id,))) == {"forgotten": 1}
        status = world.callers.ask(Status())["status"]
    assert status["taps"] == [
        {"outcome": "denied", "ground": "in table", "count": 2},
        {"outcome": "try_again", "ground": "", "count": 1},
    ]
    assert (status["reports_delivered"], status["emergency"], status["list_state"]) == (
        1,
        True,
        "missing",
    )
    assert (status["forced"], status["tamper"]) == (2, True)


def test_histograms_are_told_in_full_and_by_the_run_that_began_them() -> None:
    world = World()
    decided = LatencyHistogram()
    for duration_ns in (20, 20, 7_000):
        decided.add(duration_ns)
    world.clerk.watch(dict, {"decided": decided})
    with world.running():
        answer = world.callers.ask(Histograms())
        status = world.callers.ask(Status())["status"]
    assert answer == {
        "histograms": {"decided": {"counts": [(20, 2), (7_167, 1)], "max_ns": 7_000}},
        "run_id": status["run_id"],
    }


def test_whoever_watches_hears_what_goes_into_the_log() -> None:
    world = World()
    with world.running() as clerk:
        assert world.callers.ask(Watch()) == {"watching": True}
        clerk.note(ReaderBack(1))
        clerk.file(REPORT)
    assert {"event": "reader", "state": "ready"} | WHEN in world.told


def test_a_list_that_was_installed_is_looked_for_at_once_when_told() -> None:
    world = World()
    with world.running():
        world.looks = [Looked(9)]
        assert world.callers.ask(ListChanged()) == {"looking": True}
        world.callers.ask(Status())
        world.callers.ask(Status())
    assert world.lists.current is not None
    assert world.lists.current.version == 9


def test_reports_are_sealed_to_the_key_of_the_list_in_force() -> None:
    world = World()
    looked = Looked(3)
    looked.rules = RuleSet(3, 1_000, 9_000, (), sealing_key=b"k" * 32)
    world.looks = [looked]
    world.clerk.look()
    assert world.sealed_to == b"k" * 32


def test_what_is_wrong_with_the_outbox_goes_into_the_log() -> None:
    world = World()
    world.news = ["outbox: 3 reports were saved"]
    with world.running() as clerk:
        clerk.file(REPORT)
        clerk.file(REPORT)
    assert {
        "event": "reports problem",
        "problem": "outbox: 3 reports were saved",
    } | WHEN in world.lines
