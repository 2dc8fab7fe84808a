"""The reader: makes events of lines. `../opener.py` opens the device, and again after each loss.

Such a reader knows nothing of a card but its UID. It cannot say that a card left, and some type a
card again and again while it lies there. So the same card within REPEAT_NS of its last typing is
the same showing. A reader that types once costs a passenger who shows a card twice that wait.
"""

import errno
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from validator.domain.cards import Card, CardUid
from validator.domain.events import (
    CardSeen,
    LeftEarly,
    ReaderBack,
    ReaderEvent,
    ReaderLost,
    Unsupported,
)
from validator.lane.readers.keyboard.encoding import Encoding, is_whole
from validator.lane.readers.keyboard.input_device import InputDevice, NoKeysError, OtherDeviceError
from validator.lane.readers.keyboard.keys import EV_SYN, NO_CHARACTER, SYN_DROPPED
from validator.lane.readers.keyboard.lines import PAUSE_NS, Line, LineMaker
from validator.lane.readers.opener import Opener

REPEAT_NS = 2_000_000_000
OLD_NS = 300_000_000  # a card whose line ended longer ago may have left: it is not reported
IDLE_NS = 3_600_000_000_000  # an idle device wakes poll() by itself, also when it is unplugged
LINES_MAX = 8  # that wait to be reported; the oldest go first
READS_MAX = 8  # in one `take`: a device that types without end must not hold the loop
HELD_MAX = 8  # cards whose repeats are known; a wallet on the reader
FAULTS = (OSError, NoKeysError, OtherDeviceError)  # of an attempt to open the device


@dataclass(frozen=True, slots=True)
class Typing:
    """What the reader types: [reader.keyboard].

    Attributes:
        encoding: how it types a UID.
        lengths: of the UIDs that it types whole, in bytes.
        ends_with_pause: whether it types no Enter or Tab after a UID. Then there is one length: a
            reader that stops for a moment would else make a short UID of a part of a long one.
    """

    encoding: Encoding
    lengths: frozenset[int]
    ends_with_pause: bool = False


