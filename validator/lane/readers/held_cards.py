"""The cards that a reader has reported and that may lie in its field still. Pure: no clock.

The reader resets the field now and then, so that a card whose answer was lost answers again. Then
every card in the field answers, also one that was reported before. `HeldCards` decides which
it is: a repeat of a held card, or a card that has just arrived.

While it is uncertain, a card counts as held: the gate must not open twice for it because the line
or the machine was late. So a passenger who shows the same card again within two requests of a
reset, 0.2 s, has to show it once more.

Time proves nothing here: chip and lane may each have paused for any time. Only requests that
the chip acknowledged and did not answer prove that a card has left.

    held.reported(event)       # a card went to the loop
    held.field_reset(...)      # begin a probe: every card in the field answers again
    held.requested(...)        # once for each request without an answer; two silent probes: it left
    held.news(event)           # an answer came: None if it repeats a held card
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum

from validator.domain.cards import Card
from validator.domain.events import CardSeen, LaidBefore, ReaderEvent

RESET_NS = 900_000_000  # between two field resets: a card that was missed is served within 1 s
# The same after a report: most passengers have taken their card away by then.
RESET_AFTER_REPORT_NS = 1_700_000_000
# An answer that may have waited for longer is asked for again: this machine did not run, and the
# card may have left.
OLD_NS = 300_000_000
CARDS_MAX = 2  # that a PN532 can list; and the first of two may lie there in silence
# A card in the field has answered by then, even to a chip that drops every second request.
REQUESTS_MAX = 2
SILENT_PROBES_MAX = 2  # conclusive ones without an answer: one answer may have been lost


class _Origin(Enum):
    """How the held cards came there, and what was reported of them."""

    ARRIVED = "arrived while the lane ran, and was reported"
    LAY_AT_START = "lay there when the lane began; not reported yet"
    LAY_AT_START_REPORTED = "lay there when the lane began; reported as LaidBefore"


@dataclass(slots=True)
class _Probe:
    """The requests since a field reset, to which a card that is still in the field answers."""

    is_conclusive: bool
    """Whether such a card must have answered: no acknowledgement was missed."""
    requests: int = 0
    """How many the chip has acknowledged and not answered."""


class HeldCards:
    """What was reported last and may still lie in the field. For the reader's thread."""

    def __init__(self) -> None:
        self._cards: deque[CardSeen] = deque(maxlen=CARDS_MAX)
        # The event without a single UID, such as Clash, that was reported after `_cards`.
        self._without_uid: ReaderEvent | None = None
        self._origin = _Origin.ARRIVED
        self._probe: _Probe | None = None  # None: an answer is a card that has just arrived
        self._silent_probes = 0  # conclusive ones in a row

    def lay_at_start(self, event: ReaderEvent) -> None:
        """Hold what lay there when the lane began. The lane before may have opened for it."""
        self._keep(event)
        self._origin = _Origin.LAY_AT_START

    def reported(self, event: ReaderEvent) -> None:
        """Hold what was reported to the loop now; it may stay in the field."""
        if isinstance(event, LaidBefore):
            self._origin = _Origin.LAY_AT_START_REPORTED
        else:
            if isinstance(event, CardSeen):
                self._origin = _Origin.ARRIVED
            elif self._origin is _Origin.LAY_AT_START:
                self._origin = _Origin.LAY_AT_START_REPORTED
            self._keep(event)
        self._probe, self._silent_probes = None, 0

    def forget(self) -> None:
        """Treat the last report as not made: the loop could not answer it.

        A card that arrived is released. One that lay there at the start becomes unreported again.
        """
        if self._origin is _Origin.ARRIVED:
            if self._without_uid is None and self._cards:
                self._cards.pop()
            self._without_uid = None
        else:
            self._origin = _Origin.LAY_AT_START
        self._probe = None

    def arrived_again(self, event: ReaderEvent) -> None:
        """Release the held card that `event` names: it left and came while the lane did not run.

        A card that lay there when the lane began stays held.
        """
        if self._origin is not _Origin.ARRIVED:
            return
        if isinstance(event, CardSeen):
            same = [held for held in self._cards if _is_same(event.card, held.card)]
            for held in same:
                self._cards.remove(held)
        else:
            self._without_uid = None

    def field_reset(self, *, acknowledged: bool) -> None:
        """Begin a probe: from now on every card in the field answers again.

        Args:
            acknowledged: the chip has acknowledged the reset; else the probe proves nothing.
        """
        self._probe = _Probe(is_conclusive=acknowledged)

    def requested(self, *, acknowledged: bool) -> None:
        """Count a request that was sent while the one before it is unanswered.

        Args:
            acknowledged: the chip has acknowledged this request. If not, it may have cut off the
                one before and left the card selected and silent.
        """
        probe = self._probe
        if probe is None:
            return
        if not acknowledged:
            probe.is_conclusive = False
            return
        probe.requests += 1
        if probe.requests > REQUESTS_MAX:
            self._probe = None
            self._silent_probes += probe.is_conclusive
            if self._silent_probes >= SILENT_PROBES_MAX:
                self._release_all()

    def news(self, event: ReaderEvent) -> ReaderEvent | None:
        """Return what the loop has to be told of an answer; a held card ends the probe.

        Returns:
            None for a repeat of what was reported, LaidBefore for what lay there when the lane
            began and was not reported yet, else `event`.
        """
        if self._probe is None or not self._is_held(event):
            return event
        self._probe, self._silent_probes = None, 0
        return LaidBefore(event.at_ns) if self._origin is _Origin.LAY_AT_START else None

    def _is_held(self, event: ReaderEvent) -> bool:
        if self._without_uid is not None and (
            # Of two cards that lay there at the start, each is held by itself as well.
            self._origin is not _Origin.ARRIVED or type(event) is type(self._without_uid)
        ):
            return True
        return isinstance(event, CardSeen) and any(
            _is_same(event.card, held.card) for held in self._cards
        )

    def _keep(self, event: ReaderEvent) -> None:
        if isinstance(event, CardSeen):
            self._without_uid = None
            self._cards.append(event)
        else:
            self._without_uid = event

    def _release_all(self) -> None:
        self._cards.clear()
        self._without_uid = None
        self._origin = _Origin.ARRIVED


def _is_same(card: Card, before: Card) -> bool:
    # A phone draws another random UID after each field reset.
    return card == before or (card.uid.is_random and before.uid.is_random)
