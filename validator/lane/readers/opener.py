"""Opens a reader's device, and opens it again after each loss, in a thread that ends at success.

It knows neither cards nor events nor any kind of device: a driver gives it one attempt as a
function. `reader.py` of each driver is the loop's side.

Opening takes up to two seconds, and the kernel can hold a close() for longer. So the loop does not
open a device itself in short steps: every wait of a driver's library would have to be written again
without waiting, and nothing can bound open() and close() of a dying device.
"""

import contextlib
import os
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, Protocol, TypeVar

# Between two tries: a replugged reader is back within 2 s, and a missing one costs no time.
RETRY_S = 0.25
# While the opener works, the loop calls the reader's `take` at least this often. A result wakes the
# loop sooner.
OPENING_NS = 1_000_000_000
CLOSE_S = 1.0  # for the thread to end; a step of it waits 0.1 s


class StoppedError(Exception):
    """The device is no longer wanted: the reader was closed."""


class Openable(Protocol):
    """What an attempt returns: a device that is ready."""

    def close(self) -> None:
        """Leave the device as a fresh program expects it, and let go of it. Never raises."""

    def drop(self) -> None:
        """Let go of a device that was lost, and send it nothing. Never raises."""


Opened = TypeVar("Opened", bound=Openable)


class Opener(Generic[Opened]):
    """Tries in a thread of its own, for ever; `fileno` is readable when a result is here."""

    def __init__(
        self,
        name: str,
        attempt: Callable[[Callable[[], bool]], Opened],
        explain: Callable[[BaseException], str],
        faults: tuple[type[BaseException], ...],
    ) -> None:
        """Start nothing yet.

        Args:
            name: of the thread.
            attempt: opens the device once. It is given a function to call now and then; once that
                returns False, it gives up by raising StoppedError. It raises one of `faults` if
                the device cannot be opened now.
            explain: the reason of a fault, in one line.
            faults: what `attempt` raises.
        """
        self._name = name
        self._attempt = attempt
        self._explain = explain
        self._faults = faults
        self._results: SimpleQueue[Opened | str] = SimpleQueue()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._stop = threading.Event()
        # Held to write to `_bell`: a closed descriptor's number may belong to another file.
        self._bell_lock = threading.Lock()
        self._thread = threading.Thread()

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when a result is here; -1 once stopped."""
        return self._bell

    def start(self, reason: str = "", lost: Opened | None = None) -> None:
        """Start the thread; the one before has ended or is ending.

        Args:
            reason: why the device was lost. It was reported already, and is not reported again.
            lost: the device to be let go of first.
        """
        self._thread = threading.Thread(
            target=self._run, args=(reason, lost), name=self._name, daemon=True
        )
        self._thread.start()

    def result(self) -> Opened | str | None:
        """Return a device that is ready, or a new reason why there is none, or None.

        Each reason comes once until a device is ready.
        """
        if self._stop.is_set():
            return None
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._bell)  # first: a result after this line rings the bell again
        with contextlib.suppress(Empty):
            return self._results.get_nowait()
        return None

    def stop(self) -> None:
        """End the thread and close what it has opened. Waits CLOSE_S at most; may be called twice.

        A thread that needs longer ends by itself.
        """
        if self._stop.is_set():
            return
        with self._bell_lock:
            self._stop.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)
        bell, self._bell = self._bell, -1
        os.close(bell)
        while not self._results.empty():
            result = self._results.get()
            if not isinstance(result, str):
                result.close()

    def _run(self, reason: str, lost: Opened | None) -> None:
        if lost is not None:
            lost.drop()
        # A device that sends garbage fails in another way each time: each way is reported once.
        reported = {reason}
        while not self._stop.is_set():
            try:
                opened = self._attempt(self._is_wanted)
            except StoppedError:
                return
            except self._faults as fault:
                reason = self._explain(fault)
                if reason not in reported:
                    reported.add(reason)
                    self._report(reason)
                self._stop.wait(RETRY_S)
            else:
                self._report(opened)
                return

    def _is_wanted(self) -> bool:
        return not self._stop.is_set()

    def _report(self, result: Opened | str) -> None:
        with self._bell_lock:
            if not self._stop.is_set():
                self._results.put(result)
                os.eventfd_write(self._bell, 1)
                return
        if not isinstance(result, str):
            result.close()
