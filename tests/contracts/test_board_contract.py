"""What validator.lane.ports.Board promises, tried with a real device process at the other end of the wire."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.board_rig import BoardListener, BoardRig, hearing
from tests.contracts.rigs import threads_and_descriptors
from validator.domain.events import (
    BoardBack,
    BoardEvent,
    BoardLost,
    Emergency,
    Forced,
    NotPassed,
    Passed,
    Tamper,
)
from validator.domain.outcomes import Direction, Outcome

MS = 1_000_000
REPLUGS = 20
WALKS = ("--passenger", "auto", "--walk-ms", "5")
# A line that spoils so much is still a line: nothing is lost, and nothing happens twice.
SPOILT = ("noise=3", "dropped=1", "dropped=2", "dropped=3", "truncated=1", "bad-checksum=1")
BEARABLE = (*SPOILT, "duplicate", "delayed=20", "delayed=120/1", "silent=2", "deaf=3")


@pytest.fixture
def options() -> tuple[str, ...]:
    """Of `firmware-sim board`; a test that wants others parametrises this."""
    return ()


@pytest.fixture
def rig(tmp_path: Path, options: tuple[str, ...]) -> Iterator[BoardRig]:
    rig = BoardRig(tmp_path / "board", *options)
    yield rig
    rig.close()


@pytest.fixture
def listener(rig: BoardRig) -> Iterator[BoardListener]:
    """A listener whose board is back already, and at rest."""
    with hearing(rig.board()) as listener:
        listener.back()
        yield listener


walking = pytest.mark.parametrize(
    "options", [WALKS, (*WALKS, "--timing", "real")], ids=["ideal", "real"]
)


def ends(events: list[BoardEvent]) -> list[tuple[type, int]]:
    """The passages that ended, and how."""
    return [(type(event), event.tap) for event in events if isinstance(event, Passed | NotPassed)]


def test_the_first_event_is_back_and_the_state_follows(rig: BoardRig) -> None:
    rig.say("emergency on", "emergency")
    rig.say("tamper on", "tamper")
    with hearing(rig.board()) as listener:
        assert isinstance(listener.event(), BoardBack)
        assert listener.next(Emergency).on
        assert listener.next(Tamper).on
        assert listener.events(0.7) == []


@pytest.mark.parametrize("direction", Direction)
def test_an_open_releases_the_arms_once_and_its_end_is_told_once(
    rig: BoardRig, listener: BoardListener, direction: Direction
) -> None:
    listener.open(7, 3_000, direction)
    opened = rig.simulator.wait_for("open")
    assert (opened["tap"], opened["direction"], opened["hold_ms"]) == (
        7,
        direction.name.lower(),
        3_000,
    )
    rig.say("pass", "passed")

    passed = listener.next(Passed)
    assert passed.tap == 7
    assert listener.events(1.2) == []
    assert len(rig.history("open", "duplicate_open")) == 1


def test_nobody_goes_through(rig: BoardRig, listener: BoardListener) -> None:
    listener.open(7, 50)
    assert listener.next(NotPassed).tap == 7
    listener.open(8, 50)
    assert listener.next(NotPassed).tap == 8
    assert listener.events(0.7) == []
    assert len(rig.history("open")) == 2


@walking
def test_passages_one_after_the_other(rig: BoardRig, listener: BoardListener) -> None:
    for tap in range(1, 51):
        listener.open(tap)
        listener.show(Outcome.ADMITTED, 1_500)
        assert listener.next(Passed).tap == tap
    assert [opened["tap"] for opened in rig.history("open", "duplicate_open")] == list(range(1, 51))


def test_more_commands_than_there_are_seqs(rig: BoardRig, listener: BoardListener) -> None:
    for tap in range(1, 301):
        listener.open(tap, 0)
        assert listener.next(NotPassed).tap == tap
    assert len(rig.history("open")) == 300


def test_an_open_while_another_passage_is_open_ends_that_one(
    rig: BoardRig, listener: BoardListener
) -> None:
    listener.open(1)
    listener.open(2)
    assert listener.next(NotPassed).tap == 1
    rig.say("pass", "passed")
    assert listener.next(Passed).tap == 2
    assert listener.events(0.7) == []


def test_the_same_tap_opens_once(rig: BoardRig, listener: BoardListener) -> None:
    for _ in range(3):
        listener.open(5)
    assert listener.serve_until(lambda: len(rig.history("duplicate_open")) == 2) == []
    rig.say("pass", "passed")
    assert ends(listener.events(0.7)) == [(Passed, 5)]
    assert len(rig.history("open")) == 1


# A board shows the picture of an emergency only while there is one: test_sim_board.py.
@pytest.mark.parametrize("outcome", sorted({*Outcome} - {Outcome.EMERGENCY}))
def test_what_is_to_be_shown_is_shown(
    rig: BoardRig, listener: BoardListener, outcome: Outcome
) -> None:
    listener.show(outcome, 700, 380)
    listener.show(Outcome.READY)
    assert listener.serve_until(lambda: len(rig.history("show")) == 2) == []
    first, rest = rig.history("show")
    assert (first["outcome"], first["hold_ms"]) == (outcome.name.lower(), 700)
    assert (rest["outcome"], rest["hold_ms"]) == ("ready", 0)


def test_what_was_said_twice_is_shown_once(rig: BoardRig, listener: BoardListener) -> None:
    rig.fault("dropped=2")
    listener.show(Outcome.DENIED, 1_500)
    listener.show(Outcome.READY)
    assert listener.serve_until(lambda: len(rig.history("show")) > 1) == []
    assert [shown["outcome"] for shown in rig.history("show")] == ["denied", "ready"]


@pytest.mark.parametrize("fault", BEARABLE)
@pytest.mark.parametrize("options", [WALKS], ids=["auto"])
def test_a_line_that_loses_and_repeats_opens_once_for_a_tap_and_tells_its_end_once(
    rig: BoardRig, listener: BoardListener, fault: str
) -> None:
    heard: list[BoardEvent] = []
    rig.fault(fault)
    for tap in (1, 2, 3):
        listener.open(tap)
        listener.show(Outcome.ADMITTED, 1_500)
        while (Passed, tap) not in ends(heard):
            heard.append(listener.next(Passed))
    heard += listener.events(0.6)
    assert ends(heard) == [(Passed, tap) for tap in (1, 2, 3)]
    assert [opened["tap"] for opened in rig.history("open")] == [1, 2, 3]


def test_an_end_that_overtakes_the_ack_of_its_open_is_told_once(
    rig: BoardRig, listener: BoardListener
) -> None:
    rig.fault("dropped=1")
    listener.open(1)
    rig.simulator.wait_for("open")
    rig.say("pass", "passed")
    assert listener.next(Passed).tap == 1
    assert listener.events(1.2) == []
    again = rig.history("duplicate_open")
    assert [event["copy"] for event in again] == [True], (
        "the OPEN went twice, since its ACK was lost"
    )


def test_an_end_that_is_lost_is_healed_by_a_heartbeat_and_told_once(
    rig: BoardRig, listener: BoardListener
) -> None:
    session_ns = int(rig.simulator.wait_for("session")["at_ns"])
    for tap in itertools.count(1):
        assert tap < 10, "no heartbeat came before the event"
        listener.open(tap)
        # The board's heart beats every half second since the session began. Its event is lost three times around a beat.
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


@pytest.mark.parametrize("fault", ["none", "noise=3", "dropped=3", "duplicate", "delayed=20"])
def test_commands_arrive_in_their_order(rig: BoardRig, listener: BoardListener, fault: str) -> None:
    rig.fault(fault)
    for tap in range(8):
        listener.open(tap, 60_000)
        listener.show(Outcome(tap % 7), 1_500)
    heard = listener.serve_until(lambda: len(rig.history("open", "show")) >= 16)
    heard += listener.events(0.2)
    said = [event.get("tap", event.get("outcome")) for event in rig.history("open", "show")]
    assert said == list(
        itertools.chain.from_iterable((tap, Outcome(tap % 7).name.lower()) for tap in range(8))
    )
    assert ends(heard) == [(NotPassed, tap) for tap in range(7)]


def test_too_many_commands_for_a_board_that_takes_none_are_a_lost_board(
    rig: BoardRig, listener: BoardListener
) -> None:
    rig.fault("deaf")
    for tap in range(18):
        listener.open(tap)
    assert "17 commands" in listener.next(BoardLost).reason
    rig.status()  # so the board has not heard what was said to it
    rig.fault("none")
    listener.back()
    assert listener.events(0.3) == []
    assert rig.history("open") == []


@pytest.mark.parametrize("fault", ["none", "silent=1"])
def test_a_quiet_line_stays_up(rig: BoardRig, listener: BoardListener, fault: str) -> None:
    rig.fault(fault)
    assert listener.events(1.8) == []
    assert rig.history("lane_lost") == []


def test_a_loop_that_was_held_up_does_not_lose_a_board_that_spoke_meanwhile(
    rig: BoardRig, listener: BoardListener
) -> None:
    rig.simulator.wait_for("lane_lost")
    assert listener.events(0.7) == []
    assert len(rig.history("lane_back")) == 1


@pytest.mark.parametrize("fault", ["none", "dropped=2"])
@pytest.mark.parametrize(("name", "kind"), [("emergency", Emergency), ("tamper", Tamper)])
def test_a_state_that_changes_is_told_once(
    rig: BoardRig, listener: BoardListener, name: str, kind: type[Emergency | Tamper], fault: str
) -> None:
    for on in (True, False):
        rig.fault(fault)
        switched_ns = rig.say(f"{name} {'on' if on else 'off'}", name)
        event = listener.next(kind)
        assert event.on is on
        assert switched_ns <= event.at_ns < switched_ns + 1_000 * MS
        assert listener.events(0.6) == []


@pytest.mark.parametrize("fault", ["none", "dropped=2", "duplicate", "noise=3", "deaf=2"])
def test_a_forced_passage_is_told_once_each_time(
    rig: BoardRig, listener: BoardListener, fault: str
) -> None:
    rig.fault(fault)
    for _ in range(3):
        rig.say("push", "forced")
    for _ in range(3):
        listener.next(Forced)
    assert listener.events(0.6) == []


def test_an_open_in_an_emergency_is_nobody_going_through(
    rig: BoardRig, listener: BoardListener
) -> None:
    rig.say("emergency on", "emergency")
    assert listener.next(Emergency).on
    listener.open(3)
    assert listener.next(NotPassed).tap == 3
    assert listener.events(0.6) == []
    assert rig.history("open") == []


def test_an_emergency_ends_a_passage_without_an_event(
    rig: BoardRig, listener: BoardListener
) -> None:
    listener.open(3)
    rig.simulator.wait_for("open")
    rig.say("emergency on", "emergency")
    assert listener.next(Emergency).on
    assert listener.events(0.6) == []


def test_a_board_that_restarts_is_back_and_hears_nothing_of_before(
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
    heard = listener.events(0.6)
    assert heard == []
    assert [opened["tap"] for opened in rig.history("open", "duplicate_open")] == [1]
    listener.open(2)
    rig.simulator.wait_for("open")


def test_an_unplugged_board_is_told_within_two_seconds_and_each_reason_once(
    rig: BoardRig, listener: BoardListener
) -> None:
    pulled_ns = rig.unplug()
    lost = [event for event in listener.events(2.0) if isinstance(event, BoardLost)]
    assert lost[0].at_ns - pulled_ns < 2_000 * MS
    assert len({event.reason for event in lost}) == len(lost) <= 2
    assert all(rig.path in event.reason and "\n" not in event.reason for event in lost)
    listener.open(1)
    listener.show(Outcome.ADMITTED)
    plugged_ns = rig.replug()
    assert listener.back().at_ns - plugged_ns < 2_000 * MS
    assert listener.events(0.6) == []
    assert rig.history("open", "show") == [], (
        "what was asked of a lost board is not said to it later"
    )
    listener.open(2)
    rig.simulator.wait_for("open")
    rig.say("pass", "passed")
    assert listener.next(Passed).tap == 2


@pytest.mark.parametrize(
    ("fault", "reason"), [("silent", "is silent"), ("deaf", "did not acknowledge")]
)
def test_a_board_that_no_longer_answers_is_told_once_and_is_back_when_it_does(
    rig: BoardRig, listener: BoardListener, fault: str, reason: str
) -> None:
    rig.fault(fault)
    listener.open(1)
    lost = listener.next(BoardLost, 2.0)
    assert reason in lost.reason
    assert rig.path in lost.reason
    rig.fault("none")
    listener.back(2.5)
    assert listener.events(0.6) == []


def test_a_second_lane_is_refused_until_the_first_lets_go(
    rig: BoardRig, listener: BoardListener
) -> None:
    with hearing(rig.board()) as late:
        assert "in use" in late.next(BoardLost).reason
        assert late.events(0.6) == []
        listener.open(1)
        rig.simulator.wait_for("open")
        listener.board.close()
        late.back(2.0)


def test_closing_sends_what_waits_raises_nothing_and_lets_go(rig: BoardRig) -> None:
    for _ in range(5):
        with hearing(rig.board()) as listener:
            listener.back(2.0)
            listener.show(Outcome.OUT_OF_SERVICE)
            listener.board.close()
            listener.board.close()
            assert listener.board.fileno() == -1
        assert rig.shown()["outcome"] == "out_of_service"


def test_a_closed_board_stays_closed(rig: BoardRig, listener: BoardListener) -> None:
    listener.board.close()
    assert listener.events(0.4) == []
    listener.open(1)
    assert listener.board.take() is None
    assert listener.board.fileno() == -1
    with hearing(rig.board()) as next_one:
        next_one.back(1.0)


def test_closing_a_board_that_is_gone_raises_nothing(
    rig: BoardRig, listener: BoardListener
) -> None:
    rig.unplug()
    listener.show(Outcome.OUT_OF_SERVICE)
    listener.board.close()
    listener.board.close()


def test_unplugged_and_replugged_again_and_again_it_leaves_nothing_behind(
    rig: BoardRig, listener: BoardListener
) -> None:
    before = threads_and_descriptors()
    for _ in range(REPLUGS):
        rig.unplug()
        listener.next(BoardLost)
        rig.replug()
        listener.back()
    assert threads_and_descriptors() == before
    listener.open(1)
    rig.simulator.wait_for("open")
