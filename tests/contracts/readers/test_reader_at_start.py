"""Which cards a reader reports once, although it meets them again: after a start, a loss, a pause.

The gate must not open twice for one showing of a card. So a card that an earlier lane may have
answered has to leave the reader once, and a card that stays is reported once.
"""

import random
import time
from collections.abc import Callable
from contextlib import nullcontext

import pytest

from tests.contracts.readers.rigs import Listener, ReaderRig, RigKind, kinds_that, listening
from tests.contracts.simulator import BETWEEN_STALLS_S, STALL_S
from validator.domain.events import CardSeen, Clash, LaidBefore, ReaderLost

FIRST, SECOND, THIRD = "0489ab12cd34ef", "04a1b2c3d4e5f6", "0411223344aabb"
LAID_BEFORE = kinds_that(lambda kind: kind.abilities.laid_before)
LEAVING = kinds_that(lambda kind: kind.abilities.leaving)
STAYING = kinds_that(lambda kind: kind.knows_staying)
KNOWING = kinds_that(lambda kind: kind.abilities.laid_before and kind.knows_answered)
UNKNOWING = kinds_that(lambda kind: kind.abilities.laid_before and not kind.knows_answered)
STILL_S = 1.0  # the lane does not run
# The field is reset nine times meanwhile, and some twenty stalls come before, in and after that.
STALLING_S = 8.0


def answered(rig: ReaderRig, present: Callable[[], int]) -> None:
    """Let a lane receive the event of what `present` lays there, and end."""
    with listening(rig.reader()) as listener:
        listener.back()
        listener.reader.arm()
        present()
        assert isinstance(listener.event(5.0), CardSeen | Clash)
        assert listener.event(0.2) is None
        rig.simulator.say("status", "status")  # so the device has received all before


@pytest.mark.parametrize("rig", LAID_BEFORE, indirect=True)
def test_a_card_that_was_reported_to_the_lane_before_has_to_leave_once(rig: ReaderRig) -> None:
    answered(rig, lambda: rig.present(FIRST))
    with listening(rig.reader()) as listener:
        listener.back()
        assert isinstance(listener.armed_event(5.0), LaidBefore)
        assert listener.armed_event(3.0) is None, "it is reported once"
        rig.remove()
        rig.present(FIRST)
        assert listener.uid(5.0) == FIRST


@pytest.mark.parametrize("rig", LAID_BEFORE, indirect=True)
def test_a_card_of_the_lane_before_that_could_not_be_answered_is_reported_again(
    rig: ReaderRig,
) -> None:
    answered(rig, lambda: rig.present(FIRST))
    with listening(rig.reader()) as listener:
        listener.back()
        for _ in range(3):
            assert isinstance(listener.armed_event(5.0), LaidBefore)
            listener.reader.forget()


@pytest.mark.parametrize("rig", LAID_BEFORE, indirect=True)
def test_two_cards_that_were_reported_to_the_lane_before_are_no_card(rig: ReaderRig) -> None:
    answered(rig, lambda: rig.clash(FIRST, SECOND))
    with listening(rig.reader()) as listener:
        listener.back()
        assert isinstance(listener.armed_event(5.0), LaidBefore)
        assert listener.armed_event(2.5) is None


@pytest.mark.parametrize("rig", UNKNOWING, indirect=True)
def test_a_card_that_came_before_the_lane_has_to_leave_once_if_a_lane_may_have_answered_it(
    rig: ReaderRig,
) -> None:
    rig.present(FIRST)
    with listening(rig.reader()) as listener:
        listener.back()
        assert isinstance(listener.armed_event(5.0), LaidBefore)
        rig.remove()
        rig.present(FIRST)
        assert listener.uid(5.0) == FIRST


@pytest.mark.parametrize("rig", KNOWING, indirect=True)
def test_a_card_that_came_before_the_lane_is_reported_if_the_device_knows_that_no_lane_was(
    rig: ReaderRig,
) -> None:
    rig.present(FIRST)
    with listening(rig.reader()) as listener:
        assert listener.uid(5.0) == FIRST


