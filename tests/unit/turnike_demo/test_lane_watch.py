"""The demo asks its lanes for their status without waiting for them."""

import os
import select
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.gate.console_lane import FakeLane, well
from turnike_demo.gate.lane_watch import LaneWatch
from turnike_demo.processes.events import Event, Mailbox

LIMIT_S = 90.0


def next_status(watch: LaneWatch) -> Any:
    """Wait for the next status, and return it."""
    while True:
        assert select.select([watch], [], [], LIMIT_S)[0], "no status came"
        for event in watch.events():
            assert event.is_("lane-status", "status")
            return event.line["status"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lane.sock"


def test_a_lane_is_asked_again_and_again_and_at_once_when_nudged(path: Path) -> None:
    lane = FakeLane(path)
    with closing(LaneWatch("lane-status", path)) as watch:
        assert next_status(watch).reports_waiting == 2
        watch.nudge()
        assert next_status(watch).reports_waiting == 2
    assert lane.asked[:2] == ["status", "status"]


def test_the_demo_does_not_wait_for_a_slow_lane(path: Path) -> None:
    was_asked, may_answer = threading.Event(), threading.Event()

    def slowly(request: str) -> bytes:
        was_asked.set()
        may_answer.wait(LIMIT_S)
        return well(request)

    FakeLane(path, slowly)
    with closing(LaneWatch("lane-status", path)) as watch:
        assert was_asked.wait(LIMIT_S)
        watch.nudge()
        assert list(watch.events()) == []
        may_answer.set()
        assert next_status(watch).reports_waiting == 2


def test_a_missing_lane_has_no_status_until_it_comes(path: Path) -> None:
    with closing(LaneWatch("lane-status", path)) as watch:
        assert next_status(watch) is None
        FakeLane(path)
        while (status := next_status(watch)) is None:
            watch.nudge()
        assert status.reports_waiting == 2


def test_a_closed_mailbox_never_writes_to_another_file_of_the_same_number() -> None:
    mailbox = Mailbox()
    mailbox.close()
    theirs, written = os.pipe2(os.O_NONBLOCK)  # with the numbers that have become free
    mailbox.put(Event("lane-status", {"event": "status"}))
    with pytest.raises(BlockingIOError):
        os.read(theirs, 1)
    os.close(theirs)
    os.close(written)
