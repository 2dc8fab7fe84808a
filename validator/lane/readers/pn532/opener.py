"""Brings a PN532 back: opens it in a thread that lives only while there is none, and says in one line why it cannot.

It knows neither cards nor events; the loop's side of the reader is `pn532_reader`.

Opening takes up to two seconds, and a port can hold a close() for longer. The refused way was bounded steps in the loop:
every step of nfcpy's chipset waits for an answer, so each would have had to be written again without waiting, and open(),
tcsetattr() and close() of a dying port could not be bounded at all.
"""

import contextlib
import errno
import os
import threading
from queue import Empty, SimpleQueue

from nfc.clf import pn532

from validator.lane.readers.pn532.chip import FAULTS, Chip, StoppedError, open_chip
from validator.lane.readers.pn532.line import EchoError, NoAnswerError

RETRY_S = 0.25  # between two tries: a replugged reader is back well within 2 s, and a missing one costs nothing
CLOSE_S = 1.0  # for the thread to end; a step of it waits 0.1 s


class Opener:
    """Opens a chip in a thread of its own, trying for ever; `fileno` is readable when there is news."""

    def __init__(self, path: str, speed: int, targets_max: int) -> None:
        """`targets_max` is how many cards the chip is asked for when the first one that is opened looks what lies there."""
        self._path = path
        self._speed = speed
        self._looks_for = targets_max
        self._has_echoed = False  # the line, when it was lost last
        self._news: SimpleQueue[Chip | str] = SimpleQueue()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._stop = threading.Event()
        self._telling = (
            threading.Lock()
        )  # nobody rings a bell that is closed: its number may be another's by then
        self._thread = threading.Thread()

    def fileno(self) -> int:
        """The descriptor that becomes readable."""
        return self._bell

    def start(self, reason: str, lost: Chip | None, *, has_echoed: bool = False) -> None:
        """Begin; `reason` is what was told already, `lost` the chip to let go of, whose line may have echoed.

        The thread before has ended or is ending.
        """
        self._has_echoed = has_echoed
        self._thread = threading.Thread(
            target=self._run, args=(reason, lost), name="pn532-opener", daemon=True
        )
        self._thread.start()

    def news(self) -> Chip | str | None:
        """A chip, or why there is none; None when nothing is new."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._bell)  # first: news that come between the two lines ring it again
        with contextlib.suppress(Empty):
            return self._news.get_nowait()
        return None

    def stop(self) -> None:
        """End the thread and close what it has opened. Waits for CLOSE_S at most; a thread that lasts longer ends by itself."""
        with self._telling:
            self._stop.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)
        os.close(self._bell)
        while not self._news.empty():
            news = self._news.get()
            if isinstance(news, Chip):
                news.close()

    def _run(self, reason: str, lost: Chip | None) -> None:
        if lost is not None:
            lost.drop()
        while not self._stop.is_set():
            try:
                chip = open_chip(
                    self._path,
                    self._speed,
                    self._is_wanted,
                    self._looks_for,
                    has_echoed=self._has_echoed,
                )
            except StoppedError:
                return
            except FAULTS as fault:
                self._has_echoed = self._has_echoed or isinstance(fault, EchoError)
                before, reason = reason, explain(self._path, fault)
                if reason != before:
                    self._tell(reason)
                self._stop.wait(RETRY_S)
            else:
                self._looks_for = 0  # from now on the reader knows which card it has told
                self._tell(chip)
                return

    def _is_wanted(self) -> bool:
        return not self._stop.is_set()

    def _tell(self, news: Chip | str) -> None:
        with self._telling:
            if not self._stop.is_set():
                self._news.put(news)
                os.eventfd_write(self._bell, 1)
                return
        if isinstance(news, Chip):
            news.close()


def explain(path: str, fault: BaseException) -> str:
    """One line: which reader, what is wrong with it, what to do."""
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
            return "permission denied; the service's user has to be in the group of the device, usually dialout"
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
