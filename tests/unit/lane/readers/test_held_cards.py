"""Which answer of a reader repeats a card that was reported before (readers/held_cards.py)."""

import pytest

from validator.domain.cards import Card, CardUid
from validator.domain.events import CardSeen, Clash, LaidBefore, ReaderEvent
from validator.lane.readers.held_cards import HeldCards


def seen(uid: str = "0489ab12cd34ef") -> CardSeen:
    return CardSeen(Card(CardUid(bytes.fromhex(uid)), 0x0344, 0x20), 0)


FIRST, SECOND = seen(), seen("04a1b2c3d4e5f6")


def silent_probe(held: HeldCards, *, reset: bool = True, request: bool = True) -> None:
    """A field reset and four requests without an answer."""
    held.field_reset(acknowledged=reset)
    for acknowledged in (True, True, request, True):
        held.requested(acknowledged=acknowledged)


def is_repeat_after_reset(held: HeldCards, event: CardSeen | Clash) -> bool:
    held.field_reset(acknowledged=True)
    return held.news(event) is None


def test_a_reported_card_that_answers_after_a_reset_is_a_repeat() -> None:
    held = HeldCards()
    held.reported(FIRST)
    assert held.news(FIRST) is FIRST, "without a reset an answer is a card that has just arrived"
    assert is_repeat_after_reset(held, FIRST)
    assert not is_repeat_after_reset(held, SECOND)


def test_both_cards_that_were_reported_one_after_the_other_are_held() -> None:
    held = HeldCards()
    held.reported(FIRST)
    held.reported(SECOND)
    assert is_repeat_after_reset(held, FIRST)
    assert is_repeat_after_reset(held, SECOND)


def test_a_phone_is_a_repeat_although_it_draws_another_uid() -> None:
    held = HeldCards()
    held.reported(seen("08010203"))
    assert is_repeat_after_reset(held, seen("08aabbcc"))


def test_a_card_has_left_after_two_conclusive_probes_without_an_answer() -> None:
    held = HeldCards()
    held.reported(FIRST)
    silent_probe(held)
    assert is_repeat_after_reset(held, FIRST), "after one it may be a lost answer"
    silent_probe(held)
    silent_probe(held)
    assert not is_repeat_after_reset(held, FIRST)


@pytest.mark.parametrize(("reset", "request_"), [(False, True), (True, False)])
def test_a_probe_with_a_missed_acknowledgement_proves_nothing(
    *, reset: bool, request_: bool
) -> None:
    held = HeldCards()
    held.reported(FIRST)
    for _ in range(5):
        silent_probe(held, reset=reset, request=request_)
    assert is_repeat_after_reset(held, FIRST)


def test_what_lay_there_at_the_start_is_unreported_until_it_is_reported() -> None:
    held = HeldCards()

    def news_after_reset(event: CardSeen | Clash) -> ReaderEvent | None:
        held.field_reset(acknowledged=True)
        return held.news(event)

    held.lay_at_start(Clash(0))
    assert news_after_reset(FIRST) == LaidBefore(0), "one of the two by itself as well"
    held.reported(LaidBefore(0))
    assert news_after_reset(Clash(0)) is None
    held.forget()
    assert news_after_reset(Clash(0)) == LaidBefore(0)
    held.arrived_again(FIRST)
    assert news_after_reset(Clash(0)) == LaidBefore(0), "it stays held"


def test_a_report_that_could_not_be_answered_is_made_again() -> None:
    held = HeldCards()
    held.reported(FIRST)
    held.reported(SECOND)
    held.forget()
    assert not is_repeat_after_reset(held, SECOND)
    assert is_repeat_after_reset(held, FIRST)


def test_a_card_that_arrived_again_while_the_lane_did_not_run_is_no_repeat() -> None:
    held = HeldCards()
    held.reported(FIRST)
    held.reported(Clash(0))
    held.arrived_again(FIRST)
    assert not is_repeat_after_reset(held, FIRST)
    assert is_repeat_after_reset(held, Clash(0))
    held.arrived_again(Clash(0))
    assert not is_repeat_after_reset(held, Clash(0))
