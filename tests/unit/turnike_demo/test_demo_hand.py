"""The visitor's hand: when it takes its cards away."""

from turnike_demo.turnstile.hand import PATIENCE_NS, STAYS_NS, Hand, Lying


def test_it_takes_the_card_away_a_moment_after_the_answer() -> None:
    hand = Hand()
    hand.hold(["matched"], 1_000)
    hand.answered(5_000)
    assert hand.due_ns == 5_000 + STAYS_NS
    assert hand.taken(5_000 + STAYS_NS - 1) == []
    assert hand.taken(5_000 + STAYS_NS) == ["matched"]
    assert not hand.cards
    assert hand.taken(PATIENCE_NS) == []


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


def test_without_an_answer_it_gives_up() -> None:
    hand = Hand()
    hand.hold(["matched", "unmatched"], 0)
    assert hand.taken(PATIENCE_NS - 1) == []
    assert hand.taken(PATIENCE_NS) == ["matched", "unmatched"]


def test_a_card_that_has_left_is_not_taken_away() -> None:
    hand = Hand()
    hand.hold(["matched", "unmatched"], 0)
    hand.left("matched")
    hand.left("staff")
    assert hand.taken(PATIENCE_NS) == ["unmatched"]
    hand.hold(["matched"], 0)
    hand.left("matched")
    assert hand.due_ns is None


def test_an_empty_hand_waits_for_nothing() -> None:
    hand = Hand()
    hand.answered(5_000)
    assert hand.taken(PATIENCE_NS) == []
    assert hand.due_ns is None


def test_a_card_that_was_taken_away_and_laid_there_again_has_not_left() -> None:
    lying = Lying()
    lying.lay(["matched"])
    lying.take("matched")
    lying.lay(["matched"])
    assert not lying.gone("matched"), "that is the first time, told late"
    assert lying.cards == ["matched"]
    assert lying.gone("matched")
    assert lying.cards == []


def test_a_card_that_left_by_itself_while_it_was_taken_away_has_left_once() -> None:
    lying = Lying()
    lying.lay(["matched"])
    lying.take("matched")  # refused: it had gone already
    lying.lay(["matched"])
    assert not lying.gone("matched")
    assert lying.cards == ["matched"]
