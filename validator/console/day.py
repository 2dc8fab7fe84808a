"""A lane's latencies of the last day, in slots of five minutes: what its histograms have grown by.

    day.add(counts, unix_s)       # whenever the lane has answered with its histograms
    day.slots(now_unix_s)         # [Slot(unix_s=…, taps=212, decided_us=(11, 24, 31), …), …]

The last hour is kept in slots of half a minute as well, so that a console has something to show
within a minute of its start. All of it is in memory, and lost with the process.

A lane that restarts counts from zero. The first histograms of a lane only begin the count, because
the times of earlier taps are unknown. A slot that has ended keeps its percentiles alone: a day of a
lane takes some 60 KB.
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
"""How many durations by bucket, which is its upper edge in ns."""


class Slot(NamedTuple):
    """Five minutes of one lane, or half a minute."""

    unix_s: int
    taps: int
    decided_us: tuple[int, ...]  # in the order of PERCENTS
    told_us: tuple[int, ...]

    def as_json(self, lane: int | None) -> dict[str, Any]:
        """Return it as an object of /day."""
        return {
            "unix_s": self.unix_s,
            "lane": lane,
            "count": self.taps,
            "decided_us": dict(zip(PERCENTS, self.decided_us, strict=True)),
            "told_us": dict(zip(PERCENTS, self.told_us, strict=True)),
        }


class LaneDay:
    """The slots of one lane. The slot under way is still kept as sizes."""

    def __init__(self, step_s: int = STEP_S, span_s: int = DAY_S) -> None:
        """Keep slots of `step_s` seconds for `span_s` seconds."""
        self._step_s, self._span_s = step_s, span_s
        self._run_id = ""
        self._seen: tuple[Sizes, Sizes] = {}, {}  # of the lane's last answer
        self._unix_s: int | None = None  # of the slot under way
        self._decided: Counter[int] = Counter()
        self._told: Counter[int] = Counter()
        self._over: dict[int, Slot] = {}

    def add(self, counts: Counts, unix_s: int) -> None:
        """Add the lane's histograms as of `unix_s`, by the lane's clock."""
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
        """Return the slots of the last `span_s` seconds and the one under way, oldest first."""
        under_way = [] if self._unix_s is None else [self._under_way(self._unix_s)]
        slots = (*self._over.values(), *under_way)
        return sorted(
            slot for slot in slots if now_unix_s - self._span_s < slot.unix_s <= now_unix_s
        )

    def _under_way(self, unix_s: int) -> Slot:
        return Slot(
            unix_s, self._told.total(), percentiles_us(self._decided), percentiles_us(self._told)
        )

    def _begin(self, unix_s: int) -> None:
        """Begin a slot. Drop slots that are too old, or in the future of a clock set back."""
        assert self._unix_s is not None  # noqa: S101 — one was under way
        self._over[self._unix_s] = self._under_way(self._unix_s)
        self._over = {
            at: slot for at, slot in self._over.items() if unix_s - self._span_s < at < unix_s
        }
        self._unix_s = unix_s
        self._decided.clear()
        self._told.clear()


def percentiles_us(sizes: Sizes) -> tuple[int, ...]:
    """Return for each of PERCENTS the upper edge of its bucket, in µs; zeros for no durations."""
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
    """Return what was added. A count that shrinks within a run is the lane's fault: nothing."""
    grown = {edge: count - before.get(edge, 0) for edge, count in after.items()}
    return {edge: count for edge, count in grown.items() if count > 0}
