"""One PN532, step by step: find it at whatever speed it was left, make it ready, ask for cards, leave it sane.

Each step blocks for a short time that is written beside it, and raises one of FAULTS. It keeps no state of the gate and
retries nothing: what a fault means and what comes next is `pn532_reader`'s business. The commands go through nfcpy's
chipset; `nfc.clf.pn532.init` and `connect()` are not used, docs/decisions/0004-reader-on-nfcpy-chipset.md says why.
Commands and their fields: PN532 user manual (UM0701-02), section 7.
"""

import contextlib
import errno
import logging
import select
import struct
import termios
import time
from collections.abc import Callable
from typing import Protocol

from nfc.clf import pn532

from validator.lane.readers.pn532.frames import ACK
from validator.lane.readers.pn532.line import EchoError, Line, NoAnswerError

SPEEDS = (
    115_200,
    921_600,
    460_800,
    230_400,
)  # where a chip may be: after its reset, after us, after others
ROUNDS = 3  # over all speeds with the port open: behind a Pi's USB, the first bytes after an open may take a second
FIND_WAIT_MS = 100  # a chip acknowledges within 15 ms, an FTDI adapter holds bytes for 16 ms, twice
ECHO_MS = (
    250  # how late a line gives back what was sent: adapters and hubs hold bytes, each for some ms
)
WAIT_MS = 30  # the same for one step of a chip that is known to work: the loop waits for it
FIELD_OFF_NS = 6_000_000  # a card has forgotten everything after 5.1 ms without a field, NFC Forum Digital 2.0, 5.3
LOOKS = 2  # of `look`: the answer to one may be lost
REQUESTS = 2  # of each: a chip may leave every second one unanswered
# For an answer: 5 ms a try, 4 ms anticollision a card, 5 ms RATS, and as much again for the machine.
REQUEST_MS = 25
_ABORT_PAUSE_S = 0.001  # what nfcpy gives the chip between an abort and the next command
_SPEED_PAUSE_S = 0.001  # the manual wants 200 µs after the acknowledgement that changes the speed
_WAKE_UP = b"\x55\x55" + bytes(
    14
)  # the first edges wake the chip, the rest covers its oscillator's start
_PN532 = 0x32
_AUTOMATIC_RATS = 0x10
_AUTOMATIC_ATR = 0x04  # on after a reset too
_TRY_FOR_EVER = b"\xff\x01\xff"  # MxRtyATR, MxRtyPSL, MxRtyPassiveActivation
_IN_LIST, _IN_RELEASE, _GET_VERSION, _RF = 0x4A, 0x52, 0x02, 0x32
_TYPE_A_106 = 0
_ALL_TARGETS = b"\x00"
_RF_ITEM_FIELD, _RF_ITEM_RETRIES = 1, 5

# The loop must not log, and a fault's reason says it all.
_SILENT = logging.getLogger("validator.nfcpy")
_SILENT.setLevel(logging.CRITICAL + 1)

# termios.error and Chipset.Error are no OSErrors; the rest is what nfcpy and pyserial stumble over when a device lies or goes.
FAULTS = (
    NoAnswerError,
    EchoError,
    OSError,
    termios.error,
    pn532.Chipset.Error,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    struct.error,
)


class StoppedError(Exception):
    """Nobody wants the chip any more."""


class _Chipset(Protocol):
    """The part of nfcpy's chipset that is used: the one edge where its missing types are given."""

    def command(
        self, cmd_code: int, cmd_data: bytes | None, timeout: float
    ) -> bytearray | None: ...
    def sam_configuration(self, mode: str) -> None: ...
    def set_parameters(self, flags: int) -> None: ...
    def rf_configuration(self, cfg_item: int, cfg_data: bytes) -> None: ...
    def set_serial_baudrate(self, baudrate: int) -> None: ...


