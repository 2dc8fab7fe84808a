"""The scene of the page, joined from lines of four programs, in whatever order they are read."""

import json
from itertools import permutations
from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.gate.console_lane import status as lane_status
from tests.support.gate.console_lane import summary
from turnike_demo.processes.events import Event
from turnike_demo.turnstile.scene import Scene
from validator.ipc.answers import LaneStatus

UIDS = {"matched": bytes.fromhex("04a1b2c3d4e5f6"), "unmatched": bytes.fromhex("04a1b2c3d4e5f7")}
MS = 1_000_000

READY = (
    Event("visitor-lane", {"event": "list", "list_version": 3}),
    Event("visitor-lane", {"event": "reader", "state": "ready"}),
    Event("visitor-lane", {"event": "board", "state": "ready"}),
)
PRESENT = Event("visitor-reader", {"event": "present", "uid": "04a1b2c3d4e5f6", "at_ns": 100 * MS})
TAP = Event(
    "visitor-lane",
    {
        "event": "tap",
        "tap": 5,
        "token": "4f1a",
        "outcome": "admitted",
        "read_ns": 108 * MS,
        "decided_us": 12,
        "report_us": 0,
        "told_us": 60,
        "waited": False,
    },
)
OPEN = Event("visitor-board", {"event": "open", "tap": 5, "at_ns": 109 * MS})


def show(outcome: str, at_ns: int, *, by: str = "lane", hold_ms: int = 1_500) -> Event:
    line = {
        "event": "show",
        "outcome": outcome,
        "date": None,
        "by": by,
        "hold_ms": hold_ms,
        "at_ns": at_ns,
    }
    return Event("visitor-board", line)


def tap(**more: object) -> Event:
    return Event(TAP.source, TAP.line | more)


def scene(*lines: Event) -> Scene:
    seen = Scene(UIDS)
    for one in (*READY, *lines):
        seen.take(one)
    return seen


def stages(seen: Scene) -> dict[str, int]:
    return {stage["name"]: stage["us"] for stage in seen.picture()["tap"]["stages"]}


def status(**changes: Any) -> LaneStatus:
    return lane_status(**{"run_id": "a", "reports_delivered": 0, "reports_waiting": 0} | changes)


@pytest.mark.parametrize("lines", [*permutations([PRESENT, TAP, OPEN])])
def test_a_tap_s_stages_add_up_whichever_program_is_read_first(lines: tuple[Event, ...]) -> None:
    assert scene(*lines).picture()["tap"] == {
        "n": 1,
        "token": "4f1a",
        "outcome": "admitted",
        "total_us": 9_000,
        "stages": [
            {"name": "radio", "us": 8_000},
            {"name": "decide", "us": 12},
            {"name": "report", "us": 0},
            {"name": "tell", "us": 48},
            {"name": "wire", "us": 940},
        ],
    }


def test_a_refused_card_s_report_is_a_stage_before_its_answer() -> None:
    denied = tap(outcome="denied", report_us=900, told_us=1_000)
    seen = scene(PRESENT, denied, show("denied", 109 * MS))
    assert stages(seen) == {"radio": 8_000, "decide": 12, "report": 900, "tell": 88, "wire": 0}


def test_an_admitted_card_s_report_is_no_stage() -> None:
    assert stages(scene(PRESENT, tap(report_us=900), OPEN))["report"] == 0


def test_another_passenger_s_answer_does_not_count() -> None:
    before = Event(
        "visitor-board", {"event": "open", "tap": 5, "at_ns": 50 * MS}
    )  # of the lane's run before
    other = Event("visitor-board", {"event": "open", "tap": 4, "at_ns": 109 * MS})
    assert "wire" not in stages(scene(PRESENT, TAP, before, other, show("admitted", 109 * MS)))


def test_a_card_that_lies_there_gives_one_tap_its_radio() -> None:
    again = tap(tap=1, read_ns=9_000 * MS)
    assert "radio" not in stages(scene(PRESENT, TAP, again))


