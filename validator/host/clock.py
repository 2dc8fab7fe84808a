"""Asks the system for wall and boot time; domain/trusted_time.py decides how far to trust it."""

import ctypes
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from validator.domain.trusted_time import Now, SystemClock, TimeFloor, later, trusted_now

# struct timex of adjtimex(2) is 208 bytes on 64-bit Linux: `modes` 0 at the start reads without
# setting. The return value is the clock's state, TIME_ERROR when it is not synchronised.
_TIMEX_BYTES = 208
_TIME_ERROR = 5
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class AcceptedTime(Protocol):
    """A signed time, as ipc/signed_time.py and ipc/accepted.py decode it."""

    @property
    def signed_unix_s(self) -> int:
        """The time that was signed, in Unix seconds."""

    @property
    def boot_id(self) -> str:
        """The boot in which it was accepted."""

    @property
    def boottime_ns(self) -> int:
        """The ns from that boot until the time was accepted."""

    @property
    def timestamp_keys(self) -> tuple[str, ...]:
        """The ids of the keys that may sign the time."""


class Clock:
    """Wall time by the floor rule.

    One thread refreshes it and raises the floor; the loop only reads, at 0.5 µs a call.
    """

    def __init__(self) -> None:
        self._adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
        # Without an id every boot counts as another one, and time counts from this boot.
        self._boot_id = ""
        with suppress(OSError):
            self._boot_id = _BOOT_ID.read_text().strip()
        self._synchronised = False
        self._floor = TimeFloor(0, 0)
        # The keys behind the floor; None while the floor is a list's own time.
        self._keys: tuple[str, ...] | None = None
        self.refresh()

    def refresh(self) -> None:
        """Ask the kernel again whether the clock is synchronised.

        Once a second is enough: a system call at each tap would cost too much.
        """
        state = self._adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
        self._synchronised = 0 <= state < _TIME_ERROR

    def begin_with(self, accepted: AcceptedTime) -> None:
        """Count from this signed time.

        It counts from when it was accepted if that was in this boot, else from the boot. Under the
        keys of the time before, it never sets time back: it may have been signed a while before it
        was accepted. Under other keys it does: an attacker's time must not outlive the key that
        signed it.
        """
        is_this_boot = self._boot_id != "" and accepted.boot_id == self._boot_id
        floor = TimeFloor(accepted.signed_unix_s, accepted.boottime_ns if is_this_boot else 0)
        if accepted.timestamp_keys == self._keys:
            floor = later(self._floor, floor, self.system().boottime_ns)
        self._floor, self._keys = floor, accepted.timestamp_keys

    def raise_floor(self, issued_unix_s: int) -> None:
        """Raise the floor to when a list was issued, in Unix seconds.

        It counts only while there is no signed time.
        """
        if self._keys is None:
            boottime_ns = self.system().boottime_ns
            self._floor = later(self._floor, TimeFloor(issued_unix_s, boottime_ns), boottime_ns)

    def boot(self) -> tuple[str, int]:
        """The id of this boot, and the ns since it began."""
        return self._boot_id, self.system().boottime_ns

    def now(self) -> Now:
        """The time to decide by."""
        return trusted_now(self.system(), self._floor)

    def at_least_unix_s(self) -> int | None:
        """The time that it is at least, in Unix seconds; None if the clock is synchronised."""
        return None if self.now().synchronised else self.floor_unix_s()

    def floor_unix_s(self) -> int:
        """The time that it is at least: the floor and the time since, in Unix seconds."""
        return trusted_now(self.system()._replace(synchronised=False), self._floor).unix_s

    def system(self) -> SystemClock:
        """The system's own clocks right now."""
        return SystemClock(
            int(time.time()), self._synchronised, time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        )
