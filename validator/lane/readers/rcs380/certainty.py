"""Which of the chip's findings are certain enough to report. Pure: no clock.

One request proves little. A card that comes near breaks off once or twice before it answers in
full, and noise looks like a second card. So a passenger is told only what holds.
"""

from validator.domain.cards import Card
from validator.lane.readers.findings import Found, NoCard

# Requests after an exchange that broke off, without a whole card: then it has left early. A card
# whose exchange broke off skips the request after that, by the standard.
REQUESTS_AFTER_BREAK = 5
SILENT_REQUESTS = 5  # in a row: then the field is empty
CLASHES_MIN = 2  # without a whole card between them


class Certainty:
    """Takes what each request found, in order."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._silent = 0  # requests, in a row
        self._since_break: int | None = None  # requests since an exchange broke off
        self._clashes = 0
        self._has_left_early = False  # was reported, and the field was not empty since

    @property
    def is_open(self) -> bool:
        """Whether the next requests decide about something that has begun."""
        return self._since_break is not None or 0 < self._clashes < CLASHES_MIN

    def take(self, found: Found) -> Found | None:
        """Return what is certain now, or None.

        INCOMPLETE means a card that has left early. It is returned once, and again only after the
        field was empty or a card was read: a card that lies at the edge breaks off for ever.
        """
        if isinstance(found, Card) or found is NoCard.UNREADABLE:
            self._begin()
            return found
        self._silent = self._silent + 1 if found is NoCard.NONE else 0
        if self._silent >= SILENT_REQUESTS:
            self._clashes = 0
        if found is NoCard.SEVERAL:
            self._since_break = None
            self._clashes += 1
            return found if self._clashes >= CLASHES_MIN else None
        return self._left_early(found)

    def _left_early(self, found: Found) -> NoCard | None:
        if self._since_break is not None:
            self._since_break += 1
        elif found is NoCard.INCOMPLETE:
            self._since_break = 0
        is_certain = self._since_break == REQUESTS_AFTER_BREAK and not self._has_left_early
        if self._since_break == REQUESTS_AFTER_BREAK:
            self._since_break = None
            self._has_left_early = True
        if self._silent >= SILENT_REQUESTS:
            self._has_left_early = False
        return NoCard.INCOMPLETE if is_certain else None
