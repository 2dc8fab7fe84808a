"""The visitor's hand: which cards it holds to the reader, and when it takes them away by itself; and what lies there. Pure: times are the monotonic clock's.

A hand that taps waits for the answer, leaves the card for a moment, as hands do, and takes it away; without an answer it gives up.
"""

from collections import Counter
from collections.abc import Iterable

NS_PER_MS = 1_000_000
STAYS_NS = 400 * NS_PER_MS  # after the answer was shown
PATIENCE_NS = 3_000 * NS_PER_MS  # without an answer


class Hand:
    """One hand. What it has let go of, or left lying, is not its affair any more."""

    def __init__(self) -> None:
        self.cards: list[str] = []
        """What it holds."""
        self._since_ns = 0
        self.due_ns: int | None = None
        """When it takes its cards away; None while it holds none."""

    def hold(self, cards: Iterable[str], now_ns: int) -> None:
        """Hold these to the reader."""
        self.cards = list(cards)
        self._since_ns, self.due_ns = now_ns, now_ns + PATIENCE_NS

    def answered(self, at_ns: int) -> None:
        """The gate has shown something. What it showed before the card was there is no answer."""
        if self.due_ns is not None and at_ns >= self._since_ns:
            self.due_ns = min(self.due_ns, at_ns + STAYS_NS)

    def left(self, card: str) -> None:
        """This card is not on the reader any more."""
        if card in self.cards:
            self.cards.remove(card)
        if not self.cards:
            self.due_ns = None

    def take(self) -> list[str]:
        """Let go: what it takes away."""
        cards, self.cards, self.due_ns = self.cards, [], None
        return cards

    def taken(self, now_ns: int) -> list[str]:
        """What it takes away now, if it is time."""
        return self.take() if self.due_ns is not None and now_ns >= self.due_ns else []


class Lying:
    """What lies on the reader by all that it was told; it obeys a moment later, and says so."""

    def __init__(self) -> None:
        self.cards: list[str] = []
        self._leaving: Counter[str] = (
            Counter()
        )  # were taken away, and the reader has not said so yet

    def lay(self, cards: Iterable[str]) -> None:
        """It was told that these come."""
        self.cards += cards

    def take(self, card: str) -> None:
        """It was told that this one goes."""
        self.cards.remove(card)
        self._leaving[card] += 1

    def gone(self, card: str) -> bool:
        """It says that this one is gone. Whether that is news: the card has left by itself."""
        if self._leaving[card]:
            self._leaving[card] -= 1
            return False
        self.cards.remove(card)
        return True
