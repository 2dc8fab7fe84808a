"""The clerk's answers as JSON, byte for byte: consoles and couriers of other versions read them."""

import secrets
from pathlib import Path

import msgspec
import pytest
from msgspec import to_builtins

from tests.support.gate.clerk_world import REPORT, STORED, WHEN, World, found
from tests.support.gate.lane_clients import QueueClient
from validator.domain.decision import Decision, Ground, ListState, Verdict
from validator.domain.events import BoardBack, Emergency, Forced, ReaderBack, ReaderLost, Tamper
from validator.domain.latency import LatencyHistogram
from validator.domain.outcomes import Outcome
from validator.domain.passage import RecordTap
from validator.ipc.answers import CourierHealth, Figures, Percentiles
from validator.ipc.courier_status import UploadStatus
from validator.ipc.requests import (
    Delivered,
    Histograms,
    ListChanged,
    Rejected,
    Reports,
    Retry,
    Status,
    Watch,
)
from validator.lane.ports import Note, TapDone, TapTimes
from validator.lane.tally import Tally
from validator.lists.names import ListName

GOLDEN = Path("tests/golden/lane_answers.jsonl")
"""One line for each of REQUESTS, as the lane of 0.1.0 wrote it; all lanes write these bytes."""
REQUESTS = (
    Status(),
    Histograms(),
    Watch(),
    Reports(20),
    Reports(20, 1),
    Delivered((STORED.report_id,)),
    Rejected("an id", "no such gate"),
    Retry(20),
    ListChanged(),
)
COURIER = CourierHealth(
    state="unreachable",
    problem="no route to host",
    since_unix_s=60,
    polled_unix_s=70,
    list_version=3,
    upload=UploadStatus("fresh", ""),
    silent=False,
    asks_within_s=36,
)


def histogram(*durations_ns: int) -> LatencyHistogram:
    """A histogram of these durations."""
    made = LatencyHistogram()
    for duration_ns in durations_ns:
        made.add(duration_ns)
    return made


def busy_world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A lane to which everything has happened that a status can report."""
    monkeypatch.setattr(secrets, "token_hex", lambda _bytes: "00112233aabbccdd")
    world = World(
        courier=lambda _now_unix_s: COURIER,
        tally=Tally("kadikoy-03", 2, "1.2.3", with_grounds=True, monotonic_s=lambda: 0.0),
    )
    stages = {
        "decided": histogram(20, 20, 7_000),
        "filed": histogram(),
        "told": histogram(9_000_000),
    }
    percentiles = {stage: Percentiles(**each.summary_us()) for stage, each in stages.items()}
    figures = Figures(percentiles["decided"], percentiles["told"], percentiles["filed"], 2)
    world.clerk.measure(lambda: figures, stages)
    world.scans = [found(3, "list version 9 of era 1 is not used: torn")]
    world.clerk.scan_to_end()
    denied = Decision(Verdict.DENY, Ground.IN_TABLE, "suspended", True, 0, ListState.FRESH, 3, True)
    denial = RecordTap(1, "ab12", Outcome.DENIED, denied, reported=True, seen_at_ns=5)
    pulled = RecordTap(2, "", Outcome.TRY_AGAIN, None, reported=False, seen_at_ns=6)
    notes: list[Note] = [
        TapDone(denial, TapTimes(7_000, 9_000, 1_000)),
        TapDone(pulled, TapTimes(1, 2, 0)),
        ReaderLost("unplugged", 1),
        BoardBack(2),
        Emergency(on=True, at_ns=3),
        Forced(4),
    ]
    with world.running() as clerk:
        for note in notes:
            clerk.note(note)
    return world


def test_each_answer_has_the_bytes_that_consoles_of_any_version_know(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = busy_world(monkeypatch)
    lines = [msgspec.json.encode(world.clerk._answer(request)) for request in REQUESTS]
    world.trouble = "the disk is gone"
    lines.append(msgspec.json.encode(world.clerk._answer(Reports(20))))
    world = World(tally=Tally("kadikoy-03", 2, "1.2.3", monotonic_s=lambda: 0.0))
    lines.append(msgspec.json.encode(world.clerk._answer(Status())))
    assert lines == GOLDEN.read_bytes().splitlines()


def test_the_status_names_the_lists_that_are_refused_unless_a_scan_is_under_way() -> None:
    world = World()
    world.scans = [found(8, "list version 9 of era 1 is not used: torn")]
    world.clerk.scan_to_end()
    status = world.clerk._status()
    assert (status.list_version, status.lists_refused) == (8, (ListName(1, 9),))
    world.scans, world.steps = [found(9)], 1_000
    world.clerk._begin_scan()
    world.clerk._step()
    assert world.clerk._status().lists_refused == ()


def test_a_caller_gets_reports_and_confirms_which_are_in_the_city() -> None:
    world = World()
    with world.running():
        assert world.clients.ask(Reports(20)) == {"reports": [to_builtins(STORED)]}
        assert world.clients.ask(Reports(20, 1)) == {"reports": []}
        assert world.clients.ask(Delivered((STORED.report_id,))) == {"forgotten": 1}
        assert world.clients.ask(Rejected("an id", "no such gate")) == {"put_aside": 1}
    (line,) = [line for line in world.lines if line["event"] == "report rejected"]
    assert line["reason"] == "no such gate"


def test_a_rejection_of_what_is_no_report_is_no_line_of_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A caller could write anything into the log."""
    world = World()
    monkeypatch.setattr(World, "reject", lambda *_: 0)
    with world.running():
        assert world.clients.ask(Rejected("an id", "all is well")) == {"put_aside": 0}
    assert not [line for line in world.lines if "all is well" in str(line)]


