"""What page and `top` call wrong: with one thing changed, neither calls a lane well.

Each names what is wrong.
"""

import json
import re
from contextlib import suppress
from io import StringIO
from pathlib import Path, PurePath
from typing import Any

import pytest
from rich.console import Console

from tests.support.gate.console_lane import NOW_UNIX_S, courier, status, unheard_courier
from validator.console.assets import FOLDER
from validator.console.faults import FORCED_S, QUIET_S, WAITING_MAX, Fault
from validator.console.gate import Gate
from validator.console.lane_line import Gone
from validator.console.lane_words import GarbageError
from validator.console.terminal.view import draw
from validator.console.terminal.words import FAULTS
from validator.errors import SourceState
from validator.ipc.answers import LaneStatus

DISK = "/l: Read-only file system"


def ago(seconds: int, **changes: Any) -> dict[str, Any]:
    """A courier that asked the city `seconds` ago, and should have asked again after 36."""
    return {"courier": courier(polled_unix_s=NOW_UNIX_S - seconds, **changes)}


CHANGES: list[tuple[dict[str, Any], str, str]] = [
    ({"devices": {"reader": "lost", "board": "ready"}}, "reader", "reader lost"),
    ({"devices": {"reader": "ready", "board": "lost"}}, "board", "board lost"),
    ({"devices": {"board": "ready"}}, "reader", "reader lost: no report yet"),
    ({"devices": {}}, "board", "board lost: no report yet"),
    ({"list_state": "missing"}, "missing", "list missing"),
    ({"list_state": "stale"}, "stale", "list stale"),
    (
        {"list_state": "corrupt", "list_problems": ["version 8: damaged"]},
        "corrupt",
        "version 8: damaged",
    ),
    ({"list_state": "something newer"}, "list", "list: something newer"),
    (
        {"list_version": None},
        "list",
        "the lane does not report which one is in force, or until when",
    ),
    (
        {"list_expires_unix_s": None},
        "list",
        "the lane does not report which one is in force, or until when",
    ),
    ({"list_expires_unix_s": NOW_UNIX_S}, "stale", "list stale"),
    ({"list_problems": [DISK]}, "problems", f"list problem: {DISK}"),
    (
        {"reports_trouble": "no space left\x1b[2J"},
        "trouble",
        "reports cannot be kept: no space left\\x1b[2J",
    ),
    ({"reports_waiting": None}, "uncounted", "how many reports wait is unknown"),
    ({"reports_rejected": None}, "uncounted", "how many reports wait is unknown"),
    ({"reports_refused": 4_000}, "refused", "4,000 reports lost"),
    ({"reports_rejected": 1}, "rejected", "1 reports quarantined: the city rejected them"),
    ({"reports_waiting": WAITING_MAX + 1}, "waiting", "1,001 reports wait"),
    ({"disk_free_bytes": None}, "disk_unknown", "disk unknown"),
    ({"disk_free_bytes": 0}, "disk", "hardly any room"),
    ({"disk_free_bytes": 199_999_999}, "disk", "hardly any room"),
    (
        {"courier": unheard_courier()},
        "unheard",
        "courier: has reported nothing since the boot; is it running?",
    ),
    ({"courier": unheard_courier("no status: longer")}, "unheard", "no status: longer"),
    (
        ago(36 + QUIET_S + 1),
        "quiet",
        "courier: last poll 2 min ago: stopped, or downloading a large list",
    ),
    (
        ago(400_000, silent=True),
        "quiet",
        "courier: last poll 4 d 15 h ago: stopped, or downloading a large list",
    ),
    (
        ago(20, silent=True),
        "quiet",
        "courier: last poll 20 s ago: stopped, or downloading a large list",
    ),
    (
        ago(20, silent=None, asks_within_s=None),
        "untold",
        "courier: unknown whether it runs; run turnike check",
    ),
    (ago(-86_400), "untold", "courier: unknown whether it runs; run turnike check"),
    ({"courier": courier(state="disk", problem=DISK)}, "courier", f"courier: disk: {DISK}"),
    ({"courier": courier(problem="half a thing")}, "courier", "courier: half a thing"),
    (
        {"courier": courier(upload={"state": "refused", "problem": "401"})},
        "upload",
        "do not reach the city: 401",
    ),
    (
        {"courier": courier(upload={"state": "disk", "problem": ""})},
        "upload",
        "do not reach the city: disk",
    ),
    (
        {"courier": courier(upload={"state": "fresh", "problem": "x"})},
        "upload",
        "do not reach the city: x",
    ),
    ({"emergency": True}, "emergency", "emergency"),
    ({"tamper": True}, "tamper", "housing open"),
    ({"forced": 3}, "forced", "locked arms turned, 3 times"),
    *(
        (
            {"courier": courier(state=state.value, problem="why")},
            "courier",
            f"courier: {state.value}: why",
        )
        for state in SourceState
        if state is not SourceState.FRESH
    ),
]


