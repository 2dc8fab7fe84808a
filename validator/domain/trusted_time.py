"""The time by which rules begin and suspensions end, on a machine without a battery clock.

The newest signed time that the gate has accepted is a floor. The wall clock is used while the
kernel calls it synchronised and it is not below the floor. Else the time is the floor plus the time
that has gone by since. So a suspension may end late, never early, and a clock that starts in 2038
expires nothing. Nothing here reads a clock: `host/clock.py` does.

A city's clock that ran ahead signs a floor that lies ahead. That floor is void once a later root
names other keys for the timestamp role (TimeBasis). How far ahead it can lie is bounded:
docs/decisions/0016.
"""

from typing import NamedTuple

NS_PER_S = 1_000_000_000
# The year 6325: a time counted on from there is still a date to every library.
SIGNED_UNIX_S_END = 1 << 37
# Ahead of a synchronised clock: a thief or a broken clock signed a time beyond it.
AHEAD_S_MAX = 86_400


class SystemClock(NamedTuple):
    """Wall time and boot time of the system; `synchronised` is what the kernel calls wall time."""

    unix_s: int
    synchronised: bool
    boottime_ns: int


class TimeFloor(NamedTuple):
    """A signed time, and the boot time at which it was accepted: 0 if in an earlier boot."""

    unix_s: int
    boottime_ns: int


class Now(NamedTuple):
    """The time to decide by. If not `synchronised`, it is counted from the floor."""

    unix_s: int
    synchronised: bool


class TimeBasis(NamedTuple):
    """The root version and the ids of the timestamp keys under which the time floor was accepted.

    `without_unix_s` is the time without that floor: the synchronised wall clock, 0 without one.
    """

    root_version: int
    timestamp_keys: tuple[str, ...]
    without_unix_s: int

    def is_void(self, root_version: int, timestamp_keys: tuple[str, ...]) -> bool:
        """Whether a verified root replaces the keys, so that the time they signed is void."""
        return root_version > self.root_version and timestamp_keys != self.timestamp_keys


def vouched_unix_s(clock: SystemClock) -> int:
    """Return the wall clock in Unix seconds, whatever the floor; 0 if it is not synchronised."""
    return clock.unix_s if clock.synchronised else 0


def latest_signed_unix_s(clock: SystemClock, floor_unix_s: int) -> int | None:
    """Return the latest Unix time that may be signed now; None if the clock proves nothing.

    A clock that the kernel calls synchronised counts as right while it is less than AHEAD_S_MAX
    below the newest signed time: an accepted signed time can lie so far ahead of it. If a clock
    just below the floor proved nothing, two steps of 20 h would lead to any time. A clock further
    below is wrong, or the floor was accepted without a clock: it proves nothing.

    Args:
        clock: the system's clocks now.
        floor_unix_s: the newest signed time that was accepted.
    """
    if not clock.synchronised or clock.unix_s < floor_unix_s - AHEAD_S_MAX:
        return None
    return clock.unix_s + AHEAD_S_MAX


def trusted_now(clock: SystemClock, floor: TimeFloor) -> Now:
    """Return the time to decide by; see the first paragraph of this file."""
    if clock.synchronised and clock.unix_s >= floor.unix_s:
        return Now(clock.unix_s, synchronised=True)
    elapsed_s = max(0, clock.boottime_ns - floor.boottime_ns) // NS_PER_S
    return Now(floor.unix_s + elapsed_s, synchronised=False)


def later(one: TimeFloor, other: TimeFloor, boottime_ns: int) -> TimeFloor:
    """Return the floor by which it is later at a boot time in ns; `one` if both give the same."""
    clock = SystemClock(0, synchronised=False, boottime_ns=boottime_ns)
    return max(one, other, key=lambda floor: trusted_now(clock, floor).unix_s)
