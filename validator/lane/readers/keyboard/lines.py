"""Key events become lines: what a reader typed for one card. Pure; time comes with the events.

A line ends at Enter or Tab. Some readers type neither: their lines end with a pause. A line that
lost keys must not be read, since what is left of it may be the UID of another card:

* After SYN_DROPPED, which the kernel sends when its buffer of 64 events was full, everything up to
  the next end or pause is dropped. A UID of seven bytes in hex is 90 events, so one stall of the
  machine while a reader types is enough.
* A line that stops in the middle is cut off, and what comes next may be its rest.
* A line that began just after the device was opened may have begun before it.
"""

from dataclasses import dataclass
from typing import NamedTuple

from validator.lane.readers.keyboard.keys import (
    ENDS,
    EV_KEY,
    EV_SYN,
    LOCKS,
    OTHER_MODIFIERS,
    PRESS,
    RELEASE,
    SHIFTS,
    SYN_DROPPED,
    SYN_REPORT,
    character,
)

# Between two keys of one line. Readers need 4 to 20 ms for a key; no person lays two cards so fast.
PAUSE_NS = 250_000_000
REST_NS = 2_000_000_000  # how long after a line without an end its rest may come
TEXT_MAX = 40  # a UID has at most 29 characters; the rest of a longer line is not kept


class InputEvent(NamedTuple):
    """One event of a Linux input device; `at_ns` is monotonic."""

    at_ns: int
    kind: int
    code: int
    value: int


@dataclass(frozen=True, slots=True)
class Line:
    """What a reader typed at once.

    Attributes:
        text: in lower case, at most TEXT_MAX characters; NO_CHARACTER for other keys.
        at_ns: when it was known to be complete, monotonic: at its end, or after the pause.
        ended: whether Enter or Tab ended it; else a pause did.
        lost_keys: whether keys of it are known to be missing.
        may_lack_head: whether keys before its first may be missing: the device was opened just
            then, or keys were lost just before.
        rest_of: how many characters a line had that came just before and had no end; this line may
            be the rest of it. 0 if there was none.
    """

    text: str
    at_ns: int
    ended: bool
    lost_keys: bool = False
    may_lack_head: bool = False
    rest_of: int = 0


class LineMaker:
    """Makes lines of key events, in any pieces."""

    def __init__(self, opened_ns: int) -> None:
        """Begin with the device open since `opened_ns`."""
        self._head_from_ns = opened_ns + PAUSE_NS  # a line that begins before may lack its head
        self._unended_ns = opened_ns  # when the last line without an end had its last key
        self._unended = 0  # how many characters it had
        self._text = ""
        self._began_ns = self._last_ns = opened_ns
        self._begun = False
        self._lost_keys = False
        self._in_dropped_packet = False
        self._held: set[int] = set()  # modifiers

    def deadline_ns(self) -> int | None:
        """Return when `pause` ends the line that has begun; None if none has."""
        return self._last_ns + PAUSE_NS if self._begun else None

    def feed(self, event: InputEvent) -> list[Line]:
        """Take an event; return the lines that it ends, at most two, the older first."""
        if event.kind == EV_SYN:
            self._synchronise(event)
            return []
        if event.kind != EV_KEY or self._in_dropped_packet:
            return []
        if event.code in SHIFTS | OTHER_MODIFIERS:
            self._modify(event)
            return []
        if event.value != PRESS or event.code in LOCKS:
            return []
        paused = self.pause(event.at_ns)
        lines = [] if paused is None else [paused]
        if event.code in ENDS:
            self._last_ns = event.at_ns
            return [*lines, *self._end(ended=True)]
        self._begin(event.at_ns)
        shift, other = bool(self._held & SHIFTS), bool(self._held & OTHER_MODIFIERS)
        self._text += character(event.code, shift=shift, other=other)
        self._text = self._text[:TEXT_MAX]
        return lines

    def pause(self, now_ns: int) -> Line | None:
        """Return the line that no key has continued for PAUSE_NS, and begin the next one."""
        if not self._begun or now_ns - self._last_ns < PAUSE_NS:
            return None
        return next(iter(self._end(ended=False)), None)

    def _begin(self, at_ns: int) -> None:
        if not self._begun:
            self._begun, self._began_ns = True, at_ns
        self._last_ns = at_ns

    def _end(self, *, ended: bool) -> list[Line]:
        """Return the line, or nothing for an empty one: some readers end a line twice."""
        text, lost_keys = self._text, self._lost_keys
        self._text, self._begun, self._lost_keys = "", False, False
        if not text and not lost_keys:
            return []
        may_lack_head = self._began_ns < self._head_from_ns
        rest_of = self._unended if self._began_ns - self._unended_ns < REST_NS else 0
        self._unended, self._unended_ns = 0 if ended else len(text), self._last_ns
        if lost_keys and not ended:
            self._head_from_ns = self._last_ns + REST_NS
        at_ns = self._last_ns if ended else self._last_ns + PAUSE_NS
        return [Line(text, at_ns, ended, lost_keys, may_lack_head, rest_of)]

    def _synchronise(self, event: InputEvent) -> None:
        """Everything between SYN_DROPPED and the next SYN_REPORT belongs to a cut packet."""
        if event.code == SYN_DROPPED:
            self._begin(event.at_ns)
            self._in_dropped_packet = self._lost_keys = True
            self._held.clear()  # a release may be among the lost; a reader holds no key for long
        elif event.code == SYN_REPORT:
            self._in_dropped_packet = False

    def _modify(self, event: InputEvent) -> None:
        if event.value == RELEASE:
            self._held.discard(event.code)
        else:
            self._held.add(event.code)