def test_the_first_card_after_the_start_is_reported_at_once(rig: ReaderRig) -> None:
    with listening(rig.reader()) as listener:
        listener.back()
        listener.reader.arm()
        rig.present(FIRST)
        event = listener.event()
        assert isinstance(event, CardSeen)


@pytest.mark.parametrize("loss", ["unplug", "brown-out"])
def test_a_card_that_lies_there_while_the_device_goes_and_comes_is_reported_once(
    rig: ReaderRig, listener: Listener, kind: RigKind, loss: str
) -> None:
    rig.present(FIRST)
    assert listener.uid() == FIRST
    assert listener.armed_event(0.2) is None
    rig.simulator.say("status", "status")  # so the device has received all before
    if loss == "unplug":
        rig.unplug()
        assert isinstance(listener.armed_event(), ReaderLost)
        rig.replug()
        listener.back()
    else:
        rig.brown_out()
        if kind.notices_brown_out or _is_lost(listener):
            listener.back()
    assert listener.armed_event(3.0) is None
    rig.remove()
    rig.present(SECOND)
    assert listener.uid() == SECOND


def _is_lost(listener: Listener) -> bool:
    """Whether the next event is the loss of the reader; there is none else."""
    event = listener.armed_event()
    assert event is None or isinstance(event, ReaderLost)
    return event is not None


def test_a_card_that_came_while_the_device_was_away_is_reported(
    rig: ReaderRig, listener: Listener
) -> None:
    rig.unplug()
    assert isinstance(listener.event(), ReaderLost)
    rig.present(FIRST)
    rig.replug()
    assert listener.uid(5.0) == FIRST


def test_a_card_that_came_and_left_while_the_lane_did_not_run_is_not_reported(
    rig: ReaderRig, listener: Listener
) -> None:
    listener.reader.arm()
    assert listener.event(0.05) is None
    rig.present(FIRST)
    time.sleep(STILL_S)  # the stall itself
    rig.remove()
    events = listener.events(1.5)
    assert not any(isinstance(event, CardSeen) for event in events), events
    rig.present(SECOND)
    assert listener.uid() == SECOND


@pytest.mark.parametrize("rig", STAYING, indirect=True)
def test_a_card_that_came_while_the_lane_did_not_run_and_lies_there_is_reported_once(
    rig: ReaderRig, listener: Listener
) -> None:
    come_while_the_lane_does_not_run(rig, listener)


@pytest.mark.parametrize("rig", LEAVING, indirect=True)
def test_a_known_card_that_came_again_while_the_lane_did_not_run_is_reported_once(
    rig: ReaderRig, listener: Listener
) -> None:
    rig.present(FIRST)
    assert listener.uid() == FIRST
    rig.remove()
    come_while_the_lane_does_not_run(rig, listener)


def come_while_the_lane_does_not_run(rig: ReaderRig, listener: Listener) -> None:
    """Lay a card there, do not run for STILL_S, and expect it once."""
    listener.reader.arm()
    assert listener.event(0.05) is None
    rig.present(FIRST)
    time.sleep(STILL_S)  # the stall itself
    assert listener.uid(5.0) == FIRST
    assert not any(isinstance(event, CardSeen) for event in listener.events(2.5))


@pytest.mark.parametrize("still", ["the device", "the lane"])
def test_a_card_that_stays_is_reported_once_on_a_machine_that_stalls_now_and_then(
    rig: ReaderRig, listener: Listener, still: str
) -> None:
    rng = random.Random(1)
    rig.present(FIRST)
    assert listener.uid() == FIRST
    end = time.monotonic() + STALLING_S
    with rig.simulator.stalling(random.Random(2)) if still == "the device" else nullcontext():
        while time.monotonic() < end:
            assert not isinstance(listener.armed_event(rng.uniform(*BETWEEN_STALLS_S)), CardSeen)
            if still == "the lane":
                time.sleep(rng.uniform(*STALL_S))  # the stall itself; nothing is waited for
