"""The serial line to a PN532: nfcpy's transport with frames found in noise, time-outs and a lock.

It carries frames for nfcpy's chipset, knows no command and gives no meaning to an answer. A gate
cannot use nfcpy's own TTY, which

* throws away received bytes before each write, and with them a card that the chip has just listed;
* takes any six bytes for the head of a frame;
* waits at least 50 ms, and 100 ms for each acknowledgement;
* leaves the port open when closing an unplugged one fails.
"""

import contextlib
import errno
import os
import select
import termios
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import serial
from nfc.clf.transport import TTY

from validator.lane.readers.pn532.frames import ACK, FrameSplitter

_READ_BYTES_MAX = 4096  # what the kernel holds of a tty; one read empties it
_FRAMES_MAX = 16  # two wait at most; a faulty device must not fill the memory
_SENDER = 5  # the place of TFI in a normal frame; this lane sends no extended one
_FROM_HOST, _FROM_CHIP = 0xD4, 0xD5  # UM0701-02, section 6.2.1.1
_COMMAND = 6  # the place of the command's code
_ANSWER = slice(5, 7)  # the place of TFI and response code in a normal frame


class NoAnswerError(Exception):
    """The chip did not answer in time. No OSError, which nfcpy would turn into EIO."""


class EchoError(Exception):
    """The line returned a command of this lane. No OSError, for the same reason."""


class LineClock(NamedTuple):
    """The clock of a line and its chip: an argument, so that waits can be simulated."""

    monotonic_ns: Callable[[], int] = time.monotonic_ns
    sleep_s: Callable[[float], None] = time.sleep


SYSTEM_CLOCK = LineClock()


