"""What a refused passenger waits for between the decision and the red lamp: the report's way to the clerk, and the SHOW on the wire.

Reports wait in memory until the outbox on disk exists: no sync is in these numbers yet, and the budget (one sync a report, p50 at most
twice a bare append of the same bytes) cannot be judged. The bare append stands below, as what it will be held against.
"""

import os
import time
from random import Random

from benchmarks.context import Bench, quiet_memory
from benchmarks.gate import gate
from benchmarks.rows import Limit, Row, timed

BUDGET = (Limit("p99", 10.0),)
NS_PER_US = 1_000
REPORT_BYTES = 400  # a sealed report as JSON, about


def run(bench: Bench) -> list[Row]:
    """Every card is another one: a card is reported once in `repeat_guard_s`."""
    town, rest = bench.town(bench.scale.cards), Random(1)
    waited_ns = []
    with quiet_memory(), gate(town, "ideal") as at:
        for number in bench.track(range(bench.scale.denials), "denials"):
            _, line = at.tap(town.suspended[number], rest, opens=False)
            waited_ns.append((line["told_us"] - line["decided_us"]) * NS_PER_US)
    return [
        timed(
            "denial, decision → told",
            "ms",
            waited_ns,
            *BUDGET,
            note="NOT durable yet: reports wait in memory, no sync is in it",
        ),
        timed(
            f"… a bare append of {REPORT_BYTES} bytes and fdatasync",
            "ms",
            _appends(bench),
            compared=True,
            note="what a durable report will be held against",
        ),
    ]


def _appends(bench: Bench) -> list[int]:
    taken_ns = []
    record = bytes(REPORT_BYTES)
    fd = os.open(bench.folder / "append.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
    try:
        for _ in bench.track(range(bench.scale.denials), "bare appends"):
            started_ns = time.perf_counter_ns()
            os.write(fd, record)
            os.fdatasync(fd)
            taken_ns.append(time.perf_counter_ns() - started_ns)
    finally:
        os.close(fd)
    return taken_ns
