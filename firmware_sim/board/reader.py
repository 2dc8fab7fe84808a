"""The card reader of a board that reads cards itself: which card lies there, and what was reported.

Pure: time is an argument. board.py calls it at a new session and at power-on, when a card has to
be reported or read again.
"""

from dataclasses import dataclass, replace
from random import Random

from firmware_sim.board.frames import ONE_CARD, SEVERAL_CARDS, Card
from firmware_sim.cards import card_of, parse_uid
from firmware_sim.outcomes import RefusedError

NS_PER_MS = 1_000_000


@dataclass(slots=True)
class _Presented:
    """One card, or two that came at once.

    Attributes:
        uids: of the cards.
        read_ns: when the reader has read them.
        card: what was read; None before that.
        reported: whether CARD was sent for it.
        is_taken: a lane has acknowledged it, or may have before the power went.
        lay: it was taken in an earlier session.
    """

    uids: tuple[bytes, ...]
    read_ns: int
    card: Card | None = None
    reported: bool = False
    is_taken: bool = False
    lay: bool = False


class BoardReader:
    """The board's own reader; a card lies there with or without power."""

    def __init__(self, random: Random, *, read_ms: int) -> None:
        """`read_ms` is how long it reads a card; `random` draws the UIDs of phones."""
        self._random = random
        self._read_ns = read_ms * NS_PER_MS
        self._there: _Presented | None = None

    @property
    def uids(self) -> list[str]:
        """The UIDs of the cards that lie there, in hex."""
        return [uid.hex() for uid in self._there.uids] if self._there else []

    def present(self, texts: tuple[str, ...], now_ns: int) -> None:
        """Put one card there, or two at once.

        Raises:
            RefusedError: a card is there already, or a text is no UID.
        """
        if self._there is not None:
            raise RefusedError("present: there is a card already; remove it, or use clash UID UID")
        try:
            uids = tuple(parse_uid(text) for text in texts)
        except ValueError as error:
            raise RefusedError(f"present: {error}") from error
        self._there = _Presented(uids, now_ns + self._read_ns)

    def remove(self) -> None:
        """Take all cards away.

        Raises:
            RefusedError: there is none.
        """
        if self._there is None:
            raise RefusedError("remove: there is no card")
        self._there = None

    def power_on(self, now_ns: int) -> None:
        """Read a card that lies there again."""
        if self._there is not None:
            self._there = _Presented(
                self._there.uids, now_ns + self._read_ns, is_taken=True, lay=True
            )

    def new_session(self) -> None:
        """Report a card that lies there to the new session, as one that lay there before."""
        if self._there is not None:
            self._there.lay = self._there.is_taken
        self.report_again()

    def taken(self, card: Card) -> None:
        """Note that the lane has acknowledged this card."""
        if (
            self._there is not None
            and self._there.card is not None
            and self._there.card.uid == card.uid
        ):
            self._there.is_taken = True

    def opened(self) -> None:
        """Note that the lane has opened.

        If the card was reported, that was for this card, even if the ACK was lost.
        """
        if self._there is not None and self._there.reported:
            self._there.is_taken = True

    def report_again(self) -> None:
        """Report a card that lies there, even if it was reported before."""
        if self._there is not None:
            self._there.reported = False

    def due_ns(self) -> int | None:
        """Return when `read` returns a card; None if it does not."""
        return self._there.read_ns if self._there and not self._there.reported else None

    def read(self, now_ns: int) -> Card | None:
        """Return a card that was read and not reported; it counts as reported from now on."""
        there = self._there
        if there is None or there.reported or now_ns < there.read_ns:
            return None
        there.reported = True
        there.card = there.card or self._card(there.uids)
        return replace(there.card, lay=there.lay)

    def _card(self, uids: tuple[bytes, ...]) -> Card:
        if len(uids) > 1:
            return Card(SEVERAL_CARDS, False, 0, 0, b"")
        card = card_of(uids[0])
        atqa = int.from_bytes(card.sens_res, "big")
        return Card(ONE_CARD, False, card.sel_res, atqa, card.shown_uid(self._random))
