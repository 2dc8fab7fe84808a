"""The visitor's hand takes its cards away in time, and leaves cards of another hand."""

from turnike_demo.turnstile.cards_on_reader import PATIENCE_NS, STAYS_NS, CardsOnReader, Hand


def test_a_hand_takes_its_card_away_a_moment_after_the_answer() -> None:
    hand = Hand()
    hand.hold(["matched"], 1_000)
    hand.answered(5_000)
    assert hand.due_ns == 5_000 + STAYS_NS
    assert hand.take_away_if_due(5_000 + STAYS_NS - 1) == []
    assert hand.take_away_if_due(5_000 + STAYS_NS) == ["matched"]
    assert not hand.cards
    assert hand.take_away_if_due(PATIENCE_NS) == []


def test_the_first_answer_counts() -> None:
    hand = Hand()
    hand.hold(["matched"], 0)
    hand.answered(5_000)
    hand.answered(9_000)
    assert hand.due_ns == 5_000 + STAYS_NS


def test_what_was_shown_before_the_card_was_there_is_no_answer() -> None:
    hand = Hand()
    hand.hold(["matched"], 7_000)
    hand.answered(5_000)
    assert hand.due_ns == 7_000 + PATIENCE_NS


def test_a_hand_gives_up_without_an_answer() -> None:
    hand = Hand()
    hand.hold(["matched", "unmatched"], 0)
    assert hand.take_away_if_due(PATIENCE_NS - 1) == []
    assert hand.take_away_if_due(PATIENCE_NS) == ["matched", "unmatched"]


def test_a_card_that_has_left_is_not_taken_away() -> None:
    hand = Hand()
    hand.hold(["matched", "unmatched"], 0)
    hand.left("matched")
    hand.left("staff")
    assert hand.take_away_if_due(PATIENCE_NS) == ["unmatched"]
    hand.hold(["matched"], 0)
    hand.left("matched")
    assert hand.due_ns is None


def test_an_empty_hand_waits_for_nothing() -> None:
    hand = Hand()
    hand.answered(5_000)
    assert hand.take_away_if_due(PATIENCE_NS) == []
    assert hand.due_ns is None


def test_a_card_that_was_taken_away_and_laid_there_again_has_not_left() -> None:
    on_reader = CardsOnReader()
    on_reader.add(["matched"])
    on_reader.remove("matched")
    on_reader.add(["matched"])
    assert not on_reader.removed("matched"), "that is the first removal, reported late"
    assert on_reader.cards == ["matched"]
    assert on_reader.removed("matched")
    assert on_reader.cards == []


def test_a_card_that_left_by_itself_while_it_was_taken_away_has_left_once() -> None:
    on_reader = CardsOnReader()
    on_reader.add(["matched"])
    on_reader.remove("matched")  # refused by the reader: it had left already
    on_reader.add(["matched"])
    assert not on_reader.removed("matched")
    assert on_reader.cards == ["matched"]
