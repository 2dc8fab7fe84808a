"""One RC-S380: carries out the radio's steps, each as it is due, and waits for nothing.

One command at a time is on its way. A chip acknowledges a command and then answers it. Both come as
transfers of the same queue, which `advance` empties. `run` is for the opener's thread and for
`close`, which may wait.
"""

import contextlib
import logging
import struct
import time
from collections.abc import Callable
from typing import Any, Protocol

import usb1
from nfc.clf import rcs380

from validator.lane.readers.findings import Found
from validator.lane.readers.rcs380 import frames
from validator.lane.readers.rcs380.radio import (
    ChipError,
    Pause,
    Radio,
    Result,
    Send,
    Steps,
    WrongAnswerError,
)
from validator.lane.readers.rcs380.usb_line import FloodError, UsbLine

# For an answer: the chip needs 2 to 4 ms, and the longest exchange 5 ms more.
ANSWER_NS = 120_000_000
# The same again for a device that has not taken the command yet: no other can be sent meanwhile.
WAITS_MAX = 3
# In one call, so that a device that floods leaves the loop to the board; a step has two.
TRANSFERS_MAX = 8
STRAYS_MAX = 32  # transfers in a row that nobody asked for: late answers are one or two
OPENING_READS_MAX = 64  # nfcpy reads nine

# nfcpy's own logger: the loop must not log, and a fault's reason has all that it would say.
logging.getLogger("nfc.clf.rcs380").setLevel(logging.CRITICAL + 1)
_SILENT = logging.getLogger("validator.nfcpy")
_SILENT.setLevel(logging.CRITICAL + 1)


class NoAnswerError(Exception):
    """The chip did not answer in time. No OSError, which nfcpy would suppress."""


# What nfcpy raises when a device sends invalid data.
_GARBAGE = (AssertionError, AttributeError, LookupError, TypeError, ValueError, struct.error)
# What a step raises.
FAULTS = (
    NoAnswerError,
    WrongAnswerError,
    ChipError,
    FloodError,
    OSError,
    usb1.USBError,
    rcs380.StatusError,
    rcs380.CommunicationError,
    *_GARBAGE,
)