@pytest.mark.parametrize(("late_us", "radio_us"), [(12, [0]), (13, [])])
@pytest.mark.parametrize("is_lane_first", [True, False])
def test_a_card_that_came_in_the_middle_of_the_turn_that_decided_it_took_no_time_on_the_radio(
    late_us: int, radio_us: list[int], is_lane_first: bool
) -> None:
    present = Event(PRESENT.source, PRESENT.line | {"at_ns": 108 * MS + late_us * 1_000})
    found = stages(scene(TAP, present) if is_lane_first else scene(present, TAP))
    assert [us for name, us in found.items() if name == "radio"] == radio_us


@pytest.mark.parametrize("lines", [*permutations([PRESENT, TAP])])
def test_of_a_card_that_was_pulled_away_before_no_time_is_counted(lines: tuple[Event, ...]) -> None:
    early = Event(PRESENT.source, PRESENT.line | {"at_ns": 1 * MS})
    assert stages(scene(early, *lines))["radio"] == 8_000


def test_a_card_that_came_before_the_lane_was_there_has_no_radio() -> None:
    seen = Scene(UIDS)
    for lines in (PRESENT, *READY, TAP):
        seen.take(lines)
    assert "radio" not in stages(seen)


def test_who_waited_for_the_passage_before_has_waited() -> None:
    waited = scene(PRESENT, tap(waited=True), Event(OPEN.source, OPEN.line | {"at_ns": 1_108 * MS}))
    assert stages(waited) == {"radio": 8_000, "wait": 1_000_000}


def test_eight_earlier_taps_are_kept_newest_first() -> None:
    seen = scene(*(tap(tap=n, read_ns=n * MS) for n in range(1, 30)))
    picture = seen.picture()
    assert picture["tap"]["n"] == 29
    assert [each["n"] for each in picture["taps"]] == list(range(28, 20, -1))


def test_the_board_s_state_follows_its_events() -> None:
    seen = scene(
        Event("visitor-board", {"event": "session"}),
        OPEN,
        show("admitted", 109 * MS),
    )
    assert (seen.board.linked, seen.board.arms, seen.board.shows) == (True, "released", "admitted")
    for event in ("passed", "forced", "walked_free"):
        seen.take(Event("visitor-board", {"event": event}))
    assert (seen.board.arms, seen.board.passed, seen.board.forced, seen.board.walked_free) == (
        "locked",
        1,
        1,
        1,
    )
    seen.take(Event("visitor-board", {"event": "emergency", "on": True}))
    seen.take(Event("visitor-board", {"event": "lane_lost"}))
    assert (seen.board.linked, seen.board.arms, seen.board.emergency) == (False, "free", True)


def test_a_resting_picture_is_no_answer() -> None:
    seen = scene(show("ready", 5, hold_ms=0), show("ready", 7, by="board"))
    assert seen.answer_ns == 0
    seen.take(show("denied", 9))
    assert seen.answer_ns == 9


def test_cards_have_names_and_no_picture_has_a_number() -> None:
    clash = Event(
        "visitor-reader",
        {"event": "clash", "uids": ["04a1b2c3d4e5f6", "04a1b2c3d4e5f7"], "at_ns": 1},
    )
    seen = scene(clash, TAP)
    assert seen.picture()["reader"]["cards"] == ["matched", "unmatched"]
    left = {"event": "removed", "uid": "04a1b2c3d4e5f6", "at_ns": 2}
    seen.take(Event("visitor-reader", left | {"stage": "before-rats"}))
    seen.take(Event("visitor-reader", {"event": "unplugged", "at_ns": 3}))
    assert seen.picture()["reader"] == {"plugged": False, "cards": ["unmatched"], "left_early": 1}
    assert "04a1" not in json.dumps(seen.picture())


