"""The commands about gates: tokens, stolen gates, and the status of each on a terminal."""

import json
import re

import pytest

from backoffice.home.folder import DAY_S
from backoffice.reports.gate_views import views
from backoffice.reports.store import EnrolmentError
from tests.support.city.report_commands import Desk, status
from tests.support.city.statuses import set_status
from tests.support.gate.reports import NOW_UNIX_S


def enrolled(city: Desk, gate_id: str) -> None:
    """Enrol a gate as people do it."""
    token = city.types("enroll", gate_id).strip()
    city.store.enrol(gate_id, token, b"k" * 32, NOW_UNIX_S)


def test_enroll_prints_a_token_that_enrols_this_gate_once_and_nothing_else(city: Desk) -> None:
    said = city.types("enroll", "kadikoy-03")
    assert re.fullmatch(r"[0-9a-f]{40}\n", said)
    with pytest.raises(EnrolmentError):
        city.store.enrol("kadikoy-04", said.strip(), b"k" * 32, NOW_UNIX_S)
    city.store.enrol("kadikoy-03", said.strip(), b"k" * 32, NOW_UNIX_S + 6 * DAY_S)
    assert city.store.public_key("kadikoy-03") == b"k" * 32


def test_enroll_refuses_what_no_gate_is_called(city: Desk) -> None:
    for gate_id in ("", "../a", "a b", "a" * 33, "ş", "a\n"):
        assert "is no gate's name" in city.refused("enroll", gate_id)


def test_a_stolen_gate_is_struck_off_by_one_command(city: Desk) -> None:
    enrolled(city, "kadikoy-03")
    assert "struck off" in city.types("strike-off", "kadikoy-03")
    assert city.store.public_key("kadikoy-03") is None
    assert "was struck off already" in city.types("strike-off", "kadikoy-03")
    assert "no such gate is enrolled" in city.refused("strike-off", "kadikoy-3")
    assert "STRUCK OFF 2027-01-15" in city.types("gates")


def test_gates_shows_the_status_of_each(city: Desk) -> None:
    for gate_id, told, ago_s in (
        ("a", status(), 20),
        (
            "b",
            status(
                devices={"reader": "lost", "board": "ready"}, reports_trouble="the disk is full"
            ),
            20,
        ),
        ("c", status(), 600),
        ("d", None, 0),
    ):
        enrolled(city, gate_id)
        if told:
            set_status(city.store, gate_id, 1, NOW_UNIX_S - ago_s, told)
    assert city.types("gates").splitlines() == [
        "a  status 20 s ago, list 7 (10 min old), board ready, reader ready, 3 reports wait",
        "b  status 20 s ago, list 7 (10 min old), board ready, reader lost, 3 reports wait",
        "    TROUBLE reader lost",
        "    TROUBLE the disk is full",
        "c  status 10 min ago, list 7 (10 min old), board ready, reader ready, 3 reports wait",
        "    TROUBLE silent for 10 min",
        "d  enrolled 2027-01-15 08:00:00 UTC, no status yet",
        "4 gates, 2 in trouble, 0 struck off",
    ]
    first = json.loads(city.types("gates", "--json"))[0]
    assert (first["gate_id"], first["list_version"], first["reports_waiting"]) == ("a", 7, 3)


def test_a_gate_that_a_busy_server_has_slowed_down_is_silent_only_after_three_missed_statuses(
    city: Desk,
) -> None:
    said = {
        "at-rest": (900, 2_699),
        "gone": (900, 2_700),
        "liar": (10**9, 2_700),
        "well": (0, 179),
        "off": (0, 180),
    }
    for gate_id, (every_s, ago_s) in said.items():
        enrolled(city, gate_id)
        set_status(city.store, gate_id, 1, NOW_UNIX_S - ago_s, status(every_s))
    silent = {view.gate_id for view in views(city.store.gate_rows(), NOW_UNIX_S) if view.troubles}
    assert silent == {"gone", "liar", "off"}


UNKNOWN = "it is not known how many reports wait"


HOSTILE = {
    "{}": UNKNOWN,
    '{"lanes": [{"reports_waiting": 2}, {"reports_waiting": 3}]}': "5 reports wait",
    '{"lanes": [{"reports_waiting": 2}, {"reports_waiting": null}]}': UNKNOWN,
    '{"lanes": [{"reports_waiting": 2}, {"problem": "gone"}]}': UNKNOWN,
    '{"lanes": 3}': "TROUBLE its status cannot be read",
    '{"lanes": [{"problem": "\\u001b[2J\\nall well"}]}': "TROUBLE ?[2J?all well",
    '{"lanes": [{"list_version": 1, "devices": {"\\u001b": "\\u0007"}}]}': "TROUBLE ? ?",
    '{"lanes": [{"problem": "no lane"}, {"list_version": 1}]}': "TROUBLE lane 1: no lane",
    '{"lanes": [{}]}': "TROUBLE no list",
    '{"carrier": {"state": "away", "problem": "no way"}}': "TROUBLE reports: no way",
    '{"courier": {"state": "frozen"}}': "TROUBLE lists: frozen",
    '{"lanes": [{"list_version": 1, "reports_refused": 9}]}': "TROUBLE 9 reports refused",
    '{"lanes": [{"list_version": 1, "emergency": true}]}': "TROUBLE emergency: its arms hang free",
    '{"lanes": [{"list_version": 1, "tamper": true}]}': "TROUBLE its housing is open",
    '{"lanes": [{"list_version": 1, "forced": 2}]}': "TROUBLE locked arms were turned 2 times",
}


def test_any_status_of_a_gate_is_harmless_to_a_terminal(city: Desk) -> None:
    enrolled(city, "a")
    for created, (told, seen) in enumerate(HOSTILE.items(), start=1):
        set_status(city.store, "a", created, NOW_UNIX_S, told)
        said = city.types("gates")
        assert seen in said, told
        assert "\x1b" not in said
        json.loads(city.types("gates", "--json"))
