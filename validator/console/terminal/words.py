"""The words of `turnike top`: of faults, times and sizes.

The status page has its own, in two languages: page/status_words.js.
"""

from collections.abc import Callable

from validator.console.faults import Fault

_US_PER_MS, _US_PER_S = 1_000, 1_000_000
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400
_GIB, _MIB = 1 << 30, 1 << 20


def _because(sentence: str) -> Callable[[Fault], str]:
    return lambda fault: f"{sentence}: {fault.why}" if fault.why else sentence


def _many(sentence: str) -> Callable[[Fault], str]:
    return lambda fault: sentence.format(f"{fault.number or 0:,}")


FAULTS: dict[str, Callable[[Fault], str]] = {
    "away": lambda fault: f"not running ({fault.why})",
    "reader": _because("reader lost"),
    "board": _because("board lost"),
    "missing": _because("list missing: everyone is admitted or no one, by list.missing"),
    "stale": _because("list stale: it has expired"),
    "corrupt": _because("list corrupt: a newer one cannot be used, the previous one decides"),
    "list": _because("list"),
    "problems": _because("list problem"),
    "trouble": _because("reports cannot be kept"),
    "uncounted": _because("how many reports wait is unknown: the disk cannot be read"),
    "refused": _many("{} reports lost: they could not be kept"),
    "rejected": _many("{} reports quarantined: the city rejected them"),
    "waiting": _many("{} reports wait for the city"),
    "disk_unknown": _because("disk unknown: its free room cannot be read"),
    "disk": _because("hardly any room on the disk"),
    "unheard": _because("courier: has reported nothing since the boot; is it running?"),
    "quiet": lambda fault: (
        f"courier: last poll {time(fault.number or 0)} ago: stopped, or downloading a large list"
    ),
    "untold": _because("courier: unknown whether it runs; run turnike check"),
    "courier": _because("courier"),
    "upload": _because("reports do not reach the city"),
    "emergency": _because("emergency: the arms are free"),
    "tamper": _because("housing open"),
    "forced": _many("locked arms turned, {} times since the start"),
    "clock": _because("clock not synchronised"),
}


def sentence(fault: Fault) -> str:
    """Return a fault in a few words."""
    return FAULTS[fault.name](fault)


def duration(us: int) -> str:
    """Write a duration of a tap, at most 8 characters if under 28 h: 940 µs, 8.7 ms, 1.2 s."""
    if us < _US_PER_MS:
        return f"{us} µs"
    return f"{us / _US_PER_MS:.1f} ms" if us < _US_PER_S else f"{us / _US_PER_S:.1f} s"


def time(seconds: int) -> str:
    """Write a longer time: 42 s, 3 min, 2 h 5 min, 4 d 3 h."""
    seconds = max(seconds, 0)
    if seconds < _MINUTE_S:
        return f"{seconds} s"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S} min"
    if seconds < _DAY_S:
        return f"{seconds // _HOUR_S} h {seconds % _HOUR_S // _MINUTE_S} min"
    return f"{seconds // _DAY_S} d {seconds % _DAY_S // _HOUR_S} h"


def size(free_bytes: int) -> str:
    """Write the room on a disk: 4.7 GiB, 12.0 MiB."""
    return f"{free_bytes / _GIB:.1f} GiB" if free_bytes >= _GIB else f"{free_bytes / _MIB:.1f} MiB"
