"""What validator.lane.ports.Reader promises about cards, tried on every reader in RIGS.

A simulated device is at the other end of the wire, as a process of its own. A new reader joins by a
rig and a line in RIGS (rigs.py), and then has to pass three files: this one,
test_reader_at_start.py on cards that lay there before, and test_reader_faults.py on faults, losses
and closing.
"""

import time

import pytest

from tests.contracts.readers.rigs import RIGS, Listener, ReaderRig, RigKind, kinds_that
from validator.domain.cards import Card, CardUid
from validator.domain.events import CardSeen, Clash, ReaderEvent

FIRST, SECOND, THIRD = "0489ab12cd34ef", "04a1b2c3d4e5f6", "0411223344aabb"
STAGES = [
    (name, stage, expected)
    for name, kind in RIGS.items()
    for stage, expected in kind.stages.items()
]
SECOND_REPORTED = kinds_that(lambda kind: kind.reports_second)
LEAVING = kinds_that(lambda kind: kind.abilities.leaving)
NOT_LEAVING = kinds_that(lambda kind: not kind.abilities.leaving)
STAYING = kinds_that(lambda kind: kind.knows_staying)
NOT_STAYING = kinds_that(lambda kind: not kind.knows_staying)
CLASH = kinds_that(lambda kind: kind.abilities.clash)
FORGOTTEN_S = 2.5  # within which a reader that knows no leaving takes a card for a new one


def card(kind: RigKind, uid: str, atqa: int, sak: int) -> Card:
    told = (atqa, sak) if kind.knows_sak else (None, None)
    return Card(CardUid(bytes.fromhex(uid)), *told)


def test_a_card_is_reported_with_its_whole_uid(
    rig: ReaderRig, listener: Listener, kind: RigKind
) -> None:
    listener.reader.arm()
    came_ns = rig.present(FIRST)
    event = listener.event()

    assert isinstance(event, CardSeen)
    assert event.card == card(kind, FIRST, 0x0344, 0x20)
    assert came_ns <= event.at_ns <= time.monotonic_ns()


@pytest.mark.parametrize(
    ("uid", "atqa", "sak"), [("1a2b3c4d", 0x0004, 0x08), ("04112233445566778899", 0x0384, 0x20)]
)
def test_other_lengths_of_uid_are_reported(
    rig: ReaderRig, listener: Listener, kind: RigKind, uid: str, atqa: int, sak: int
) -> None:
    rig.present(uid)
    event = listener.armed_event()

    assert isinstance(event, CardSeen)
    assert event.card == card(kind, uid, atqa, sak)


def test_a_phone_is_reported_as_random(rig: ReaderRig, listener: Listener) -> None:
    rig.present("08010203")
    event = listener.armed_event()

    assert isinstance(event, CardSeen)
    assert event.card.uid.is_random


@pytest.mark.parametrize("uid", [FIRST, "1a2b3c4d", "08010203"])
def test_a_card_that_stays_is_reported_once(rig: ReaderRig, listener: Listener, uid: str) -> None:
    rig.present(uid)

    assert isinstance(listener.armed_event(), CardSeen)
    assert listener.armed_event(3.0) is None


@pytest.mark.parametrize("rig", LEAVING, indirect=True)
def test_a_card_that_is_shown_again_is_reported_again(
    rig: ReaderRig, kind: RigKind, listener: Listener
) -> None:
    for _ in range(5):
        rig.present(FIRST)
        assert listener.uid() == FIRST
        rig.remove()
        if kind.away_s:
            assert listener.armed_event(kind.away_s) is None


@pytest.mark.parametrize("rig", NOT_LEAVING, indirect=True)
def test_a_card_that_is_shown_again_after_a_while_is_reported_again(
    rig: ReaderRig, listener: Listener
) -> None:
    for _ in range(2):
        rig.present(FIRST)
        assert listener.uid() == FIRST
        rig.remove()
        assert listener.armed_event(FORGOTTEN_S) is None


@pytest.mark.parametrize("rig", SECOND_REPORTED, indirect=True)
def test_the_next_card_is_reported_while_the_last_one_stays(
    rig: ReaderRig, listener: Listener
) -> None:
    rig.present(FIRST)
    assert listener.uid() == FIRST
    rig.present(SECOND)

    assert listener.uid() == SECOND
    assert listener.armed_event(0.5) is None


@pytest.mark.parametrize("rig", STAYING, indirect=True)
def test_a_card_that_comes_while_the_reader_is_not_armed_is_reported_once_it_is(
    rig: ReaderRig, listener: Listener
) -> None:
    rig.present(FIRST)

    assert listener.event(1.2) is None
    assert listener.uid() == FIRST


@pytest.mark.parametrize("rig", NOT_STAYING, indirect=True)
def test_a_card_that_may_have_left_since_is_not_reported_to_a_reader_that_is_armed_late(
    rig: ReaderRig, listener: Listener
) -> None:
    rig.present(FIRST)

    assert listener.event(1.2) is None
    assert listener.armed_event(0.5) is None
    rig.remove()
    rig.present(SECOND)
    assert listener.uid() == SECOND


@pytest.mark.parametrize("rig", STAYING, indirect=True)
def test_a_card_that_came_and_left_while_the_reader_was_not_armed_is_not_reported(
    rig: ReaderRig, kind: RigKind, listener: Listener
) -> None:
    rig.present(FIRST)
    assert listener.event(0.8) is None
    rig.remove()
    assert listener.event(kind.recovers_s) is None  # on a busy machine pcscd is late to see it

    assert listener.armed_event(0.7) is None
    rig.present(SECOND)
    assert listener.uid() == SECOND


@pytest.mark.parametrize("rig", STAYING, indirect=True)
def test_a_card_that_could_not_be_answered_is_reported_again_while_it_lies_there(
    rig: ReaderRig, listener: Listener
) -> None:
    rig.present(FIRST)
    for _ in range(3):
        assert listener.uid() == FIRST
        listener.reader.forget()


@pytest.mark.parametrize("rig", CLASH, indirect=True)
def test_two_cards_are_a_clash_and_no_card(rig: ReaderRig, listener: Listener) -> None:
    assert listener.armed_event(0.05) is None
    rig.clash(FIRST, SECOND)
    assert isinstance(listener.event(), Clash)
    assert listener.armed_event(0.3) is None
    rig.remove()
    rig.present(THIRD)

    assert listener.uid() == THIRD


@pytest.mark.parametrize(("rig", "stage", "expected"), STAGES, indirect=["rig"])
def test_a_card_that_leaves_early_is_reported_exactly_as_the_device_can_know(
    rig: ReaderRig,
    listener: Listener,
    kind: RigKind,
    stage: str,
    expected: type[ReaderEvent] | None,
) -> None:
    listener.reader.arm()
    rig.present(FIRST, leaves=stage)
    event = listener.event(0.5 if expected is None else 5.0)
    assert (type(event) if event is not None else None) is expected
    if isinstance(event, CardSeen):
        assert event.card == card(kind, FIRST, 0x0344, 0x20), "whole, or not at all"
    rig.remove()
    rig.present(SECOND)

    assert listener.uid() == SECOND
