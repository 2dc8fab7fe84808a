"""The kernel's GPIO chips (libgpiod 2 through `gpiod`): implements lines.Lines.

A chip is found by its label at every opening. Its number is no name: a chip that is unplugged while
a program still holds lines of it comes back under the next number.
"""

import contextlib
import errno
import os
import select
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import gpiod
from gpiod.line import Bias, Direction, Edge, Value

from validator.formats.shown import shown
from validator.lane.boards.gpio.lines import ChipError
from validator.lane.boards.gpio.wiring import Input, Output
from validator.lane.ports import IN_USE

CONSUMER = "turnike"  # what `gpioinfo` shows of a line that a lane holds
EVENTS_MAX = 256  # edges that the kernel keeps for us: seconds of the worst contact bounce
DEVICES = "gpiochip*"

_BIAS = {"pull-up": Bias.PULL_UP, "pull-down": Bias.PULL_DOWN, "none": Bias.DISABLED}


class ChipLines:
    """A lines.Lines on a request of the kernel."""

    def __init__(self, request: gpiod.LineRequest) -> None:
        self._request = request
        self._poll = select.poll()
        self._poll.register(request.fd, select.POLLIN)

    def fileno(self) -> int:
        """See Lines."""
        return int(self._request.fd)

    def set(self, values: Mapping[int, bool]) -> None:
        """See Lines."""
        self._request.set_values({line: _value(on=on) for line, on in values.items()})

    def get(self, lines: Sequence[int]) -> dict[int, bool]:
        """See Lines."""
        levels = self._request.get_values(lines)
        return {line: level is Value.ACTIVE for line, level in zip(lines, levels, strict=True)}

    def edges(self) -> Sequence[tuple[int, bool, int]]:
        """See Lines."""
        ready = self._poll.poll(0)  # reading without an event would block
        if ready and ready[0][1] & (select.POLLHUP | select.POLLERR):  # since Linux 6.6
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        if not ready:
            return ()
        return [
            (event.line_offset, event.event_type is event.Type.RISING_EDGE, event.timestamp_ns)
            for event in self._request.read_edge_events(EVENTS_MAX)
        ]

    def close(self) -> None:
        """See Lines."""
        with contextlib.suppress(OSError, gpiod.RequestReleasedError):
            self._request.release()


def open_lines(label: str, outputs: Sequence[Output], inputs: Sequence[Input]) -> ChipLines:
    """Open lines of the chip with this label; see lines.OpenLines."""
    with _chip(label) as chip:
        count = chip.get_info().num_lines
        for number in [*(output.line for output in outputs), *(line.line for line in inputs)]:
            if number >= count:
                raise ChipError(f"it has no line {number}, only 0 to {count - 1}")
        # The type that request_lines takes: a dict is invariant.
        settings: dict[Iterable[int | str] | int | str, gpiod.LineSettings | None] = {
            output.line: gpiod.LineSettings(
                direction=Direction.OUTPUT,
                active_low=output.active_low,
                output_value=Value.INACTIVE,
            )
            for output in outputs
        }
        for line in inputs:
            settings[line.line] = gpiod.LineSettings(
                direction=Direction.INPUT,
                edge_detection=Edge.BOTH,
                bias=_BIAS[line.bias],
                active_low=line.active_low,
                debounce_period=timedelta(milliseconds=line.debounce_ms),
            )
        try:
            request = chip.request_lines(
                settings,
                consumer=CONSUMER,
                event_buffer_size=EVENTS_MAX,
            )
        except ValueError as error:  # what gpiod makes of EINVAL
            raise ChipError(_refusal(inputs)) from error
        except OSError as error:
            if error.errno == errno.EBUSY:
                wanted = [*(output.line for output in outputs), *(line.line for line in inputs)]
                raise ChipError(_holder(chip, wanted)) from error
            raise
    return ChipLines(request)


@contextlib.contextmanager
def _chip(label: str) -> Iterator[gpiod.Chip]:
    """Yield the one chip with this label."""
    found: list[str] = []
    labels: list[str] = []
    denied = False
    for path in sorted(Path("/dev").glob(DEVICES)):
        try:
            with gpiod.Chip(str(path)) as chip:
                labels.append(chip.get_info().label)
        except PermissionError:
            denied = True
        except OSError:
            continue  # unplugged a moment ago
        else:
            if labels[-1] == label:
                found.append(str(path))
    if len(found) > 1:
        raise ChipError(f"{' and '.join(found)} both have this label; leave one plugged in")
    if not found:
        raise ChipError(_why_none(labels, denied=denied))
    with gpiod.Chip(found[0]) as chip:
        if chip.get_info().label != label:
            raise ChipError("its number went to another chip; it is tried again")
        yield chip


def _why_none(labels: list[str], *, denied: bool) -> str:
    if denied:
        return "they may not be opened; is deploy/udev in place, or this user in their group?"
    if labels:
        return f"no chip has this label; there are {', '.join(sorted({*labels}))}"
    return "this machine has no GPIO chip (/dev/gpiochip*); is it plugged in?"


def _holder(chip: gpiod.Chip, lines: list[int]) -> str:
    for line in lines:
        info = chip.get_line_info(line)
        if info.used:
            return _held_line(line, info.consumer)
    return "a line is in use; does a lane run on it already?"


def _held_line(line: int, consumer: str) -> str:
    """`turnike check` calls it a note that a lane has the line; with another holder none serves."""
    if consumer == CONSUMER:
        return f"line {line} is {IN_USE} by '{CONSUMER}'; does a lane run on it already?"
    holder = f"'{shown(consumer)}'" if consumer else "another driver or program"
    return f"{holder} has line {line}; wire another line, or switch that off (`gpioinfo`)"


def _refusal(inputs: Sequence[Input]) -> str:
    debounced = [line.line for line in inputs if line.debounce_ms]
    if not debounced:
        return "it refuses these settings; see each line of [board.gpio] and `gpioinfo`"
    # Linux has no debouncing for a chip whose interrupts need a thread: an expander on USB or I2C.
    numbers = ", ".join(str(line) for line in debounced)
    return f"it refuses these settings; an expander needs debounce_ms = 0 (lines {numbers})"


def _value(*, on: bool) -> Value:
    return Value.ACTIVE if on else Value.INACTIVE
