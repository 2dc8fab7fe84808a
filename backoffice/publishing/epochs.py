"""From when a segment counts its ends. Pure: no disk, no clock.

A segment keeps an end as units since its epoch, and keeps none that lies before: that card is stored as removed. So the epoch decides
which ends are forgotten, and a clock that runs ahead would forget ends that have not come (docs/decisions/0017-a-clock-that-was-wrong.md).
"""

from backoffice.home.folder import DAY_S
from validator.lists.segment_builder import UNITS_MAX

HOUR_S = 3_600


def epoch(unix_s: int, until_unit_s: int) -> int:
    """The last whole number of units at or before a time, and of hours if an hour is a whole number of units.

    Not this very moment, so that a publisher that was killed makes the same file again; nor midnight, which would take a day off the
    reach of ends.
    """
    step_s = until_unit_s if HOUR_S % until_unit_s else HOUR_S
    return unix_s - unix_s % step_s


def margin_s(until_unit_s: int) -> int:
    """How long before now the epoch of a segment lies, in seconds.

    A day, since a clock may run ahead by as much before `roles.check_clock` refuses it; what is built by it then has forgotten no end
    that is still to come. Less for units of less than 11 seconds: an eighth of what they reach.
    """
    return min(DAY_S, UNITS_MAX * until_unit_s // 8)


def segment_epoch(now_unix_s: int, until_unit_s: int) -> int:
    """The epoch of a segment that is built now, in Unix seconds."""
    return epoch(max(0, now_unix_s - margin_s(until_unit_s)), until_unit_s)


def reach_s(until_unit_s: int) -> int:
    """How far after now an end can lie, in seconds, if now is a whole hour; up to an hour or a unit more or less else."""
    return UNITS_MAX * until_unit_s - margin_s(until_unit_s)
