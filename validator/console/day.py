"""The last day of a lane's latencies, in slots of five minutes: what its histograms have grown by. In memory, and lost with the process.

The last hour is kept in slots of half a minute as well: a console that has just begun has something to show within a minute.

    day.add(counts, unix_s)       # whenever the lane has told its histograms
    day.slots(now_unix_s)         # [Slot(unix_s=…, taps=212, decided_us=(11, 24, 31), told_us=…), …], oldest first

A run of the lane that begins anew counts from zero. The first that is heard of a lane is where counting begins, since nobody knows when what
came before it happened. A slot that is over keeps its percentiles alone: a day of a lane is some 60 KB.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import accumulate
from typing import Any, NamedTuple

from validator.ipc.answers import Counts, Histogram

STEP_S = 300
DAY_S = 86_400
FINE_STEP_S = 30
HOUR_S = 3_600
PERCENTS = {"p50": 50.0, "p99": 99.0, "p999": 99.9}
_NS_PER_US = 1_000

Sizes = Mapping[int, int]
"""How many durations of at most so many ns."""


class Slot(NamedTuple):
    """Five minutes of one lane, or half of one."""

    unix_s: int
    taps: int
    decided_us: tuple[int, ...]  # in the order of PERCENTS
    told_us: tuple[int, ...]

    def as_json(self, lane: int | None) -> dict[str, Any]:
        """As /day tells it."""
        return {
            "unix_s": self.unix_s,
            "lane": lane,
            "count": self.taps,
            "decided_us": dict(zip(PERCENTS, self.decided_us, strict=True)),
            "told_us": dict(zip(PERCENTS, self.told_us, strict=True)),
        }


class LaneDay:
    """Of one lane. The slot under way is still sizes."""

    def __init__(self, step_s: int = STEP_S, span_s: int = DAY_S) -> None:
        """Slots of `step_s` seconds, for `span_s`."""
        self._step_s, self._span_s = step_s, span_s
        self._run_id = ""
        self._seen: tuple[Sizes, Sizes] = {}, {}  # decided and told, when they were told last
        self._unix_s: int | None = None  # of the slot under way
        self._decided: Counter[int] = Counter()
        self._told: Counter[int] = Counter()
        self._over: dict[int, Slot] = {}

    def add(self, counts: Counts, unix_s: int) -> None:
        """What the lane counts at this moment, by its own clock."""
        seen = (_sizes(counts.histograms.decided), _sizes(counts.histograms.told))
        slot_unix_s = unix_s - unix_s % self._step_s
        if self._unix_s is None:
            self._unix_s = slot_unix_s
        else:
            if self._unix_s != slot_unix_s:
                self._begin(slot_unix_s)
            before = self._seen if self._run_id == counts.run_id else ({}, {})
            self._decided.update(_grown(before[0], seen[0]))
            self._told.update(_grown(before[1], seen[1]))
        self._run_id, self._seen = counts.run_id, seen

    def slots(self, now_unix_s: int) -> list[Slot]:
        """Those of the last `span_s` seconds, the one under way too."""
        under_way = [] if self._unix_s is None else [self._under_way(self._unix_s)]
        told = (*self._over.values(), *under_way)
        return sorted(
            slot for slot in told if now_unix_s - self._span_s < slot.unix_s <= now_unix_s
        )

    def _under_way(self, unix_s: int) -> Slot:
        return Slot(
            unix_s, self._told.total(), percentiles_us(self._decided), percentiles_us(self._told)
        )

    def _begin(self, unix_s: int) -> None:
        """Another slot; what a clock that was put right has left in the future goes with what is too old."""
        assert self._unix_s is not None  # noqa: S101 — one was under way
        self._over[self._unix_s] = self._under_way(self._unix_s)
        self._over = {
            at: slot for at, slot in self._over.items() if unix_s - self._span_s < at < unix_s
        }
        self._unix_s = unix_s
        self._decided.clear()
        self._told.clear()


def percentiles_us(sizes: Sizes) -> tuple[int, ...]:
    """For each of PERCENTS the upper edge in µs of the size in which it lies; zeros when there is nothing."""
    edges = sorted(sizes)
    below = list(accumulate(sizes[edge] for edge in edges))
    total = below[-1] if below else 0
    return tuple(
        _edge_ns(edges, below, max(1, -(-total * percent // 100))) // _NS_PER_US
        for percent in PERCENTS.values()
    )


def _edge_ns(edges: list[int], below: list[int], wanted: float) -> int:
    return next((edge for edge, count in zip(edges, below, strict=True) if count >= wanted), 0)


def _sizes(histogram: Histogram) -> Sizes:
    return dict(histogram.counts)


def _grown(before: Sizes, after: Sizes) -> Sizes:
    """What was added. A count that shrinks within one run is a fault of the lane's, and adds nothing."""
    grown = {edge: count - before.get(edge, 0) for edge, count in after.items()}
    return {edge: count for edge, count in grown.items() if count > 0}
