"""What a page is sent of the lanes: status and outcomes, and never the ground of a refusal."""

import json
from pathlib import PurePath

import msgspec
import pytest

from tests.support.gate.console_lane import NOW_UNIX_S, counts, courier, status, summary, tap
from validator.console.gate import TAPS_MAX, Gate, Lane
from validator.console.lane_line import Gone

STATUS_SHOWN = {
    "gate_id": "kadikoy-03",
    "lane": 1,
    "version": "0.1.0",
    "run_id": "00112233aabbccdd",
    "uptime_s": 60,
    "devices": {"reader": "ready", "board": "ready"},
    "emergency": False,
    "tamper": False,
    "forced": 0,
    "taps": {"admitted": 5, "denied": 3, "try_again": 1},
    "unix_s": NOW_UNIX_S,
    "clock_synchronised": True,
    "list_state": "fresh",
    "list_version": 7,
    "list_issued_unix_s": NOW_UNIX_S - 40,
    "list_expires_unix_s": NOW_UNIX_S + 345_560,
    "list_cards": 8_260_000,
    "list_problems": [],
    "reports_waiting": 2,
    "reports_refused": 0,
    "reports_rejected": 0,
    "reports_delivered": 3,
    "reports_trouble": "",
    "notes_dropped": 0,
    "disk_free_bytes": 5_000_000_000,
    "decided_us": summary(9),
    "told_us": summary(9),
    "filed_us": summary(3),
    "told_before_durable": 0,
    "courier": courier(),
}
"""What a page is sent of the status of console_lane.status(): no ground of a denial."""


def gate(*sockets: str) -> Gate:
    return Gate(
        "kadikoy-03",
        "0.2.0",
        [PurePath("/run/turnike", socket) for socket in sockets or ("lane-1.sock",)],
    )


def test_a_lane_that_never_answered_is_shown_as_down() -> None:
    assert gate("lane-1.sock").state() == {
        "gate_id": "kadikoy-03",
        "console_version": "0.2.0",
        "lanes": [
            {
                "lane": 1,
                "socket": "lane-1.sock",
                "up": False,
                "problem": "no answer yet",
                "status": None,
                "taps": (),
                "faults": [
                    {"name": "away", "why": "no answer yet", "number": None, "is_note": False}
                ],
            }
        ],
    }


def test_a_page_is_sent_the_lanes_status_but_for_the_grounds() -> None:
    shown = gate()
    lane = shown.lanes[0]
    lane.take(status())
    lane.take(counts())
    lane.take(tap())
    state = json.loads(msgspec.json.encode(shown.state()))
    assert state["lanes"] == [
        {
            "lane": 1,
            "socket": "lane-1.sock",
            "up": True,
            "problem": "",
            "status": STATUS_SHOWN,
            "taps": [
                {
                    "tap": 9,
                    "token": "4f1a",
                    "outcome": "denied",
                    "decided_us": 12,
                    "told_us": None,
                    "unix_s": NOW_UNIX_S,
                }
            ],
            "faults": [],
        }
    ]
    assert not [
        word for word in ("ground", "in table", "list missing", "rule") if word in json.dumps(state)
    ]


def test_the_last_taps_are_kept_newest_first_until_the_lane_s_next_run() -> None:
    lane = Lane(PurePath("lane-1.sock"))
    lane.take(status(run_id="first"))
    lane.take(counts(run_id="first"))
    for number in range(1, TAPS_MAX + 6):
        lane.take(tap(tap=number))
    assert [each.tap for each in lane.taps] == list(range(TAPS_MAX + 5, 5, -1))
    lane.take(Gone("it hung up"))
    assert len(lane.taps) == TAPS_MAX
    lane.take(status(run_id="second"))
    assert (len(lane.taps), lane.counts) == (0, None)


def test_a_lane_that_is_gone_is_shown_with_its_last_status() -> None:
    lane = Lane(PurePath("lane-1.sock"))
    lane.take(status())
    lane.take(Gone("it hung up"))
    shown = lane.shown()
    assert (shown["up"], shown["problem"]) == (False, "it hung up")
    assert shown["status"]["list_version"] == 7


@pytest.mark.parametrize(
    ("socket", "number"),
    [
        ("lane-1.sock", 1),
        ("lane-12.sock", 12),
        ("lane.sock", None),
        ("lane-0.sock", None),
        ("7.sock", 7),
    ],
)
def test_a_lane_has_the_number_of_its_status_and_before_that_the_one_of_its_socket(
    socket: str, number: int | None
) -> None:
    lane = Lane(PurePath(socket))
    assert lane.number == number
    lane.take(status(lane=3))
    assert lane.number == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"devices": {"reader": "lost", "board": "ready"}},
        {"emergency": True},
        {"tamper": True},
        {"forced": 1},
        {"clock_synchronised": False},
        {"list_state": "stale"},
        {"list_version": 8},
        {"list_problems": ["segment 3: damaged"]},
        {"reports_waiting": 3},
        {"reports_delivered": 4},
        {"reports_trouble": "No space left on device"},
        {"run_id": "another"},
    ],
)
def test_what_an_operator_waits_for_is_sent_at_once(changes: dict[str, object]) -> None:
    lane = Lane(PurePath("lane-1.sock"))
    assert lane.take(status()) is True
    assert lane.take(status(unix_s=NOW_UNIX_S + 1, uptime_s=61)) is False
    assert lane.take(status(**changes)) is True
    assert lane.take(status(**changes)) is False


def test_coming_and_going_is_sent_at_once_and_once() -> None:
    lane = Lane(PurePath("lane-1.sock"))
    assert [
        lane.take(said)
        for said in (
            Gone("refused"),
            Gone("refused"),
            status(),
            status(),
            Gone("a"),
            Gone("a"),
            status(),
        )
    ] == [True, False, True, False, True, False, True]


def test_time_that_goes_by_changes_nothing_that_a_page_needs() -> None:
    shown = gate()
    lane = shown.lanes[0]
    lane.take(status())
    still = shown.still()
    lane.take(status(unix_s=NOW_UNIX_S + 9, uptime_s=69))
    assert shown.still() == still
    lane.take(tap())
    assert shown.still() != still


def test_the_day_is_that_of_all_lanes_in_order_of_time() -> None:
    shown = gate("lane-1.sock", "lane-2.sock")
    for step in range(2):
        for number, lane in enumerate(shown.lanes, 1):
            lane.take(status(lane=number, unix_s=NOW_UNIX_S + 300 * step))
            lane.take(counts({"told": [5_000] * step * number, "decided": [1_000] * step * number}))
    day = shown.day()
    assert [(slot["unix_s"] - day[0]["unix_s"], slot["lane"], slot["count"]) for slot in day] == [
        (0, 1, 0),
        (0, 2, 0),
        (300, 1, 1),
        (300, 2, 2),
    ]
    assert day[-1]["told_us"] == {"p50": 5, "p99": 5, "p999": 5}
