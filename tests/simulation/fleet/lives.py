"""How gates live: their lines, outages and power cuts, and the lists that they begin with.

These are seeded assumptions about a city; none of them was measured. Of 20,000 gates 11,200 are in
buses, on mobile lines and switched off at night; the others are in stations, on wires. Some lines
flap all day, some gates are new, were in a workshop for weeks, or lose their line for days.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from math import log
from random import Random
from typing import NamedTuple

DAY_S = 86_400
HOUR_S = 3_600
SHARES = {"bus": 0.55, "station": 0.43, "flapping": 0.02}
NEW_SHARE = 0.02
STALE_SHARE = 0.06
LONG_SHARE = (
    0.03  # gates whose line breaks for half a day to three weeks, begun at any time of two weeks
)
BOOT_S = 20.0


class Span(NamedTuple):
    """A span of simulated time."""

    start_s: float
    end_s: float


class Kind(Enum):
    """The kinds of gates."""

    STEADY = "steady"  # on a wire that never breaks: what the budget speaks of
    STATION = "station"
    BUS = "bus"
    FLAPPING = "flapping"


class Speed(NamedTuple):
    """The speed of a line."""

    round_trip_s: float
    bytes_s: float


SPEEDS = {
    Kind.STEADY: Speed(0.015, 2_500_000),
    Kind.STATION: Speed(0.015, 2_500_000),
    Kind.BUS: Speed(0.08, 250_000),
    Kind.FLAPPING: Speed(0.12, 125_000),
}


@dataclass(frozen=True, slots=True)
class Life:
    """The life of one gate: when it has no line or no power (then no line), and its first list.

    `begins_with_s` is the age of the list at the start: 0 if it is in step, None if a new gate has
    no list.
    """

    kind: Kind
    cut: tuple[Span, ...]
    dark: tuple[Span, ...]
    begins_with_s: float | None

    @property
    def speed(self) -> Speed:
        """The speed of the gate's line."""
        return SPEEDS[self.kind]


def steady() -> Life:
    """A gate without outages and power cuts."""
    return Life(Kind.STEADY, (), (), 0.0)


def city_outage(start_s: float, end_s: float) -> Life:
    """A gate that loses only the city's server, for a while."""
    return Life(Kind.STATION, (Span(start_s, end_s),), (), 0.0)


def drawn(rng: Random, days: float) -> Life:
    """A gate of the city, drawn by the seed."""
    end_s = days * DAY_S
    kind = Kind(rng.choices([*SHARES], [*SHARES.values()])[0])
    dark = (
        list(_nights(rng, end_s)) if kind is Kind.BUS else list(_spans(rng, end_s, 30, 5 * 60, 1.0))
    )
    cut = {Kind.BUS: _dead_spots, Kind.STATION: _line_faults, Kind.FLAPPING: _flaps}[kind](
        rng, end_s
    )
    cuts = [*cut, *(Span(span.start_s, span.end_s + BOOT_S) for span in dark)]
    if rng.random() < LONG_SHARE:
        start_s = rng.uniform(-14 * DAY_S, end_s)
        long = Span(start_s, start_s + _log_uniform(rng, DAY_S / 2, 21 * DAY_S))
        cuts += [long] if long.end_s > 0 else []  # one that is over left no trace
    begins_with_s = 0.0
    lot = rng.random()
    begins_s = rng.uniform(0, min(end_s, DAY_S))  # not all in one moment
    if lot < NEW_SHARE:
        return Life(kind, _merged([*cuts, Span(-1, begins_s)]), tuple(dark), None)
    if lot < NEW_SHARE + STALE_SHARE:
        begins_with_s = _log_uniform(rng, HOUR_S, 70 * DAY_S)
        cuts.append(Span(-begins_with_s, begins_s))
    elif (first := min(cuts, default=Span(1, 1))).start_s < 0:
        begins_with_s = -first.start_s
    return Life(kind, _merged(cuts), tuple(dark), begins_with_s)


def _nights(rng: Random, end_s: float) -> Iterator[Span]:
    """A bus is parked without power for some four hours from about 1 a.m. local time (UTC+3)."""
    for day in range(int(end_s // DAY_S) + 1):
        start_s = day * DAY_S + 22 * HOUR_S + rng.uniform(-1, 1) * HOUR_S
        yield Span(start_s, start_s + rng.uniform(3.5, 5) * HOUR_S)


def _dead_spots(rng: Random, end_s: float) -> Iterable[Span]:
    return _spans(rng, end_s, 1 / 20, 45, 1.0)


def _line_faults(rng: Random, end_s: float) -> Iterable[Span]:
    return _spans(rng, end_s, 10, 10 * 60, 1.3)


def _flaps(rng: Random, end_s: float) -> Iterator[Span]:
    at_s = 0.0
    while at_s < end_s:
        at_s += rng.uniform(20, 180)
        span = Span(at_s, at_s + rng.uniform(10, 300))
        yield span
        at_s = span.end_s


def _spans(
    rng: Random, end_s: float, every_days: float, median_s: float, sigma: float
) -> Iterator[Span]:
    at_s = 0.0
    while (at_s := at_s + rng.expovariate(1 / (every_days * DAY_S))) < end_s:
        yield Span(at_s, at_s + rng.lognormvariate(log(median_s), sigma))


def _log_uniform(rng: Random, low: float, high: float) -> float:
    return float(low * (high / low) ** rng.random())


def _merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.start_s <= merged[-1].end_s:
            merged[-1] = Span(merged[-1].start_s, max(merged[-1].end_s, span.end_s))
        else:
            merged.append(span)
    return tuple(merged)
