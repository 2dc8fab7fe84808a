"""The thread that waits for cards in one slot, connects to them and reads them, for the loop.

No call into libpcsclite is bounded: it waits for pcscd, which waits for the reader, 3 s for each
answer and for ever if it was stopped. So the loop's thread makes none. It takes news from a queue,
and sees by `calls` whether this thread is held up.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from validator.domain.cards import Card
from validator.host.usb_devices import SYSFS, UsbDevice, plugged
from validator.lane.readers.pcsc import library, reasons
from validator.lane.readers.pcsc.card import NoCard, Reading, read_card, read_number
from validator.lane.readers.pcsc.codes import (
    PNP,
    READER_GONE,
    SERVICE_GONE,
    Code,
    PcscError,
    State,
)
from validator.lane.readers.pcsc.slots import InUseError, SlotLock, matching
from validator.lane.readers.pcsc.stay import Arrived, News, Stays

WAIT_MS = 500  # of one wait: a thread that makes no step for longer is held up
RETRY_MS = 250  # between two tries to find the reader or pcscd
# How long another program may hold a card before the reader counts as in use: a desktop's programs
# read each card that comes.
HELD_NS = 700_000_000
# How long pcscd may list a reader that is off the bus. If a card leaves at the moment of an unplug,
# pcscd's threads wait for each other for ever, and it never lists another reader (docs/decisions/
# 0028): then a person has to restart it, and the lane has to say so.
DEAF_NS = 3_000_000_000
CLOSE_S = 1.0  # for the thread to end; it is never in a wait then
_CANCEL_S = 0.02  # between two: one that comes right before a wait is lost


@dataclass(frozen=True, slots=True)
class Ready:
    """The slot is there; `card_lies` says whether a card lay in it at the first look."""

    card_lies: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """The slot cannot be used; the reason is one line."""

    reason: str


@dataclass(frozen=True, slots=True)
class Number:
    """The printed number of the card whose first read began at `read_ns`; None without one."""

    digits: str | None
    read_ns: int


WatcherNews = Ready | Lost | News
Answer = TypeVar("Answer")


class _LostError(Exception):
    """The slot cannot be used now; the text is the reason."""


class _StoppedError(Exception):
    """The reader was closed, or wants the slot looked up again."""


class Watcher:
    """One slot, watched from a thread. The loop's thread calls the public methods."""

    def __init__(
        self,
        pcsc: library.Pcsc,
        pattern: str,
        locks: Path,
        *,
        reads_numbers: bool = False,
        sysfs: Path = SYSFS,
    ) -> None:
        """Start the thread.

        Args:
            pcsc: makes contexts.
            pattern: a shell pattern of the slot's name.
            locks: the folder of the locks that keep two lanes apart.
            reads_numbers: whether to read the printed number of each card that comes.
            sysfs: where the USB devices of this machine are listed.
        """
        self.calls = 0
        """Counts steps: odd while a call into libpcsclite is under way."""
        self._pcsc = pcsc
        self._pattern = pattern
        self._locks = locks
        self._reads_numbers = reads_numbers
        self._sysfs = sysfs
        self._number = Number(None, 0)
        self._number_came = threading.Condition()
        self._news: deque[tuple[int, WatcherNews]] = deque()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        # Held to write to `_bell`: a closed descriptor's number may belong to another file.
        self._bell_lock = threading.Lock()
        self._closed = threading.Event()
        self._restart = threading.Event()
        self._context: library.Context | None = None
        self._reason = ""  # reported last
        self._device: UsbDevice | None = None  # that of the slot, if it is on the USB
        self._missing_since_ns: int | None = None
        self._thread = threading.Thread(target=self._run, name="pcsc-watcher", daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when news is here."""
        return self._bell

    def take(self) -> tuple[int, WatcherNews] | None:
        """Return the next news behind the monotonic time at which it was put here, or None."""
        if not self._news:
            self._hush()
        return self._news.popleft() if self._news else None

    def number(self, read_ns: int, limit_s: float) -> str | None:
        """Return the printed number of the card that arrived then; wait for it if need be."""
        if not self._reads_numbers:
            return None
        with self._number_came:
            self._number_came.wait_for(lambda: self._number.read_ns >= read_ns, limit_s)
            return self._number.digits if self._number.read_ns == read_ns else None

    def restart(self) -> None:
        """Look the slot up again once the call under way has ended, and report it ready."""
        self._restart.set()

    def close(self) -> None:
        """End the thread. Waits CLOSE_S at most; a thread that is held up ends by itself."""
        with self._bell_lock:
            self._closed.set()
        threading.Thread(target=self._cancel, name="pcsc-cancel", daemon=True).start()
        self._thread.join(CLOSE_S)
        os.close(self._bell)

    def _hush(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._bell)

    def _cancel(self) -> None:
        """End a wait under way. In a thread of its own, since pcscd may never answer."""
        while self._thread.is_alive():
            context = self._context
            if context is not None:
                context.cancel()
            self._thread.join(_CANCEL_S)

    # The thread

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                with self._connected() as context:
                    while True:
                        self._find(context)
            except _StoppedError:
                continue
            except PcscError as error:
                self._lose(reasons.of_pcscd(self._pattern, error))
                self._closed.wait(RETRY_MS / 1000)

    @contextmanager
    def _connected(self) -> Iterator[library.Context]:
        context = self._call(self._pcsc.context)
        self._context = context
        try:
            yield context
        finally:
            self._context = None
            context.release()

    def _find(self, context: library.Context) -> None:
        """Serve the slot if it is there; else wait until a reader comes or goes.

        Raises:
            PcscError: pcscd is gone.
        """
        self._go_on()
        names = self._call(context.slots)
        try:
            self._serve(context, self._choose(names))
        except _LostError as lost:
            self._lose(str(lost))
        except PcscError as error:
            if error.code in SERVICE_GONE:
                raise
            is_gone = error.code in READER_GONE
            if not is_gone:
                # A pcscd that dies in a call makes it return any number; the next call tells.
                self._call(context.slots)
            self._lose(
                reasons.gone(self._pattern) if is_gone else reasons.failed(self._pattern, error)
            )
        self._call(lambda: context.wait([(PNP, 0)], RETRY_MS))

    def _choose(self, names: list[str]) -> str:
        found = matching(self._pattern, names)
        if not found:
            self._missing_since_ns = None
            raise _LostError(reasons.none_matches(self._pattern, names, self._sysfs))
        if len(found) > 1:
            raise _LostError(reasons.several_match(self._pattern, found))
        return found[0]

    def _serve(self, context: library.Context, slot: str) -> None:
        """Watch the slot until it is gone. Raises PcscError and _LostError."""
        try:
            with SlotLock(self._locks, slot):
                self._watch(context, slot)
        except InUseError:
            raise _LostError(reasons.in_use(self._pattern, slot)) from None
        except OSError as error:
            raise _LostError(reasons.no_lock(self._pattern, self._locks, error)) from error

    def _watch(self, context: library.Context, slot: str) -> None:
        stays = Stays()
        self._find_device(context, slot)
        state = self._state(context, slot, 0, WAIT_MS)
        self._post_all(stays.slot(state, time.monotonic_ns()))
        if stays.is_card_there:
            first = self._call(lambda: read_card(context, slot, lambda *_: None))
            if first is NoCard.HELD:
                raise _LostError(reasons.held(self._pattern))
        self._go_on()
        self._reason = ""
        self._post(Ready(stays.is_card_there))
        held_since_ns: int | None = None
        while True:
            if stays.is_card_there:
                reading = self._read(context, slot, stays)
                now_ns = time.monotonic_ns()
                held_since_ns = (held_since_ns or now_ns) if reading is NoCard.HELD else None
                if held_since_ns is not None and now_ns - held_since_ns > HELD_NS:
                    raise _LostError(reasons.held(self._pattern))
            limit_ms = stays.pause_ms if stays.is_card_there else WAIT_MS
            state = self._state(context, slot, state, limit_ms)
            self._go_on()
            self._check_device()
            self._post_all(stays.slot(state, time.monotonic_ns()))

    def _state(self, context: library.Context, slot: str, known: int, limit_ms: int) -> int:
        """Wait for another state than the known one; return the state after the wait.

        Raises:
            _LostError: the reader is gone, or does not answer pcscd.
        """
        states = self._call(lambda: context.wait([(slot, known)], limit_ms))
        if states is None:
            return known
        if states[0] & (State.UNKNOWN | State.UNAVAILABLE):
            raise _LostError(reasons.gone(self._pattern))
        return states[0] & ~State.CHANGED

    def _find_device(self, context: library.Context, slot: str) -> None:
        """Look up which device has the slot, and check that it is there."""
        try:
            address = self._call(lambda: context.usb_address(slot))
        except PcscError as error:
            if error.code == Code.SHARING_VIOLATION:
                raise _LostError(reasons.held(self._pattern)) from error
            if error.code in READER_GONE:
                self._check_device()  # the one that had the slot
            raise
        found = [each for each in plugged(self._sysfs) if (each.bus, each.address) == address]
        if found:
            self._device = found[0]
        elif address is None:
            self._device = None
        self._check_device()

    def _check_device(self) -> None:
        """Raise _LostError if the device is no longer on the bus, whatever pcscd says."""
        device = self._device
        if device is None or device in plugged(self._sysfs):
            self._missing_since_ns = None
            return
        now_ns = time.monotonic_ns()
        self._missing_since_ns = self._missing_since_ns or now_ns
        is_deaf = now_ns - self._missing_since_ns > DEAF_NS
        raise _LostError((reasons.deaf if is_deaf else reasons.gone)(self._pattern))

    def _read(self, context: library.Context, slot: str, stays: Stays) -> Reading:
        read_ns = time.monotonic_ns()

        def with_card(connection: library.Card, card: Card) -> None:
            news = stays.read(card, read_ns)
            self._post(news)
            if isinstance(news, Arrived) and self._reads_numbers:
                self._put_number(Number(read_number(connection), read_ns))

        reading = self._call(lambda: read_card(context, slot, with_card))
        if isinstance(reading, NoCard):
            self._post(stays.read(reading, read_ns))
        return reading

    def _put_number(self, number: Number) -> None:
        with self._number_came:
            self._number = number
            self._number_came.notify()

    def _call(self, call: Callable[[], Answer]) -> Answer:
        """Make one call that may wait for pcscd or the reader."""
        self.calls += 1
        try:
            return call()
        finally:
            self.calls += 1

    def _go_on(self) -> None:
        """Raise _StoppedError if this slot or this context is no longer wanted."""
        if self._closed.is_set() or self._restart.is_set():
            self._restart.clear()
            raise _StoppedError

    # News

    def _lose(self, reason: str) -> None:
        if reason != self._reason:
            self._reason = reason
            self._post(Lost(reason))

    def _post_all(self, news: Iterator[News]) -> None:
        for each in news:
            self._post(each)

    def _post(self, news: WatcherNews | None) -> None:
        if news is None:
            return
        with self._bell_lock:
            if not self._closed.is_set():
                self._news.append((time.monotonic_ns(), news))
                os.eventfd_write(self._bell, 1)
