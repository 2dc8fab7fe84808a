"""One PN532, step by step: find it at any speed, configure it, ask for cards, leave it quiet.

Each step blocks for a short time, written beside it, and raises one of FAULTS. The chip holds no
state of the gate and retries nothing: `reader.py` decides what a fault means and what comes next.

The commands go through nfcpy's chipset. docs/decisions/0004-reader-on-nfcpy-chipset.md says why
`nfc.clf.pn532.init` and `connect()` are not used. Commands and their fields: PN532 user manual
(UM0701-02), section 7.
"""

import contextlib
import errno
import logging
import select
import struct
import termios
from collections.abc import Callable
from typing import Protocol

from nfc.clf import pn532

from validator.lane.readers.opener import StoppedError
from validator.lane.readers.pn532.frames import ACK
from validator.lane.readers.pn532.line import (
    SYSTEM_CLOCK,
    EchoError,
    Line,
    LineClock,
    NoAnswerError,
)

# Where a chip may be: after its reset, after this lane, after others.
SPEEDS = (115_200, 921_600, 460_800, 230_400)
# Over all speeds: behind a Pi's USB the first bytes after an open may take a second.
ROUNDS = 3
# A chip acknowledges within 15 ms, and an FTDI adapter holds bytes for 16 ms, twice.
FIND_WAIT_MS = 100
# How late a line may return what was sent: adapters and hubs hold bytes, each for some ms.
ECHO_MS = 250
WAIT_MS = 30  # for one step of a chip that is known to work: the loop waits for it
# A card has forgotten everything after 5.1 ms without a field (NFC Forum Digital 2.0, 5.3).
FIELD_OFF_NS = 6_000_000
SCANS = 2  # of the field at the start: the answer to one may be lost
REQUESTS = 2  # of each scan: a chip may leave every second one unanswered
# For an answer: 5 ms a try, 4 ms anticollision a card, 5 ms RATS, and the same for the machine.
REQUEST_MS = 25
_ABORT_PAUSE_S = 0.001  # that nfcpy gives the chip between an abort and the next command
_SPEED_PAUSE_S = 0.001  # the manual: 200 µs after the acknowledgement that changes the speed
# The first edges wake the chip, the rest covers the start of its oscillator.
_WAKE_UP = b"\x55\x55" + bytes(14)
_PN532 = 0x32
_AUTOMATIC_RATS = 0x10
_AUTOMATIC_ATR = 0x04  # on after a reset too
_TRY_FOR_EVER = b"\xff\x01\xff"  # MxRtyATR, MxRtyPSL, MxRtyPassiveActivation
_IN_LIST, _IN_EXCHANGE, _IN_RELEASE, _GET_VERSION, _RF = 0x4A, 0x40, 0x52, 0x02, 0x32
_TYPE_A_106 = 0
_ALL_TARGETS, _FIRST_TARGET = b"\x00", b"\x01"
_RF_ITEM_FIELD, _RF_ITEM_RETRIES = 1, 5

# The loop must not log, and a fault's reason holds all that nfcpy would log.
_SILENT = logging.getLogger("validator.nfcpy")
_SILENT.setLevel(logging.CRITICAL + 1)

# What a step raises. termios.error and Chipset.Error are no OSErrors. nfcpy and pyserial raise the
# others when a device sends invalid data or goes away.
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


class _Chipset(Protocol):
    """The part of nfcpy's chipset that is used, with the types that nfcpy lacks."""

    def command(
        self, cmd_code: int, cmd_data: bytes | None, timeout: float
    ) -> bytearray | None: ...
    def sam_configuration(self, mode: str) -> None: ...
    def set_parameters(self, flags: int) -> None: ...
    def rf_configuration(self, cfg_item: int, cfg_data: bytes) -> None: ...
    def set_serial_baudrate(self, baudrate: int) -> None: ...


