"""The relay, and what the passage sensor says about it. Pure; time is an argument.

`released` is what the relay should be. `board.py` drives the line after each call.

The sensor's stamps are the kernel's. An edge that was stamped before the arms were released belongs
to no passage, even when it is read after; one that was stamped while they were released ends the
passage, even when the loop has stood still meanwhile and the time is over.
"""

from collections import deque
from dataclasses import dataclass

from validator.domain.events import BoardEvent, Closed, Emergency, Forced, NotPassed, Passed
from validator.lane.boards.gpio.wiring import Wiring

NS_PER_MS = 1_000_000
# Between two pulses: a turnstile counts edges, and a relay needs some 10 ms to fall.
PULSE_GAP_NS = 100 * NS_PER_MS
TAPS_REMEMBERED = 32  # as many as the serial board: an OPEN is never repeated after so many others


@dataclass(frozen=True, slots=True)
class _Release:
    """One release for one tap: when the relay goes on and off, and when the passage ends."""

    tap: int
    on_ns: int
    off_ns: int
    ends_ns: int


class Arms:
    """The arms of one gate from the opening of its chip to its loss."""

    def __init__(self, wiring: Wiring, taps: deque[int]) -> None:
        """Start with locked arms.

        Args:
            wiring: of this gate.
            taps: what was opened for already, also before a loss; it is added to.
        """
        self.released = False
        self.emergency = False
        self._released_until_ns: int | None = None  # when the relay went off last
        self._wiring = wiring
        self._release: _Release | None = None
        self._begun = False  # the relay was on for it
        self._taps = taps

    def due_ns(self) -> int | None:
        """Return when `advance` has something to do; None without a passage."""
        release = self._release
        if release is None:
            return None
        if self.released:
            return release.off_ns
        return release.ends_ns if self._begun else release.on_ns

    def open(self, tap: int, hold_ms: int, now_ns: int) -> list[BoardEvent]:
        """Release the arms for this tap; the same tap again does nothing.

        Returns:
            The ends of passages by it: of the one before, and in an emergency of this one.
        """
        if tap in self._taps:
            return []
        self._taps.append(tap)
        ended = self._end(now_ns)
        if self.emergency:
            return [*ended, NotPassed(tap, now_ns)]  # the arms are free: nobody counts
        hold_ms = min(hold_ms, self._wiring.hold_max_ms)
        relay_ms = self._wiring.pulse_ms or hold_ms
        settle_ms = self._wiring.settle_ms if self._wiring.passage is not None else 0
        end_ms = max(hold_ms, relay_ms) + settle_ms
        on_ns = now_ns
        if self._wiring.pulse_ms and self._released_until_ns is not None:
            on_ns = max(now_ns, self._released_until_ns + PULSE_GAP_NS)
        self._release = _Release(
            tap, on_ns, on_ns + relay_ms * NS_PER_MS, on_ns + end_ms * NS_PER_MS
        )
        self._begin(now_ns)
        return ended

    def went_through(self, stamp_ns: int, now_ns: int) -> list[BoardEvent]:
        """Take an active edge of the passage sensor."""
        if self.emergency:
            return []
        release = self._release
        if release is None or not self._begun or stamp_ns < release.on_ns:
            # With a line of its own for it, that line reports it.
            return [] if self._wiring.forced is not None else [Forced(now_ns)]
        self._forget(now_ns)
        after_ms = (stamp_ns - release.on_ns) // NS_PER_MS
        return [Passed(release.tap, after_ms, now_ns)]

    def was_forced(self, now_ns: int) -> list[BoardEvent]:
        """Take an active edge of the turnstile's own alarm."""
        return [] if self.emergency else [Forced(now_ns)]

    def switch_emergency(self, *, on: bool, now_ns: int) -> list[BoardEvent]:
        """Follow the hardware's release; the passage in progress ends without an event."""
        if on == self.emergency:
            return []
        self.emergency = on
        self._forget(now_ns)
        return [Emergency(on, now_ns)]

    def advance(self, now_ns: int) -> list[BoardEvent]:
        """Release and lock the arms, and end the passage, when their times have come."""
        release = self._release
        if release is None:
            return []
        self._begin(now_ns)
        if now_ns >= release.off_ns:
            self._lock(now_ns)
        return self._end(now_ns) if now_ns >= release.ends_ns else []

    def _begin(self, now_ns: int) -> None:
        release = self._release
        if release is not None and not self._begun and now_ns >= release.on_ns:
            self._begun = self.released = True

    def _end(self, now_ns: int) -> list[BoardEvent]:
        release = self._release
        self._forget(now_ns)
        if release is None:
            return []
        if self._wiring.passage is None:
            return [Closed(release.tap, now_ns)]
        return [NotPassed(release.tap, now_ns)]

    def _forget(self, now_ns: int) -> None:
        self._release = None
        self._begun = False
        self._lock(now_ns)

    def _lock(self, now_ns: int) -> None:
        if self.released:
            self.released = False
            self._released_until_ns = now_ns
