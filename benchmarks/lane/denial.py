"""Measure a denial from decision to red lamp: its report is sealed and committed with one sync.

Serves the budget of the denial: p50 at most twice a bare append of the same bytes with one
`fdatasync`, p99 at most 10 ms. Real processes on ptys with an ideal chip, the real outbox. A bare
append to a file beside the outbox follows each denial, since a disk has good and bad minutes.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from benchmarks.context import Bench, quiet_memory
from benchmarks.lane.gate import Gate, gate
from benchmarks.rows import Limit, Row, timed
from validator.ipc.client import LaneClient
from validator.reports.stored_report import encode

P99_MS = 10.0
TIMES_BARE = 2
NS_PER_US = 1_000


def run(bench: Bench) -> list[Row]:
    """Measure denials of different cards, since a card is reported once in `repeat_guard_s`."""
    town, rest = bench.town(bench.scale.cards), Random(1)
    first, *others = town.suspended[: bench.scale.denials + 1]
    waited_ns, bare_ns = [], []
    with (
        quiet_memory(),
        gate(town, "ideal") as at,
        _appending(town.folder / "append.log") as append,
    ):
        at.tap(first, rest, opens=False)
        record = _record(at)
        for uid in bench.track(others, "denials, and bare appends"):
            _, line = at.tap(uid, rest, opens=False)
            waited_ns.append((line["told_us"] - line["decided_us"]) * NS_PER_US)
            bare_ns.append(append(record))
    bare = timed(
        f"… a bare append of its {len(record)} bytes and fdatasync",
        "ms",
        bare_ns,
        compared=True,
        note="in turns with the denials",
    )
    limits = (
        Limit("p50", TIMES_BARE * bare.p50, f"{TIMES_BARE} × a bare append"),
        Limit("p99", P99_MS),
    )
    return [
        timed("denial, decision → told, on the disk in between", "ms", waited_ns, *limits),
        bare,
    ]


def _record(at: Gate) -> bytes:
    """The oldest report that waits, encoded as in the outbox."""
    lane = LaneClient(at.town.folder / "lane.sock")
    try:
        return encode(lane.oldest(1, 0)[0]).encode()
    finally:
        lane.close()


@contextmanager
def _appending(path: Path) -> Iterator[Callable[[bytes], int]]:
    """Append and sync; return the ns taken."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)

    def append(record: bytes) -> int:
        started_ns = time.perf_counter_ns()
        os.write(fd, record)
        os.fdatasync(fd)
        return time.perf_counter_ns() - started_ns

    try:
        yield append
    finally:
        os.close(fd)
