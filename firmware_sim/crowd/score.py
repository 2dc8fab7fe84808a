"""Compares what the crowd saw with what is right: one tap, and the sum of a run. Pure.

No UID comes in here, so that none can get out.
"""

from collections import deque
from dataclasses import dataclass

from firmware_sim.crowd.plan import ADMITTED, ANY_VERDICT, DENIED, EITHER, VERDICTS, Play, Tap

TAP_TIMES_MAX = 200_000  # the newest: two days at human pace
NS_PER_US = 1_000
US_PER_MS = 1_000
# The outcomes that are right, where there is more than one.
_RIGHT = {EITHER: ("admitted", DENIED), ANY_VERDICT: VERDICTS}
QUANTILES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}


@dataclass(slots=True)
class Sight:
    """What a passenger saw. Times are of the monotonic clock; None for what did not happen.

    Attributes:
        saw: the first outcome shown.
        opens: how often the arms were released.
        passed: True if the passenger went through, False if the arms locked first, None if neither.
        tries: how often the passenger came: once more each time a device went away first.
        interrupted: a device or the lane went away, so that the passage's end is not known.
    """

    present_ns: int | None = None
    saw: str | None = None
    told_ns: int | None = None
    opens: int = 0
    open_ns: int | None = None
    passed: bool | None = None
    tries: int = 1
    interrupted: bool = False


def is_right(tap: Tap, sight: Sight) -> bool:
    """Return whether the passenger saw exactly what is right for the tap."""
    expect = sight.saw if sight.saw in _RIGHT.get(tap.expect, ()) else tap.expect
    admitted = expect in ADMITTED
    passed = (tap.play is not Play.STAYS) if admitted else None
    ended = sight.passed is passed or (sight.interrupted and sight.passed is None)
    return ended and (sight.saw, sight.opens) == (expect, int(admitted))


def _report_is_due(tap: Tap, sight: Sight) -> bool:
    return tap.report and sight.saw == (DENIED if tap.expect in _RIGHT else tap.expect)


def _after_us(start_ns: int | None, end_ns: int | None) -> int | None:
    return None if start_ns is None or end_ns is None else (end_ns - start_ns) // NS_PER_US


class Score:
    """The sum of a run."""

    def __init__(self) -> None:
        self.taps = self.admitted = self.denied = self.wrong = self.reports_expected = 0
        self._to_gate_us: deque[int] = deque(maxlen=TAP_TIMES_MAX)

    def count(self, tap: Tap, sight: Sight) -> dict[str, object]:
        """Add one tap; return its line of output."""
        right = is_right(tap, sight)
        to_gate_us = _after_us(sight.present_ns, sight.open_ns)
        self.taps += 1
        self.admitted += sight.saw in ADMITTED
        self.denied += sight.saw == DENIED
        self.wrong += not right
        self.reports_expected += _report_is_due(tap, sight)
        if to_gate_us is not None:
            self._to_gate_us.append(to_gate_us)
        return {
            "event": "tap",
            "n": tap.n,
            "kind": tap.kind,
            "play": tap.play.value,
            "expect": tap.expect,
            "saw": sight.saw,
            "right": right,
            "opened": sight.opens > 0,
            "passed": sight.passed,
            "tap_to_gate_us": to_gate_us,
            "tap_to_told_us": _after_us(sight.present_ns, sight.told_ns),
            "report": tap.report,
            "tries": sight.tries,
        }

    def summary(self) -> dict[str, object]:
        """Return the last line of output; `retry` counts the taps without a verdict."""
        return {
            "event": "summary",
            "taps": self.taps,
            "admitted": self.admitted,
            "denied": self.denied,
            "retry": self.taps - self.admitted - self.denied,
            "wrong": self.wrong,
            "reports_expected": self.reports_expected,
            "tap_to_gate_ms": self._times_ms(),
        }

    def _times_ms(self) -> dict[str, float | None]:
        ordered = sorted(self._to_gate_us)
        if not ordered:
            return {**dict.fromkeys(QUANTILES), "max": None}
        last = len(ordered) - 1
        at = {
            name: ordered[min(int(share * len(ordered)), last)] for name, share in QUANTILES.items()
        }
        return {name: us / US_PER_MS for name, us in {**at, "max": ordered[-1]}.items()}
