"""A lane's lines as the console reads them: narrow forms, and nothing that is not meant for it."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.gate.console_lane import (
    CARDS,
    counts,
    histogram_line,
    status,
    status_line,
    tap,
    tap_line,
)
from validator.console.lane_words import GarbageError, News, Tap, heard
from validator.ipc.answers import Counts, LaneStatus, Refusal, Watching


def said(line: Any) -> Any:
    return heard(json.dumps(line).encode() + b"\n")


def test_each_line_becomes_a_value_of_its_own() -> None:
    assert isinstance(said(status_line()), LaneStatus)
    assert isinstance(said(histogram_line()), Counts)
    assert said({"watching": True}) == Watching()
    assert said({"error": "the disk does not answer"}) == Refusal("the disk does not answer")
    assert said({"event": "reader", "state": "lost", "reason": "gone"}) == News("reader")
    assert said({"event": "dropped", "count": 3}) == News("dropped")
    assert said(tap_line()) == Tap(9, "4f1a", "denied", 12, 1_780_000_000)
    assert said(tap_line(outcome="admitted")) == Tap(9, "4f1a", "admitted", 12, 1_780_000_000, 402)


def test_a_tap_that_is_received_has_no_ground() -> None:
    for ground in ("in table", "list missing"):
        assert "ground" not in repr(tap(ground=ground, rule="matched"))
        assert tap(ground=ground) == tap(ground="", rule="", verdict="admit")


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("field", ["token", "outcome"])
def test_a_tap_whose_words_hold_a_card_is_not_taken(field: str, card: str) -> None:
    with pytest.raises(GarbageError) as caught:
        said(tap_line(**{field: card}))
    assert card not in str(caught.value)


@pytest.mark.parametrize("card", CARDS)
def test_fields_that_are_not_meant_for_the_console_are_dropped(card: str) -> None:
    assert card not in repr(said(tap_line(uid=card, fingerprint=card)))
    assert card not in repr(said(status_line(last_uid=card, cards=[card])))
    assert card not in repr(said({"event": "reader", "reason": card}))


@pytest.mark.parametrize(
    "changes",
    [
        {"lane": 0},
        {"lane": 100},
        {"lane": "1"},
        {"uptime_s": -1},
        {"taps": [{"outcome": "denied", "ground": "in table", "count": -1}]},
        {"taps": [{"outcome": 'denied"} 1\nturnike_up', "ground": "", "count": 1}]},
        {"taps": [{"outcome": "a", "ground": "", "count": 1}] * 101},
        {"devices": {"reader\n": "ready"}},
        {"devices": []},
        {"list_version": "7"},
        {"reports_trouble": "x" * 2_001},
        {"decided_us": {}},
        {"gate_id": None},
        {"unix_s": 1 << 70},
    ],
)
def test_a_status_of_another_form_is_not_taken(changes: dict[str, Any]) -> None:
    with pytest.raises(GarbageError):
        said(status_line(**changes))


def test_a_lane_without_a_list_and_with_a_disk_that_does_not_answer_is_taken() -> None:
    gone = dict.fromkeys(
        ("list_version", "list_issued_unix_s", "list_expires_unix_s", "disk_free_bytes")
    )
    heard_status = status(list_state="missing", list_cards=0, devices={}, taps=[], **gone)
    assert (heard_status.list_version, heard_status.disk_free_bytes, heard_status.taps) == (
        None,
        None,
        (),
    )


def test_counts_are_read_as_the_lane_counts_them() -> None:
    assert counts({"told": [5, 5, 1_000_000]}).histograms.told.counts == ((5, 2), (1_015_807, 1))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"null",
        b"[]",
        b"{}",
        b"7",
        b"\xff\xfe\n",
        b'{"event":null}',
        b'{"event":7}',
        b'{"event":"tap"}',
        b'{"status":{}}',
        b'{"status":null}',
        b'{"histograms":{"decided":{"counts":[[1]]}}}',
        b'{"histograms":{}}',
        b'{"watching":"yes"}',
        b"[" * 100_000,
        b'{"event":"reader"} {"event":"reader"}',
    ],
)
def test_what_no_lane_sends_is_one_clear_line(line: bytes) -> None:
    with pytest.raises(GarbageError) as caught:
        heard(line)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_garbage(line: bytes) -> None:
    with suppress(GarbageError):
        heard(line)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = [*status_line()["status"]]


@given(st.sampled_from(FIELDS), JSON)
def test_no_value_of_any_field_of_a_status_is_a_fault_of_ours(field: str, value: Any) -> None:
    with suppress(GarbageError):
        assert isinstance(said(status_line(**{field: value})), LaneStatus)
