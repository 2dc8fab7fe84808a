"""What the courier makes of its lanes' words about the list that it holds."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gate.console_lane import FakeLane, fake_lane, status_line
from validator.courier.lane_lists import LaneLists

TORN = "list version 7 of era 2 is not used: a.seg: body checksum does not match"


@pytest.fixture
def lane(tmp_path: Path) -> Iterator[FakeLane]:
    with fake_lane(tmp_path / "lane.sock") as made:
        yield made


def says(lane: FakeLane, **changes: Any) -> None:
    """Answer with this from now on."""
    answer = json.dumps(status_line(**changes)).encode() + b"\n"
    lane.answers = lambda _request: answer


def test_a_lane_that_uses_the_list_refuses_nothing(lane: FakeLane) -> None:
    assert LaneLists([lane.path]).refused(2, 7) == ""


def test_a_lane_that_refuses_the_list_is_named_with_its_reason_at_once(lane: FakeLane) -> None:
    says(lane, list_version=6, lists_refused=[[2, 8], [2, 7]], list_problems=[TORN])
    assert LaneLists([lane.path]).refused(2, 7) == f"{lane.path}: {TORN}"
    assert LaneLists([lane.path]).refused(1, 7) == "", "the list of another era is another list"


def test_one_lane_of_several_is_enough(lane: FakeLane, tmp_path: Path) -> None:
    says(lane, list_version=None, lists_refused=[[2, 7]], list_problems=[TORN])
    with fake_lane(tmp_path / "other.sock") as other:
        assert (
            LaneLists([other.path, tmp_path / "gone.sock", lane.path]).refused(2, 7).endswith(TORN)
        )


def test_a_lane_that_does_not_see_the_list_counts_when_it_is_so_at_the_next_poll_too(
    lane: FakeLane,
) -> None:
    unreadable = "/lists: Permission denied; check list.folder"
    says(lane, list_version=None, lists_refused=[], list_problems=[unreadable])
    lanes = LaneLists([lane.path])
    assert lanes.refused(2, 7) == "", "it may only be about to scan"
    assert lanes.refused(2, 8) == ""
    assert lanes.refused(2, 8) == f"{lane.path}: {unreadable}"
    says(lane, list_version=8)
    assert lanes.refused(2, 8) == ""


@pytest.mark.parametrize("answer", [b"", b"?\n", b'{"status":{}}\n', b'{"error":"busy"}\n'])
def test_a_lane_that_answers_something_else_refuses_nothing(lane: FakeLane, answer: bytes) -> None:
    lane.answers = lambda _request: answer
    assert [LaneLists([lane.path]).refused(2, 7) for _ in range(2)] == ["", ""]


@pytest.mark.parametrize(
    "fields",
    [
        {"lists_refused": 5, "list_problems": "text"},
        {"lists_refused": [7, None], "list_problems": [None, {}]},
        {"lists_refused": None, "list_problems": None},
    ],
)
def test_a_lane_of_another_version_does_not_end_the_courier(
    lane: FakeLane, fields: dict[str, Any]
) -> None:
    says(lane, list_version="7", **fields)
    lanes = LaneLists([lane.path])
    assert all(isinstance(lanes.refused(2, 7), str) for _ in range(2))


def test_each_lane_is_notified_that_a_list_was_installed_and_one_that_is_gone_is_ignored(
    lane: FakeLane, tmp_path: Path
) -> None:
    with fake_lane(tmp_path / "other.sock") as other:
        LaneLists([tmp_path / "gone.sock", other.path, lane.path]).list_changed()
        assert (other.asked, lane.asked) == (["list_changed"], ["list_changed"])


@pytest.mark.parametrize("answer", [b"", b'{"error":"busy"}\n'])
def test_a_lane_that_cannot_take_the_news_does_not_end_the_courier(
    lane: FakeLane, answer: bytes
) -> None:
    lane.answers = lambda _request: answer
    LaneLists([lane.path]).list_changed()
    assert lane.asked == ["list_changed"]
