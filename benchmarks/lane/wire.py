"""Measure from a card in the field to OPEN on the wire, and nfcpy's own loops on the same chip.

Serves the budgets "tap → OPEN on the wire", through real processes on ptys. The chip is simulated
and its "real" timing assumed (docs/simulated-reader.md), so what is measured is the software
between chip and board, and how it waits. nfcpy's loops only read the UID: they decide and open
nothing.
"""

import time
from random import Random

from benchmarks.context import Bench, quiet_memory
from benchmarks.lane.gate import START_S, gate
from benchmarks.rows import Limit, Row, timed
from tests.support.machine.programs import program

IDEAL_BUDGET = (Limit("p50", 1.5),)
REAL_BUDGET = (Limit("p50", 12.0), Limit("p99", 25.0))
NS_PER_US = 1_000
CONNECT_REST_S = 0.5  # connect() polls every half second: a card comes at any moment of it
SENSE_REST_S = 0.02


def run(bench: Bench) -> list[Row]:
    """Ideal timing, real timing, and nfcpy beside it."""
    scale = bench.scale
    rows = _taps(bench, "ideal", IDEAL_BUDGET) + _taps(bench, "real", REAL_BUDGET)
    rows.append(
        _nfcpy(bench, "connect", scale.connect_taps, CONNECT_REST_S, "nfcpy's connect(rdwr=…)")
    )
    rows.append(
        _nfcpy(bench, "sense", scale.sense_taps, SENSE_REST_S, "nfcpy's sense(), without a pause")
    )
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


def _nfcpy(bench: Bench, way: str, taps: int, rest_s: float, name: str) -> Row:
    """Present → UID known, by one of nfcpy's ways, real timing."""
    town, rest = bench.town(bench.scale.cards), Random(way)
    taken_ns = []
    with (
        program("firmware_sim", "pn532", "--timing", "real") as reader,
        program("benchmarks.lane.nfcpy_loop", way, reader.first_line()) as loop,
    ):
        loop.event("ready", START_S)
        for number in bench.track(range(taps), name):
            uid = town.matched[-1 - number].hex()
            time.sleep(rest.uniform(0, rest_s))
            reader.say(f"present {uid}")
            presented_ns = reader.event("present", uid=uid)["at_ns"]
            taken_ns.append(loop.event("uid", uid=uid)["at_ns"] - presented_ns)
            loop.event("done")
            reader.say("remove")
            reader.event("removed")
            loop.event("gone")
    return timed(
        f"… {name}", "ms", taken_ns, compared=True, note="only the UID: no decision, no gate"
    )
