"""Passages, pictures and states on the serial board, as its simulator's history shows them.

tests/contracts/boards has what every board promises.
"""

import itertools

import pytest

from tests.contracts.boards.rig import BoardListener, BoardRig, ends
from validator.domain.events import (
    Emergency,
    Forced,
    NotPassed,
    Passed,
    Tamper,
)
from validator.domain.outcomes import Direction, Outcome

MS = 1_000_000
WALKS = ("--passenger", "auto", "--walk-ms", "5")


@pytest.mark.parametrize("direction", Direction)
def test_an_open_releases_the_arms_once_and_its_end_is_reported_once(
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


@pytest.mark.parametrize("options", [WALKS, (*WALKS, "--timing", "real")], ids=["ideal", "real"])
def test_passages_one_after_the_other(rig: BoardRig, listener: BoardListener) -> None:
    for tap in range(1, 51):
        listener.open(tap)
        listener.show(Outcome.ADMITTED, 1_500)
        assert listener.next(Passed).tap == tap
    assert [opened["tap"] for opened in rig.history("open")] == list(range(1, 51))


def test_more_commands_than_there_are_seqs(rig: BoardRig, listener: BoardListener) -> None:
    for tap in range(1, 301):
        listener.open(tap, 0)
        assert listener.next(NotPassed).tap == tap
    assert len(rig.history("open")) == 300


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


def test_a_picture_that_was_sent_twice_is_shown_once(
    rig: BoardRig, listener: BoardListener
) -> None:
    rig.fault("dropped=2")
    listener.show(Outcome.DENIED, 1_500)
    listener.show(Outcome.READY)
    assert listener.serve_until(lambda: len(rig.history("show")) > 1) == []
    assert [shown["outcome"] for shown in rig.history("show")] == ["denied", "ready"]


def test_an_end_that_overtakes_the_ack_of_its_open_is_reported_once(
    rig: BoardRig, listener: BoardListener
) -> None:
    rig.fault("dropped=1")
    listener.open(1)
    rig.simulator.wait_for("open")
    rig.say("pass", "passed")
    assert listener.next(Passed).tap == 1
    assert listener.events(1.2) == []
    again = rig.history("duplicate_open")
    # Once more for the lost ACK, and again for each that a busy machine delays.
    assert again
    assert all(event["copy"] for event in again)


@pytest.mark.parametrize("fault", ["none", "noise=3", "dropped=3", "duplicate", "delayed=20"])
def test_commands_arrive_in_their_order(rig: BoardRig, listener: BoardListener, fault: str) -> None:
    rig.fault(fault)
    for tap in range(8):
        listener.open(tap, 60_000)
        listener.show(Outcome(tap % 7), 1_500)
    events = listener.serve_until(lambda: len(rig.history("open", "show")) >= 16)
    events += listener.events(0.2)
    received = [event.get("tap", event.get("outcome")) for event in rig.history("open", "show")]
    assert received == list(
        itertools.chain.from_iterable((tap, Outcome(tap % 7).name.lower()) for tap in range(8))
    )
    assert ends(events) == [(NotPassed, tap) for tap in range(7)]


@pytest.mark.parametrize("fault", ["none", "dropped=2"])
@pytest.mark.parametrize(("name", "event_type"), [("emergency", Emergency), ("tamper", Tamper)])
def test_a_state_that_changes_is_reported_once(
    rig: BoardRig,
    listener: BoardListener,
    name: str,
    event_type: type[Emergency | Tamper],
    fault: str,
) -> None:
    for on in (True, False):
        rig.fault(fault)
        switched_ns = rig.say(f"{name} {'on' if on else 'off'}", name)
        event = listener.next(event_type)
        assert event.on is on
        assert switched_ns <= event.at_ns < switched_ns + 1_000 * MS
        assert listener.events(0.6) == []


@pytest.mark.parametrize("fault", ["none", "dropped=2", "duplicate", "noise=3", "deaf=2"])
def test_a_forced_passage_is_reported_once_each_time(
    rig: BoardRig, listener: BoardListener, fault: str
) -> None:
    rig.fault(fault)
    for _ in range(3):
        rig.say("push", "forced")
    for _ in range(3):
        listener.next(Forced)
    assert listener.events(0.6) == []
