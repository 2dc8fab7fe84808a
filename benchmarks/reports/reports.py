"""Measure reports a second of the real receiver, on SQLite and on PostgreSQL.

The receiver is the process that `turnike-backoffice serve` starts, once with two of them
(`--workers 2`). The gates are another process on the same CPUs, which has signed everything before.
Both databases sync at each commit. Each row notes the city's need: a denial a second on most days,
250 if every tap were reported, and 333 statuses a second from 20,000 gates.
"""

import os
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from backoffice.home.config import FILE_NAME, example, load
from backoffice.reports.store import ReportStore
from benchmarks.context import SMALL, Bench
from benchmarks.reports.reporting_gates import GATES, gate_id, gate_key
from benchmarks.rows import Row, counted, timed
from tests.support.city.postgres_server import postgres_server
from tests.support.machine.programs import Program, program

NEED = "the city: 1/s on most days, 250/s if every tap were reported"
STATUS_NEED = "20,000 gates, each every minute: 333/s"
SENT_S = 300.0


class Load(NamedTuple):
    """So many requests of `batch` reports each; 0: of a status."""

    batch: int
    requests: int


LOADS = (Load(1, 4_000), Load(20, 1_500), Load(200, 400), Load(0, 4_000))
SMALL_LOADS = (Load(1, 4), Load(200, 1), Load(0, 2))
SHARED_LOADS = (Load(1, 4_000), Load(0, 4_000))  # between two workers: what a city has most of
SMALL_SHARED_LOADS = (Load(1, 4),)


def run(bench: Bench) -> list[Row]:
    """Measure on both databases; on SQLite alone where there is no PostgreSQL."""
    small = bench.scale is SMALL
    loads, shared = (SMALL_LOADS, SMALL_SHARED_LOADS) if small else (LOADS, SHARED_LOADS)
    rows = _received(bench, "SQLite", None, loads)
    try:
        with postgres_server(durable=True) as server:
            rows += _received(bench, "PostgreSQL", server.new_database(), loads)
            rows += _received(
                bench, "PostgreSQL, 2 workers", server.new_database(), shared, workers=2
            )
    except pytest.skip.Exception as skipped:
        bench.say(f"no PostgreSQL: {skipped}")
    return rows


def _received(
    bench: Bench, name: str, database: str | None, loads: tuple[Load, ...], workers: int = 1
) -> list[Row]:
    home = founded(bench.folder / f"city-{name}", database)
    rows = []
    serve = ("serve", "--home", str(home), "--port", "0", "--workers", str(workers))
    with program("backoffice", *serve) as receiver:
        url = receiver.first_line()
        for load in bench.track(loads, f"uploads, {name}"):
            before_s = _processor_s(receiver)
            took_ns, each_ns = _sent(url, load)
            rows += _rows(name, load, took_ns, each_ns)
            # Each gate has sent one more status, to get its first nonce.
            requests = load.requests if load.batch else load.requests + GATES
            each_ms = 1e3 * (_processor_s(receiver) - before_s) / requests
            rows.append(counted("– a request, processor time of the receiver", "ms", each_ms))
    return rows


def founded(home: Path, database: str | None) -> Path:
    """A city's home, where the gates of `reporting_gates` are enrolled."""
    home.mkdir()
    line = f'database = "{database}"\n' if database else ""
    (home / FILE_NAME).write_text(line + example(), "utf-8")
    now_unix_s = int(time.time())
    with ReportStore.open(load(home).database_url) as store:
        for number in range(GATES):
            gate = gate_id(number)
            public = gate_key(number).public_key().public_bytes_raw()
            store.enrol(gate, store.invite(gate, now_unix_s), public, now_unix_s)
    return home


def _processor_s(process: Program) -> float:
    """Processor seconds of a process and its workers, which depend less on the machine's load."""
    pid = process.process.pid
    workers = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    stats = [
        Path(f"/proc/{each}/stat").read_text("ascii").rpartition(")")[2] for each in (pid, *workers)
    ]
    ticks = sum(int(stat.split()[11]) + int(stat.split()[12]) for stat in stats)
    return ticks / os.sysconf("SC_CLK_TCK")


def _sent(url: str, load: Load) -> tuple[int, list[int]]:
    """Let the gates send the load; return the ns of all together, and of each."""
    with program(
        "benchmarks.reports.reporting_gates", url, str(load.requests), str(load.batch)
    ) as gates:
        gates.event("ready", SENT_S)
        gates.say("send")
        line = gates.event("sent", SENT_S)
    if line["wrong"]:
        raise RuntimeError(f"the receiver did not store everything: {line['wrong']}")
    return line["took_ns"], line["each_ns"]


def _rows(name: str, load: Load, took_ns: int, each_ns: list[int]) -> list[Row]:
    per_s = load.requests * max(load.batch, 1) / (took_ns / 1e9)
    if load.batch:
        what, unit, need = f"reports received, {name}, {load.batch} a request", "reports/s", NEED
    else:
        what, unit, need = f"statuses received, {name}", "requests/s", STATUS_NEED
    return [
        counted(what, unit, per_s, note=need),
        timed("– a request, from 8 at once", "ms", each_ns),
    ]