def test_an_outbox_in_trouble_is_an_error_to_the_caller_and_to_no_other() -> None:
    world = World()
    world.trouble = "the disk is gone"
    with world.running() as clerk:
        assert world.clients.ask(Reports(20)) == {"error": "the disk is gone"}
        assert clerk.file(REPORT)


def test_the_lanes_status() -> None:
    world = World()
    world.scans = [found(3)]
    world.clerk.scan_to_end()
    with world.running() as clerk:
        clerk.note(ReaderLost("unplugged", 1))
        clerk.file(REPORT)
        status = world.clients.ask(Status())["status"]
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
        assert world.clients.ask(Delivered((STORED.report_id,))) == {"forgotten": 1}
        status = world.clients.ask(Status())["status"]
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


def test_histograms_are_sent_in_full_and_by_the_run_that_began_them() -> None:
    world = World()
    decided = LatencyHistogram()
    for duration_ns in (20, 20, 7_000):
        decided.add(duration_ns)
    idle, some = LatencyHistogram(), Percentiles(3, 0, 7, 7, 7)
    world.clerk.measure(
        lambda: Figures(some, some, some, 2),
        {"decided": decided, "filed": idle, "told": idle},
    )
    with world.running():
        answer = world.clients.ask(Histograms())
        status = world.clients.ask(Status())["status"]
    assert answer == {
        "histograms": {
            "decided": {"counts": [[20, 2], [7_167, 1]], "max_ns": 7_000},
            "filed": {"counts": [], "max_ns": 0},
            "told": {"counts": [], "max_ns": 0},
        },
        "run_id": status["run_id"],
    }


def test_a_watcher_receives_what_goes_into_the_log() -> None:
    world = World()
    watcher = QueueClient()
    with world.running() as clerk:
        world.clients.send(watcher, Watch())
        assert watcher.receive() == {"watching": True}
        clerk.note(ReaderBack(1))
        assert watcher.receive() == {"event": "reader", "state": "ready"} | WHEN


def test_a_list_that_was_installed_is_scanned_for_at_once_on_request() -> None:
    world = World()
    with world.running():
        world.scans = [found(9)]
        assert world.clients.ask(ListChanged()) == {"looking": True}
        world.clients.ask(Status())
        world.clients.ask(Status())
    assert world.lists.current is not None
    assert world.lists.current.version == 9
