"""The time by which rules begin and suspensions end, on a machine without a battery clock.

The newest signed time the gate has accepted is a floor. The wall clock is believed only while the kernel says that it is
synchronised and it is not below the floor; else time is the floor plus what has gone by since. So a suspension may end late,
never early, and a clock that wakes in 2038 expires nothing. Nothing here reads a clock: adapters/clock.py does.
"""

from typing import NamedTuple

NS_PER_S = 1_000_000_000


class SystemClock(NamedTuple):
    """What the system says at one moment: wall time in Unix seconds, whether the kernel calls it synchronised, ns since boot."""

    unix_s: int
    synchronised: bool
    boottime_ns: int


class TimeFloor(NamedTuple):
    """A signed time (Unix seconds), and the boot time in ns at which it was accepted: 0 when that was in an earlier boot."""

    unix_s: int
    boottime_ns: int


class Now(NamedTuple):
    """The time to decide by, and whether it is the synchronised wall clock (else it is counted from the floor)."""

    unix_s: int
    synchronised: bool


def trusted_now(clock: SystemClock, floor: TimeFloor) -> Now:
    """The time to decide by; see the first paragraph of this file."""
    if clock.synchronised and clock.unix_s >= floor.unix_s:
        return Now(clock.unix_s, synchronised=True)
    elapsed_s = max(0, clock.boottime_ns - floor.boottime_ns) // NS_PER_S
    return Now(floor.unix_s + elapsed_s, synchronised=False)


def later(one: TimeFloor, other: TimeFloor, boottime_ns: int) -> TimeFloor:
    """Of two floors the one by which it is later at that boot time; `one` if it is the same."""
    clock = SystemClock(0, synchronised=False, boottime_ns=boottime_ns)
    return max(one, other, key=lambda floor: trusted_now(clock, floor).unix_s)
