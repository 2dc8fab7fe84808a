"""Simulated GPIO chips: they refuse what the kernel refuses and keep a timed history.

`Chips` is a machine with its chips; `Chips.open_lines` is what a program opens lines with. A test
moves contacts with `Chip.press` and reads relay and lamps from `Chip.history`.

As the kernel does (Linux 6.1, observed on a CP2112 with gpiod 2.5):

* A line that is held is refused to a second program (EBUSY), an input is not driven (EPERM), a line
  that the chip lacks is no line (EINVAL), a chip without interrupts gives no edges (ENXIO).
* An unplugged chip answers ENODEV to its holder, whose descriptor is not woken. It comes back under
  the next number while the old lines are held, with every output off.
* Edges of an input are reported once its level has stayed for the debounce time, with the time of
  that moment. The holder's queue is bounded; its oldest edges are dropped.
* After a holder is gone, outputs keep what was set (as on a Pi), or fall (`strict`).
"""

import errno
import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from firmware_sim.gpio.timer import Timer

EDGES_MAX = 256
HISTORY_MAX = 10_000
NS_PER_MS = 1_000_000


class OutputWanted(Protocol):
    """What a program asks of an output line."""

    @property
    def line(self) -> int:
        """Its number on the chip."""

    @property
    def active_low(self) -> bool:
        """Whether active is a low level."""


class InputWanted(OutputWanted, Protocol):
    """What a program asks of an input line."""

    @property
    def bias(self) -> str:
        """`pull-up`, `pull-down` or `none`."""

    @property
    def debounce_ms(self) -> int:
        """How long a level has to stay before its edge is reported."""


class Change(NamedTuple):
    """An output's level changed: electrically, whatever the polarity."""

    at_ns: int
    line: int
    high: bool


@dataclass(slots=True)
class _Contact:
    """What is connected to an input: it drives the line while closed, else the bias does."""

    closed: bool = False


@dataclass
class Chip:
    """One chip. `history` has the changes of its outputs, oldest first."""

    label: str
    lines: int = 8
    has_interrupts: bool = True
    strict: bool = False
    clock: Callable[[], int] = time.monotonic_ns
    history: deque[Change] = field(default_factory=lambda: deque(maxlen=HISTORY_MAX))
    number: int | None = None  # of /dev/gpiochip*, None while unplugged
    failing: int = 0  # errno of every call of a holder, 0 for none

    def __post_init__(self) -> None:
        self.high = dict.fromkeys(range(self.lines), False)
        self.requests: list[Request] = []
        self._contacts = {line: _Contact() for line in range(self.lines)}

    def press(self, line: int, *, closed: bool) -> int:
        """Close or open the contact at an input, and return the time.

        A closed contact pulls the line to the level against its bias.
        """
        now_ns = self.clock()
        self._contacts[line].closed = closed
        for request in self.requests:
            request.level_changed(line, now_ns)
        return now_ns

    def is_closed(self, line: int) -> bool:
        """Return whether the contact at this line is closed."""
        return self._contacts[line].closed

    def drive(self, line: int, *, high: bool) -> None:
        """Set an output's level."""
        if self.high[line] is not high:
            self.high[line] = high
            self.history.append(Change(self.clock(), line, high))


class Chips:
    """The chips of one machine."""

    def __init__(self, *chips: Chip) -> None:
        self._numbers_held: set[int] = set()
        self.chips = list(chips)
        for chip in chips:
            self.plug(chip)

    def plug(self, chip: Chip) -> None:
        """Plug a chip in: it gets the lowest number that no holder keeps."""
        used = {other.number for other in self.chips} | self._numbers_held
        chip.number = next(number for number in range(len(used) + 1) if number not in used)

    def unplug(self, chip: Chip) -> None:
        """Pull a chip out: its outputs lose their power, and its holders get ENODEV."""
        if chip.number is not None and chip.requests:
            self._numbers_held.add(chip.number)
        chip.number = None
        for line in range(chip.lines):
            chip.drive(line, high=False)
        for request in chip.requests:
            request.gone = True

    def open_lines(
        self, label: str, outputs: Sequence[OutputWanted], inputs: Sequence[InputWanted]
    ) -> "Request":
        """Open lines of the chip with this label: outputs inactive, inputs with all edges.

        Raises:
            OSError: as the kernel refuses.
        """
        there = [chip for chip in self.chips if chip.label == label and chip.number is not None]
        if len(there) != 1:
            raise _error(errno.ENODEV)
        chip = there[0]
        wanted = [wanted.line for wanted in (*outputs, *inputs)]
        if any(line >= chip.lines for line in wanted) or len({*wanted}) < len(wanted):
            raise _error(errno.EINVAL)
        held = {line for request in chip.requests if not request.gone for line in request.lines}
        if held & {*wanted}:
            raise _error(errno.EBUSY)
        if inputs and not chip.has_interrupts:
            raise _error(errno.ENXIO)
        return Request(self, chip, outputs, inputs)

    def released(self, request: "Request", number: int) -> None:
        """Take that a holder has given its lines back."""
        self._numbers_held.discard(number)
        request.chip.requests.remove(request)


