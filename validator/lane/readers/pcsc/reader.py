"""A reader behind pcscd, for the loop: what the watcher's news mean, card by card.

The loop's thread makes no call into libpcsclite, so no fault of reader or pcscd holds it. A card is
reported only if a read of it began within OLD_NS: the watcher reads a card that lies there again
and again, so one that waits for `arm` is known to be there, and one that has left is not reported.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from validator.domain.cards import Card
from validator.domain.events import (
    CardSeen,
    LaidBefore,
    LeftEarly,
    ReaderBack,
    ReaderEvent,
    ReaderLost,
    Unsupported,
)
from validator.lane.readers.pcsc import library, reasons
from validator.lane.readers.pcsc.card import NoCard
from validator.lane.readers.pcsc.stay import Arrived, Gone, StillThere, is_same
from validator.lane.readers.pcsc.watcher import Lost, Ready, Watcher, WatcherNews

# A read that began earlier proves no card: the passenger may have gone. A slow reader takes 0.4 s
# for a read, and the watcher reads a card that stays every 0.15 s.
OLD_NS = 500_000_000
TICK_NS = 250_000_000
# One call of the watcher may take so long: 0.5 s for a wait, and 1 s for a slow reader. Counted in
# ticks of the loop, not by the clock: a machine that slept has no reader that hangs.
HELD_UP_TICKS = 6
_NUMBER_S = 0.09  # the loop waits 100 ms at most for a printed number


@dataclass(slots=True)
class _Lying:
    """The card that arrived last, or one that lay there at the start and was not read yet."""

    what: Card | NoCard
    arrived_ns: int | None  # None: not read yet
    read_ns: int
    lay_at_start: bool
    is_reported: bool = False
    has_left: bool = False


class PcscReader:
    """A validator.lane.ports.Reader. Every fault is an event; no method raises."""

    def __init__(
        self,
        pcsc: library.Pcsc,
        pattern: str,
        locks: Path,
        *,
        reads_numbers: bool = False,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Start to look for the slot in a thread; the first event is its result.

        Args:
            pcsc: libpcsclite, loaded.
            pattern: of the slot's name, with the wildcards of a shell: `ACS ACR1252*PICC*`.
            locks: a folder that all lanes of this gate share, for the lock of the slot.
            reads_numbers: whether `read_number` is wanted; else no card gets an APDU.
            clock: monotonic time in nanoseconds.
        """
        self._pattern = pattern
        self._clock = clock
        self._watcher: Watcher | None = Watcher(pcsc, pattern, locks, reads_numbers=reads_numbers)
        self._lying: _Lying | None = None
        self._before_loss: _Lying | None = None  # may be what lies there when the slot is back
        self._was_ready = False
        self._reason: str | None = ""  # of the loss; None: the slot serves
        self._reported: set[str] = set()  # the reasons of this loss
        self._armed = False
        self._is_due = False  # a card may wait for `arm` alone
        self._resumed_ns = 0  # no read that began before it counts: the loop did not run
        self._number_of_ns: int | None = None
        self._calls = self._ticks = 0
        self._tick_ns = clock() + TICK_NS

    def fileno(self) -> int:
        """Return the descriptor that is readable when the watcher has news; -1 once closed."""
        return self._watcher.fileno() if self._watcher is not None else -1

    def deadline_ns(self) -> int:
        """Return when to check next whether the watcher is held up."""
        return 0 if self._is_due else self._tick_ns

    def arm(self) -> None:
        """See ports.Reader. Only this object learns of it: the watcher reads all the time."""
        if self._reason is not None or self._armed:
            return
        self._armed = True
        self._number_of_ns = None
        # `take` is due if a card waits: it may be reported at once.
        self._is_due = self._lying is not None and not self._lying.is_reported

    def forget(self) -> None:
        """See ports.Reader."""
        if self._lying is not None and not self._lying.has_left:
            self._lying.is_reported = False

    def take(self) -> ReaderEvent | None:
        """See ports.Reader. 0.05 ms usually; it never waits."""
        watcher = self._watcher
        if watcher is None:
            return None
        now_ns = self._clock()
        self._is_due = False
        while (taken := watcher.take()) is not None:
            put_ns, news = taken
            if now_ns - put_ns > OLD_NS:
                self._resumed_ns = now_ns
            event = self._heed(news, now_ns)
            if event is not None:
                return event
        if now_ns >= self._tick_ns and self._tick(watcher, now_ns):
            return self._lose(Lost(reasons.hangs(self._pattern)), now_ns)
        return self._due(now_ns)

    def read_number(self) -> str | None:
        """See printed_number.ReadsNumbers. The watcher has read it, or is doing so."""
        of_ns, self._number_of_ns = self._number_of_ns, None
        if of_ns is None or self._watcher is None:
            return None
        return self._watcher.number(of_ns, _NUMBER_S)

    def close(self) -> None:
        """See ports.Reader. The card stays powered as it is; 1 s at most, if pcscd hangs."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.close()

    def _heed(self, news: WatcherNews, now_ns: int) -> ReaderEvent | None:
        match news:
            case Lost():
                return self._lose(news, now_ns)
            case Ready():
                return self._begin(news, now_ns)
            case Arrived():
                self._lying = self._arrived(news)
            case StillThere() if self._lying is not None:
                self._lying.read_ns = news.read_ns
            case Gone() if self._lying is not None:
                self._lying.has_left = True
        return None

    def _lose(self, lost: Lost, now_ns: int) -> ReaderLost | None:
        if self._lying is not None:
            self._before_loss, self._lying = self._lying, None
        self._armed = False
        self._reason = lost.reason
        if lost.reason in self._reported:
            return None
        self._reported.add(lost.reason)
        return ReaderLost(lost.reason, now_ns)

    def _begin(self, ready: Ready, now_ns: int) -> ReaderBack | None:
        before = self._lying or self._before_loss
        self._lying = None
        is_left = not ready.card_lies or (before is not None and before.has_left)
        self._before_loss = None if is_left else before
        if ready.card_lies and not self._was_ready:
            # Only the next card to arrive takes this up.
            self._before_loss = _Lying(NoCard.NO_ANSWER, None, 0, lay_at_start=True)
        self._was_ready = True
        was_lost, self._reason = self._reason is not None, None
        self._reported.clear()
        return ReaderBack(now_ns) if was_lost else None

    def _arrived(self, news: Arrived) -> _Lying:
        before, self._before_loss = self._before_loss, None
        lying = _Lying(news.what, news.read_ns, news.read_ns, lay_at_start=False)
        if before is not None and before.arrived_ns is None:
            lying.lay_at_start = True
        elif before is not None and is_same(before.what, news.what):
            lying.lay_at_start, lying.is_reported = before.lay_at_start, before.is_reported
        return lying

    def _tick(self, watcher: Watcher, now_ns: int) -> bool:
        """Count how often the watcher was met in the same call; return whether it hangs."""
        self._tick_ns = now_ns + TICK_NS
        calls, self._calls = self._calls, watcher.calls
        is_same_call = calls == self._calls and calls % 2 == 1
        self._ticks = self._ticks + 1 if is_same_call else 0
        if self._ticks < HELD_UP_TICKS:
            return False
        watcher.restart()
        return self._reason is None

    def _due(self, now_ns: int) -> ReaderEvent | None:
        """Return the event of the card that lies there, if it is wanted and known to be there."""
        lying = self._lying
        if lying is None or lying.is_reported or not self._armed or self._reason is not None:
            return None
        if lying.lay_at_start:
            if lying.has_left:
                return None
        elif lying.read_ns < max(now_ns - OLD_NS, self._resumed_ns):
            return None
        self._armed = False
        lying.is_reported = True
        if lying.lay_at_start:
            return LaidBefore(now_ns)
        match lying.what:
            case Card():
                self._number_of_ns = lying.arrived_ns
                return CardSeen(lying.what, now_ns)
            case NoCard.UNREADABLE:
                return Unsupported(now_ns)
            case _:
                return LeftEarly(now_ns)
