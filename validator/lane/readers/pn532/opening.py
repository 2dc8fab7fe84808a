"""One attempt to open a PN532, for the opener, and the reasons of its faults in words."""

import errno
from collections.abc import Callable

from nfc.clf import pn532

from validator.lane.readers.pn532.chip import Chip, open_chip
from validator.lane.readers.pn532.line import (
    SYSTEM_CLOCK,
    EchoError,
    LineClock,
    NoAnswerError,
)


class Opening:
    """How the chip at one port is opened; remembers what the attempts before have met."""

    def __init__(
        self, path: str, speed: int, targets_max: int, clock: LineClock = SYSTEM_CLOCK
    ) -> None:
        """Open nothing yet.

        Args:
            path: the port, resolved at every attempt.
            speed: bits a second to which the UART is raised.
            targets_max: for how many cards the first chip that opens scans its field.
            clock: of the line's and the chip's waits.
        """
        self._path = path
        self._speed = speed
        self._clock = clock
        self._scans_for = targets_max
        self._has_echoed = False  # since a chip was last ready

    def open(self, is_wanted: Callable[[], bool]) -> Chip:
        """Make one attempt. Raises as `open_chip` does."""
        try:
            chip = open_chip(
                self._path,
                self._speed,
                is_wanted,
                self._scans_for,
                has_echoed=self._has_echoed,
                clock=self._clock,
            )
        except EchoError:
            self._has_echoed = True
            raise
        self._scans_for = 0  # from now on the reader knows which cards it has reported
        return chip

    def lost(self, fault: BaseException) -> None:
        """Take note of how a chip was lost that this object had opened."""
        self._has_echoed = isinstance(fault, EchoError)

    def explain(self, fault: BaseException) -> str:
        """Return one line: which reader, what is wrong, what to do."""
        return f"pn532 at {self._path}: {_what(fault)}"


def _what(fault: BaseException) -> str:
    match fault:
        case NoAnswerError() | EchoError():
            return str(fault)
        case pn532.Chipset.Error():
            return f"the chip refuses a command ({fault})"
        case OSError(errno=errno.ENOENT | errno.ENXIO):
            return "there is no such device; is it plugged in?"
        case OSError(errno=errno.EACCES | errno.EPERM):
            return (
                "permission denied; the service's user has to be in the group of the device,"
                " usually dialout"
            )
        case OSError(errno=errno.EBUSY | errno.EAGAIN):
            return "in use by another program; every lane needs a reader of its own"
        case OSError(errno=errno.EIO):
            return "unplugged, or its adapter failed"
        case OSError(errno=None):
            return f"not a working serial port ({fault})"
        case OSError():
            return str(fault.strerror)
        case _:
            return f"its driver failed ({type(fault).__name__}: {fault})"