class Request:
    """Lines of one chip that a program holds."""

    def __init__(
        self,
        chips: Chips,
        chip: Chip,
        outputs: Sequence[OutputWanted],
        inputs: Sequence[InputWanted],
    ) -> None:
        self.chip = chip
        self.gone = False
        self._chips = chips
        self._number = chip.number or 0
        self._outputs = {wanted.line: wanted for wanted in outputs}
        self._inputs = {wanted.line: wanted for wanted in inputs}
        self.lines = {*self._outputs, *self._inputs}
        self._timer = Timer()
        self._edges: deque[tuple[int, bool, int]] = deque(maxlen=EDGES_MAX)
        self._settled = {line: self._level(line) for line in self._inputs}  # debounced, logical
        self._settles_ns: dict[int, int] = {}  # when the new level of a line counts
        chip.requests.append(self)
        for line, wanted in self._outputs.items():
            chip.drive(line, high=wanted.active_low)

    def fileno(self) -> int:
        """Return a descriptor that is readable while edges wait."""
        return self._timer.fd

    def set(self, values: Mapping[int, bool]) -> None:
        """Drive outputs; True is active."""
        self._check()
        if not values.keys() <= self._outputs.keys():
            raise _error(errno.EPERM)
        for line, active in values.items():
            self.chip.drive(line, high=active is not self._outputs[line].active_low)

    def get(self, lines: Sequence[int]) -> dict[int, bool]:
        """Read levels; True is active."""
        self._check()
        self._settle()
        return {
            line: self._settled[line]
            if line in self._inputs
            else self.chip.high[line] is not self._outputs[line].active_low
            for line in lines
        }

    def edges(self) -> Sequence[tuple[int, bool, int]]:
        """Return the edges that wait, oldest first."""
        self._check()
        self._settle()
        edges = tuple(self._edges)
        self._edges.clear()
        self._wake()
        return edges

    def close(self) -> None:
        """Give the lines back. Never raises; may be called twice."""
        if self._timer.fd < 0:
            return
        self._timer.close()
        self._chips.released(self, self._number)
        if self.chip.strict and not self.gone:
            for line in self._outputs:
                self.chip.drive(line, high=False)

    def due_ns(self) -> int | None:
        """Return when the next level has settled; None while none changes."""
        return min(self._settles_ns.values(), default=None)

    def level_changed(self, line: int, now_ns: int) -> None:
        """Take that a contact moved."""
        wanted = self._inputs.get(line)
        if wanted is None or self.gone:
            return
        self._settle()
        if self._level(line) is self._settled[line]:
            self._settles_ns.pop(line, None)
        else:
            self._settles_ns[line] = now_ns + wanted.debounce_ms * NS_PER_MS
        self._wake()

    def _level(self, line: int) -> bool:
        """Return whether an input is active now. Its contact pulls against its bias."""
        wanted = self._inputs[line]
        rests_high = wanted.bias == "pull-up"
        return (rests_high is not self.chip.is_closed(line)) is not wanted.active_low

    def _settle(self) -> None:
        now_ns = self.chip.clock()
        for due_ns, line in sorted((due_ns, line) for line, due_ns in self._settles_ns.items()):
            if due_ns <= now_ns:
                del self._settles_ns[line]
                self._settled[line] = not self._settled[line]
                self._edges.append((line, self._settled[line], due_ns))

    def _wake(self) -> None:
        if self._timer.fd >= 0:
            self._timer.set(1 if self._edges else self.due_ns())

    def _check(self) -> None:
        if self._timer.fd < 0:
            raise _error(errno.EBADF)
        if self.gone:
            raise _error(errno.ENODEV)
        if self.chip.failing:
            raise _error(self.chip.failing)


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