def test_the_count_of_delivered_reports_goes_on_over_a_restart_of_the_lane() -> None:
    lane = scene().lane
    lane.take_status(status(reports_delivered=3))
    lane.take_status(status(run_id="b", reports_delivered=0))
    lane.take_status(status(run_id="b", reports_delivered=2))
    assert lane.delivered == 5


def test_the_scene_with_a_status_is_json_with_the_lanes_percentiles() -> None:
    seen = scene()
    assert json.loads(json.dumps(seen.picture()))["percentiles"] == {
        "decided_us": None,
        "told_us": None,
    }
    seen.lane.take_status(status(decided_us=summary(9), told_us=summary(3)))
    assert json.loads(json.dumps(seen.picture()))["percentiles"] == {
        "decided_us": summary(9),
        "told_us": summary(3),
    }


def test_a_lane_that_is_gone_is_not_up_and_knows_no_device() -> None:
    seen = scene()
    seen.lane.take_status(status())
    assert seen.picture()["lane"] == {"up": True, "reader": "ready", "board": "ready"}
    seen.lane.gone()
    assert seen.picture()["lane"] == {"up": False, "reader": "unknown", "board": "unknown"}


def test_the_list_has_the_version_of_the_lane_s_log_and_only_that_list_s_facts() -> None:
    told = status(list_version=3, list_issued_unix_s=5, list_cards=9, list_state="fresh", unix_s=0)
    seen = scene()
    seen.lane.take_status(told)
    assert seen.picture()["list"] == {
        "version": 3,
        "issued_unix_s": 5,
        "cards": 9,
        "state": "fresh",
    }
    seen.take(Event("visitor-lane", {"event": "list", "list_version": 4}))
    unknown = {"issued_unix_s": None, "cards": None, "state": None}
    assert seen.picture()["list"] == {"version": 4, **unknown}, "its status is of the list before"
    seen.lane.take_status(replace(told, list_version=4, list_cards=10))
    assert seen.picture()["list"] == {
        "version": 4,
        "issued_unix_s": 5,
        "cards": 10,
        "state": "fresh",
    }
    seen.lane.gone()
    assert seen.picture()["list"] == {"version": None, **unknown}


def test_a_tap_is_past_once_another_card_has_come_and_only_a_verdict_counts_as_decided() -> None:
    seen = scene(PRESENT, TAP, OPEN)
    assert seen.picture()["tap_is_past"] is False
    seen.take(Event(PRESENT.source, PRESENT.line | {"at_ns": 900 * MS}))
    assert seen.picture()["tap_is_past"] is True
    seen.take(tap(tap=6, read_ns=908 * MS, outcome="try_again"))
    assert seen.picture()["tap_is_past"] is False
    seen.take(tap(tap=7, read_ns=950 * MS, outcome="denied", report_us=1))
    assert seen.taps.decided == 2


def test_the_display_s_texts_lamp_and_tone_are_the_board_s() -> None:
    words = {"text_tr": "Hizmet dışı", "text_en": "Out of service", "lamp": "off", "tone": None}
    shown = Event("visitor-board", {**show("out_of_service", 5).line, **words})
    assert scene(shown).picture()["board"].items() >= words.items()


def test_who_walked_through_is_counted_from_the_last_emergency_on() -> None:
    def board(event: str, **more: object) -> Event:
        return Event("visitor-board", {"event": event, **more})

    seen = scene(
        board("forced"), board("emergency", on=True), board("walked_free"), board("walked_free")
    )
    picture = seen.picture()["board"]
    assert (picture["walked_since"], picture["emergencies"], picture["pushed"]) == (2, 1, "through")
    for lines in (board("emergency", on=False), board("forced"), board("emergency", on=True)):
        seen.take(lines)
    picture = seen.picture()["board"]
    assert (picture["walked_since"], picture["emergencies"], picture["pushed"]) == (0, 2, "held")
