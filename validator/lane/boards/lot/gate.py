"""What a LOT turnstile is asked, and what its registers mean. Pure; time is an argument.

Registers (hex), from the maker's map: 40 and 41 are the passages that are permitted for entry and
exit (0 none; writing 0 cancels), 42 and 43 whether somebody stands there, 44/45 and 46/47 the
passages so far (low word, high word), 48 errors, 1000 to 100B lamps, 3000 the mode (0 normal, 1
blocked, 2 antipanic), 3010 whether permissions add up, 3011 the seconds to begin a passage.

An OPEN is a permission for one passage. If its answer is lost, the registers tell whether it was
taken: it is written again only if they show neither the permission nor its passage. So a passenger
whose permission was used at once does not leave a second one behind. Registers that may have been
read before the last write (an answer can be late) tell nothing.
"""

from collections import deque
from dataclasses import dataclass

from validator.domain.events import (
    BoardBack,
    BoardEvent,
    BoardLost,
    Emergency,
    Forced,
    NotPassed,
    Passed,
)
from validator.domain.outcomes import Direction, Outcome
from validator.lane.boards.lot.frames import Read, Request, Write
from validator.lane.boards.lot.master import Answered, Failed, Master, RefusedRequest, Result

NS_PER_MS = 1_000_000
POLL_NS = 50 * NS_PER_MS  # how old the knowledge of a passage is at most
MODE_EVERY = 5  # state reads for each read of the mode
FAILED_MAX = 12  # in a row, more than a second of silence: the line is lost
OPEN_LATE_NS = 1_000 * NS_PER_MS  # the passenger of an OPEN that was not taken may have gone
INSIDE_MAX_NS = 1_500 * NS_PER_MS  # for somebody who stands in the arms when the time is over
TAPS_REMEMBERED = 32
RESTART_STEP = 0x1000_0000  # a counter that goes back, modulo 2**32, is a turnstile that restarted

PERMITTED = 0x40
STATE = Read(PERMITTED, 9)
MODE = Read(0x3000, 1)
SETTINGS = Read(0x3010, 2)
NORMAL, BLOCKED, ANTIPANIC = 0, 1, 2
LAMPS = {Direction.ENTRY: 0x1000, Direction.EXIT: 0x1006}
CANCEL_BOTH = Write(PERMITTED, (0, 0))
LAMP_STEP_MS = 100
# Red on and off, in steps: one pattern for every denial. The turnstile shows by itself that it is
# open, locked or free.
RED = {Outcome.DENIED: (4, 2), Outcome.TRY_AGAIN: (1, 1), Outcome.UNSUPPORTED: (1, 1)}


@dataclass(slots=True)
class _Open:
    """A permission for one passage."""

    tap: int
    direction: Direction
    opened_ns: int
    ends_ns: int
    taken: bool = False  # the turnstile has it
    cancelled: bool = False
    gone: bool = False  # it is permitted no more, and nobody was counted


