"""Answers of lanes of other versions: keys that are new or missing, to each reader of a status."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.gate.console_lane import fake_lane
from validator.console.lane_words import GarbageError, heard
from validator.errors import LaneGoneError
from validator.ipc.answers import (
    Counts,
    CourierHealth,
    LaneStatus,
    ListStatus,
    NotableStatus,
    OutboxStatus,
)
from validator.ipc.client import LaneClient
from validator.lists.names import ListName

LINES = [
    json.loads(line) for line in Path("tests/golden/lane_answers.jsonl").read_bytes().splitlines()
]
STATUS: dict[str, Any] = LINES[0]["status"]
OPTIONAL = {"lists_refused", "courier"}
REQUIRED = [key for key in STATUS if key not in OPTIONAL]
"""Without one of these a lane must not be shown as well."""


@contextmanager
def asked(folder: Path, status: Any) -> Iterator[LaneClient]:
    """A client of a lane that answers with this status."""
    line = json.dumps({"status": status}).encode() + b"\n"
    with (
        fake_lane(folder / "lane.sock", lambda _: line) as lane,
        closing(LaneClient(lane.path)) as client,
    ):
        yield client


def with_new_keys(value: Any) -> Any:
    """The same answer from a later lane: each object has keys unknown here."""
    match value:
        case dict():
            return {"zz_new": [1, {"zz": None}]} | {
                key: with_new_keys(each) for key, each in value.items()
            }
        case list():
            return [with_new_keys(each) for each in value]
        case _:
            return value


def test_a_later_lanes_new_keys_are_passed_over_by_every_reader(tmp_path: Path) -> None:
    later = with_new_keys(STATUS) | {"devices": STATUS["devices"]}
    with asked(tmp_path, STATUS) as lane:
        today = (lane.status(), lane.list_status(), lane.outbox_status())
    with asked(tmp_path, later) as lane:
        assert (lane.status(), lane.list_status(), lane.outbox_status()) == today
    assert heard(json.dumps({"status": later}).encode()) == heard(
        json.dumps({"status": STATUS}).encode()
    )
    assert isinstance(heard(json.dumps(with_new_keys(LINES[1])).encode()), Counts)


def test_a_status_goes_to_the_city_as_the_lane_wrote_it(tmp_path: Path) -> None:
    later = with_new_keys(STATUS) | {"devices": STATUS["devices"]}
    with asked(tmp_path, later) as lane:
        forwarded, notable = lane.status_to_forward()
    assert bytes(forwarded) == json.dumps(later).encode()
    assert notable == NotableStatus(
        STATUS["devices"], 3, "", emergency=True, tamper=False, forced=1
    )


def test_keys_that_an_older_lane_lacks_have_defaults(tmp_path: Path) -> None:
    older = {key: value for key, value in STATUS.items() if key not in OPTIONAL}
    with asked(tmp_path, older) as lane:
        status = lane.status()
    assert (status.lists_refused, status.courier) == ((), None)
    courier = {
        key: STATUS["courier"][key]
        for key in STATUS["courier"]
        if key not in ("upload", "asks_within_s")
    }
    with asked(tmp_path, STATUS | {"courier": courier}) as lane:
        health = lane.status().courier
    assert health is not None
    assert (health.upload, health.asks_within_s, health.state) == (None, None, "unreachable")


@pytest.mark.parametrize("key", REQUIRED)
def test_a_status_without_a_key_of_which_nothing_may_be_assumed_is_none(
    key: str, tmp_path: Path
) -> None:
    less = {name: value for name, value in STATUS.items() if name != key}
    with asked(tmp_path, less) as lane, pytest.raises(LaneGoneError, match="cannot be read"):
        lane.status()
    with pytest.raises(GarbageError):
        heard(json.dumps({"status": less}).encode())


def test_courier_and_check_read_a_lane_of_any_version(tmp_path: Path) -> None:
    with asked(tmp_path, {}) as lane:
        assert lane.list_status() == ListStatus(None, (), ())
        assert lane.outbox_status() == OutboxStatus(None, None, None, "")
        assert lane.status_to_forward() == (msgspec.Raw(b"{}"), NotableStatus())
    with asked(tmp_path, STATUS) as lane:
        assert lane.list_status() == ListStatus(
            3, tuple(STATUS["list_problems"]), (ListName(1, 9),)
        )
        assert lane.outbox_status() == OutboxStatus(0, 0, 0, "")


@pytest.mark.parametrize("part", [ListStatus, OutboxStatus, NotableStatus])
def test_each_part_of_a_status_has_only_keys_that_a_status_has(part: type[msgspec.Struct]) -> None:
    assert set(part.__struct_fields__) <= set(LaneStatus.__struct_fields__)


def test_a_status_has_exactly_the_keys_of_the_golden_line() -> None:
    assert [*LaneStatus.__struct_fields__] == [*STATUS]
    assert [*CourierHealth.__struct_fields__] == [*STATUS["courier"]]
