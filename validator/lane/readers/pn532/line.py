"""The serial line to a PN532: nfcpy's transport with frames found in noise, its own time-outs and an exclusive lock.

It carries frames for nfcpy's chipset, knows no command and gives no meaning to an answer. What nfcpy's own TTY does that a
gate cannot use: it throws away received bytes before each write (and with them a card that was just told), takes any six
bytes for the head of a frame, waits 50 ms at least and 100 ms for each acknowledgement, and leaves the port open when
closing an unplugged one fails.
"""

import contextlib
import errno
import os
import select
import termios
import time
from collections import deque
from pathlib import Path

import serial
from nfc.clf.transport import TTY

from validator.lane.readers.pn532.frames import ACK, FrameSplitter

_READ_BYTES_MAX = 4096  # what the kernel holds of a tty; one read empties it
_FRAMES_MAX = 16  # two can wait at most; a mad device may not fill the memory
_SENDER = 5  # where TFI stands in a frame that is not an extended one: this lane sends no others
_FROM_HOST, _FROM_CHIP = 0xD4, 0xD5  # UM0701-02, section 6.2.1.1
_COMMAND = 6  # where the command's code stands
_ANSWER = slice(5, 7)  # where TFI and response code stand in a frame that is not an extended one


class NoAnswerError(Exception):
    """The chip said nothing in time. Not an OSError: nfcpy would take that for a broken port and say EIO."""


class EchoError(Exception):
    """The line gave back a command of this lane. Not an OSError either."""


