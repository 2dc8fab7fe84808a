"""A turnstile on the lines of a GPIO chip: a relay, and whatever else is wired. Implements Board.

Nothing acknowledges a relay: `open` sets a line, and no more is known. Times end in the lane's
loop, which calls `take` at `deadline_ns`: there is no thread and no sleep. So a lane that dies or
hangs while the relay is on leaves it on: docs/boards.md says which hardware has to end that.

The chip is opened by its label, again after each loss, for ever.
"""

import contextlib
import errno
import os
import time
from collections import deque
from collections.abc import Callable

from validator.domain.events import BoardBack, BoardEvent, BoardLost, Emergency, Tamper
from validator.domain.outcomes import Direction, Outcome
from validator.lane.boards.gpio.arms import TAPS_REMEMBERED, Arms
from validator.lane.boards.gpio.lines import ChipError, Lines, OpenLines
from validator.lane.boards.gpio.signals import Lamp, Signals
from validator.lane.boards.gpio.wiring import Input, Wiring

# Between two tries: a chip that is plugged in is served within 2 s.
RETRY_NS = 250_000_000
# How often levels are read without an edge. It notices an unplugged chip, which wakes no poll()
# before Linux 6.6, and an edge that the kernel had no room for.
LEVELS_NS = 500_000_000
CLOSED_NS = 1_000_000_000  # how often a loop may call a closed board


