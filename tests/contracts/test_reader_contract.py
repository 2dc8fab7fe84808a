"""What validator.lane.ports.Reader promises, tried on every reader with a real device process at the other end of the wire."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.contracts.rigs import RIGS, Listener, ReaderRig, listening, threads_and_descriptors
from tests.contracts.simulator import BETWEEN_STALLS_S, STALL_S
from validator.domain.cards import Card, CardUid
from validator.domain.events import CardSeen, Clash, LaidBefore, ReaderBack, ReaderEvent, ReaderLost

FIRST, SECOND, THIRD = "0489ab12cd34ef", "04a1b2c3d4e5f6", "0411223344aabb"
PASSING = [(name, fault) for name, kind in RIGS.items() for fault in kind.passing_faults]
LASTING = [(name, fault) for name, kind in RIGS.items() for fault in kind.lasting_faults]
STAGES = [(name, stage, told) for name, kind in RIGS.items() for stage, told in kind.stages.items()]
ECHOES = ("echo", "echo=20", "echo=150", "echo-cut")
BEARING = [(name, echo) for name, kind in RIGS.items() if kind.bears_echo for echo in ECHOES]
LOST_BY = [
    (name, echo) for name, kind in RIGS.items() if not kind.bears_echo for echo in ECHOES[:3]
]
KNOWING = [name for name, kind in RIGS.items() if kind.knows_answered]
UNKNOWING = [name for name, kind in RIGS.items() if not kind.knows_answered]
STILL_S = 1.0  # the lane does not run
STALLING_S = 8.0  # in which the field is taken away nine times, and some twenty stalls come before, in and after that
SECOND_TOLD = [name for name, kind in RIGS.items() if kind.tells_second]
EVERY_SECOND = [name for name, kind in RIGS.items() if "every-second" in kind.lasting_faults]


@pytest.fixture(params=RIGS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ReaderRig]:
    rig = RIGS[request.param].start(tmp_path)
    yield rig
    rig.close()


@pytest.fixture
def listener(rig: ReaderRig) -> Iterator[Listener]:
    """A listener whose reader is back already."""
    with listening(rig.reader()) as listener:
        listener.back(60.0)  # a machine with too much to do may let the device miss its first words
        yield listener


def card(uid: str, atqa: int, sak: int) -> Card:
    return Card(CardUid(bytes.fromhex(uid)), atqa, sak)


def test_a_card_is_told_with_its_whole_uid(rig: ReaderRig, listener: Listener) -> None:
    listener.reader.arm()
    came_ns = rig.present(FIRST)
    event = listener.event()

    assert isinstance(event, CardSeen)
    assert event.card == card(FIRST, 0x0344, 0x20)
    assert came_ns <= event.at_ns <= time.monotonic_ns()


@pytest.mark.parametrize(
    ("uid", "atqa", "sak"), [("1a2b3c4d", 0x0004, 0x08), ("04112233445566778899", 0x0384, 0x20)]
)
def test_other_lengths_of_uid_are_told(
    rig: ReaderRig, listener: Listener, uid: str, atqa: int, sak: int
) -> None:
    rig.present(uid)
    event = listener.armed_event()

    assert isinstance(event, CardSeen)
    assert event.card == card(uid, atqa, sak)


def test_a_phone_is_told_as_random(rig: ReaderRig, listener: Listener) -> None:
    rig.present("08010203")
    event = listener.armed_event()

    assert isinstance(event, CardSeen)
    assert event.card.uid.is_random


def answered(rig: ReaderRig, present: Callable[[], int]) -> None:
    """A lane is told what `present` lays there, and is gone."""
    with listening(rig.reader()) as listener:
        listener.back()
        listener.reader.arm()
        present()
        assert isinstance(listener.event(5.0), CardSeen | Clash)
        assert listener.event(0.2) is None
        rig.simulator.say("status", "status")  # so what was said to the device has arrived there


def test_a_card_that_the_lane_before_was_told_of_has_to_leave_once(rig: ReaderRig) -> None:
    answered(rig, lambda: rig.present(FIRST))
    with listening(rig.reader()) as listener:
        listener.back()
        assert isinstance(listener.armed_event(5.0), LaidBefore)
        assert listener.armed_event(3.0) is None, "told of it once"
        rig.remove()
        rig.present(FIRST)
        assert listener.uid(5.0) == FIRST


def test_what_the_lane_before_was_told_of_and_could_not_be_answered_is_told_again_as_that(
    rig: ReaderRig,
) -> None:
    answered(rig, lambda: rig.present(FIRST))
    with listening(rig.reader()) as listener:
        listener.back()
        for _ in range(3):
            assert isinstance(listener.armed_event(5.0), LaidBefore)
            listener.reader.forget()


def test_two_cards_of_which_the_lane_before_was_told_are_no_card(rig: ReaderRig) -> None:
    answered(rig, lambda: rig.clash(FIRST, SECOND))
    with listening(rig.reader()) as listener:
        listener.back()
        assert isinstance(listener.armed_event(5.0), LaidBefore)
        assert listener.armed_event(2.5) is None


@pytest.mark.parametrize("rig", UNKNOWING, indirect=True)
def test_a_card_that_came_before_the_lane_has_to_leave_once_where_nobody_knows_of_whom(
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
def test_a_card_that_came_before_the_lane_is_told_where_the_device_knows_that_no_lane_was(
    rig: ReaderRig,
) -> None:
    rig.present(FIRST)
    with listening(rig.reader()) as listener:
        assert listener.uid(5.0) == FIRST


def test_the_first_card_after_the_start_is_told_at_once(rig: ReaderRig) -> None:
    with listening(rig.reader()) as listener:
        listener.back()
        listener.reader.arm()
        rig.present(FIRST)
        event = listener.event()
        assert isinstance(event, CardSeen)


@pytest.mark.parametrize("loss", ["unplug", "brown-out"])
def test_a_card_that_lies_there_while_the_device_goes_and_comes_is_told_once(
    rig: ReaderRig, listener: Listener, loss: str
) -> None:
    rig.present(FIRST)
    assert listener.uid() == FIRST
    assert listener.armed_event(0.2) is None
    rig.simulator.say("status", "status")  # so what was said to the device has arrived there
    if loss == "unplug":
        rig.unplug()
        assert isinstance(listener.armed_event(), ReaderLost)
        rig.replug()
    else:
        rig.brown_out()
    listener.back()
    assert listener.armed_event(3.0) is None
    rig.remove()
    rig.present(SECOND)
    assert listener.uid() == SECOND


def test_a_card_that_came_while_the_device_was_away_is_told(
    rig: ReaderRig, listener: Listener
) -> None:
    rig.unplug()
    assert isinstance(listener.event(), ReaderLost)
    rig.present(FIRST)
    rig.replug()
    assert listener.uid(5.0) == FIRST


def test_a_card_that_came_and_left_while_the_lane_stood_still_is_not_told(
    rig: ReaderRig, listener: Listener
) -> None:
    listener.reader.arm()
    assert listener.event(0.05) is None
    rig.present(FIRST)
    time.sleep(STILL_S)  # the stall itself
    rig.remove()
    told = listener.events(1.5)
    assert not any(isinstance(event, CardSeen) for event in told), told
    rig.present(SECOND)
    assert listener.uid() == SECOND


@pytest.mark.parametrize("known", [True, False])
def test_a_card_that_came_while_the_lane_stood_still_and_lies_there_is_told_once(
    rig: ReaderRig, listener: Listener, *, known: bool
) -> None:
    if known:
        rig.present(FIRST)
        assert listener.uid() == FIRST
        rig.remove()
    listener.reader.arm()
    assert listener.event(0.05) is None
    rig.present(FIRST)
    time.sleep(STILL_S)  # the stall itself
    assert listener.uid(5.0) == FIRST
    assert not any(isinstance(event, CardSeen) for event in listener.events(2.5))


@pytest.mark.parametrize(("rig", "echo"), BEARING, indirect=["rig"])
def test_a_reader_that_bears_an_echo_serves_as_on_any_line(
    rig: ReaderRig, listener: Listener, echo: str
) -> None:
    rig.fault(echo)
    for _ in range(3):
        rig.present(FIRST)
        assert listener.uid() == FIRST
        rig.remove()
    assert listener.armed_event(1.0) is None


@pytest.mark.parametrize(("rig", "echo"), LOST_BY, indirect=["rig"])
def test_a_reader_on_a_line_that_echoes_is_lost_in_one_clear_line_and_comes_back(
    rig: ReaderRig, listener: Listener, echo: str
) -> None:
    listener.reader.arm()
    rig.fault(echo)
    lost = listener.event()
    assert isinstance(lost, ReaderLost)
    assert (
        lost.reason
        == f"pn532 at {rig.path}: the line echoes what this lane sends; are its two wires joined?"
    )
    rig.fault("none")
    listener.back()
    rig.present(FIRST)
    assert listener.uid() == FIRST


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("armed", [True, False])
def test_a_dead_device_on_a_line_that_echoes_is_lost_as_on_any_line(
    rig: ReaderRig, listener: Listener, echo: str, *, armed: bool
) -> None:
    if armed:
        listener.reader.arm()
    rig.fault(echo)
    rig.fault("dead")
    rig.present(FIRST)
    lost = listener.event(4.0)
    assert isinstance(lost, ReaderLost)
    heard = [event for event in listener.events(1.5) if not isinstance(event, ReaderLost)]
    assert heard == [], "it comes back by nothing that the lane has said itself"


@pytest.mark.parametrize("echo", ECHOES)
def test_a_line_that_only_echoes_is_no_device_from_the_start(rig: ReaderRig, echo: str) -> None:
    rig.fault(echo)
    rig.fault("dead")
    with listening(rig.reader()) as listener:
        heard = listener.events(3.0)
        assert {type(event) for event in heard} == {ReaderLost}
        rig.fault("none")
        listener.back()
        rig.present(FIRST)
        assert listener.uid() == FIRST


@pytest.mark.parametrize("uid", [FIRST, "1a2b3c4d", "08010203"])
def test_a_card_that_stays_is_told_once(rig: ReaderRig, listener: Listener, uid: str) -> None:
    rig.present(uid)

    assert isinstance(listener.armed_event(), CardSeen)
    assert listener.armed_event(3.0) is None


@pytest.mark.parametrize("still", ["the device", "the lane"])
def test_a_card_that_stays_is_told_once_on_a_machine_that_stands_still_now_and_then(
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


def test_a_card_that_is_shown_again_is_told_again(rig: ReaderRig, listener: Listener) -> None:
    for _ in range(5):
        rig.present(FIRST)
        assert listener.uid() == FIRST
        rig.remove()


@pytest.mark.parametrize("rig", SECOND_TOLD, indirect=True)
def test_the_next_card_is_told_while_the_last_one_stays(rig: ReaderRig, listener: Listener) -> None:
    rig.present(FIRST)
    assert listener.uid() == FIRST
    rig.present(SECOND)

    assert listener.uid() == SECOND
    assert listener.armed_event(0.5) is None


def test_a_card_that_comes_while_the_reader_is_not_armed_is_told_once_it_is(
    rig: ReaderRig, listener: Listener
) -> None:
    rig.present(FIRST)

    assert listener.event(1.2) is None
    assert listener.uid() == FIRST


def test_two_cards_are_a_clash_and_no_card(rig: ReaderRig, listener: Listener) -> None:
    assert listener.armed_event(0.05) is None
    rig.clash(FIRST, SECOND)
    assert isinstance(listener.event(), Clash)
    assert listener.armed_event(0.3) is None
    rig.remove()
    rig.present(THIRD)

    assert listener.uid() == THIRD


@pytest.mark.parametrize(("rig", "stage", "told"), STAGES, indirect=["rig"])
def test_of_a_card_that_leaves_early_exactly_that_is_told_which_the_device_can_know(
    rig: ReaderRig, listener: Listener, stage: str, told: type[ReaderEvent] | None
) -> None:
    listener.reader.arm()
    rig.present(FIRST, leaves=stage)
    event = listener.event(0.5 if told is None else 5.0)
    assert (type(event) if event is not None else None) is told
    if isinstance(event, CardSeen):
        assert event.card == card(FIRST, 0x0344, 0x20), "whole, or not at all"
    rig.remove()
    rig.present(SECOND)

    assert listener.uid() == SECOND


@pytest.mark.parametrize(("rig", "fault"), PASSING + LASTING, indirect=["rig"])
def test_after_a_fault_the_next_good_card_is_told_within_two_seconds(
    rig: ReaderRig, listener: Listener, fault: str
) -> None:
    listener.reader.arm()
    rig.fault(fault)
    rig.present(FIRST)
    listener.armed_event(0.7)
    rig.fault("none")
    rig.remove()
    rig.present(SECOND)

    assert listener.uid(2.0, but=FIRST) == SECOND, (
        "the first may be told late: it lay there to the end"
    )


@pytest.mark.parametrize(("rig", "fault"), PASSING, indirect=["rig"])
def test_a_card_that_is_held_through_a_passing_fault_is_told(
    rig: ReaderRig, listener: Listener, fault: str
) -> None:
    listener.reader.arm()
    rig.fault(fault)
    rig.present(FIRST)

    assert listener.uid(2.0) == FIRST


@pytest.mark.parametrize("rig", EVERY_SECOND, indirect=True)
def test_a_device_that_lets_every_second_request_fall_serves_all_the_same(
    rig: ReaderRig, listener: Listener
) -> None:
    rig.fault("every-second")
    for number in range(6):
        uid = f"0400000000000{number}"
        rig.present(uid)
        assert listener.uid(0.5) == uid
        rig.remove()


def test_unplugging_is_told_once_and_in_one_clear_line(rig: ReaderRig, listener: Listener) -> None:
    listener.reader.arm()
    pulled_ns = rig.unplug()
    event = listener.event()
    reasons = {event.reason} if isinstance(event, ReaderLost) else set()
    assert event is not None
    assert event.at_ns - pulled_ns < 2e9
    while isinstance(event := listener.armed_event(1.0), ReaderLost):
        assert event.reason not in reasons
        reasons.add(event.reason)

    assert event is None
    assert reasons
    assert all(rig.path in reason and "\n" not in reason for reason in reasons)


def test_a_reader_that_is_not_armed_notices_that_it_is_unplugged(
    rig: ReaderRig, listener: Listener
) -> None:
    rig.unplug()

    assert isinstance(listener.event(), ReaderLost)


def test_a_replugged_reader_is_back_once_and_serves(rig: ReaderRig, listener: Listener) -> None:
    rig.unplug()
    assert isinstance(listener.event(), ReaderLost)
    plugged_ns = rig.replug()
    back = listener.back()
    assert back.at_ns - plugged_ns < 2e9
    rig.present(FIRST)

    assert listener.uid() == FIRST
    assert listener.armed_event(0.3) is None


@pytest.mark.parametrize("armed", [True, False])
def test_a_brown_out_is_noticed_and_healed_within_two_seconds(
    rig: ReaderRig, listener: Listener, *, armed: bool
) -> None:
    if armed:
        listener.reader.arm()
    dipped_ns = rig.brown_out()
    lost = listener.event()
    assert isinstance(lost, ReaderLost)
    assert listener.back().at_ns - dipped_ns < 2e9
    rig.present(FIRST)

    assert listener.uid() == FIRST


def test_a_brown_out_with_a_card_in_the_field_loses_no_card(
    rig: ReaderRig, listener: Listener
) -> None:
    listener.reader.arm()
    rig.brown_out()
    rig.present(FIRST)

    assert listener.uid() == FIRST


def test_a_second_reader_on_the_same_device_is_refused_until_the_first_lets_go(
    rig: ReaderRig, listener: Listener
) -> None:
    with listening(rig.reader()) as late:
        refused = late.event()
        assert isinstance(refused, ReaderLost)
        assert "in use" in refused.reason
        assert late.event(0.6) is None
        rig.present(FIRST)
        assert listener.uid() == FIRST
        listener.reader.close()
        assert isinstance(late.event(), ReaderBack)


def test_a_reader_without_a_device_says_so_once_and_ends_at_once(rig: ReaderRig) -> None:
    rig.unplug()
    with listening(rig.reader()) as listener:
        lost = listener.event()
        assert isinstance(lost, ReaderLost)
        assert "no such device" in lost.reason
        assert listener.armed_event(0.8) is None
        started = time.monotonic()
        listener.reader.close()
        assert time.monotonic() - started < 2.0


def test_closing_leaves_the_device_to_the_next_reader(rig: ReaderRig) -> None:
    for number in range(5):
        with listening(rig.reader()) as listener:
            listener.back(1.0)
            if number % 2:
                listener.reader.arm()
            listener.reader.close()
            listener.reader.close()
            assert listener.reader.fileno() == -1


def test_closing_while_opening_leaves_nothing_behind(rig: ReaderRig) -> None:
    before = threads_and_descriptors()
    for wait_s in (0.0, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02):
        reader = rig.reader()
        Listener(reader).event(wait_s)
        reader.close()
    with listening(rig.reader()) as listener:
        listener.back()

    assert threads_and_descriptors() == before
