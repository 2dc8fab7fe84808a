"""What validator.lane.ports.Board promises while the line or the device fails, with every board."""

import random
from functools import partial

import pytest

from tests.contracts.boards.rig import BoardListener, ends, hearing
from tests.contracts.boards.rigs import Rig, RigKind, released
from tests.contracts.readers.rigs import threads_and_descriptors
from validator.domain.events import BoardLost, Passed
from validator.domain.outcomes import Outcome

MS = 1_000_000
UNPLUGS = 100
QUIET_S = 0.6
BACK_NS = 2_000 * MS


@pytest.mark.can("passage")
def test_a_bearable_fault_opens_once_for_a_tap_and_reports_its_end_once(
    kind: RigKind, rig: Rig, listener: BoardListener
) -> None:
    for number, fault in enumerate(kind.bearable, 1):
        rig.fault(fault)
        listener.open(number)
        listener.show(Outcome.ADMITTED, 100)
        assert listener.serve_until(partial(released, rig, number)) == []
        rig.pass_through()
        assert listener.next(Passed).tap == number, fault
        rig.fault("none")
        assert listener.events(0.3) == [], fault
    assert rig.releases() == len(kind.bearable)


def test_an_unplugged_board_is_reported_within_two_seconds_and_each_reason_once(
    rig: Rig, listener: BoardListener
) -> None:
    pulled_ns = rig.unplug()
    lost = [event for event in listener.events(2.0) if isinstance(event, BoardLost)]
    assert lost[0].at_ns - pulled_ns < BACK_NS
    assert len({event.reason for event in lost}) == len(lost) <= 2
    assert all(rig.path in event.reason and "\n" not in event.reason for event in lost)
    listener.open(1)
    listener.show(Outcome.ADMITTED)
    plugged_ns = rig.replug()
    assert listener.back().at_ns - plugged_ns < BACK_NS
    assert listener.events(QUIET_S) == []
    assert rig.releases() == 0, "commands for a lost board are not sent to it later"
    listener.open(2, 200)
    assert listener.serve_until(lambda: rig.releases() == 1) == []


def test_a_board_unplugged_in_a_passage_is_back_within_two_seconds_and_opens_once(
    rig: Rig, listener: BoardListener
) -> None:
    listener.open(1)
    assert listener.serve_until(lambda: rig.releases() == 1) == []
    rig.unplug()
    listener.next(BoardLost)
    plugged_ns = rig.replug()
    assert listener.back().at_ns - plugged_ns < BACK_NS
    assert ends(listener.events(QUIET_S)) == [], "the end of a lost passage is unknown"
    assert rig.releases() == 1
    listener.open(2)
    assert listener.serve_until(lambda: rig.releases() == 2) == []


def test_a_lasting_fault_is_reported_once_and_the_board_is_back_when_it_is_over(
    kind: RigKind, rig: Rig, listener: BoardListener
) -> None:
    for number, (fault, reason) in enumerate(kind.lasting):
        rig.fault(fault)
        listener.open(number + 1)
        lost = listener.next(BoardLost)
        assert reason in lost.reason
        assert rig.path in lost.reason
        rig.fault("none")
        listener.back()
        assert ends(listener.events(QUIET_S)) == []


def test_a_second_lane_is_refused_until_the_first_is_closed(
    kind: RigKind, rig: Rig, listener: BoardListener
) -> None:
    with hearing(rig.board(), kind.abilities) as late:
        assert "in use" in late.next(BoardLost).reason
        assert late.events(QUIET_S) == []
        listener.open(1)
        assert listener.serve_until(lambda: rig.releases() == 1) == []
        listener.board.close()
        late.back()


def test_closing_raises_nothing_and_frees_the_device(kind: RigKind, rig: Rig) -> None:
    for _ in range(5):
        with hearing(rig.board(), kind.abilities) as listener:
            listener.back()
            listener.show(Outcome.OUT_OF_SERVICE)
            listener.board.close()
            listener.board.close()
            assert listener.board.fileno() == -1


def test_a_closed_board_stays_closed(kind: RigKind, rig: Rig, listener: BoardListener) -> None:
    listener.board.close()
    assert listener.events(0.4) == []
    listener.open(1)
    assert listener.board.take() is None
    assert listener.board.fileno() == -1
    with hearing(rig.board(), kind.abilities) as next_one:
        next_one.back()


def test_closing_a_board_that_is_gone_raises_nothing(rig: Rig, listener: BoardListener) -> None:
    rig.unplug()
    listener.show(Outcome.OUT_OF_SERVICE)
    listener.board.close()
    listener.board.close()


@pytest.mark.can("passage")  # a driver once: a relay alone has the same
def test_a_board_that_is_unplugged_a_hundred_times_leaves_nothing_behind(
    rig: Rig, listener: BoardListener
) -> None:
    rng = random.Random(UNPLUGS)
    before = threads_and_descriptors()
    for tap in range(1, UNPLUGS + 1):
        if rng.random() < 0.5:
            listener.open(tap)
        listener.events(rng.choice((0.0, 0.001, 0.01)))
        rig.unplug()
        listener.open(UNPLUGS + tap)  # a command notices it at once
        events = [listener.event(60.0)]
        while not isinstance(events[-1], BoardLost):
            events.append(listener.event(60.0))  # the end of a passage may come before
            assert events[-1] is not None
        rig.replug()
        listener.back()
    assert threads_and_descriptors() == before
    before_this = rig.releases()
    listener.open(3 * UNPLUGS)
    assert listener.serve_until(lambda: rig.releases() == before_this + 1) == []