class LotGate:
    """One session with a turnstile, from the opening of the port to its loss."""

    def __init__(self, master: Master, hold_ms: int, taps: deque[int], now_ns: int) -> None:
        """Begin with the state that an earlier lane may have left: cancel it.

        Args:
            master: the line.
            hold_ms: how long a permission lasts; the turnstile counts whole seconds.
            taps: what was opened for already, also before a loss; it is added to.
            now_ns: the monotonic time.
        """
        self._master = master
        self._start_s = -(-hold_ms // 1_000)
        self._steps: deque[Request] = deque((CANCEL_BOTH, SETTINGS, MODE, STATE))
        self._failed = 0
        self._is_up = False
        self._is_ending = False
        self._emergency = False
        self._counts: dict[Direction, int] = {}
        self._open: _Open | None = None
        self._taps = taps
        self._wanted: Write | None = None  # the permission, or its end
        self._lamps: Write | None = None
        self._written_ns = now_ns  # when permissions were written last
        self._poll_ns = now_ns
        self._polls = 0

    @property
    def due_ns(self) -> int:
        """When `advance` has something to do."""
        if not self._master.is_idle or self._steps or self._wanted or self._lamps:
            return self._master.due_ns
        due_ns = self._poll_ns
        if self._open is not None and not self._open.cancelled:
            due_ns = min(due_ns, self._open.ends_ns)
        return max(due_ns, self._master.due_ns)

    def open(self, tap: int, direction: Direction, hold_ms: int, now_ns: int) -> list[BoardEvent]:
        """Permit one passage; the same tap again does nothing."""
        if not self._is_up or tap in self._taps:
            return []
        self._taps.append(tap)
        ended: list[BoardEvent] = []
        if self._open is not None:
            ended.append(NotPassed(self._open.tap, now_ns))
            self._open = None
        if self._emergency:
            return [*ended, NotPassed(tap, now_ns)]
        ends_ns = now_ns + hold_ms * NS_PER_MS
        self._open = _Open(tap, direction, now_ns, ends_ns)
        # The other direction is written too, and cancels what the passage before may have left.
        self._wanted = _permit(direction)
        self._ask_next(now_ns)
        return ended

    def show(self, outcome: Outcome, hold_ms: int, direction: Direction, now_ns: int) -> None:
        """Let the red lamp of this direction blink, if the outcome has that."""
        if not self._is_up or outcome not in RED or not hold_ms:
            return
        on, off = RED[outcome]
        self._lamps = Write(LAMPS[direction] + 3, (on, off, max(1, hold_ms // LAMP_STEP_MS)))
        self._ask_next(now_ns)

    def cancel(self, now_ns: int) -> None:
        """Ask that nothing stays permitted, once the request under way is over: the lane ends."""
        if self._is_up:
            self._is_ending = True
            self._steps, self._lamps = deque((CANCEL_BOTH,)), None
            self._ask_next(now_ns)

    @property
    def must_cancel(self) -> bool:
        """Whether the lane ends, and that was not asked yet."""
        return self._is_ending and CANCEL_BOTH in self._steps

    def receive(self, data: bytes, now_ns: int) -> list[BoardEvent]:
        """Take bytes from the line, do what is due, and return what has happened."""
        result = self._master.receive(data, now_ns)
        events = [] if result is None else self._take(result, now_ns)
        self._end_when_due(now_ns)
        self._ask_next(now_ns)
        return events

    def _take(self, result: Result, now_ns: int) -> list[BoardEvent]:
        match result:
            case RefusedRequest(request, code):
                asked = f"{request.register:04X}h"
                told = f"refuses register {asked} (exception {code}); is it a LOT turnstile?"
                return [BoardLost(told, now_ns)]
            case Failed(request, is_busy):
                return self._no_answer(request, now_ns, is_busy=is_busy)
            case Answered(request, values, since_ns):
                self._failed = 0
                return self._answered(request, values, since_ns, now_ns)

    def _no_answer(self, request: Request, now_ns: int, *, is_busy: bool) -> list[BoardEvent]:
        self._failed += 1
        if self._failed >= FAILED_MAX and is_busy:
            return [BoardLost("answers that it is busy; switch it off and on", now_ns)]
        if self._failed >= FAILED_MAX:
            return [BoardLost("is silent; is it wired, powered and of this address?", now_ns)]
        if not self._is_up:
            self._steps.appendleft(request)
        elif isinstance(request, Write):
            self._poll_ns = now_ns  # the registers tell whether it was done
        return []

    def _answered(
        self, request: Request, values: tuple[int, ...], since_ns: int, now_ns: int
    ) -> list[BoardEvent]:
        if request == SETTINGS:
            wanted = (0, self._start_s)
            if values != wanted:
                self._steps.appendleft(Write(SETTINGS.register, wanted))
        elif request == MODE:
            return self._mode(values[0], now_ns)
        elif since_ns < self._written_ns:
            self._poll_ns = now_ns  # too old to tell what was done; ask again
        elif request == STATE:
            return self._state(values, now_ns)
        elif self._open is not None and request == _permit(self._open.direction):
            self._open.taken = True
            self._poll_ns = now_ns + POLL_NS
        return []

    def _mode(self, mode: int, now_ns: int) -> list[BoardEvent]:
        if mode == BLOCKED:
            told = "is blocked (register 3000h is 1); unblock it at its panel or by 0 in there"
            return [BoardLost(told, now_ns)]
        on, was_on = mode == ANTIPANIC, self._emergency
        self._emergency = on
        if not self._is_up or on == was_on:
            return []
        self._open = None
        self._wanted = CANCEL_BOTH
        return [Emergency(on, now_ns)]

    def _state(self, values: tuple[int, ...], now_ns: int) -> list[BoardEvent]:
        permitted = dict(zip(Direction, values[:2], strict=True))
        inside = any(values[2:4])
        counts = {
            Direction.ENTRY: values[4] | values[5] << 16,
            Direction.EXIT: values[6] | values[7] << 16,
        }
        before, self._counts = self._counts, counts
        self._poll_ns = now_ns + POLL_NS
        if not self._is_up or any(
            _step(before[direction], counts[direction]) >= RESTART_STEP for direction in Direction
        ):
            if self._is_up:
                self._steps.extend((SETTINGS, MODE))  # it may have forgotten them
            self._is_up, self._open, self._wanted = True, None, None
            return [BoardBack(now_ns), Emergency(self._emergency, now_ns)]
        if self._emergency:
            return []
        steps = {of: _step(before[of], counts[of]) for of in Direction}
        return self._passages(steps, permitted, now_ns, inside=inside)

    def _passages(
        self,
        steps: dict[Direction, int],
        permitted: dict[Direction, int],
        now_ns: int,
        *,
        inside: bool,
    ) -> list[BoardEvent]:
        """Tell from the counters and permissions what has become of the open passage."""
        events: list[BoardEvent] = []
        opened = self._open
        if opened is not None and steps[opened.direction]:
            steps[opened.direction] -= 1
            after_ms = (now_ns - opened.opened_ns) // NS_PER_MS
            events.append(Passed(opened.tap, after_ms, now_ns))
            self._open = opened = None
            self._wanted = None
        events += [Forced(now_ns)] * sum(steps.values())  # counted, and nobody was permitted
        if opened is None or self._wanted is not None:
            return events
        if permitted[opened.direction]:
            opened.taken = True
            if now_ns >= opened.ends_ns and not (
                inside and now_ns < opened.ends_ns + INSIDE_MAX_NS
            ):
                opened.cancelled, self._wanted = True, CANCEL_BOTH
        elif opened.gone:
            events.append(NotPassed(opened.tap, now_ns))
            self._open = None
        elif opened.taken or opened.cancelled or now_ns >= opened.opened_ns + OPEN_LATE_NS:
            # An emergency takes it away as well, and ends the passage without an event.
            opened.gone = True
            self._steps.append(MODE)
            self._poll_ns = now_ns
        else:
            self._wanted = _permit(opened.direction)  # the answer was lost, and so was the request
        return events

    def _end_when_due(self, now_ns: int) -> None:
        opened = self._open
        if opened is not None and now_ns >= opened.ends_ns and not opened.cancelled:
            self._poll_ns = min(self._poll_ns, now_ns)  # look first: somebody may stand in the arms

    def _ask_next(self, now_ns: int) -> None:
        if not self._master.may_ask(now_ns):
            return
        request = self._next(now_ns)
        if request is not None:
            if isinstance(request, Write) and request.register == PERMITTED:
                self._written_ns = now_ns
            self._master.ask(request, now_ns)

    def _next(self, now_ns: int) -> Request | None:
        """Return what to ask: the gate first, then lamps, then the state."""
        if self._steps:
            return self._steps.popleft()
        if self._is_ending:
            return None
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            return wanted
        if now_ns < self._poll_ns or self._open is None:
            lamps, self._lamps = self._lamps, None
            if lamps is not None:
                return lamps
        if now_ns < self._poll_ns:
            return None
        self._polls += 1
        self._poll_ns = now_ns + POLL_NS
        return MODE if self._polls % MODE_EVERY == 0 else STATE


def _permit(direction: Direction) -> Write:
    return Write(PERMITTED, (1, 0) if direction is Direction.ENTRY else (0, 1))


def _step(before: int, now: int) -> int:
    return (now - before) % (1 << 32)