class Chip:
    """A chip behind an open port. One thread at a time."""

    lay_at_start: bytearray | None = None
    """The answer that `scan` received, as `answer` returns it; None if the field was empty."""

    def __init__(self, line: Line, clock: LineClock = SYSTEM_CLOCK) -> None:
        self._line = line
        self._clock = clock
        self._chipset: _Chipset = pn532.Chipset(line, logger=_SILENT)
        self._asked = False

    def fileno(self) -> int:
        """Return the open port's descriptor: readable when the chip sends or is gone."""
        return self._line.fileno()

    def find(self, is_wanted: Callable[[], bool]) -> None:
        """Wake the chip and try every speed until it answers; 1.3 s at most.

        Args:
            is_wanted: asked before each try; False ends the search.

        Raises:
            NoAnswerError: the chip answers at no speed, three times over.
            StoppedError: the chip is no longer wanted.
        """
        for speed in SPEEDS * ROUNDS:
            if not is_wanted():
                raise StoppedError
            with contextlib.suppress(NoAnswerError):
                self._wake_up_at(speed)
                return
        raise NoAnswerError(
            f"no answer at {', '.join(map(str, SPEEDS))} baud; is it wired and powered?"
        )

    def make_ready(self, speed: int) -> None:
        """Configure a chip that was found; 15 ms usually, 0.6 s at most.

        Args:
            speed: bits a second. A port that cannot do that stays at the speed that it has.
        """
        self._chipset.sam_configuration("normal")
        self._raise_speed(speed)
        self._chipset.set_parameters(_AUTOMATIC_RATS | _AUTOMATIC_ATR)
        self._chipset.rf_configuration(_RF_ITEM_RETRIES, _TRY_FOR_EVER)
        self._field(on=False)  # a card that was listed before answers again
        self._line.clear()

    def await_echo(self) -> None:
        """Wait ECHO_MS for what a line that echoes returns late. Raises EchoError."""
        give_up_ns = self._clock.monotonic_ns() + ECHO_MS * 1_000_000
        while (left_ms := (give_up_ns - self._clock.monotonic_ns()) / 1e6) > 0:
            self._line.listen(left_ms)
        self._line.clear()

    def shorten_waits(self) -> None:
        """Limit each wait to WAIT_MS from now on: a loop waits for each step."""
        self._line.wait_ms = WAIT_MS

    def scan(self, targets_max: int) -> None:
        """Set `lay_at_start` to what lies in the field, and put that to sleep; 0.12 s.

        Args:
            targets_max: how many cards to ask for, 1 or 2.

        Raises:
            NoAnswerError: the chip is silent; it was not only late once or twice.
        """
        scans = misses = 0
        while scans < SCANS:
            try:
                self.lay_at_start = self._scan_once(targets_max)
            except NoAnswerError:
                misses += 1
                if misses > SCANS:
                    raise
                continue
            if self.lay_at_start is not None:
                self.release()
                return
            scans += 1
        self._abort()  # else the chip would list the first card that comes before a reader asks

    def _scan_once(self, targets_max: int) -> bytearray | None:
        self._abort()
        self._field(on=False)
        self._clock.sleep_s(FIELD_OFF_NS / 1e9)
        for _ in range(REQUESTS):
            answer = self.ask(targets_max) or self._await_answer(REQUEST_MS)
            if answer is not None:
                return answer
        return None

    def ask(self, targets_max: int) -> bytearray | None:
        """Ask for the next cards, in place of the request before; 31 ms at most.

        Args:
            targets_max: how many cards to ask for, 1 or 2.

        Returns:
            The answer to the request before if it was under way already, else None.
        """
        self._abort()
        self._chipset.command(_IN_LIST, bytes((targets_max, _TYPE_A_106)), timeout=0)
        self._asked = True
        return self._overtaken_answer()

    def answer(self) -> bytearray | None:
        """Return the answer to `ask`, from the number of targets on; None while it is not whole.

        Does not wait.
        """
        while self._line.listen():
            self._line.expect_any()
            if self._line.answers(_IN_LIST):
                self._asked = False
                return self._chipset.command(_IN_LIST, None, timeout=0.05)
            self._line.read(0)  # a late answer, which nfcpy would take for a broken port
        return None

    def _await_answer(self, wait_ms: int) -> bytearray | None:
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        give_up_ns = self._clock.monotonic_ns() + wait_ms * 1_000_000
        while (answer := self.answer()) is None:
            left_ms = (give_up_ns - self._clock.monotonic_ns()) / 1e6
            if left_ms <= 0:
                return None
            poll.poll(left_ms)
        return answer

    def release(self) -> None:
        """Put the listed cards to sleep until they leave the field; 61 ms at most.

        Drops the request that is open.
        """
        self._abort()
        # A card that has left cannot answer, and the chip may wait long for it. The next command
        # ends that wait.
        try:
            self._chipset.command(_IN_RELEASE, _ALL_TARGETS, timeout=WAIT_MS / 1e3)
        except NoAnswerError:
            self._asked = True
        self._line.overtaken.clear()

    def exchange(self, apdu: bytes) -> bytes:
        """Send an APDU to the card listed first; no bytes if it does not answer; 61 ms at most."""
        data = _FIRST_TARGET + apdu
        try:
            answer = self._chipset.command(_IN_EXCHANGE, data, timeout=WAIT_MS / 1e3)
        except NoAnswerError:
            self._asked = True  # the chip may wait for a card that has left; the next step ends it
            return b""
        return bytes(answer[1:]) if answer and answer[0] == 0 else b""

    def reset_cards(self) -> bytearray | None:
        """Switch the field off, so that a card whose answer was lost begins again; 61 ms at most.

        `ask` switches the field on. Call it FIELD_OFF_NS later at the soonest.

        Returns:
            The answer to the request before if it was under way already, else None.
        """
        self._line.check_name()
        self._abort()
        self._line.clear_garbled()
        self._field(on=False)
        return self._overtaken_answer()

    def check(self) -> None:
        """Prove that an idle chip is alive; 60 ms at most."""
        self._line.check_name()
        self._abort()
        self._version()

    @property
    def has_answer(self) -> bool:
        """Whether `answer` returns one without reading the port."""
        return self._line.has_answer()

    @property
    def unfinished(self) -> bool:
        """Whether a part of an answer is here and its rest is missing."""
        return self._line.unfinished

    @property
    def garbled(self) -> bool:
        """Whether noise may have cost an answer."""
        return self._line.garbled

    def give_up_answer(self) -> bytearray | None:
        """Drop an unfinished answer. Returns a whole one that came behind it, or None."""
        self._line.give_up_frame()
        return self.answer()

    def close(self) -> None:
        """Leave the chip quiet, at 115200 baud, its field off, and close the port; 0.3 s at most.

        Never raises.
        """
        with contextlib.suppress(*FAULTS):
            self.release()
            self._field(on=False)
            self._change_speed(SPEEDS[0])
        self._line.close()

    def drop(self) -> None:
        """Close the port of a lost chip, and send it nothing. Never raises."""
        self._line.close()

    def _wake_up_at(self, speed: int) -> None:
        if not self._line.set_speed(speed):
            raise NoAnswerError(f"the port cannot do {speed} baud; configure a lower speed")
        self._line.clear()
        self._line.write(_WAKE_UP)
        self._line.write(ACK)
        self._version()

    def _version(self) -> None:
        version = self._chipset.command(_GET_VERSION, b"", timeout=0.1)
        if not version or version[0] != _PN532:
            raise OSError(errno.ENODEV, "another device than a PN532 answers")

    def _raise_speed(self, speed: int) -> None:
        before = self._line.speed
        if not self._line.can_do(speed):
            return
        self._change_speed(speed)
        with contextlib.suppress(NoAnswerError):
            self._version()
            return
        self._line.set_speed(before)  # a chip that stayed there serves, too
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
            self._clock.sleep_s(_SPEED_PAUSE_S)

    def _field(self, *, on: bool) -> None:
        self._chipset.rf_configuration(_RF_ITEM_FIELD, bytes((on,)))

    def _abort(self) -> None:
        if self._asked:
            self._line.write(ACK)
            self._clock.sleep_s(_ABORT_PAUSE_S)
            self._asked = False

    def _overtaken_answer(self) -> bytearray | None:
        """Return an answer that came before the abort took effect; it is read through nfcpy."""
        if not self._line.restore_overtaken(_IN_LIST):
            return None
        return self._chipset.command(_IN_LIST, None, timeout=0.05)


def open_chip(
    path: str,
    speed: int,
    is_wanted: Callable[[], bool],
    targets_max: int = 0,
    *,
    has_echoed: bool = False,
    clock: LineClock = SYSTEM_CLOCK,
) -> Chip:
    """Open the port and make the chip behind it ready; 2.5 s at most.

    Args:
        path: the port.
        speed: bits a second to which the UART is raised, if the port can do that.
        is_wanted: asked now and then; False ends the attempt.
        targets_max: with 1 or 2, scan the field for so many cards first.
        has_echoed: the line has echoed before. Then wait for a late echo, which would else end a
            chip that was reported as ready.
        clock: of all waits.

    Raises:
        StoppedError: the chip is no longer wanted.
        Exception: one of FAULTS; the port is closed then.
    """
    line = Line(path, FIND_WAIT_MS, clock)
    chip = Chip(line, clock)
    try:
        chip.find(is_wanted)
        chip.make_ready(speed)
        if has_echoed:
            chip.await_echo()
        if targets_max:
            chip.scan(targets_max)
        chip.shorten_waits()
    except BaseException:
        line.close()
        raise
    return chip
