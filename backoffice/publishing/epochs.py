"""The epoch of a segment: the time from which it counts ends. Pure.

A segment keeps an end as units since its epoch. It keeps no end before the epoch: that card is
stored as removed. So the epoch decides which ends are forgotten, and a clock that runs ahead would
forget ends that have not come (docs/decisions/0017-a-clock-that-was-wrong.md).
"""

from backoffice.home.folder import DAY_S
from validator.lists.segment_builder import UNITS_MAX

HOUR_S = 3_600


def epoch(unix_s: int, until_unit_s: int) -> int:
    """The last whole unit at or before a time, and the last whole hour if the unit divides an hour.

    Not the time itself, so that a publisher that was killed makes the same file again. Not
    midnight, which would shorten the reach of ends by a day.
    """
    step_s = until_unit_s if HOUR_S % until_unit_s else HOUR_S
    return unix_s - unix_s % step_s


def margin_s(until_unit_s: int) -> int:
    """How long before now the epoch of a segment is, in seconds.

    A day: a clock may run ahead by as much before `check_clock` refuses it, and what is built by it
    has then forgotten no end that is still to come. For units below 11 seconds it is an eighth of
    their reach.
    """
    return min(DAY_S, UNITS_MAX * until_unit_s // 8)


def segment_epoch(now_unix_s: int, until_unit_s: int) -> int:
    """The epoch of a segment that is built now, in Unix seconds."""
    return epoch(max(0, now_unix_s - margin_s(until_unit_s)), until_unit_s)


def reach_s(until_unit_s: int) -> int:
    """How far after now an end can be, in seconds, if now is a whole hour.

    At other times up to an hour or a unit more or less.
    """
    return UNITS_MAX * until_unit_s - margin_s(until_unit_s)
