"""The arms of the simulated turnstile: released for a passage, locked, or free in an emergency.

Pure: time is an argument. The emergency release is a hardware path: nothing here locks the arms
while it is on. board.py reports what these methods return.
"""

from dataclasses import dataclass

from firmware_sim.board.frames import NotPassed, Passed

NS_PER_MS = 1_000_000
AFTER_MAX_MS = 0xFFFF

OPEN_BIT, PASSED_BIT, NOT_PASSED_BIT = 0x04, 0x08, 0x10

End = Passed | NotPassed


@dataclass(slots=True)
class Passage:
    """One release of the arms; `walks_ns` is when a passenger goes through, None for never."""

    tap: int
    released_ns: int
    locks_ns: int
    walks_ns: int | None = None


class Arms:
    """The arms from power-on to power-off; `emergency` is a switch and outlives that."""

    def __init__(self, *, release_ms: int, walk_ms: int | None, emergency: bool = False) -> None:
        """Start with locked arms.

        Args:
            release_ms: what the solenoid needs to free the arms.
            walk_ms: from then until a passenger walks through; None for only at `walk`.
            emergency: the state of the switch.
        """
        self.emergency = emergency
        self.passage: Passage | None = None
        self.last: End | None = None
        self._release_ns = release_ms * NS_PER_MS
        self._walk_ns = None if walk_ms is None else walk_ms * NS_PER_MS

    @property
    def locked(self) -> bool:
        """Whether a push against the arms meets resistance."""
        return self.passage is None and not self.emergency

    @property
    def state(self) -> int:
        """Bits 2 to 4 of the heartbeat."""
        bits = OPEN_BIT if self.passage is not None else 0
        match self.last:
            case Passed():
                return bits | PASSED_BIT
            case NotPassed():
                return bits | NOT_PASSED_BIT
            case None:
                return bits

    def release(self, tap: int, hold_ms: int, now_ns: int) -> list[End]:
        """Act on OPEN.

        Returns:
            The passages that ended by it: an earlier one, and in an emergency this one too.
        """
        ended: list[End] = [] if self.passage is None else [NotPassed(self.passage.tap)]
        if self.emergency:
            self.last = NotPassed(tap)
            return [*ended, self.last]
        self.last = None
        released_ns = now_ns + self._release_ns
        walks_ns = None if self._walk_ns is None else released_ns + self._walk_ns
        self.passage = Passage(tap, released_ns, released_ns + hold_ms * NS_PER_MS, walks_ns)
        return ended

    def walk(self, now_ns: int) -> bool:
        """Let a passenger through as soon as the arms turn; return False without a passage."""
        if self.passage is None:
            return False
        self.passage.walks_ns = max(now_ns, self.passage.released_ns)
        return True

    def due_ns(self) -> int | None:
        """Return when `advance` ends the passage; None without a passage."""
        passage = self.passage
        if passage is None:
            return None
        return (
            passage.locks_ns
            if passage.walks_ns is None
            else min(passage.walks_ns, passage.locks_ns)
        )

    def advance(self, now_ns: int) -> End | None:
        """End the passage if it is due: by a passenger who went through, else by its hold time."""
        passage, due_ns = self.passage, self.due_ns()
        if passage is None or due_ns is None or now_ns < due_ns:
            return None
        self.passage = None
        if due_ns < passage.locks_ns:
            after_ms = min((due_ns - passage.released_ns) // NS_PER_MS, AFTER_MAX_MS)
            self.last = Passed(passage.tap, after_ms)
        else:
            self.last = NotPassed(passage.tap)
        return self.last

    def forget(self) -> None:
        """Forget the passage and the last one, without an event, for a new session."""
        self.passage = self.last = None

    def switch_emergency(self, *, on: bool) -> None:
        """Follow the hardware's release; the passage in progress ends without an event."""
        self.emergency = on
        self.passage = None
