"""Measure from a card in the field to OPEN on the wire, and nfcpy's own loops on the same chip.

Serves the budgets "tap → OPEN on the wire", through real processes on ptys. The chip is simulated
and its "real" timing assumed (docs/simulated-reader.md), so what is measured is the software
between chip and board, and how it waits. nfcpy's loops only read the UID: they decide and open
nothing.
"""

from random import Random

from benchmarks.context import Bench, quiet_memory
from benchmarks.lane.gate import gate
from benchmarks.lane.nfcpy_taps import nfcpy_taps
from benchmarks.rows import Limit, Row, timed

IDEAL_BUDGET = (Limit("p50", 1.5),)
REAL_BUDGET = (Limit("p50", 12.0), Limit("p99", 25.0))
NS_PER_US = 1_000
CONNECT_REST_S = 0.5  # connect() polls every half second: a card comes at any moment of it
SENSE_REST_S = 0.02


def run(bench: Bench) -> list[Row]:
    """Ideal timing, real timing, and nfcpy beside it."""
    scale = bench.scale
    rows = _taps(bench, "ideal", IDEAL_BUDGET) + _taps(bench, "real", REAL_BUDGET)
    for way, taps, rest_s, name in (
        ("connect", scale.connect_taps, CONNECT_REST_S, "nfcpy's connect(rdwr=…)"),
        ("sense", scale.sense_taps, SENSE_REST_S, "nfcpy's sense(), without a pause"),
    ):
        rows.append(nfcpy_taps(bench, ("pn532", "--timing", "real"), way, taps, rest_s, name))
    return rows


def _taps(bench: Bench, timing: str, budget: tuple[Limit, ...]) -> list[Row]:
    town, rest = bench.town(bench.scale.cards), Random(timing)
    taken_ns, decided_ns, told_ns = [], [], []
    with quiet_memory(), gate(town, timing) as at:
        for number in bench.track(range(bench.scale.taps), f"taps, {timing} timing"):
            taken, line = at.tap(town.matched[number], rest, opens=True)
            taken_ns.append(taken)
            decided_ns.append(line["decided_us"] * NS_PER_US)
            told_ns.append(line["told_us"] * NS_PER_US)
    return [
        timed(f"tap → OPEN on the wire, {timing} chip", "ms", taken_ns, *budget),
        timed("  of it: UID in the lane → decided", "ms", decided_ns),
        timed("  of it: UID in the lane → OPEN written", "ms", told_ns),
    ]