class GpioBoard:
    """A validator.lane.ports.Board."""

    def __init__(
        self,
        wiring: Wiring,
        open_lines: OpenLines,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Open nothing yet: the first `take` does.

        Args:
            wiring: the chip and its lines.
            open_lines: chip.open_lines, or that of simulated chips.
            clock: monotonic time in nanoseconds.
        """
        self._wiring = wiring
        self._open_lines = open_lines
        self._clock = clock
        self._lines: Lines | None = None
        self._closed = False
        self._retry_ns = self._levels_ns = clock()
        self._reasons: set[str] = set()  # of this loss, that were reported
        self._events: deque[BoardEvent] = deque()
        self._taps: deque[int] = deque(maxlen=TAPS_REMEMBERED)
        self._arms = Arms(wiring, self._taps)
        self._signals = Signals()
        self._tamper = False
        self._driven: dict[int, bool] = {}

    def fileno(self) -> int:
        """See ports.Board."""
        return -1 if self._lines is None else self._lines.fileno()

    def deadline_ns(self) -> int:
        """See ports.Board."""
        if self._events:
            return 0
        now_ns = self._clock()
        if self._closed:
            return now_ns + CLOSED_NS
        if self._lines is None:
            return self._retry_ns
        due = (self._levels_ns, self._arms.due_ns(), self._signals.due_ns(now_ns))
        return min(at for at in due if at is not None)

    def take(self) -> BoardEvent | None:
        """See ports.Board."""
        if not self._events and not self._closed:
            self._turn()
        return self._events.popleft() if self._events else None

    def open(self, tap: int, direction: Direction, hold_ms: int) -> None:
        """See ports.Board. There is one relay, whatever the direction."""
        del direction
        if self._lines is not None:
            now_ns = self._clock()
            self._events += self._arms.open(tap, hold_ms, now_ns)
            self._drive(now_ns)

    def show(self, outcome: Outcome, hold_ms: int, date: int) -> None:
        """See ports.Board. A lamp shows no date."""
        del date
        if self._lines is not None:
            now_ns = self._clock()
            self._signals.show(outcome, hold_ms, now_ns)
            self._drive(now_ns)

    def close(self) -> None:
        """See ports.Board. Every output is off after it."""
        self._closed = True
        self._events.clear()
        if self._lines is not None:
            with contextlib.suppress(OSError):  # the chip may be gone already
                self._lines.set({output.line: False for output in self._wiring.outputs})
            self._let_go()

    def _turn(self) -> None:
        now_ns = self._clock()
        if self._lines is None and (now_ns < self._retry_ns or not self._reopen(now_ns)):
            return
        lines = self._lines
        assert lines is not None  # noqa: S101 — for the type checker: _reopen has just set it
        try:
            for line, is_active, stamp_ns in lines.edges():
                self._edge(line, stamp_ns, now_ns, is_active=is_active)
            if now_ns >= self._levels_ns:
                self._read_levels(lines, now_ns)
        except OSError as error:
            self._lose(_went_away(error), now_ns)
            return
        self._events += self._arms.advance(now_ns)
        self._signals.advance(now_ns)
        self._drive(now_ns)

    def _reopen(self, now_ns: int) -> bool:
        self._retry_ns = now_ns + RETRY_NS
        wiring = self._wiring
        try:
            self._lines = self._open_lines(wiring.chip, wiring.outputs, wiring.inputs)
            self._arms, self._signals = Arms(wiring, self._taps), Signals()
            self._tamper = False
            self._driven = {output.line: False for output in wiring.outputs}
            states = self._levels(self._lines)
        except ChipError as error:
            self._lose(str(error), now_ns)
            return False
        except OSError as error:
            self._lose(_why_not_open(error), now_ns)
            return False
        self._levels_ns = now_ns + LEVELS_NS
        self._reasons.clear()
        self._events.append(BoardBack(now_ns))
        if wiring.emergency is not None:
            self._arms.emergency = states[wiring.emergency.line]
            self._events.append(Emergency(self._arms.emergency, now_ns))
        if wiring.tamper is not None:
            self._tamper = states[wiring.tamper.line]
            self._events.append(Tamper(self._tamper, now_ns))
        return True

    def _edge(self, line: int, stamp_ns: int, now_ns: int, *, is_active: bool) -> None:
        wiring = self._wiring
        if _is(wiring.emergency, line):
            self._events += self._arms.switch_emergency(on=is_active, now_ns=now_ns)
        elif _is(wiring.tamper, line):
            self._switch_tamper(now_ns, on=is_active)
        elif is_active and _is(wiring.passage, line):
            self._events += self._arms.went_through(stamp_ns, now_ns)
        elif is_active and _is(wiring.forced, line):
            self._events += self._arms.was_forced(now_ns)

    def _switch_tamper(self, now_ns: int, *, on: bool) -> None:
        if on != self._tamper:
            self._tamper = on
            self._events.append(Tamper(on, now_ns))

    def _read_levels(self, lines: Lines, now_ns: int) -> None:
        self._levels_ns = now_ns + LEVELS_NS
        states = self._levels(lines)
        wiring = self._wiring
        if wiring.emergency is not None:
            on = states[wiring.emergency.line]
            self._events += self._arms.switch_emergency(on=on, now_ns=now_ns)
        if wiring.tamper is not None:
            self._switch_tamper(now_ns, on=states[wiring.tamper.line])

    def _levels(self, lines: Lines) -> dict[int, bool]:
        wired = [line.line for line in (self._wiring.emergency, self._wiring.tamper) if line]
        return lines.get(wired or [self._wiring.release.line])  # any, to notice a chip that left

    def _drive(self, now_ns: int) -> None:
        """Set every output that should be other than it is."""
        lamp, wiring = self._signals.lamp(now_ns), self._wiring
        wanted = (
            (wiring.release, self._arms.released),
            (wiring.green, lamp is Lamp.GREEN),
            (wiring.red, lamp is Lamp.RED),
            (wiring.amber, lamp is Lamp.AMBER),
            (wiring.buzzer, self._signals.sounds(now_ns)),
        )
        changed = {
            output.line: on
            for output, on in wanted
            if output is not None and self._driven[output.line] is not on
        }
        if self._lines is None or not changed:
            return
        try:
            self._lines.set(changed)
            self._driven |= changed
        except OSError as error:
            self._lose(_went_away(error), now_ns)

    def _let_go(self) -> None:
        lines, self._lines = self._lines, None
        if lines is not None:
            lines.close()

    def _lose(self, reason: str, now_ns: int) -> None:
        """Give the chip back and retry later. Each reason of a loss is reported once."""
        self._let_go()
        self._retry_ns = now_ns + RETRY_NS
        reported = f"board at chip {self._wiring.chip}: {reason}"
        if reported not in self._reasons:
            self._reasons.add(reported)
            self._events.append(BoardLost(reported, now_ns))


def _is(wired: Input | None, line: int) -> bool:
    return wired is not None and wired.line == line


def _went_away(error: OSError) -> str:
    return f"went away ({error.strerror or error}); is it plugged in?"


def _why_not_open(error: OSError) -> str:
    match error.errno:
        case errno.ENODEV | errno.ENOENT:
            return "no chip has this label; is it plugged in, and is [board.gpio] chip right?"
        case errno.EBUSY:
            return "a line is in use by another program; does a lane run on it already?"
        case errno.EACCES | errno.EPERM:
            return "it may not be opened; is deploy/udev in place, or this user in its group?"
        case errno.ENXIO:
            return "an input line reports no edges (no interrupt); use another chip for inputs"
        case errno.EINVAL:
            return "it refuses these settings; see each line of [board.gpio] and `gpioinfo`"
        case int() as number:
            return f"its lines cannot be had ({os.strerror(number)})"
        case _:
            return f"its lines cannot be had ({error})"
