"""Measure the lane from its start to the decision of a card shown as soon as the gate is "ready".

Serves the budget "lane start to first decision". The disk is warm: the page cache holds the list,
as after the restart of a service; the start of the machine is not in it. Python's own start and
every import are. The parts are the lane's log lines, stamped when this process reads them.
"""

import subprocess
import sys
import time

from benchmarks.context import Bench
from benchmarks.lane.gate import START_S, devices, start_lane
from benchmarks.rows import Limit, Row, timed
from benchmarks.town import Town

BUDGET = (Limit("p50", 1_500.0),)
PARTS = {
    "python": "  Python alone, doing nothing",
    "imports": "  … with the lane's imports",
    "list": "  spawn → list verified, warm, in force",
    "started": "  spawn → loop begins",
    "tap": "",
}


def run(bench: Bench) -> list[Row]:
    """Start the lane `scale.starts` times, each time with new devices."""
    town = bench.town(bench.scale.cards_large)
    taken_ns: dict[str, list[int]] = {part: [] for part in PARTS}
    for number in bench.track(range(bench.scale.starts), "lane starts"):
        for part, at_ns in _start(town, town.matched[number]).items():
            taken_ns[part].append(at_ns)
        taken_ns["python"].append(_python("pass"))
        taken_ns["imports"].append(_python("import validator.cli, validator.programs.lane"))
    name = f"lane start → first decision, {town.cards / 1e6:.2f} M cards"
    note = "the card is shown once the gate is ready, ideal chip"
    rows = [timed(name, "ms", taken_ns["tap"], *BUDGET, note=note)]
    return rows + [timed(PARTS[part], "ms", taken_ns[part]) for part in PARTS if PARTS[part]]


def _start(town: Town, uid: bytes) -> dict[str, int]:
    """Ns from the spawn to each of the lane's lines."""
    with devices(town, "ideal") as (reader, board):
        started_ns = time.monotonic_ns()
        lane = start_lane(town)
        taken_ns: dict[str, int] = {}
        try:
            for event in ("list", "started"):
                lane.event(event, START_S)
                taken_ns[event] = time.monotonic_ns() - started_ns
            board.event("show", START_S, outcome="ready", by="lane")
            reader.say(f"present {uid.hex()}")
            lane.event("tap", START_S)
            taken_ns["tap"] = time.monotonic_ns() - started_ns
        finally:
            lane.close()
    return taken_ns


def _python(code: str) -> int:
    started_ns = time.monotonic_ns()
    ends_at_once = f"{code}; import os; os._exit(0)"  # taking everything down is no part of a start
    subprocess.run([sys.executable, "-c", ends_at_once], check=True)
    return time.monotonic_ns() - started_ns
