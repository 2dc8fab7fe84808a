"""The figures of a fleet's run: percentiles of what was counted, also as tables."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from tests.simulation.fleet.city import CityPlan
from tests.simulation.fleet.fleet import Counted, FleetPlan
from tests.simulation.fleet.sizes import SNAPSHOTS
from tests.simulation.fleet.tally import AWAY, DAY_S, DOWN, LATENCY_STEP_S, NEW, ON_CARD, Of

CITY_GATES = 20_000
MINUTE_S = 60
MB = 1e6
_PARTS = {
    "signed metadata": Of.METADATA,
    "manifests": Of.MANIFESTS,
    "indexes": Of.INDEX,
    "pieces of changes": Of.PIECES,
    "snapshots": Of.SNAPSHOTS,
    "headers, TLS": Of.DOWN_LINE,
}


class Spread(NamedTuple):
    """The size and some percentiles of a sample."""

    size: int
    mean: float
    p50: float
    p99: float
    max: float

    @classmethod
    def of(cls, values: NDArray[Any] | Sequence[float]) -> "Spread":
        """The spread of `values`; all zeros if there are none."""
        vector = np.asarray(values, np.float64)
        if not vector.size:
            return cls(0, 0, 0, 0, 0)
        p50, p99 = (float(np.percentile(vector, percent, method="higher")) for percent in (50, 99))
        return cls(vector.size, float(vector.mean()), p50, p99, float(vector.max()))


class Delay(NamedTuple):
    """Seconds, to 0.05, from a publication until a gate on line and in step decides by the list."""

    size: int
    p50: float
    p99: float
    p999: float
    max: float


class Return(NamedTuple):
    """Gates whose line came back after an absence of one class.

    How many; how many of them took the matched table's snapshot; seconds until they were current.
    """

    away: str
    returns: int
    snapshots: int
    seconds: Spread


class ServerLoad(NamedTuple):
    """What the server carries, both ways, scaled to the whole city.

    The busiest second of a part of the city shows chance, not load.
    """

    requests_s_mean: float
    requests_s_busiest_minute: float
    requests_s_busiest_second: float
    mbit_s_mean: float
    mbit_s_busiest_minute: float
    mbit_s_busiest_second: float
    handshakes_s_mean: float


class Report(NamedTuple):
    """All figures of a run. Bytes are a gate's in a day.

    Those called `quiet` are of days on which the gate had line and power throughout.
    """

    gates: int
    days: float
    city: CityPlan
    fleet: FleetPlan
    kinds: dict[str, int]
    down_bytes: Spread
    both_ways_bytes: Spread
    quiet_down_bytes: Spread
    quiet_both_ways_bytes: Spread
    requests: Spread
    parts_bytes: dict[str, float]
    card_bytes: Spread
    enforced_s: Delay
    changed_to_enforced_s: Delay
    """The same from the change in the registry, which waits up to an interval to be published."""
    returns: list[Return]
    polls: dict[str, int]
    power_cuts: dict[str, int]
    pieces_thrown_away: int
    fetched_twice_share: float
    load: ServerLoad


def report_of(counted: Counted, city: CityPlan, fleet: FleetPlan) -> Report:
    """The run's figures. A last day that is not whole is scaled to a day."""
    whole = np.array([min(1.0, city.days - day) for day in range(counted.days.shape[1])])[None, :]
    down = counted.days[:, :, list(DOWN)].sum(axis=2) / whole
    both = down + counted.days[:, :, Of.UP] / whole
    quiet = counted.undisturbed
    names = [NEW, *(name for name, _ in AWAY)]
    parts = counted.days.sum(axis=(0, 1)) / (len(counted.kinds) * city.days)
    return Report(
        len(counted.kinds),
        city.days,
        city,
        fleet,
        {kind: counted.kinds.count(kind) for kind in sorted(set(counted.kinds))},
        Spread.of(down.ravel()),
        Spread.of(both.ravel()),
        Spread.of(down[quiet]),
        Spread.of(both[quiet]),
        Spread.of((counted.days[:, :, Of.REQUESTS] / whole).ravel()),
        {name: float(parts[of]) for name, of in _PARTS.items()}
        | {"sent by the gate": float(parts[Of.UP])},
        Spread.of((counted.days[:, :, list(ON_CARD)].sum(axis=2) / whole).ravel()),
        _delay(counted.enforced, counted.enforced_max_s),
        _delay(
            np.convolve(counted.enforced, np.ones(round(city.publish_every_s / LATENCY_STEP_S))),
            counted.enforced_max_s + city.publish_every_s,
            counted=int(counted.enforced.sum()),
        ),
        [
            Return(
                name,
                counted.returns[name],
                counted.snapshots[name],
                Spread.of(counted.back_s[name]),
            )
            for name in names
            if counted.returns[name]
        ],
        dict(counted.states),
        dict(counted.replays),
        counted.thrown_away,
        counted.fetched_twice / max(counted.fetched_changes, 1),
        _load(counted, city),
    )


def as_json(report: Report) -> bytes:
    """The report as one JSON object, with names."""
    return msgspec.json.format(msgspec.json.encode(_named(report)), indent=1) + b"\n"