class Chip:
    """A chip behind an open port. One thread at a time."""

    lay: bytearray | None = None  # what `look` has found

    def __init__(self, line: Line) -> None:
        self._line = line
        self._chipset: _Chipset = pn532.Chipset(line, logger=_SILENT)
        self._asked = False

    def fileno(self) -> int:
        """The open port's descriptor, readable when the chip says something or has gone."""
        return self._line.fileno()

    def find(self, wanted: Callable[[], bool]) -> None:
        """Wake the chip and try every speed until it answers; at most 1.3 s.

        Raises:
            NoAnswerError: it answers at none, three times over.
            StoppedError: `wanted` says no.
        """
        for speed in SPEEDS * ROUNDS:
            if not wanted():
                raise StoppedError
            with contextlib.suppress(NoAnswerError):
                self._wake_up_at(speed)
                return
        raise NoAnswerError(
            f"no answer at {', '.join(map(str, SPEEDS))} baud; is it wired and powered?"
        )

    def make_ready(self, speed: int) -> None:
        """Configure a chip that was found, at `speed` baud if the port can do that; at most 0.6 s, 15 ms usually."""
        self._chipset.sam_configuration("normal")
        self._raise_speed(speed)
        self._chipset.set_parameters(_AUTOMATIC_RATS | _AUTOMATIC_ATR)
        self._chipset.rf_configuration(_RF_ITEM_RETRIES, _TRY_FOR_EVER)
        self._field(on=False)  # a card that was listed before we came is to be told again
        self._line.clear()

    def await_echo(self) -> None:
        """Listen for what a line that echoes gives back late; ECHO_MS. Raises EchoError."""
        give_up_ns = time.monotonic_ns() + ECHO_MS * 1_000_000
        while (left_ms := (give_up_ns - time.monotonic_ns()) / 1e6) > 0:
            self._line.listen(left_ms)
        self._line.clear()

    def hurry(self) -> None:
        """From now on a loop waits for each step, so no step waits for longer than WAIT_MS."""
        self._line.wait_ms = WAIT_MS

    def look(self, targets_max: int) -> None:
        """Find out what lies in the field, and put it to sleep; 0.12 s. The answer is in `lay`, as `answer` gives it.

        Raises NoAnswerError when the chip is silent, not when it was late once or twice.
        """
        looks = misses = 0
        while looks < LOOKS:
            try:
                self.lay = self._look_once(targets_max)
            except NoAnswerError:
                misses += 1
                if misses > LOOKS:
                    raise
                continue
            if self.lay is not None:
                self.release()
                return
            looks += 1
        self._abort()  # else it would list the first card that comes, with nobody to hear it

    def _look_once(self, targets_max: int) -> bytearray | None:
        self._abort()
        self._field(on=False)
        time.sleep(FIELD_OFF_NS / 1e9)
        for _ in range(REQUESTS):
            answer = self.ask(targets_max) or self._await_answer(REQUEST_MS)
            if answer is not None:
                return answer
        return None

    def ask(self, targets_max: int) -> bytearray | None:
        """Ask for the next cards, instead of what was asked before; 31 ms at most.

        Gives the answer to what was asked before, if that was under way already, else None.
        """
        self._abort()
        self._chipset.command(_IN_LIST, bytes((targets_max, _TYPE_A_106)), timeout=0)
        self._asked = True
        return self._overtaken_answer()

    def answer(self) -> bytearray | None:
        """The answer to `ask`, from the number of targets on, or None while it is not here in full. Waits for nothing."""
        while self._line.listen():
            self._line.expect_any()
            if self._line.answers(_IN_LIST):
                self._asked = False
                return self._chipset.command(_IN_LIST, None, timeout=0.05)
            self._line.read(0)  # late, and no longer awaited: nfcpy would call it a broken port
        return None

    def _await_answer(self, wait_ms: int) -> bytearray | None:
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        give_up_ns = time.monotonic_ns() + wait_ms * 1_000_000
        while (answer := self.answer()) is None:
            left_ms = (give_up_ns - time.monotonic_ns()) / 1e6
            if left_ms <= 0:
                return None
            poll.poll(left_ms)
        return answer

    def release(self) -> None:
        """Put the cards told last to sleep until they leave the field; 61 ms at most. What was asked is forgotten."""
        self._abort()
        # A card that has gone cannot say good-bye, and the chip may be long in waiting for it: the next command ends that.
        try:
            self._chipset.command(_IN_RELEASE, _ALL_TARGETS, timeout=WAIT_MS / 1e3)
        except NoAnswerError:
            self._asked = True
        self._line.overtaken.clear()

    def reset_cards(self) -> bytearray | None:
        """Take the field away, so that a card whose answer was lost begins anew; `ask` brings it back. 61 ms at most.

        Gives the answer to what was asked before, like `ask`. Leave the field off for FIELD_OFF_NS.
        """
        self._line.check_name()
        self._abort()
        self._line.forgive()
        self._field(on=False)
        return self._overtaken_answer()

    def check(self) -> None:
        """Prove that the chip is alive while nothing is asked of it; 60 ms at most."""
        self._line.check_name()
        self._abort()
        self._version()

    @property
    def has_answer(self) -> bool:
        """Whether `answer` gives one without looking at the port."""
        return self._line.has_answer()

    @property
    def unfinished(self) -> bool:
        """Whether a part of an answer is here and the rest is not."""
        return self._line.unfinished

    @property
    def garbled(self) -> bool:
        """Whether an answer may have been lost to noise."""
        return self._line.garbled

    def give_up_answer(self) -> bytearray | None:
        """The rest of an unfinished answer will not come. Gives a whole one that came behind it, if there is one."""
        self._line.give_up_frame()
        return self.answer()

    def close(self) -> None:
        """Leave the chip quiet, at 115200 baud, without a field, and the port free. 0.3 s at most; never raises."""
        with contextlib.suppress(*FAULTS):
            self.release()
            self._field(on=False)
            self._change_speed(SPEEDS[0])
        self._line.close()

    def drop(self) -> None:
        """Let the port of a lost chip go, without a word to it. Never raises."""
        self._line.close()

    def _wake_up_at(self, speed: int) -> None:
        if not self._line.set_speed(speed):
            raise NoAnswerError(f"the port cannot do {speed} baud")
        self._line.clear()
        self._line.write(_WAKE_UP)
        self._line.write(ACK)
        self._version()

    def _version(self) -> None:
        version = self._chipset.command(_GET_VERSION, b"", timeout=0.1)
        if not version or version[0] != _PN532:
            raise OSError(errno.ENODEV, "something else than a PN532 answers")

    def _raise_speed(self, speed: int) -> None:
        before = self._line.speed
        if not self._line.can_do(speed):
            return
        self._change_speed(speed)
        with contextlib.suppress(NoAnswerError):
            self._version()
            return
        self._line.set_speed(before)  # it may have stayed where it was, and that will do
        try:
            self._version()
        except NoAnswerError as error:
            raise NoAnswerError(
                f"silent since it was set to {speed} baud; configure a lower speed"
            ) from error

    def _change_speed(self, speed: int) -> None:
        if self._line.speed != speed:
            self._chipset.set_serial_baudrate(speed)
            self._line.drain()
            self._line.set_speed(speed)
            time.sleep(_SPEED_PAUSE_S)

    def _field(self, *, on: bool) -> None:
        self._chipset.rf_configuration(_RF_ITEM_FIELD, bytes((on,)))

    def _abort(self) -> None:
        if self._asked:
            self._line.write(ACK)
            time.sleep(_ABORT_PAUSE_S)
            self._asked = False

    def _overtaken_answer(self) -> bytearray | None:
        """An answer that the abort did not reach in time. It is read through nfcpy like any other."""
        if not self._line.hear_overtaken(_IN_LIST):
            return None
        return self._chipset.command(_IN_LIST, None, timeout=0.05)


def open_chip(
    path: str,
    speed: int,
    wanted: Callable[[], bool],
    targets_max: int = 0,
    *,
    has_echoed: bool = False,
) -> Chip:
    """Open the port, make the chip behind it ready and, with `targets_max`, look what lies there.

    A line that `has_echoed` is listened to first: an echo that comes late would end a chip that was called ready.
    Blocks for 2.5 s at most; raises one of FAULTS or StoppedError.
    """
    line = Line(path, FIND_WAIT_MS)
    chip = Chip(line)
    try:
        chip.find(wanted)
        chip.make_ready(speed)
        if has_echoed:
            chip.await_echo()
        if targets_max:
            chip.look(targets_max)
        chip.hurry()
    except BaseException:
        line.close()
        raise
    return chip
