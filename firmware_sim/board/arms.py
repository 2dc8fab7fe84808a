"""The arms of the simulated turnstile: released for one passage, locked again, free in an emergency. Pure: time is an argument.

It knows passages and the emergency release, which is a hardware path: nothing here locks while that is on. It knows no frames
on a wire and no lane; what it returns, board.py tells.
"""

from dataclasses import dataclass

from firmware_sim.board.frames import NotPassed, Passed

NS_PER_MS = 1_000_000
AFTER_MAX_MS = 0xFFFF

OPEN_BIT, PASSED_BIT, NOT_PASSED_BIT = 0x04, 0x08, 0x10

End = Passed | NotPassed


@dataclass(slots=True)
class Passage:
    """One release of the arms. `walks_ns` is when somebody goes through, None when nobody does."""

    tap: int
    released_ns: int
    locks_ns: int
    walks_ns: int | None = None


class Arms:
    """The arms from power-on to power-off; `emergency` outlives that, since it is a switch and not a memory."""

    def __init__(self, *, release_ms: int, walk_ms: int | None, emergency: bool = False) -> None:
        """`release_ms` is what the solenoid needs; `walk_ms` is when somebody walks by himself after it, None for nobody."""
        self.emergency = emergency
        self.passage: Passage | None = None
        self.last: End | None = None
        self._release_ns = release_ms * NS_PER_MS
        self._walk_ns = None if walk_ms is None else walk_ms * NS_PER_MS

    @property
    def locked(self) -> bool:
        """Whether somebody who pushes now meets resistance."""
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
        """Act on an OPEN; return the passages that ended by it: the one before, and in an emergency this one."""
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
        """Somebody goes through the released arms as soon as they turn; False when no passage is open."""
        if self.passage is None:
            return False
        self.passage.walks_ns = max(now_ns, self.passage.released_ns)
        return True

    def due_ns(self) -> int | None:
        """When `advance` ends the passage; None when there is none."""
        passage = self.passage
        if passage is None:
            return None
        return (
            passage.locks_ns
            if passage.walks_ns is None
            else min(passage.walks_ns, passage.locks_ns)
        )

    def advance(self, now_ns: int) -> End | None:
        """End the passage if it is due: by somebody who went through in time, else by its hold time."""
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
        """Another session: the passage ends without a word, and of the last one nothing is known."""
        self.passage = self.last = None

    def switch_emergency(self, *, on: bool) -> None:
        """The hardware's release. The passage in progress ends without an event."""
        self.emergency = on
        self.passage = None
