"""Metrics for Prometheus: each lane's own figures, converted at each request. Nothing is counted.

    metrics_text(gate)      # the text of /metrics; METRICS_TYPE is its content type

A lane that does not answer has `turnike_lane_up` 0 and no other metric, since old figures would
look like current ones. Every metric has a `lane` label, the lane's number. Counters restart with
the lane, as Prometheus expects. Only here do grounds leave the console, and only as sums.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from validator.console.gate import Gate, Lane
from validator.domain.decision import ListState
from validator.ipc.answers import Counts, Histogram, LaneStatus
from validator.reports.gate_status import FRESH

METRICS_TYPE = CONTENT_TYPE_PLAIN_0_0_4
DEVICES = ("reader", "board")
_NS_PER_S = 1e9
# Edges of the lane's own buckets, so that each count is exact: two a power of two, 4 µs to 1.1 s.
EDGES_NS = [edge for power in range(12, 31) for edge in ((1 << power) - 1, (3 << power - 1) - 1)][
    :-1
]
_LES = [*(repr(edge / _NS_PER_S) for edge in EDGES_NS), "+Inf"]

Figure = Callable[[LaneStatus], int | bool | None]
_COUNTERS: dict[str, tuple[str, Figure]] = {
    "turnike_reports_delivered": ("Reports that reached the city.", lambda s: s.reports_delivered),
    "turnike_reports_lost": ("Reports that could not be kept.", lambda s: s.reports_refused),
    "turnike_told_before_durable": (
        "Denials shown before their report was safe on the disk.",
        lambda s: s.told_before_durable,
    ),
    "turnike_forced": ("Times that locked arms were turned.", lambda s: s.forced),
    "turnike_notes_dropped": ("Events for which the lane had no room.", lambda s: s.notes_dropped),
}
_GAUGES: dict[str, tuple[str, Figure]] = {
    "turnike_list_version": ("The list in force.", lambda s: s.list_version),
    "turnike_list_issued_timestamp_seconds": (
        "When the list in force was issued.",
        lambda s: s.list_issued_unix_s,
    ),
    "turnike_list_expires_timestamp_seconds": (
        "When the list in force expires.",
        lambda s: s.list_expires_unix_s,
    ),
    "turnike_list_cards": ("Cards in the tables of the list in force.", lambda s: s.list_cards),
    "turnike_reports_waiting": ("Reports that wait on the gate.", lambda s: s.reports_waiting),
    "turnike_reports_rejected": (
        "Quarantined reports, which the city rejected.",
        lambda s: s.reports_rejected,
    ),
    "turnike_emergency": ("1 while the arms are free for an emergency.", lambda s: s.emergency),
    "turnike_tamper": ("1 while the housing of the turnstile is open.", lambda s: s.tamper),
    "turnike_clock_synchronised": (
        "1 while the clock is synchronised.",
        lambda s: s.clock_synchronised,
    ),
    "turnike_courier_fresh": (
        "1 while this gate holds the city's newest list, by the courier's report.",
        lambda s: (s.courier.state == FRESH and not s.courier.silent) if s.courier else None,
    ),
    "turnike_courier_polled_timestamp_seconds": (
        "When the courier last asked the city.",
        lambda s: s.courier.polled_unix_s if s.courier else None,
    ),
    "turnike_reports_kept": (
        "1 while reports can be kept, 0 while the disk takes none.",
        lambda s: not s.reports_trouble,
    ),
    "turnike_disk_free_bytes": (
        "Free bytes on the disk where reports wait.",
        lambda s: s.disk_free_bytes,
    ),
    "turnike_lane_uptime_seconds": ("How long the lane has run.", lambda s: s.uptime_s),
}


def metrics_text(gate: Gate) -> bytes:
    """Return all metrics in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Gate(gate))
    return generate_latest(registry)


class _Gate(Collector):
    """A gate's lanes, each under its own name: two of one name would spoil all metrics."""

    def __init__(self, gate: Gate) -> None:
        self._lanes: dict[str, Lane] = {}
        for lane in gate.lanes:
            name = str(lane.number or lane.socket)
            self._lanes[lane.socket if name in self._lanes else name] = lane

    def describe(self) -> Iterable[Metric]:
        """Return nothing: which metrics there are depends on what the lanes answer."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Return all metrics; see prometheus_client."""
        up = GaugeMetricFamily("turnike_lane_up", "1 while the lane answers.", labels=["lane"])
        for name, lane in self._lanes.items():
            up.add_metric([name], lane.up)
        yield up
        lanes = {name: lane.status for name, lane in self._lanes.items() if lane.up and lane.status}
        yield from _figures(lanes)
        yield from _labelled(lanes)
        yield _stages(
            {name: lane.counts for name, lane in self._lanes.items() if lane.up and lane.counts}
        )


def _figures(lanes: dict[str, LaneStatus]) -> Iterator[Metric]:
    families = {CounterMetricFamily: _COUNTERS, GaugeMetricFamily: _GAUGES}
    for family, figures in families.items():
        for metric_name, (meaning, figure) in figures.items():
            metric = family(metric_name, meaning, labels=["lane"])
            for name, status in lanes.items():
                value = figure(status)
                if value is not None:
                    metric.add_metric([name], value)
            yield metric


def _labelled(lanes: dict[str, LaneStatus]) -> Iterator[Metric]:
    taps = CounterMetricFamily(
        "turnike_taps", "Taps, by outcome and ground.", labels=["lane", "outcome", "ground"]
    )
    lists = GaugeMetricFamily(
        "turnike_list_state", "1 for the state of the list, else 0.", labels=["lane", "state"]
    )
    devices = GaugeMetricFamily(
        "turnike_device_ready", "1 while the device answers.", labels=["lane", "device"]
    )
    builds = GaugeMetricFamily("turnike_build_info", "Always 1.", labels=["lane", "version"])
    for name, status in lanes.items():
        for tap in status.taps:
            taps.add_metric([name, tap.outcome, tap.ground], tap.count)
        for state in ListState:
            lists.add_metric([name, state.value], status.list_state == state.value)
        for device in dict.fromkeys((*DEVICES, *status.devices)):
            devices.add_metric([name, device], status.devices.get(device) == "ready")
        builds.add_metric([name, status.version], 1)
    yield from (taps, lists, devices, builds)


def _stages(lanes: dict[str, Counts]) -> Metric:
    metric = HistogramMetricFamily(
        "turnike_stage_seconds",
        "Time from reading a card: decided, told to the passenger; filed: wait for its report.",
        labels=["lane", "stage"],
    )
    for name, counts in lanes.items():
        for stage in ("decided", "filed", "told"):
            histogram: Histogram = getattr(counts.histograms, stage)
            buckets = list(zip(_LES, _cumulative(histogram), strict=True))
            metric.add_metric([name, stage], buckets, _sum_s(histogram))
    return metric


def _cumulative(histogram: Histogram) -> list[int]:
    """Return how many durations are at most each of EDGES_NS, and how many in all."""
    sizes = [0] * len(_LES)
    for upper_ns, count in histogram.counts:
        sizes[next((at for at, edge in enumerate(EDGES_NS) if upper_ns <= edge), -1)] += count
    return list(accumulate(sizes))


def _sum_s(histogram: Histogram) -> float:
    """Return the sum in seconds, at most 6.25 % too high: each counts as its bucket's edge."""
    return sum(upper_ns * count for upper_ns, count in histogram.counts) / _NS_PER_S
