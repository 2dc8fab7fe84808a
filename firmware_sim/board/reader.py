"""The card reader of a board that reads cards itself: what lies on it, and what of that is still to be told. Pure: time is an argument.

It knows no session and no power; board.py says when what lies there has to be told or read anew.
"""

from dataclasses import dataclass, replace
from random import Random

from firmware_sim.board.frames import ONE_CARD, SEVERAL_CARDS, Card
from firmware_sim.cards import card_of, parse_uid
from firmware_sim.outcomes import RefusedError

NS_PER_MS = 1_000_000


@dataclass(slots=True)
class _Lying:
    """One card, or two that came at once. `card` is what was read of it, None before that."""

    uids: tuple[bytes, ...]
    whole_ns: int
    card: Card | None = None
    told: bool = False
    is_taken: bool = False  # acknowledged by a lane, or it may have been before the power went
    lay: bool = False  # so in an earlier session


class OwnReader:
    """The reader from power-on to power-off and on: a card lies there with or without power."""

    def __init__(self, random: Random, *, read_ms: int) -> None:
        """`read_ms` is what it needs for a card; `random` draws the UIDs of phones."""
        self._random = random
        self._read_ns = read_ms * NS_PER_MS
        self._lying: _Lying | None = None

    @property
    def uids(self) -> list[str]:
        """What lies there, in hex."""
        return [uid.hex() for uid in self._lying.uids] if self._lying else []

    def present(self, texts: tuple[str, ...], now_ns: int) -> None:
        """Put one card there, or two in one moment.

        Raises:
            RefusedError: there is one already, or that is no UID.
        """
        if self._lying is not None:
            raise RefusedError("present: there is a card already; remove it, or say clash UID UID")
        try:
            uids = tuple(parse_uid(text) for text in texts)
        except ValueError as error:
            raise RefusedError(f"present: {error}") from error
        self._lying = _Lying(uids, now_ns + self._read_ns)

    def remove(self) -> None:
        """Take everything away.

        Raises:
            RefusedError: there is nothing.
        """
        if self._lying is None:
            raise RefusedError("remove: there is no card")
        self._lying = None

    def power_on(self, now_ns: int) -> None:
        """What lies there is read anew."""
        if self._lying is not None:
            self._lying = _Lying(self._lying.uids, now_ns + self._read_ns, is_taken=True, lay=True)

    def new_session(self) -> None:
        """Whoever listens now has heard of nothing; what lies there lay there before."""
        if self._lying is not None:
            self._lying.lay = self._lying.is_taken
        self.tell_again()

    def taken(self, card: Card) -> None:
        """The lane has acknowledged this card."""
        if (
            self._lying is not None
            and self._lying.card is not None
            and self._lying.card.uid == card.uid
        ):
            self._lying.is_taken = True

    def opened(self) -> None:
        """The lane has opened for somebody: for this card, if it was told, though the acknowledgement may have been lost."""
        if self._lying is not None and self._lying.told:
            self._lying.is_taken = True

    def tell_again(self) -> None:
        """The lane has asked for what lies there, told or not."""
        if self._lying is not None:
            self._lying.told = False

    def due_ns(self) -> int | None:
        """When `read` has something to tell; None when it has not."""
        return self._lying.whole_ns if self._lying and not self._lying.told else None

    def read(self, now_ns: int) -> Card | None:
        """What has been read whole and not told yet; it counts as told from now on."""
        lying = self._lying
        if lying is None or lying.told or now_ns < lying.whole_ns:
            return None
        lying.told = True
        lying.card = lying.card or self._card(lying.uids)
        return replace(lying.card, lay=lying.lay)

    def _card(self, uids: tuple[bytes, ...]) -> Card:
        if len(uids) > 1:
            return Card(SEVERAL_CARDS, False, 0, 0, b"")
        card = card_of(uids[0])
        atqa = int.from_bytes(card.sens_res, "big")
        return Card(ONE_CARD, False, card.sel_res, atqa, card.shown_uid(self._random))
