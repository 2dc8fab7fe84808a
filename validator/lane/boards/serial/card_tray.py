"""The cards that a board with its own reader reports, kept until the lane's loop takes them.

Pure: events and times in, events out. `board.py` puts in what the line carries; `BoardReader`
(lane/readers/board_reader.py) takes out what the loop may see.

A card that the board reported in an earlier session is never reported as newly arrived. In the
lane's first session the lane before may have opened for it. In a later session it may be the card
that this lane reported last.
"""

from collections import deque

from validator.domain.events import (
    CardSeen,
    Clash,
    LaidBefore,
    ReaderBack,
    ReaderEvent,
    ReaderLost,
)

CARDS_WAITING_MAX = 4  # the loop takes each at once; a board that sends more is faulty
# A card that the board reported longer ago may have left: the lane asks what lies there now.
CARD_AGE_MAX_NS = 300_000_000
# How long a card may be the answer to an acknowledged READ: the time of three resends.
ANSWER_NS = 200_000_000

CardEvent = CardSeen | Clash


class CardTray:
    """Events of the board's own reader until the loop takes them: its state first, then cards."""

    def __init__(self) -> None:
        self.must_ask_again = False
        """A card waited too long. The board has to report again what lies on its reader."""
        self._works = False
        self._is_first_session = True
        self._reasons: set[str] = set()  # of this loss: each is reported once
        self._states: deque[ReaderLost | ReaderBack] = deque()  # at most one of each
        # Each with the board's flag `lay`: a lane may have answered it in an earlier session.
        self._cards: deque[tuple[CardEvent, bool]] = deque(maxlen=CARDS_WAITING_MAX)
        self._last: CardEvent | None = None  # the card that was reported last, in any session
        self._read_is_pending = False  # READ was sent and the board has not acknowledged it
        self._came_meanwhile: CardEvent | None = None  # while READ was pending
        self._answer_until_ns = 0

    def lose(self, reason: str, at_ns: int) -> None:
        """Note that the reader cannot be used. Cards that wait are dropped."""
        if self._works:
            self._is_first_session = False
        self._works = self._read_is_pending = False
        self._cards.clear()
        if reason not in self._reasons:
            self._reasons.add(reason)
            self._states.clear()
            self._states.append(ReaderLost(reason, at_ns))

    def board_back(self, reason: str, at_ns: int) -> None:
        """Note a new session. A reader that worked until now has restarted with its board."""
        if self._works:
            self.lose(reason, at_ns)

    def back(self, event: ReaderBack) -> None:
        """Note that the reader works."""
        if not self._works:
            self._works = True
            self._reasons.clear()
            self._states.append(event)

    def put(self, event: CardEvent, *, lay: bool = False) -> None:
        """Keep a card. One that comes before the board's first state of its reader waits for it.

        A card that arrived while READ was pending comes a second time, as the answer to READ. That
        second report is dropped.
        """
        before = self._came_meanwhile
        self._came_meanwhile = event if self._read_is_pending else None
        if before is None or self._read_is_pending or not self._is_answer(event, before):
            self._cards.append((event, lay))

    def asked(self) -> None:
        """Note that READ goes to the board now."""
        self.must_ask_again, self._read_is_pending = False, True
        self._came_meanwhile = None

    def read_acknowledged(self, now_ns: int) -> None:
        """Note that the board has received READ."""
        self._read_is_pending = False
        self._answer_until_ns = now_ns + ANSWER_NS

    def forget(self) -> bool:
        """Treat the card that was reported last as not reported. Returns False if there is none."""
        is_known, self._last = self._last is not None, None
        return is_known

    def has_events(self, *, armed: bool) -> bool:
        """Whether `take` returns an event now."""
        return bool(self._states or (armed and self._works and self._cards))

    def take(self, now_ns: int, *, armed: bool) -> ReaderEvent | None:
        """Return the next event, or None. A card older than CARD_AGE_MAX_NS is dropped.

        Such a card may have left, so `must_ask_again` is set.
        """
        if self._states:
            return self._states.popleft()
        while armed and self._works and self._cards:
            event, lay = self._cards.popleft()
            if now_ns - event.at_ns > CARD_AGE_MAX_NS:
                self.must_ask_again = True
                continue
            before, self._last = self._last, event
            if not lay:
                return event
            if before is not None and _is_same(event, before):
                continue  # this lane has answered it, and it has not left since
            return LaidBefore(event.at_ns) if self._is_first_session else event
        return None

    def _is_answer(self, event: CardEvent, before: CardEvent) -> bool:
        return event.at_ns < self._answer_until_ns and _is_same(event, before)


def _is_same(event: CardEvent, before: CardEvent) -> bool:
    if isinstance(event, CardSeen) and isinstance(before, CardSeen):
        return event.card == before.card
    return type(event) is type(before)
