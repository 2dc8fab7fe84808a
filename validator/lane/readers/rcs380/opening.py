"""One attempt to open an RC-S380, for the opener, and the reasons of its faults in words."""

import errno
import time
from collections.abc import Callable, Iterable

from validator.host.usb_devices import UsbDevice, UsbName, plugged
from validator.lane.readers.findings import Found, NoCard
from validator.lane.readers.opener import StoppedError
from validator.lane.readers.rcs380.chip import FAULTS, Chip, NoAnswerError, start
from validator.lane.readers.rcs380.devices import NoReaderError, choose
from validator.lane.readers.rcs380.radio import ChipError, WrongAnswerError
from validator.lane.readers.rcs380.usb_line import FloodError, UsbLine

# Of the field at the start, for cards that lie there: an answer may be lost, and a card answers
# every second request after an exchange that broke off.
SCANS = 6
ATTEMPT_FAULTS = (*FAULTS, NoReaderError)

_REPLUG = "unplug it and plug it in again"


class Opening:
    """How the reader of one name is opened; remembers what the attempts before have met."""

    def __init__(
        self,
        name: UsbName,
        devices: Callable[[], Iterable[UsbDevice]] = plugged,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Open nothing yet.

        Args:
            name: resolved at every attempt.
            devices: all that are plugged in.
            clock: monotonic time in nanoseconds.
        """
        self._name = name
        self._devices = devices
        self._clock = clock
        self._scans = True
        self._repairs = False

    def open(self, is_wanted: Callable[[], bool]) -> Chip:
        """Make one attempt: find, claim, start, and the first time scan the field; 1.5 s at most.

        Raises:
            StoppedError: the reader is no longer wanted.
            Exception: one of ATTEMPT_FAULTS; the device is free again.
        """
        device = choose(self._devices(), self._name)
        # Every second time only: a device may need longer to recover than an attempt takes.
        repairs, self._repairs = self._repairs, False
        line = UsbLine(device, repairs=repairs)
        try:
            chip = self._started(line, is_wanted)
        except BaseException as fault:
            line.close()
            self._repairs = not repairs and _may_need_reset(fault)
            raise
        self._scans = False  # from now on the reader knows which cards it has reported
        return chip

    def _started(self, line: UsbLine, is_wanted: Callable[[], bool]) -> Chip:
        chip = start(line, self._clock)
        if not is_wanted():
            raise StoppedError
        chip.run(chip.radio.restart())
        if self._scans:
            chip.lay_at_start = _scan(chip)
        return chip

    def lost(self, fault: BaseException) -> None:
        """Take note of how a chip was lost that this object had opened."""
        self._repairs = _may_need_reset(fault)

    def explain(self, fault: BaseException) -> str:
        """Return one line: which reader, what is wrong, what to do."""
        return f"rcs380 at {self._name}: {_what(fault)}"


def _scan(chip: Chip) -> Found:
    """Return what lies in the field, asleep if it was selected."""
    best: Found = NoCard.NONE
    for _ in range(SCANS):
        found = chip.run(chip.radio.ask()) or NoCard.NONE
        if found not in {NoCard.NONE, NoCard.INCOMPLETE}:
            return found
        if found is NoCard.INCOMPLETE:
            best = NoCard.INCOMPLETE
    return best


def _may_need_reset(fault: BaseException) -> bool:
    """Whether the device is there and does not serve: a reset on the bus may help it."""
    return not isinstance(fault, StoppedError | NoReaderError) and not (
        isinstance(fault, OSError)
        and fault.errno in {errno.ENODEV, errno.EBUSY, errno.EACCES, errno.EPERM}
    )


def _what(fault: BaseException) -> str:
    match fault:
        case NoReaderError() | NoAnswerError() | FloodError():
            return str(fault)
        case ChipError():
            return f"the chip refuses a command ({fault})"
        case WrongAnswerError():
            return f"it answers nothing that belongs to a command; {_REPLUG}"
        case OSError(errno=errno.ENODEV):
            return "unplugged"
        case OSError(errno=errno.EACCES):
            return (
                "permission denied; install deploy/udev/70-turnike.rules, which gives the reader to"
                " the group turnike, and plug it in again"
            )
        case OSError(errno=errno.EPERM):
            return (
                "the system does not permit it; if systemd runs the lane, its unit needs"
                " DeviceAllow=char-usb_device rw"
            )
        case OSError(errno=errno.EBUSY):
            return "in use by another program; every lane needs a reader of its own"
        case OSError(errno=errno.ETIMEDOUT | errno.EAGAIN):
            return f"it no longer answers; {_REPLUG}"
        case OSError(errno=errno.EPIPE):
            return f"it stalls; {_REPLUG}"
        case OSError(errno=errno.EOVERFLOW):
            return f"it sends more than was asked for; {_REPLUG}"
        case OSError():
            return f"USB failed ({fault.strerror or fault}); {_REPLUG}"
        case _:
            return f"its driver failed ({type(fault).__name__}: {fault}); {_REPLUG}"
