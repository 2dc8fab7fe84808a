"""The clerk: reports are safe in time, a new list swaps one reference, each note is a log line."""

import threading
from dataclasses import replace

import pytest

from tests.support.gate.clerk_world import REPORT, WHEN, World, found
from validator.domain.decision import Decision, Ground, ListState, Verdict
from validator.domain.events import (
    BoardBack,
    BoardLost,
    Emergency,
    Forced,
    ReaderBack,
    ReaderLost,
)
from validator.domain.outcomes import Outcome
from validator.domain.passage import RecordPassage, RecordTap
from validator.domain.rules import RuleSet
from validator.ipc.answers import TapCount
from validator.ipc.signed_time import SignedTime
from validator.lane.clerk import NOTES_MAX
from validator.lane.ports import FoundTime, Scan, TapDone, TapTimes
from validator.lane.tally import Tally


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
    world.scans = [found(4), None, found(5, "version 6 is torn")]
    world.clerk.scan_to_end()
    first = world.lists.current
    world.clerk.scan_to_end()
    assert world.lists.current is first
    world.clerk.scan_to_end()
    assert first is not None
    assert (
        first.version,
        world.lists.current and world.lists.current.version,
        world.clock.floor,
    ) == (
        4,
        5,
        1_005,
    )
    assert world.lines == [
        {"event": "list", "list_version": 4} | WHEN,
        {"event": "list problem", "problem": "version 6 is torn"} | WHEN,
        {"event": "list", "list_version": 5} | WHEN,
    ]


def test_no_list_is_logged_as_none() -> None:
    world = World()
    world.scans = [found(None, "no list")]
    world.clerk.scan_to_end()
    assert world.lists.current is None
    assert world.lines[-1] == {"event": "list", "list_version": None} | WHEN


def test_scan_now_does_not_wait_for_the_second() -> None:
    world = World()
    world.scans = [found(8)]
    with world.running() as clerk:
        clerk.scan_now()
        assert clerk.file(REPORT), "filed after the scan"
        assert world.lists.current is not None


def test_the_same_list_from_other_files_is_put_in_force_without_a_line() -> None:
    world = World()
    again = replace(found(4), is_news=False)
    world.scans = [found(4), again]
    world.clerk.scan_to_end()
    world.clerk.scan_to_end()
    assert world.lists.current is again.rules
    assert world.lines == [{"event": "list", "list_version": 4} | WHEN]


def test_reports_and_notes_are_served_between_the_steps_of_a_scan() -> None:
    world = World()
    ended = threading.Event()

    def scan() -> Scan:
        while not (world.kept and world.lines):
            yield
        ended.set()
        return found(8)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "scan", scan)
        with world.running() as clerk:
            clerk.scan_now()
            clerk.note(Forced(1))
            clerk.file(REPORT)
            assert ended.wait(90), "the scan waits for the report, not the report for the scan"
    assert world.lists.current is not None


def test_a_scan_asked_for_while_one_is_under_way_is_made_after_it() -> None:
    world = World()
    again = threading.Event()
    world.scans, world.steps = [found(8), found(9)], 2
    with world.running() as clerk:
        world.between = [clerk.scan_now, lambda: None, lambda: None, again.set]
        clerk.scan_now()
        assert again.wait(90)
    assert world.lists.current is not None
    assert world.lists.current.version == 9


def test_the_end_does_not_wait_for_a_scan() -> None:
    world = World()
    world.scans, world.steps = [found(8)], 1_000_000_000
    with world.running() as clerk:
        clerk.scan_now()
    assert world.lists.current is None
    assert world.lines[-1]["event"] == "stopped"


def test_a_signed_time_goes_before_a_lists_own() -> None:
    world = World()
    world.times = [FoundTime(SignedTime(500, "boot", 1))]
    world.scans = [found(4)]
    world.clerk.scan_to_end()
    assert world.clock.floor == 500


def test_a_signed_time_that_cannot_be_read_is_a_line_and_a_lists_own_counts() -> None:
    world = World()
    world.times = [FoundTime(None, "accepted.json: no signed time")]
    world.scans = [found(4)]
    world.clerk.scan_to_end()
    assert world.clock.floor == 1_004
    assert (
        world.lines[0]
        == {"event": "time problem", "problem": "accepted.json: no signed time"} | WHEN
    )


def test_an_event_of_a_refused_card_has_nothing_that_shows_why() -> None:
    """A suspended card is reported, an unmatched one is not: their events differ in times alone."""
    lines = []
    for ground, rule, reported, report_ns in (
        (Ground.IN_TABLE, "suspended", True, 900_000),
        (Ground.NOT_IN_TABLE, "matched", False, 0),
        (Ground.LIST_MISSING, "", False, 0),
    ):
        decision = Decision(Verdict.DENY, ground, rule, reported, 0, ListState.FRESH, 3, True)
        tap = RecordTap(9, "ab12", Outcome.DENIED, decision, reported=reported, seen_at_ns=5)
        tally = Tally("kadikoy-03", 2, "1.2.3")
        lines.append(tally.event(TapDone(tap, TapTimes(7_000, 9_000 + report_ns, report_ns))))
        assert tally.taps() == (TapCount("denied", ground.value, 1),)
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


NOTED = [
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
"""The lines of the notes below, but for time and clock."""


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
    assert told == NOTED
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


def test_reports_are_sealed_to_the_key_of_the_list_in_force() -> None:
    world = World()
    rules = RuleSet(3, 1_000, 9_000, (), sealing_key=b"k" * 32)
    world.scans = [replace(found(3), rules=rules)]
    world.clerk.scan_to_end()
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