class Line(TTY):  # type: ignore[misc]  # nfcpy ships no types, so its class is Any
    """One open port. Every wait is at most `wait_ms`, whatever nfcpy asks for.

    Raises OSError, termios.error and ValueError as the port does, and NoAnswerError from `read`.
    Raises EchoError when a frame comes in that a host has sent. On such a line an acknowledgement
    may be this lane's own, and would prove a dead chip alive.
    """

    wait_ms: int
    overtaken: deque[bytearray]
    """Whole answers that came while the acknowledgement of a later command was awaited."""

    def __init__(self, path: str, wait_ms: int, clock: LineClock = SYSTEM_CLOCK) -> None:
        self.wait_ms = wait_ms
        self._clock = clock
        self.overtaken = deque(maxlen=_FRAMES_MAX)
        self._frames = FrameSplitter()
        self._whole: deque[bytearray] = deque(maxlen=_FRAMES_MAX)
        self._awaits_ack = False
        self._answer_to: int | None = None  # the command whose answer `read` gives next; None: any
        self._poll = select.poll()
        super().__init__(path)

    def open(self, port: str, baudrate: int = 115_200) -> None:
        """Open the port and lock it: two lanes on one reader would take each other's answers."""
        self.tty = serial.Serial(port, baudrate, timeout=0, exclusive=True)
        self._fd: int = self.tty.fileno()
        self._poll.register(self._fd, select.POLLIN)

    def close(self) -> None:
        """Close the port, also a dead one, without a flush, which would wait or raise.

        Never raises; may be called twice.
        """
        if self.tty is not None:
            with contextlib.suppress(OSError, termios.error):
                self.tty.close()

    def fileno(self) -> int:
        """Return the open port's descriptor."""
        return self._fd

    def check_name(self) -> None:
        """Raise OSError if the port's name belongs to another device now; a missing name is right.

        After two readers were plugged in again, the first try may meet a link that udev has not
        renewed yet. The lane would then serve the other lane's passengers.
        """
        with contextlib.suppress(FileNotFoundError):
            if Path(self.port).stat().st_rdev != os.fstat(self._fd).st_rdev:
                raise OSError(errno.ENODEV, "its name belongs to another device now")

    def set_speed(self, baud: int) -> bool:
        """Set the port's speed, in bits a second. Returns False if the port has another one."""
        self.tty.baudrate = baud
        set_to: list[int] = termios.tcgetattr(self._fd)[4:6]
        return set_to == [getattr(termios, f"B{baud}")] * 2

    def can_do(self, baud: int) -> bool:
        """Whether the port takes that speed, in bits a second. The speed stays as it is."""
        before = self.speed
        try:
            return self.set_speed(baud)
        finally:
            self.set_speed(before)

    @property
    def speed(self) -> int:
        """The port's speed, in bits a second."""
        return int(self.tty.baudrate)

    def drain(self) -> None:
        """Wait until all bytes are on the wire: a change of speed would garble the rest."""
        termios.tcdrain(self._fd)

    def clear(self) -> None:
        """Drop everything that was received and not read."""
        termios.tcflush(self._fd, termios.TCIFLUSH)
        self._frames.clear()
        self._whole.clear()
        self.overtaken.clear()

    def write(self, frame: bytes) -> None:
        """Send one frame. Called by nfcpy. Received bytes stay."""
        self._awaits_ack = frame != ACK
        self._answer_to = frame[_COMMAND] if self._awaits_ack else None
        try:
            written = os.write(self._fd, frame)
        except BlockingIOError:
            written = 0
        if written != len(frame):
            raise OSError(errno.ENOSPC, "the port takes no more bytes")

    def read(self, timeout: float) -> bytearray:
        """Return the next frame: after a command its acknowledgement, then its answer.

        Late answers to other commands are dropped, since nfcpy takes them for a broken port.

        Args:
            timeout: in milliseconds. Called by nfcpy.

        Raises:
            NoAnswerError: no such frame within `timeout` and `wait_ms`.
        """
        give_up_ns = self._clock.monotonic_ns() + int(min(timeout, self.wait_ms) * 1e6)
        while True:
            while not self.has_answer():
                if self._awaits_ack and self._take_ack():
                    return bytearray(ACK)
                left_ms = max(0, give_up_ns - self._clock.monotonic_ns()) / 1e6
                if not self._receive(left_ms):
                    raise NoAnswerError("no answer; is it wired and powered?")
            frame = self._whole.popleft()
            if self._answer_to is None or _answers(frame, self._answer_to) or not _is_answer(frame):
                self._answer_to = None
                return frame

    def expect_any(self) -> None:
        """Let the next `read` return any frame, not only the answer to the last command."""
        self._answer_to = None

    def has_answer(self) -> bool:
        """Whether a whole frame other than an acknowledgement is here. Does not read the port."""
        if self._awaits_ack:
            return False
        while self._whole and self._whole[0] == ACK:
            self._whole.popleft()
        return bool(self._whole)

    def listen(self, wait_ms: float = 0) -> bool:
        """Read what the port has, or what comes first within `wait_ms`. Returns `has_answer`."""
        self._receive(wait_ms)
        return self.has_answer()

    def answers(self, command: int) -> bool:
        """Whether the frame that `read` returns next is the chip's answer to `command`."""
        return _answers(self._whole[0], command)

    def restore_overtaken(self, command: int) -> bool:
        """Let `read` return the answer to `command` that came before a later acknowledgement.

        Returns False if there is none.
        """
        found = [frame for frame in self.overtaken if _answers(frame, command)]
        self.overtaken.clear()
        self.expect_any()
        if found:
            self._whole.appendleft(found[-1])
        return bool(found)

    @property
    def unfinished(self) -> bool:
        """Whether a frame has begun whose rest is missing."""
        return self._frames.unfinished

    @property
    def garbled(self) -> bool:
        """Whether noise has cost bytes since `clear_garbled`; an answer may be among them."""
        return self._frames.garbled

    def clear_garbled(self) -> None:
        """Note that the caller has dealt with the noise."""
        self._frames.garbled = False

    def give_up_frame(self) -> None:
        """Drop the start of the unfinished frame; `has_answer` finds a whole frame behind it."""
        self._frames.give_up_frame()
        self._sort()

    def _take_ack(self) -> bool:
        """Take the acknowledgement, if it came. Frames before it answer the command before."""
        while self._whole:
            frame = self._whole.popleft()
            if frame == ACK:
                self._awaits_ack = False
                return True
            self.overtaken.append(frame)
        return False

    def _receive(self, wait_ms: float) -> bool:
        """Wait for bytes and read them. Returns False if none came."""
        if not self._poll.poll(wait_ms):
            return False
        chunk = os.read(self._fd, _READ_BYTES_MAX)
        if not chunk:  # readable and yet empty: the device of this tty is gone
            raise OSError(errno.EIO, "the port hung up")
        self._frames.feed(chunk)
        self._sort()
        return True

    def _sort(self) -> None:
        while (frame := self._frames.next_frame()) is not None:
            if len(frame) > _SENDER and frame[_SENDER] == _FROM_HOST:
                raise EchoError("the line echoes what this lane sends; are its two wires joined?")
            self._whole.append(frame)


def _is_answer(frame: bytearray) -> bool:
    """Whether `frame` answers some command and is no error frame."""
    return len(frame) > _SENDER and frame[_SENDER] == _FROM_CHIP


def _answers(frame: bytearray, command: int) -> bool:
    return frame[_ANSWER] == bytes((_FROM_CHIP, command + 1))