def _named(value: object) -> object:
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _named(each) for name, each in value._asdict().items()}
    if isinstance(value, list):
        return [_named(each) for each in value]
    return None if value == float("inf") else value


def _delay(histogram: NDArray[Any], max_s: float, counted: int | None = None) -> Delay:
    """The delays of a histogram in steps; `counted` is their number if its values are no counts."""
    steps = np.cumsum(histogram)

    def percentile(share: float) -> float:
        return (
            float(np.searchsorted(steps, share * steps[-1]) + 1) * LATENCY_STEP_S
            if steps[-1]
            else 0.0
        )

    size = int(steps[-1]) if counted is None else counted
    return Delay(size, percentile(0.5), percentile(0.99), percentile(0.999), max_s)


def _load(counted: Counted, city: CityPlan) -> ServerLoad:
    scale = CITY_GATES / len(counted.kinds)
    requests, mbit = counted.requests * scale, counted.bytes_ * (8 * scale / MB)
    handshakes = counted.days[:, :, Of.HANDSHAKES].sum() * scale / (city.days * DAY_S)
    return ServerLoad(
        float(requests.mean()),
        _busiest_minute(requests),
        float(requests.max()),
        float(mbit.mean()),
        _busiest_minute(mbit),
        float(mbit.max()),
        float(handshakes),
    )


def _busiest_minute(by_second: NDArray[Any]) -> float:
    whole = by_second[: len(by_second) // MINUTE_S * MINUTE_S]
    return (
        float(whole.reshape(-1, MINUTE_S).mean(axis=1).max())
        if whole.size
        else float(by_second.mean())
    )


def draw(report: Report, console: Console) -> None:
    """Print all figures of the report."""
    city = report.city
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in report.kinds.items())
    console.print(
        f"{report.gates:,} gates ({kinds}), {report.days:g} days, "
        f"{city.changes_a_day:,} changes a day, published every {city.publish_every_s} s, "
        f"polled every {report.fleet.poll_s:g} s, seed {city.seed}"
    )
    _draw_traffic(report, console)
    _draw_delays(report, console)
    _draw_returns(report, console)
    _draw_load(report, console)
    bytes_ = SNAPSHOTS["matched"][1] / MB
    console.print(f"A snapshot of the matched table has {bytes_:.1f} MB in wire form.")


def _draw_traffic(report: Report, console: Console) -> None:
    table = _table("A gate and day", "mean", "p50", "p99", "max", "of")
    for name, spread in (
        ("to the gate, MB", report.down_bytes),
        ("both ways, MB", report.both_ways_bytes),
        ("to the gate, undisturbed days, MB", report.quiet_down_bytes),
        ("both ways, undisturbed days, MB", report.quiet_both_ways_bytes),
        ("written to the SD card, MB", report.card_bytes),
    ):
        table.add_row(name, *(f"{value / MB:.2f}" for value in spread[1:]), f"{spread.size:,}")
    table.add_row("requests", *(f"{value:,.0f}" for value in report.requests[1:]), "")
    console.print(table)
    parts = ", ".join(f"{name} {bytes_ / MB:.2f}" for name, bytes_ in report.parts_bytes.items())
    console.print(f"Mean MB of a gate and day: {parts}")
    console.print(
        f"Changes fetched more than once: {report.fetched_twice_share:.2%} of those fetched"
    )


def _draw_delays(report: Report, console: Console) -> None:
    for name, delay in (
        ("Published", report.enforced_s),
        ("Changed", report.changed_to_enforced_s),
    ):
        console.print(
            f"{name} → enforced, s: p50 {delay.p50:.2f}, p99 {delay.p99:.2f}, "
            f"p99.9 {delay.p999:.2f}, max {delay.max:.2f} "
            f"(of {delay.size:,} lists at gates on line and in step)"
        )


def _draw_returns(report: Report, console: Console) -> None:
    table = _table(
        "Came back after",
        "gates",
        "took the whole matched table",
        "current after s p50",
        "p99",
        "max",
    )
    for each in report.returns:
        seconds = (f"{value:.1f}" for value in each.seconds[2:])
        table.add_row(each.away, f"{each.returns:,}", f"{each.snapshots:,}", *seconds)
    console.print(table)
    cuts = _sorted_counts(report.power_cuts) or "none"
    thrown_away = report.pieces_thrown_away
    console.print(f"Power cuts: {cuts}; pieces thrown away for want of room: {thrown_away:,}")
    console.print(f"Polls: {_sorted_counts(report.polls)}")


def _draw_load(report: Report, console: Console) -> None:
    load = report.load
    scaled = f"scaled to {CITY_GATES:,} gates" if report.gates != CITY_GATES else "the whole city"
    table = _table(f"The server, {scaled}", "mean", "busiest minute", "busiest second")
    table.add_row("requests a second", *(f"{value:,.0f}" for value in load[:3]))
    table.add_row("Mbit/s, both ways", *(f"{value:,.1f}" for value in load[3:6]))
    table.add_row("TLS handshakes a second", f"{load.handshakes_s_mean:,.1f}", "", "")
    console.print(table)


def _sorted_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))


def _table(first: str, *columns: str) -> Table:
    table = Table(first)
    for column in columns:
        table.add_column(column, justify="right")
    return table
