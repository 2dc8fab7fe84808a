"""The demo asks its lanes how they fare without ever waiting for them."""

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


def told(watch: LaneWatch) -> Any:
    """The next status."""
    while True:
        assert select.select([watch], [], [], LIMIT_S)[0], "nothing was told"
        for heard in watch.events():
            assert heard.is_("lane-status", "status")
            return heard.line["status"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lane.sock"


def test_a_lane_is_asked_again_and_again_and_at_once_when_nudged(path: Path) -> None:
    lane = FakeLane(path)
    with closing(LaneWatch("lane-status", path)) as watch:
        assert told(watch).reports_waiting == 2
        watch.nudge()
        assert told(watch).reports_waiting == 2
    assert lane.asked[:2] == ["status", "status"]


def test_nobody_waits_for_a_lane_that_is_slow_to_answer(path: Path) -> None:
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
        assert told(watch).reports_waiting == 2


def test_a_lane_that_is_not_there_is_told_and_found_when_it_comes(path: Path) -> None:
    with closing(LaneWatch("lane-status", path)) as watch:
        assert told(watch) is None
        FakeLane(path)
        while (status := told(watch)) is None:
            watch.nudge()
        assert status.reports_waiting == 2


def test_whoever_tells_a_closed_mailbox_writes_into_nobody_elses_file() -> None:
    mailbox = Mailbox()
    mailbox.close()
    theirs, written = os.pipe2(os.O_NONBLOCK)  # with the numbers that have become free
    mailbox.put(Event("lane-status", {"event": "status"}))
    with pytest.raises(BlockingIOError):
        os.read(theirs, 1)
    os.close(theirs)
    os.close(written)
