"""What lists cost a gate and the city in a day: the real courier in simulated time.

Serves two budgets: 16 MB a gate for a day of 150,000 changes at a poll of 30 s, headers and TLS
included; and 60 s from a list's publication until every gate decides by it. Nothing here is timed:
every second is simulated, so the numbers are the same on every machine. The simulation is
tests/simulation/fleet; docs/fleet.md describes it.
"""

from typing import NamedTuple

from benchmarks.context import SMALL, Bench
from benchmarks.rows import Limit, Row, counted
from tests.simulation.fleet.city import City, CityPlan
from tests.simulation.fleet.fleet import FleetPlan
from tests.simulation.fleet.fleet import run as run_fleet
from tests.simulation.fleet.report import CITY_GATES, MB, Report, Spread, report_of

DOWN_MB_MAX = 16.0
ENFORCED_S_MAX = 60.0
PUBLISH_EVERY_S = 30  # as `turnike-backoffice publish --watch` does by itself
OUTAGE_DAYS = 0.07  # twenty minutes, the hour of the outage, twenty minutes


class _Size(NamedTuple):
    """How much is simulated: a minute on two cores."""

    days: float = 1.0
    steady_gates: int = 8
    gates: int = 60
    outage_gates: int = 1_000
    history_days: int = 75


_SMALL = _Size(0.05, 2, 6, 4, 2)


def run(bench: Bench) -> list[Row]:
    """Simulate undisturbed gates, then gates of every kind, then an hour's outage of the server."""
    size = _SMALL if bench.scale is SMALL else _Size()
    city, short = (City(_plan(days, size.history_days)) for days in (size.days, OUTAGE_DAYS))
    steady = _report(bench, city, "steady", size.steady_gates)
    some = _report(bench, city, "any", size.gates)
    back = _report(bench, short, "outage", size.outage_gates)
    (returned,) = back.returns
    every_s = steady.city.publish_every_s
    new_lists = f"{steady.city.changes_a_day:,} changes a day, published every {every_s} s"
    return [
        _spread(
            "a gate's download in a day, line never away",
            steady.down_bytes,
            Limit("max", DOWN_MB_MAX),
            note=new_lists,
        ),
        _spread("– with what it sends", steady.both_ways_bytes),
        _spread(
            "– any gate of the city: new, away, flapping",
            some.down_bytes,
            note="with the snapshots of new gates",
        ),
        _spread("– written to the SD card, whole blocks", some.card_bytes),
        _enforced("list published → decides, gates in step", steady, Limit("max", ENFORCED_S_MAX)),
        _enforced("– any gate of the city that had its line", some, Limit("max", ENFORCED_S_MAX)),
        Row(
            "– after the city's server was away for an hour",
            "s",
            returned.seconds.size,
            returned.seconds.p50,
            returned.seconds.p99,
            max=returned.seconds.max,
            note="from its return",
        ),
        counted(
            f"the city's server, {CITY_GATES:,} gates in step",
            "requests/s",
            steady.load.requests_s_mean,
        ),
        counted("– both ways", "Mbit/s", steady.load.mbit_s_mean),
        counted(
            "– busiest minute, server back after an hour",
            "requests/s",
            back.load.requests_s_busiest_minute,
        ),
        counted("– both ways, that minute", "Mbit/s", back.load.mbit_s_busiest_minute),
    ]


def _plan(days: float, history_days: int) -> CityPlan:
    return CityPlan(days=days, publish_every_s=PUBLISH_EVERY_S, history_days=history_days)


def _report(bench: Bench, city: City, life: str, gates: int) -> Report:
    plan = FleetPlan(gates, life=life)
    for _ in bench.track([life], f"a fleet of {gates:,} gates ({life})"):
        counted_of = run_fleet(city, plan)
    return report_of(counted_of, city.plan, plan)


def _spread(name: str, spread: Spread, *budget: Limit, note: str = "") -> Row:
    p50, p99, most = (value / MB for value in (spread.p50, spread.p99, spread.max))
    return Row(name, "MB", spread.size, p50, p99, max=most, budget=budget, note=note)


def _enforced(name: str, report: Report, *budget: Limit) -> Row:
    delay = report.enforced_s
    return Row(name, "s", delay.size, delay.p50, delay.p99, delay.p999, delay.max, budget)