def gate(*said: LaneStatus | Gone) -> Gate:
    made = Gate("kadikoy-03", "0.2.0", [PurePath("/run/turnike/lane-1.sock")])
    for each in said:
        made.lanes[0].take(each)
    return made


def drawn(made: Gate, width: int = 200) -> str:
    """`top` on a terminal so wide, without the spaces and frames that a narrow one needs."""
    out = StringIO()
    Console(file=out, width=width, height=50).print(draw(made))
    return " ".join(out.getvalue().split())


def names(made: Gate) -> list[str]:
    """What the page is sent."""
    return [
        fault["name"]
        for lane in json.loads(json.dumps(made.state()["lanes"], default=repr))
        for fault in lane["faults"]
    ]


def test_both_call_a_gate_with_nothing_wrong_well() -> None:
    for well in (
        status(),
        status(courier=None),
        status(**ago(36 + QUIET_S)),
        status(reports_waiting=WAITING_MAX),
    ):
        assert (names(gate(well)), "kadikoy-03 is well" in drawn(gate(well))) == ([], True)


@pytest.mark.parametrize(("changes", "name", "words"), CHANGES)
def test_with_one_thing_changed_neither_calls_it_well_and_both_name_it(
    changes: dict[str, Any], name: str, words: str
) -> None:
    made = gate(status(**changes))
    assert name in names(made)
    assert not made.lanes[0].faults[0].is_note
    said = drawn(made)
    assert "is well" not in said
    assert words in said


def test_every_field_of_a_status_that_can_be_unknown_is_wrong_when_it_is() -> None:
    unknown = []
    for field in LaneStatus.__struct_fields__:
        with suppress(GarbageError):  # a field that cannot be unknown
            unknown.append((field, names(gate(status(**{field: None})))))
    assert len(unknown) >= 7
    assert [field for field, faults in unknown if not faults] == ["courier"], (
        "null: the gate has none"
    )


def test_a_clock_that_is_not_synchronised_is_shown_and_is_no_reason_to_call_a_gate_unwell() -> None:
    made = gate(status(clock_synchronised=False))
    assert made.lanes[0].faults == (Fault("clock", is_note=True),)
    assert "is well, but clock not synchronised" in drawn(made)


def test_a_lane_that_does_not_answer_is_not_well_whatever_its_last_status_was() -> None:
    made = gate(status(), Gone("no answer in 5 s"))
    assert names(made) == ["away"]
    assert "not running (no answer in 5 s)" in drawn(made)


def test_forced_arms_are_a_fault_for_a_quarter_of_an_hour_and_then_a_figure() -> None:
    made = gate(status(uptime_s=10), status(forced=1, uptime_s=1_000))
    made.lanes[0].take(status(forced=1, uptime_s=1_000 + FORCED_S - 1))
    assert names(made) == ["forced"]
    made.lanes[0].take(status(forced=1, uptime_s=1_000 + FORCED_S))
    assert names(made) == []
    assert "forced 1 times" in drawn(made)
    made.lanes[0].take(status(forced=2, uptime_s=9_000))
    assert names(made) == ["forced"]
    made.lanes[0].take(status(forced=1, uptime_s=5, run_id="another"))
    assert names(made) == ["forced"]
    made.lanes[0].take(status(forced=1, uptime_s=5 + FORCED_S, run_id="another", unix_s=0))
    assert "forced" not in names(made)


def test_a_courier_that_falls_silent_is_news_for_an_open_page_and_its_age_alone_is_not() -> None:
    made = gate(status())
    still = made.still()
    lane = made.lanes[0]
    assert lane.take(status(unix_s=NOW_UNIX_S + 100)) is False
    assert made.still() == still
    assert lane.take(status(unix_s=NOW_UNIX_S + 200)) is True
    still = made.still()
    assert lane.take(status(unix_s=NOW_UNIX_S + 201)) is False
    assert made.still() == still


def keys(words: str, table: str) -> set[str]:
    """The keys of a table of words, each of which begins a line."""
    lines = words.split(f"\n  {table}: {{\n", 1)[1].split("\n  },", 1)[0].splitlines()
    found = [re.match(r'    (?:(\w+)|"([^"]+)"): ', line) for line in lines]
    return {key[1] or key[2] for key in found if key is not None}


def test_page_and_top_have_words_for_the_same_faults_in_every_language() -> None:
    for language in ("en", "tr"):
        text = (Path(FOLDER) / f"status_words_{language}.js").read_text()
        assert keys(text, "faults") == set(FAULTS)
        assert keys(text, "courierStates") == {state.value for state in SourceState}
    assert {name for _, name, _ in CHANGES} | {"away", "clock"} == set(FAULTS)
