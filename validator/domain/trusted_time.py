"""The time by which rules begin and suspensions end, on a machine without a battery clock.

The newest signed time the gate has accepted is a floor. The wall clock is believed only while the kernel says that it is
synchronised and it is not below the floor; else time is the floor plus what has gone by since. So a suspension may end late,
never early, and a clock that wakes in 2038 expires nothing. Nothing here reads a clock: host/clock.py does.

A city's clock that ran ahead signs a floor that lies ahead. It is void once a later root names other keys for the timestamp role
(TimeBasis), and how far ahead it can lie is bounded: docs/decisions/0016.
"""

from typing import NamedTuple

NS_PER_S = 1_000_000_000
# The year 6325: counted on from there, it is still a date to every library.
SIGNED_UNIX_S_END = 1 << 37
# Of a synchronised clock: what is signed further ahead was signed by a thief or by a broken clock.
AHEAD_S_MAX = 86_400


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


class TimeBasis(NamedTuple):
    """What the gate's time floor rests on: the root version and the ids of the timestamp keys under which it was accepted.

    `without_unix_s` is the time without that floor, in Unix seconds: the synchronised wall clock, 0 where nothing tells the time.
    """

    root_version: int
    timestamp_keys: tuple[str, ...]
    without_unix_s: int

    def is_void(self, root_version: int, timestamp_keys: tuple[str, ...]) -> bool:
        """Whether this verified root replaces the keys, so that what they signed says nothing of the time any more."""
        return root_version > self.root_version and timestamp_keys != self.timestamp_keys


def vouched_unix_s(clock: SystemClock) -> int:
    """The synchronised wall clock in Unix seconds, whatever the floor is; 0 where the kernel does not vouch for it."""
    return clock.unix_s if clock.synchronised else 0


def latest_signed_unix_s(clock: SystemClock, floor_unix_s: int) -> int | None:
    """Up to when (Unix seconds) a time may be signed by this clock; None where the clock has nothing to say.

    A clock that the kernel calls synchronised is taken for right while it is less than AHEAD_S_MAX below the newest signed time: so
    far a signed time that was let pass can lie ahead of it. Were a clock just below the floor not asked, two steps of 20 h would
    lead to any time. One that is further below is not right, or the floor was accepted without one: it says nothing.
    """
    if not clock.synchronised or clock.unix_s < floor_unix_s - AHEAD_S_MAX:
        return None
    return clock.unix_s + AHEAD_S_MAX


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