class KeyboardReader:
    """A validator.lane.ports.Reader. Every fault is an event; no method raises."""

    def __init__(
        self, path: str, typing: Typing, *, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        """Start to open the device in a thread of its own; the first event is its result.

        Args:
            path: a stable name, as in /dev/input/by-id or by-path; resolved at every try.
            typing: what the reader types.
            clock: monotonic time in nanoseconds.
        """
        self._path = path
        self._typing = typing
        self._clock = clock
        # Of the first that was opened. What is typed is stated for that model, and a name by port
        # fits whatever is plugged in there.
        self._ids: tuple[int, int] | None = None
        self._device: InputDevice | None = None
        self._lines = LineMaker(0)
        self._waiting: deque[Line] = deque(maxlen=LINES_MAX)
        self._held = _HeldTexts()
        self._armed = False
        self._read_ns = 0  # when nothing was left to read
        self._back_ns: int | None = None  # when ReaderBack is due
        self._opener: Opener[InputDevice] = Opener(
            "keyboard-opener",
            lambda _is_wanted: InputDevice(path, self._ids),
            lambda fault: explain(path, fault),
            FAULTS,
        )
        self._opener.start()

    def fileno(self) -> int:
        """Return the device's descriptor; the opener's while it is lost; -1 once closed."""
        return self._opener.fileno() if self._device is None else self._device.fileno()

    def deadline_ns(self) -> int:
        """See ports.Reader."""
        if self._back_ns is not None:
            return self._back_ns
        if self._armed and self._waiting:
            return 0
        pause_ns = None if self._device is None else self._lines.deadline_ns()
        return self._clock() + IDLE_NS if pause_ns is None else pause_ns

    def arm(self) -> None:
        """See ports.Reader. Only this object learns of it: the reader types at any time."""
        self._armed = self._device is not None and self._back_ns is None

    def forget(self) -> None:
        """Report the last card again when it is typed again; nobody knows whether it lies there."""
        self._held.forget()

    def take(self) -> ReaderEvent | None:
        """See ports.Reader."""
        now_ns = self._clock()
        if self._device is None:
            return self._take_opened(now_ns)
        try:
            self._read(self._device, now_ns)
        except OSError as fault:
            return self._lose(fault, now_ns)
        if self._back_ns is not None and now_ns >= self._back_ns:
            self._back_ns = None
            return ReaderBack(now_ns)
        return self._next_card(now_ns) if self._armed else None

    def close(self) -> None:
        """See ports.Reader. From now on the console gets the keys."""
        self._opener.stop()
        device, self._device = self._device, None
        if device is not None:
            device.close()

    def _take_opened(self, now_ns: int) -> ReaderEvent | None:
        """Take the opener's result: a device, or the reason why there is none.

        ReaderBack comes a pause later: what is typed after it lacks no head.
        """
        result = self._opener.result()
        if isinstance(result, str):
            return ReaderLost(result, now_ns)
        if result is None:
            return None
        self._device, self._ids = result, result.ids
        self._lines = LineMaker(result.opened_ns)
        self._held.back(now_ns)
        self._back_ns = result.opened_ns + PAUSE_NS
        return None

    def _lose(self, fault: OSError, now_ns: int) -> ReaderLost:
        """Hand the device to the opener, and return the event with the reason."""
        device, self._device = self._device, None
        self._waiting.clear()
        self._armed = False
        self._back_ns = None
        reason = explain(self._path, fault)
        self._opener.start(reason, device)
        return ReaderLost(reason, now_ns)

    def _read(self, device: InputDevice, now_ns: int) -> None:
        for _ in range(READS_MAX):
            events = device.read()
            if not events:
                self._keep(self._lines.pause(now_ns))
                self._read_ns = now_ns
                return
            for event in events:
                if (event.kind, event.code) == (EV_SYN, SYN_DROPPED):
                    self._held.renew(self._read_ns, event.at_ns)
                self._keep(*self._lines.feed(event))

    def _keep(self, *lines: Line | None) -> None:
        """Let lines wait for `arm`, but for repeats of a card that was reported."""
        for line in lines:
            if line is not None and not self._held.is_repeat(line):
                self._waiting.append(line)

    def _next_card(self, now_ns: int) -> ReaderEvent | None:
        while self._waiting:
            line = self._waiting.popleft()
            if now_ns - line.at_ns > OLD_NS or self._held.is_repeat(line):
                continue
            self._armed = False
            event = self._event(line, now_ns)
            if isinstance(event, CardSeen | Unsupported):
                self._held.reported(line)
            return event
        return None

    def _event(self, line: Line, at_ns: int) -> ReaderEvent:
        typing = self._typing
        if line.lost_keys or not (line.ended or typing.ends_with_pause):
            return LeftEarly(at_ns)
        uid = typing.encoding.uid(line.text)
        if uid is None:
            return Unsupported(at_ns) if NO_CHARACTER in line.text else LeftEarly(at_ns)
        if self._may_be_a_part(line, uid):
            return LeftEarly(at_ns)
        if len(uid) not in typing.lengths or not is_whole(uid):
            return Unsupported(at_ns)
        return CardSeen(Card(CardUid(uid), None, None), at_ns)

    def _may_be_a_part(self, line: Line, uid: bytes) -> bool:
        """Whether a line that reads as a UID may be the end of a longer one."""
        longest = max(self._typing.lengths)
        # One more: a digit may have been typed twice.
        together = line.rest_of + len(line.text) <= self._typing.encoding.width(longest) + 1
        return (line.may_lack_head or (line.rest_of > 0 and together)) and len(uid) < longest


class _HeldTexts:
    """What was reported and may still lie on the reader, by its text, the latest last."""

    def __init__(self) -> None:
        self._typed_ns: dict[str, int] = {}

    def is_repeat(self, line: Line) -> bool:
        """Whether `line` repeats what is held. If so, it is held for longer."""
        typed_ns = self._typed_ns.get(line.text)
        if line.lost_keys or typed_ns is None or line.at_ns - typed_ns >= REPEAT_NS:
            return False
        self._typed_ns[line.text] = max(typed_ns, line.at_ns)
        return True

    def reported(self, line: Line) -> None:
        """Hold what was reported now."""
        self._typed_ns.pop(line.text, None)
        self._typed_ns[line.text] = line.at_ns
        while len(self._typed_ns) > HELD_MAX:
            del self._typed_ns[next(iter(self._typed_ns))]

    def forget(self) -> None:
        """Hold no longer what was reported last."""
        if self._typed_ns:
            self._typed_ns.popitem()

    def renew(self, since_ns: int, at_ns: int) -> None:
        """Hold for longer what was held at `since_ns`: keys since then, up to `at_ns`, are lost.

        They may have been its repeats.
        """
        for text, typed_ns in self._typed_ns.items():
            if since_ns - typed_ns < REPEAT_NS:
                self._typed_ns[text] = max(typed_ns, at_ns)

    def back(self, at_ns: int) -> None:
        """Hold what was reported last for REPEAT_NS: a reader that was unplugged types it again."""
        if self._typed_ns:
            self._typed_ns[next(reversed(self._typed_ns))] = at_ns


def explain(path: str, fault: BaseException) -> str:
    """Return one line: which reader, what is wrong, what to do."""
    return f"keyboard at {path}: {_what(fault)}"


def _what(fault: BaseException) -> str:
    if isinstance(fault, OtherDeviceError):
        return (
            f"{fault}; plug that in again, or find out what this one types by `turnike check"
            " --readers` and restart the lane"
        )
    if not isinstance(fault, OSError):
        return f"{fault}; name the reader's link in /dev/input/by-id or /dev/input/by-path"
    match fault.errno:
        case errno.ENOENT | errno.ENXIO | errno.ENOTDIR:
            return "there is no such device; is it plugged in?"
        case errno.EACCES | errno.EPERM:
            return (
                "permission denied; put the reader's ids into deploy/udev/70-turnike.rules, which"
                " gives it to the service's group"
            )
        case errno.EBUSY:
            return "in use by another program; every lane needs a reader of its own"
        case errno.ENODEV:
            return "unplugged"
        case _:
            return str(fault.strerror or fault)
