"""Which card lies in a slot, from the slot's state and from what reads brought."""

import pytest

from validator.domain.cards import Card, CardUid
from validator.lane.readers.pcsc.card import NoCard
from validator.lane.readers.pcsc.codes import State
from validator.lane.readers.pcsc.stay import TRIES_MAX, Arrived, Gone, News, Stays, StillThere

EMPTY, PRESENT = State.EMPTY, State.PRESENT


def card(uid: str) -> Card:
    return Card(CardUid(bytes.fromhex(uid)), None, None)


A, B = card("0489ab12cd34ef"), card("04a1b2c3d4e5f6")
PHONE, OTHER_PHONE = card("08010203"), card("08aabbcc")


def state(count: int, what: State) -> int:
    return count << 16 | what


class Slot(Stays):
    """Stays, with a time that counts the calls."""

    def __init__(self, count: int = 0) -> None:
        super().__init__()
        self.now = 0
        assert self.set(count, EMPTY) == []

    def set(self, count: int, what: State) -> list[News]:
        self.now += 1
        return list(self.slot(state(count, what), self.now))

    def bring(self, reading: Card | NoCard) -> News | None:
        self.now += 1
        return self.read(reading, self.now)


def lying(what: Card, count: int = 1) -> Slot:
    slot = Slot(count - 1)
    assert slot.set(count, PRESENT) == []
    assert slot.bring(what) == Arrived(what, slot.now)
    return slot


def test_a_card_comes_stays_and_goes() -> None:
    slot = lying(A)
    assert slot.bring(A) == StillThere(slot.now)
    assert slot.set(2, EMPTY) == [Gone()]
    assert not slot.is_card_there


def test_a_card_that_left_before_it_was_read_is_news_too() -> None:
    slot = Slot()
    slot.set(1, PRESENT)
    assert slot.bring(NoCard.NO_ANSWER) is None
    assert slot.set(2, EMPTY) == [Arrived(NoCard.NO_ANSWER, slot.now), Gone()]


def test_a_swap_without_an_event_is_seen_by_the_uid() -> None:
    slot = lying(A)
    assert slot.bring(B) == Arrived(B, slot.now)
    assert slot.bring(A) == Arrived(A, slot.now)


def test_a_card_that_left_and_came_between_two_waits_is_another_stay() -> None:
    slot = lying(A)
    assert slot.set(3, PRESENT) == [Gone()]
    assert slot.bring(A) == Arrived(A, slot.now)


@pytest.mark.parametrize("first", [1, 0xFFFF])
def test_one_step_of_the_counter_is_no_other_card(first: int) -> None:
    slot = lying(A, first)
    assert slot.set((first + 1) & 0xFFFF, PRESENT) == []
    assert slot.bring(A) == StillThere(slot.now)


def test_the_counter_wraps() -> None:
    slot = lying(A, 0xFFFF)
    assert slot.set(1, PRESENT) == [Gone()]


def test_a_phone_that_was_powered_again_is_the_same_card() -> None:
    assert lying(PHONE).bring(OTHER_PHONE) == StillThere(4)


def test_reads_that_fail_do_not_end_a_stay() -> None:
    slot = lying(A)
    for _ in range(2 * TRIES_MAX):
        assert slot.bring(NoCard.NO_ANSWER) is None
        assert slot.bring(NoCard.UNREADABLE) is None
        assert slot.bring(NoCard.HELD) is None
    assert slot.bring(A) == StillThere(slot.now)


def test_a_card_that_stays_and_does_not_answer_is_unreadable() -> None:
    slot = Slot()
    slot.set(1, PRESENT)
    for _ in range(TRIES_MAX - 1):
        assert slot.bring(NoCard.NO_ANSWER) is None
    assert slot.bring(NoCard.NO_ANSWER) == Arrived(NoCard.UNREADABLE, slot.now)
    assert slot.bring(NoCard.NO_ANSWER) == StillThere(slot.now)
    assert slot.bring(A) == Arrived(A, slot.now)


def test_a_card_that_has_not_answered_is_read_again_sooner() -> None:
    slot = Slot()
    slot.set(1, PRESENT)
    soon = slot.pause_ms
    slot.bring(A)
    assert soon < slot.pause_ms