class Line(Protocol):
    """What a chip needs of its line; see UsbLine."""

    def fileno(self) -> int: ...  # noqa: D102
    def send(self, frame: bytes) -> None: ...  # noqa: D102
    @property
    def is_sending(self) -> bool: ...  # noqa: D102
    def listen(self) -> bytes | None: ...  # noqa: D102
    def wait(self, wait_s: float) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class Chip:
    """A chip behind an open line. One thread at a time."""

    lay_at_start: Found | None = None
    """What the opener found in the field; None if it has not looked."""

    def __init__(self, line: Line, clock: Callable[[], int] = time.monotonic_ns) -> None:
        """Take a line whose chip `start` has started.

        Args:
            line: closed with the chip.
            clock: monotonic time in nanoseconds.
        """
        self.radio = Radio()
        self._line = line
        self._clock = clock
        self._steps: Steps[Any] | None = None
        self._result: Any = None
        self._awaited: int | None = None  # the command under way
        self._due_ns = 0
        self._strays = 0
        self._waits = 0  # for a line that has not taken the command yet

    def fileno(self) -> int:
        """Return the descriptor to poll: readable when the chip sends, or is gone."""
        return self._line.fileno()

    @property
    def is_idle(self) -> bool:
        """Whether the steps begun last have ended."""
        return self._steps is None

    def deadline_ns(self) -> int:
        """Return when `advance` is due even without input, while the chip is not idle."""
        return self._due_ns

    def begin(self, steps: Steps[Any]) -> None:
        """Begin to carry out steps. Those before are given up if they have not ended.

        Raises OSError as the line does.
        """
        self.give_up()
        self._steps = steps
        self._resume(None)

    def give_up(self) -> None:
        """Give up the steps under way; `Radio.restart` is next then."""
        if self._steps is not None:
            self._steps.close()
        self._steps = self._awaited = None

    def advance(self) -> Any:
        """Go on with the steps as far as possible without waiting.

        Returns:
            What the steps returned, if they ended now and found something, else None.

        Raises:
            NoAnswerError: the chip is silent. The steps are given up.
            WrongAnswerError: the chip answered something else. The steps are given up.
            FloodError: the chip sends without end.
            OSError: as the line.
        """
        # Read before the line: an answer that comes while this machine does not run is in time.
        began_ns = self._clock()
        for _ in range(TRANSFERS_MAX):
            transfer = self._line.listen()
            if transfer is None:
                break
            self._take(transfer)
        if self._steps is not None and began_ns >= self._due_ns:
            if self._line.is_sending and self._waits < WAITS_MAX:
                self._waits += 1
                self._due_ns = began_ns + ANSWER_NS
            elif self._awaited is not None:
                self.give_up()
                raise NoAnswerError("it no longer answers; unplug it and plug it in again")
            else:
                self._resume(b"")
        result, self._result = self._result, None
        return result

    def run(self, steps: Steps[Result], ends_ns: int | None = None) -> Result | None:
        """Carry out steps to their end, and wait for each. Raises as `advance`.

        Args:
            steps: given up at `ends_ns`, with NoAnswerError.
            ends_ns: monotonic time; None for no limit but those of the steps.
        """
        self.begin(steps)
        result: Result | None = None
        while True:
            result = self.advance() or result
            if self.is_idle:
                return result
            now_ns = self._clock()
            if ends_ns is not None and now_ns >= ends_ns:
                self.give_up()
                raise NoAnswerError("it did not answer in time")
            due_ns = self._due_ns if ends_ns is None else min(self._due_ns, ends_ns)
            self._line.wait((due_ns - now_ns) / 1e9)

    def close(self) -> None:
        """Leave the chip as a fresh program expects it; 0.6 s at most. Never raises."""
        with contextlib.suppress(*FAULTS):
            self.run(self.radio.switch_off())
        self.drop()

    def drop(self) -> None:
        """Close the line of a lost chip, and send it nothing. Never raises."""
        self.give_up()
        self._line.close()

    def _take(self, transfer: bytes) -> None:
        """Take one transfer: the answer, its acknowledgement, or something to drop."""
        parsed = frames.parse(transfer)
        if parsed is frames.Other.ACK and self._awaited is not None:
            return
        if self._awaited is None:
            self._strays += 1
            if self._strays > STRAYS_MAX:
                raise FloodError("it sends without being asked; unplug it and plug it in again")
        elif isinstance(parsed, tuple) and parsed[0] == self._awaited:
            self._strays = 0
            self._resume(parsed[1])
        else:
            self.give_up()
            raise WrongAnswerError

    def _resume(self, answer: bytes | None) -> None:
        steps = self._steps
        if steps is None:
            return
        self._awaited = None
        try:
            step = next(steps) if answer is None else steps.send(answer)
        except StopIteration as end:
            self._steps, self._result = None, end.value
            return
        except (WrongAnswerError, ChipError):
            self._steps = None
            raise
        match step:
            case Send(code, body):
                self._line.send(frames.command(code, body))
                self._awaited, self._waits = code, 0
                self._due_ns = self._clock() + ANSWER_NS
            case Pause(ns, aborts):
                if aborts:
                    self._line.send(frames.ABORT)
                self._due_ns = self._clock() + ns


def start(line: UsbLine, clock: Callable[[], int] = time.monotonic_ns) -> Chip:
    """Start the chip behind a line that was just opened, as nfcpy does; 20 ms usually.

    Raises:
        Exception: one of FAULTS. The caller closes the line.
    """
    line.limit_reads(OPENING_READS_MAX)
    try:
        rcs380.Chipset(line, logger=_SILENT)
    except _GARBAGE as error:
        raise WrongAnswerError from error
    line.limit_reads(None)
    return Chip(line, clock)
