"""The cards on the visitor's reader, and the hand that holds some of them there. Pure.

A tap is a hand that holds a card, waits for the gate's answer, leaves the card a moment longer as
hands do, and takes it away; without an answer it gives up. Times are of the monotonic clock.
"""

from collections import Counter
from collections.abc import Iterable

NS_PER_MS = 1_000_000
STAYS_NS = 400 * NS_PER_MS  # how long the card stays after the answer
PATIENCE_NS = 3_000 * NS_PER_MS  # how long it stays without an answer


class Hand:
    """One hand, and the cards that it holds to the reader."""

    def __init__(self) -> None:
        self.cards: list[str] = []
        """The cards that it holds."""
        self._since_ns = 0
        self.due_ns: int | None = None
        """When it takes its cards away; None while it holds none."""

    def hold(self, cards: Iterable[str], now_ns: int) -> None:
        """Hold these cards to the reader."""
        self.cards = list(cards)
        self._since_ns, self.due_ns = now_ns, now_ns + PATIENCE_NS

    def answered(self, at_ns: int) -> None:
        """Note that the gate showed an answer; one from before the cards came does not count."""
        if self.due_ns is not None and at_ns >= self._since_ns:
            self.due_ns = min(self.due_ns, at_ns + STAYS_NS)

    def left(self, card: str) -> None:
        """Note that this card is no longer on the reader."""
        if card in self.cards:
            self.cards.remove(card)
        if not self.cards:
            self.due_ns = None

    def take_away(self) -> list[str]:
        """Let go of all cards, and return them."""
        cards, self.cards, self.due_ns = self.cards, [], None
        return cards

    def take_away_if_due(self, now_ns: int) -> list[str]:
        """Return the cards that it takes away now; none before they are due."""
        return self.take_away() if self.due_ns is not None and now_ns >= self.due_ns else []


class CardsOnReader:
    """The cards on the reader by the verbs sent to it; it obeys a moment later and reports that."""

    def __init__(self) -> None:
        self.cards: list[str] = []
        self._leaving: Counter[str] = Counter()  # removal sent, and not reported yet

    def add(self, cards: Iterable[str]) -> None:
        """Note that `present` was sent for these cards."""
        self.cards += cards

    def remove(self, card: str) -> None:
        """Note that `remove` was sent for this card."""
        self.cards.remove(card)
        self._leaving[card] += 1

    def removed(self, card: str) -> bool:
        """Take the reader's report that a card was removed.

        Returns:
            True if the card left by itself, False if `remove` announced it.
        """
        if self._leaving[card]:
            self._leaving[card] -= 1
            return False
        self.cards.remove(card)
        return True
