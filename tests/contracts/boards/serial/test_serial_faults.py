"""The serial board while its line or its device fails, in ways that only a serial line has.

tests/contracts/boards has what every board promises.
"""

import itertools
import time

import pytest

from tests.contracts.boards.rig import BoardListener, BoardRig, ends, hearing
from validator.domain.events import (
    BoardEvent,
    BoardLost,
    Passed,
)
from validator.domain.outcomes import Outcome

MS = 1_000_000
WALKS = ("--passenger", "auto", "--walk-ms", "5")
# A line that spoils so much is still a line: nothing is lost, and nothing happens twice.
SPOILT = ("noise=3", "dropped=1", "dropped=2", "dropped=3", "truncated=1", "bad-checksum=1")
BEARABLE = (*SPOILT, "duplicate", "delayed=20", "delayed=120/1", "silent=2", "deaf=3")


@pytest.mark.parametrize("fault", BEARABLE)
@pytest.mark.parametrize("options", [WALKS], ids=["auto"])
def test_a_line_that_loses_and_repeats_opens_once_for_a_tap_and_reports_its_end_once(
    rig: BoardRig, listener: BoardListener, fault: str
) -> None:
    events: list[BoardEvent] = []
    rig.fault(fault)
    for tap in (1, 2, 3):
        listener.open(tap)
        listener.show(Outcome.ADMITTED, 1_500)
        while (Passed, tap) not in ends(events):
            events.append(listener.next(Passed))
    events += listener.events(0.6)
    assert ends(events) == [(Passed, tap) for tap in (1, 2, 3)]
    assert [opened["tap"] for opened in rig.history("open")] == [1, 2, 3]


def test_an_end_that_is_lost_is_made_good_by_a_heartbeat_and_reported_once(
    rig: BoardRig, listener: BoardListener
) -> None:
    session_ns = int(rig.simulator.wait_for("session")["at_ns"])
    for tap in itertools.count(1):
        assert tap < 10, "no heartbeat came before the event"
        listener.open(tap)
        # The board's heart beats every half second since the session began. Its event is lost three
        # times around a beat.
        beat_ns = session_ns + ((time.monotonic_ns() - session_ns) // (500 * MS) + 1) * 500 * MS
        assert listener.events((beat_ns - 75 * MS - time.monotonic_ns()) / 1e9) == []
        rig.fault("dropped=3")
        walked_ns = rig.say("pass", "passed")
        passed = listener.next(Passed)
        assert passed.tap == tap
        assert listener.events(0.3) == []
        if (
            passed.at_ns - walked_ns < 140 * MS
        ):  # sooner than the fourth copy of the event: it was the heartbeat
            return


def test_too_many_commands_for_a_board_that_takes_none_are_a_lost_board(
    rig: BoardRig, listener: BoardListener
) -> None:
    rig.fault("deaf")
    for tap in range(18):
        listener.open(tap)
    assert "17 commands" in listener.next(BoardLost).reason
    rig.status()  # the board answers this, and has received none of the commands
    rig.fault("none")
    listener.back()
    assert listener.events(0.3) == []
    assert rig.history("open") == []


@pytest.mark.parametrize("fault", ["none", "silent=1"])
def test_a_quiet_line_stays_up(rig: BoardRig, listener: BoardListener, fault: str) -> None:
    rig.fault(fault)
    assert listener.events(1.8) == []
    assert rig.history("lane_lost") == []


def test_a_loop_that_was_held_up_does_not_lose_a_board_that_sent_frames_meanwhile(
    rig: BoardRig, listener: BoardListener
) -> None:
    rig.simulator.wait_for("lane_lost")
    assert listener.events(0.7) == []
    assert len(rig.history("lane_back")) == 1


def test_a_board_that_restarts_is_back_and_receives_nothing_of_before(
    rig: BoardRig, listener: BoardListener
) -> None:
    rig.fault("deaf")
    listener.open(1)
    listener.show(Outcome.ADMITTED, 1_500)
    rig.say("restart", "started")
    rig.fault("none")
    listener.back()
    assert listener.events(0.6) == []
    assert rig.history("open", "show") == []
    listener.open(2)
    rig.simulator.wait_for("open")


@pytest.mark.parametrize("fault", ["restart-on-open", "brownout-on-open", "unplug-on-open=300"])
def test_a_board_that_fails_in_a_passage_is_back_within_two_seconds_and_opens_once(
    rig: BoardRig, listener: BoardListener, fault: str
) -> None:
    rig.fault(fault)
    listener.open(1)
    failed_ns = int(rig.simulator.wait_for("open")["at_ns"])
    assert listener.back().at_ns - failed_ns < 2_300 * MS
    events = listener.events(0.6)
    assert events == []
    assert [opened["tap"] for opened in rig.history("open", "duplicate_open")] == [1]
    listener.open(2)
    rig.simulator.wait_for("open")


def test_closing_sends_what_waits_raises_nothing_and_frees_the_device(rig: BoardRig) -> None:
    for _ in range(5):
        with hearing(rig.board()) as listener:
            listener.back(2.0)
            listener.show(Outcome.OUT_OF_SERVICE)
            listener.board.close()
            listener.board.close()
            assert listener.board.fileno() == -1
        assert rig.shown()["outcome"] == "out_of_service"
