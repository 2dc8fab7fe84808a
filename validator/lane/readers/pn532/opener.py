"""Opens a PN532, and opens it again after each loss, in a thread that lives only until one answers.

It knows neither cards nor events: `reader.py` is the loop's side.

Opening takes up to two seconds, and a port can hold a close() for longer. Refused: short steps in
the loop. Every step of nfcpy's chipset waits for an answer, so each would have to be written again
without waiting, and open(), tcsetattr() and close() of a dying port cannot be bounded at all.
"""

import contextlib
import errno
import os
import threading
from queue import Empty, SimpleQueue

from nfc.clf import pn532

from validator.lane.readers.pn532.chip import FAULTS, Chip, StoppedError, open_chip
from validator.lane.readers.pn532.line import (
    SYSTEM_CLOCK,
    EchoError,
    LineClock,
    NoAnswerError,
)

# Between two tries: a replugged reader is back within 2 s, and a missing one costs no time.
RETRY_S = 0.25
CLOSE_S = 1.0  # for the thread to end; a step of it waits 0.1 s


class Opener:
    """Opens a chip in a thread of its own, for ever; `fileno` is readable when a result is here."""

    def __init__(
        self, path: str, speed: int, targets_max: int, clock: LineClock = SYSTEM_CLOCK
    ) -> None:
        """Start nothing yet.

        Args:
            path: the port, resolved at every try.
            speed: bits a second to which the UART is raised.
            targets_max: for how many cards the first chip that opens scans its field.
            clock: of the line's and the chip's waits.
        """
        self._path = path
        self._speed = speed
        self._clock = clock
        self._scans_for = targets_max
        self._has_echoed = False  # the line, when it was lost last
        self._results: SimpleQueue[Chip | str] = SimpleQueue()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._stop = threading.Event()
        # Held to write to `_bell`: a closed descriptor's number may belong to another file.
        self._bell_lock = threading.Lock()
        self._thread = threading.Thread()

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when a result is here."""
        return self._bell

    def start(self, reason: str, lost: Chip | None, *, has_echoed: bool = False) -> None:
        """Start the thread; the one before has ended or is ending.

        Args:
            reason: was reported already, so it is not reported again.
            lost: the chip whose port is to be closed first.
            has_echoed: whether its line echoed.
        """
        self._has_echoed = has_echoed
        self._thread = threading.Thread(
            target=self._run, args=(reason, lost), name="pn532-opener", daemon=True
        )
        self._thread.start()

    def result(self) -> Chip | str | None:
        """Return a chip that is ready, or a new reason why there is none, or None."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._bell)  # first: a result after this line rings the bell again
        with contextlib.suppress(Empty):
            return self._results.get_nowait()
        return None

    def stop(self) -> None:
        """End the thread and close what it has opened. Waits CLOSE_S at most.

        A thread that needs longer ends by itself.
        """
        with self._bell_lock:
            self._stop.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)
        os.close(self._bell)
        while not self._results.empty():
            result = self._results.get()
            if isinstance(result, Chip):
                result.close()

    def _run(self, reason: str, lost: Chip | None) -> None:
        if lost is not None:
            lost.drop()
        while not self._stop.is_set():
            try:
                chip = open_chip(
                    self._path,
                    self._speed,
                    self._is_wanted,
                    self._scans_for,
                    has_echoed=self._has_echoed,
                    clock=self._clock,
                )
            except StoppedError:
                return
            except FAULTS as fault:
                self._has_echoed = self._has_echoed or isinstance(fault, EchoError)
                before, reason = reason, explain(self._path, fault)
                if reason != before:
                    self._report(reason)
                self._stop.wait(RETRY_S)
            else:
                self._scans_for = 0  # from now on the reader knows which cards it has reported
                self._report(chip)
                return

    def _is_wanted(self) -> bool:
        return not self._stop.is_set()

    def _report(self, result: Chip | str) -> None:
        with self._bell_lock:
            if not self._stop.is_set():
                self._results.put(result)
                os.eventfd_write(self._bell, 1)
                return
        if isinstance(result, Chip):
            result.close()


def explain(path: str, fault: BaseException) -> str:
    """Return one line: which reader, what is wrong, what to do."""
    return f"pn532 at {path}: {_what(fault)}"


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
