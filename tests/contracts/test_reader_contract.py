"""What validator.ports.Reader promises, tried on every reader with a real device process at the other end of the wire."""

import random
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.contracts.rigs import RIGS, Listener, ReaderRig, listening, threads_and_descriptors
from tests.contracts.simulator import BETWEEN_STALLS_S, STALL_S
from validator.domain.cards import Card, CardUid
from validator.domain.events import CardSeen, Clash, LeftEarly, ReaderBack, ReaderLost

FIRST, SECOND, THIRD = "0489ab12cd34ef", "04a1b2c3d4e5f6", "0411223344aabb"
PASSING = [(name, fault) for name, kind in RIGS.items() for fault in kind.passing_faults]
LASTING = [(name, fault) for name, kind in RIGS.items() for fault in kind.lasting_faults]
STAGES = [(name, stage) for name, kind in RIGS.items() for stage in kind.stages]
STALLING_S = (
    8.0  # in which the field is taken away nine times, and some twenty stalls come before, in and after that
)
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
        assert isinstance(listener.event(), ReaderBack)
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


def test_a_card_that_was_there_before_the_reader_is_told(rig: ReaderRig) -> None:
    rig.present(FIRST)
    with listening(rig.reader()) as listener:
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


@pytest.mark.parametrize(("rig", "stage"), STAGES, indirect=["rig"])
def test_a_card_that_leaves_early_spoils_nothing(rig: ReaderRig, listener: Listener, stage: str) -> None:
    listener.reader.arm()
    rig.present(FIRST, leaves=stage)
    event = listener.event(0.3)
    rig.remove()
    rig.present(SECOND)

    assert (
        event is None
        or isinstance(event, LeftEarly)
        or event == CardSeen(card(FIRST, 0x0344, 0x20), event.at_ns)
    )
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

    assert listener.uid(2.0, but=FIRST) == SECOND, "the first may be told late: it lay there to the end"


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


def test_a_reader_that_is_not_armed_notices_that_it_is_unplugged(rig: ReaderRig, listener: Listener) -> None:
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


def test_a_brown_out_with_a_card_in_the_field_loses_no_card(rig: ReaderRig, listener: Listener) -> None:
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
