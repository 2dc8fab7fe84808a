"""What validator.lane.ports.Board promises, tried with every board and its simulated device.

Here are passages and states. test_board_faults.py has lines and devices that fail; what only one
kind of board shows is in a folder of its own. A new board needs a rig (rigs.py) and passes both.
"""

from functools import partial

import pytest

from tests.contracts.boards.rig import BoardListener, ends, hearing
from tests.contracts.boards.rigs import Rig, RigKind, released
from validator.domain.events import (
    BoardBack,
    BoardEvent,
    Closed,
    Emergency,
    Forced,
    NotPassed,
    Passed,
    Tamper,
)
from validator.domain.outcomes import Direction, Outcome
from validator.lane.ports import BoardAbilities

MS = 1_000_000
PASSAGES = 25
QUIET_S = 0.7  # for an event that should not come
LATEST_NS = 1_000 * MS


def unused(kind: RigKind) -> type[NotPassed | Closed]:
    """Return how a passage ends that no passenger was seen to use."""
    return NotPassed if kind.abilities.passage else Closed


def switch(rig: Rig, state: str, *, on: bool) -> int:
    """Switch the hardware's release or the housing. Returns the time."""
    return rig.emergency(on=on) if state == "emergency" else rig.tamper(on=on)


def states(events: list[BoardEvent]) -> list[tuple[str, bool]]:
    """Return which states the events report."""
    return [
        (type(event).__name__.lower(), event.on)
        for event in events
        if isinstance(event, Emergency | Tamper)
    ]


def test_the_first_event_is_back_and_the_state_at_rest_follows(kind: RigKind, rig: Rig) -> None:
    with hearing(rig.board(), kind.abilities) as listener:
        first, *rest = listener.events(QUIET_S)
    assert isinstance(first, BoardBack)
    reported = [name for name in ("emergency", "tamper") if getattr(kind.abilities, name)]
    assert states(rest) == [(name, False) for name in reported]
    assert len(rest) == len(reported)


def test_a_state_that_was_on_before_the_lane_came_follows_the_first_event(
    kind: RigKind, state: str, rig: Rig
) -> None:
    switch(rig, state, on=True)
    with hearing(rig.board(), kind.abilities) as listener:
        first, *rest = listener.events(QUIET_S)
    assert isinstance(first, BoardBack)
    assert (state, True) in states(rest)
    assert len(states(rest)) == len(rest) <= 2


@pytest.mark.can("passage")
@pytest.mark.parametrize("direction", Direction)
def test_an_open_releases_the_arms_once_and_its_end_is_reported_once(
    rig: Rig, listener: BoardListener, direction: Direction
) -> None:
    listener.open(7, 3_000, direction)
    assert listener.serve_until(lambda: rig.releases() == 1) == []
    rig.pass_through()
    passed = listener.next(Passed)
    assert passed.tap == 7
    assert 0 <= passed.after_ms < 3_000
    assert listener.events(QUIET_S) == []
    assert rig.releases() == 1


def test_an_open_that_no_passenger_uses_ends(
    kind: RigKind, rig: Rig, listener: BoardListener
) -> None:
    for tap in (7, 8):
        listener.open(tap, 50)
        assert ends([listener.next(unused(kind))]) == [(unused(kind), tap)]
    assert listener.events(QUIET_S) == []
    assert rig.releases() == 2


@pytest.mark.can("passage")
def test_passages_one_after_the_other(rig: Rig, listener: BoardListener) -> None:
    for tap in range(1, PASSAGES + 1):
        listener.open(tap)
        listener.show(Outcome.ADMITTED, 1_500)
        assert listener.serve_until(partial(released, rig, tap)) == []
        rig.pass_through()
        assert listener.next(Passed).tap == tap
    assert listener.events(QUIET_S) == []
    assert rig.releases() == PASSAGES


def test_an_open_while_another_passage_is_open_ends_that_one(
    kind: RigKind, rig: Rig, listener: BoardListener
) -> None:
    listener.open(1)
    listener.open(2)
    assert ends([listener.next(unused(kind))]) == [(unused(kind), 1)]
    if kind.abilities.passage:
        # A release that is ended by the next may be seen as one, or as two.
        assert listener.serve_until(lambda: rig.releases() >= 1) == []
        rig.pass_through()
        assert listener.next(Passed).tap == 2
    assert listener.events(QUIET_S) == []


def test_the_same_tap_opens_once(kind: RigKind, rig: Rig, listener: BoardListener) -> None:
    for _ in range(3):
        listener.open(5, 1_000)
    assert listener.serve_until(lambda: rig.releases() == 1) == []
    if kind.abilities.passage:
        rig.pass_through()
    events = listener.events(QUIET_S)
    listener.open(5, 1_000)
    events += listener.events(QUIET_S + 0.5)
    assert ends(events) == [(Passed if kind.abilities.passage else Closed, 5)]
    assert rig.releases() == 1


def test_a_state_that_changes_is_reported_once(
    kind: RigKind, state: str, rig: Rig, listener: BoardListener
) -> None:
    for fault in ("none", *kind.bearable[:2]):
        for on in (True, False):
            rig.fault(fault)
            switched_ns = switch(rig, state, on=on)
            event = listener.event(60.0)
            assert event is not None
            assert states([event]) == [(state, on)]
            assert switched_ns <= event.at_ns < switched_ns + LATEST_NS
    assert listener.events(QUIET_S) == []


@pytest.mark.can("forced")
def test_a_forced_passage_is_reported_once_each_time(
    kind: RigKind, rig: Rig, listener: BoardListener
) -> None:
    for fault in ("none", *kind.bearable[:2]):
        rig.fault(fault)
        for _ in range(3):
            rig.push()
        for _ in range(3):
            listener.next(Forced)
    assert listener.events(QUIET_S) == []


@pytest.mark.can("emergency")
def test_an_open_in_an_emergency_ends_as_not_passed(rig: Rig, listener: BoardListener) -> None:
    rig.emergency(on=True)
    assert listener.next(Emergency).on
    listener.open(3)
    assert listener.next(NotPassed).tap == 3
    assert listener.events(QUIET_S) == []
    assert rig.releases() == 0


@pytest.mark.can("emergency")
def test_an_emergency_ends_a_passage_without_an_event(rig: Rig, listener: BoardListener) -> None:
    listener.open(3)
    assert listener.serve_until(lambda: rig.releases() == 1) == []
    rig.emergency(on=True)
    assert listener.next(Emergency).on
    assert listener.events(QUIET_S) == []
    rig.emergency(on=False)
    assert not listener.next(Emergency).on
    listener.open(4, 50)
    assert ends([listener.next(NotPassed)]) == [(NotPassed, 4)]


def test_every_outcome_can_be_shown_at_any_time(rig: Rig, listener: BoardListener) -> None:
    events: list[BoardEvent] = []
    for outcome in Outcome:
        listener.show(outcome, 30, 380)
        listener.show(outcome)
        events += listener.events(0.02)
    assert events == []
    listener.open(1, 50)
    assert listener.serve_until(lambda: rig.releases() == 1) == []


def test_a_board_declares_each_of_its_abilities(kind: RigKind) -> None:
    assert isinstance(kind.abilities, BoardAbilities)
    assert kind.abilities.picture or not kind.abilities.date, "a date is a part of a text"
