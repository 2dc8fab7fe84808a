"""The one place that asks the system for wall time and boot time. What they are worth is domain/trusted_time.py's affair."""

import ctypes
import time

from validator.domain.trusted_time import Now, SystemClock, TimeFloor, trusted_now

# struct timex of adjtimex(2) is 208 bytes on 64-bit Linux: `modes` 0 at the start reads without setting. The return value is the
# clock's state, TIME_ERROR when it is not synchronised.
_TIMEX_BYTES = 208
_TIME_ERROR = 5


class Clock:
    """Wall time by the floor rule. The clerk refreshes and raises; the loop only reads, at 0.5 µs a call."""

    def __init__(self) -> None:
        self._adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
        self._synchronised = False
        self._floor = TimeFloor(0, 0)
        self.refresh()

    def refresh(self) -> None:
        """Ask the kernel again whether the clock is synchronised: once a second is enough, and a system call too many for each tap."""
        state = self._adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
        self._synchronised = 0 <= state < _TIME_ERROR

    def raise_floor(self, signed_unix_s: int) -> None:
        """Accept a signed time (Unix seconds). One that is already behind what the floor has grown to changes nothing."""
        system = self.system()
        grown = trusted_now(SystemClock(0, synchronised=False, boottime_ns=system.boottime_ns), self._floor)
        if signed_unix_s > grown.unix_s:
            self._floor = TimeFloor(signed_unix_s, system.boottime_ns)

    def now(self) -> Now:
        """The time to decide by."""
        return trusted_now(self.system(), self._floor)

    def system(self) -> SystemClock:
        """What the system says right now."""
        return SystemClock(int(time.time()), self._synchronised, time.clock_gettime_ns(time.CLOCK_BOOTTIME))