class Line(TTY):  # type: ignore[misc]  # nfcpy ships no types, so its class is Any
    """One open port. Every wait is at most `wait_ms`, whatever nfcpy asks for.

    Raises OSError, termios.error and ValueError where the port does; NoAnswerError from `read`; EchoError where a frame comes in that a
    host has sent: on such a line an acknowledgement may be an own one, and would prove a dead chip alive.
    """

    wait_ms: int
    overtaken: deque[
        bytearray
    ]  # whole answers that came while the acknowledgement of a later command was awaited

    def __init__(self, path: str, wait_ms: int) -> None:
        self.wait_ms = wait_ms
        self.overtaken = deque(maxlen=_FRAMES_MAX)
        self._frames = FrameSplitter()
        self._whole: deque[bytearray] = deque(maxlen=_FRAMES_MAX)
        self._awaits_ack = False
        self._answer_to: int | None = None  # the command whose answer `read` gives next; None: any
        self._poll = select.poll()
        super().__init__(path)

    def open(self, port: str, baudrate: int = 115_200) -> None:
        """Open the port and lock it: two lanes on one reader would each take half of the other's answers."""
        self.tty = serial.Serial(port, baudrate, timeout=0, exclusive=True)
        self._fd: int = self.tty.fileno()
        self._poll.register(self._fd, select.POLLIN)

    def close(self) -> None:
        """Let the port go, also a dead one: no flush, which would wait or raise. Never raises; may be called twice."""
        if self.tty is not None:
            with contextlib.suppress(OSError, termios.error):
                self.tty.close()

    def fileno(self) -> int:
        """The open port's descriptor."""
        return self._fd

    def check_name(self) -> None:
        """Raise OSError if the name stands for another device by now. A name that is missing for a moment does not count.

        After two readers were plugged in again, the first try may meet a name that udev has not yet put right, and the
        lane would serve the other lane's passengers.
        """
        with contextlib.suppress(FileNotFoundError):
            if Path(self.port).stat().st_rdev != os.fstat(self._fd).st_rdev:
                raise OSError(errno.ENODEV, "the name stands for another device now")

    def set_speed(self, baud: int) -> bool:
        """Change the port's speed, in bits a second; False when the port went on at another one."""
        self.tty.baudrate = baud
        set_to: list[int] = termios.tcgetattr(self._fd)[4:6]
        return set_to == [getattr(termios, f"B{baud}")] * 2

    def can_do(self, baud: int) -> bool:
        """Whether the port takes that speed; it is left at the one it has."""
        before = self.speed
        try:
            return self.set_speed(baud)
        finally:
            self.set_speed(before)

    @property
    def speed(self) -> int:
        """The port's speed, bits a second."""
        return int(self.tty.baudrate)

    def drain(self) -> None:
        """Wait until everything written is on the wire: a change of speed would spoil the rest."""
        termios.tcdrain(self._fd)

    def clear(self) -> None:
        """Forget everything received and not yet read."""
        termios.tcflush(self._fd, termios.TCIFLUSH)
        self._frames.clear()
        self._whole.clear()
        self.overtaken.clear()

    def write(self, frame: bytes) -> None:
        """Send one frame; nfcpy's entry. Nothing received is thrown away."""
        self._awaits_ack = frame != ACK
        self._answer_to = frame[_COMMAND] if self._awaits_ack else None
        try:
            written = os.write(self._fd, frame)
        except BlockingIOError:
            written = 0
        if written != len(frame):
            raise OSError(errno.ENOSPC, "the port takes no more bytes")

    def read(self, timeout: float) -> bytearray:
        """The next frame; nfcpy's entry, `timeout` in milliseconds. After a command that is its acknowledgement, and then its answer.

        Late answers to other commands are dropped: nfcpy would call them a broken port.
        """
        give_up_ns = time.monotonic_ns() + int(min(timeout, self.wait_ms) * 1e6)
        while True:
            while not self.has_answer():
                if self._awaits_ack and self._take_ack():
                    return bytearray(ACK)
                left_ms = max(0, give_up_ns - time.monotonic_ns()) / 1e6
                if not self._receive(left_ms):
                    raise NoAnswerError("no answer")
            frame = self._whole.popleft()
            if self._answer_to is None or _answers(frame, self._answer_to) or not _is_answer(frame):
                self._answer_to = None
                return frame

    def expect_any(self) -> None:
        """Let the next `read` give any frame, and not only the answer to the command that was written last."""
        self._answer_to = None

    def has_answer(self) -> bool:
        """Whether a whole frame other than an acknowledgement is here. Does not look at the port."""
        if self._awaits_ack:
            return False
        while self._whole and self._whole[0] == ACK:
            self._whole.popleft()
        return bool(self._whole)

    def listen(self, wait_ms: float = 0) -> bool:
        """Take in what the port has, or what comes first within `wait_ms`; whether a whole answer is here now."""
        self._receive(wait_ms)
        return self.has_answer()

    def answers(self, command: int) -> bool:
        """Whether the frame to be read next is the chip's answer to `command`."""
        return _answers(self._whole[0], command)

    def hear_overtaken(self, command: int) -> bool:
        """Put back the answer to `command` that came before a later command's acknowledgement; False if none did."""
        found = [frame for frame in self.overtaken if _answers(frame, command)]
        self.overtaken.clear()
        self.expect_any()
        if found:
            self._whole.appendleft(found[-1])
        return bool(found)

    @property
    def unfinished(self) -> bool:
        """Whether a frame has begun whose rest is not here."""
        return self._frames.unfinished

    @property
    def garbled(self) -> bool:
        """Whether bytes were lost to noise since `forgive`: there may have been an answer among them."""
        return self._frames.garbled

    def forgive(self) -> None:
        """What was garbled has been dealt with."""
        self._frames.garbled = False

    def give_up_frame(self) -> None:
        """The rest of the unfinished frame will not come; a whole one behind it is found by `has_answer`."""
        self._frames.give_up_frame()
        self._sort()

    def _take_ack(self) -> bool:
        """Look for the acknowledgement; what stands before it belongs to the command before."""
        while self._whole:
            frame = self._whole.popleft()
            if frame == ACK:
                self._awaits_ack = False
                return True
            self.overtaken.append(frame)
        return False

    def _receive(self, wait_ms: float) -> bool:
        """Wait for bytes and take them in; False when none came."""
        if not self._poll.poll(wait_ms):
            return False
        chunk = os.read(self._fd, _READ_BYTES_MAX)
        if not chunk:  # ready and yet nothing: that is how a tty says that its device has gone
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
    """Whether it is the answer to some command, and no error frame."""
    return len(frame) > _SENDER and frame[_SENDER] == _FROM_CHIP


def _answers(frame: bytearray, command: int) -> bool:
    return frame[_ANSWER] == bytes((0xD5, command + 1))
