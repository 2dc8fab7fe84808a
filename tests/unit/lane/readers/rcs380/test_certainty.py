"""Which findings of an RC-S380 are certain enough to report."""

from validator.domain.cards import Card, CardUid
from validator.lane.readers.findings import Found, NoCard
from validator.lane.readers.rcs380.certainty import (
    REQUESTS_AFTER_BREAK,
    SILENT_REQUESTS,
    Certainty,
)

CARD = Card(CardUid(bytes(7)), 0x0344, 0x20)
NONE, SEVERAL, INCOMPLETE = NoCard.NONE, NoCard.SEVERAL, NoCard.INCOMPLETE


def certain(*found: Found, certainty: Certainty | None = None) -> list[Found | None]:
    certainty = certainty or Certainty()
    return [certainty.take(each) for each in found]


def test_a_whole_card_is_certain_at_once() -> None:
    assert certain(CARD, NoCard.UNREADABLE) == [CARD, NoCard.UNREADABLE]


def test_an_empty_field_is_nothing_to_report() -> None:
    assert certain(*[NONE] * 20) == [None] * 20


def test_two_cards_are_certain_at_the_second_time() -> None:
    assert certain(SEVERAL, NONE, SEVERAL, SEVERAL) == [None, None, SEVERAL, SEVERAL]


def test_noise_that_looks_like_a_second_card_once_is_not_reported() -> None:
    assert certain(SEVERAL, CARD, SEVERAL, CARD) == [None, CARD, None, CARD]
    assert certain(SEVERAL, *[NONE] * SILENT_REQUESTS, SEVERAL)[-1] is None


def test_a_card_that_breaks_off_and_answers_then_is_that_card() -> None:
    assert certain(INCOMPLETE, NONE, INCOMPLETE, NONE, CARD)[-1] == CARD
    assert certain(INCOMPLETE, NONE, CARD, *[NONE] * 20)[3:] == [None] * 20


def test_a_card_that_breaks_off_and_is_gone_has_left_early_once() -> None:
    found = certain(INCOMPLETE, *[NONE] * 20)
    assert found.index(INCOMPLETE) == REQUESTS_AFTER_BREAK
    assert found.count(INCOMPLETE) == 1


def test_a_card_at_the_edge_of_the_field_is_reported_once_until_it_is_gone() -> None:
    certainty = Certainty()
    assert certain(*[INCOMPLETE, NONE] * 50, certainty=certainty).count(INCOMPLETE) == 1
    assert certain(*[NONE] * SILENT_REQUESTS, certainty=certainty).count(INCOMPLETE) == 0
    assert certain(*[INCOMPLETE, NONE] * 50, certainty=certainty).count(INCOMPLETE) == 1


def test_two_cards_that_stay_hurry_no_request() -> None:
    certainty = Certainty()
    certain(SEVERAL, certainty=certainty)
    assert certainty.is_open
    certain(SEVERAL, certainty=certainty)
    assert not certainty.is_open
