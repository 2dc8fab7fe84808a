"""Each benchmark runs tiny, with real processes, and returns its figures. Speed is not judged."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.__main__ import BENCHMARKS
from benchmarks.rows import Limit, Row, counted, timed


def test_every_benchmark_runs_small_and_writes_its_numbers(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    command = [sys.executable, "-m", "benchmarks", "--small", "--out", str(out)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=540, check=False)
    assert ended.returncode == 0, ended.stderr[-2_000:]
    assert "small" in ended.stdout
    written = json.loads(out.read_text())
    assert {row["benchmark"] for row in written["rows"]} == set(BENCHMARKS)
    assert all(row["n"] > 0 and row["p50"] >= 0 for row in written["rows"])


def test_a_percentile_of_too_few_is_not_shown() -> None:
    row = timed("few", "ms", [1_000_000] * 99)
    assert (row.p50, row.p99, row.p999, row.max) == (1.0, None, None, 1.0)


def test_percentiles_are_measured_values_and_never_below_the_share() -> None:
    row = timed("many", "µs", [1_000 * number for number in range(1, 1_001)])
    assert (row.p50, row.p99, row.p999, row.max) == (501.0, 991.0, 1_000.0, 1_000.0)


def test_a_budget_is_met_only_when_every_limit_holds() -> None:
    limits = (Limit("p50", 5.0), Limit("p99", 20.0))
    assert Row("met", "µs", 100, 5.0, 20.0, budget=limits).met is True
    assert Row("slow tail", "µs", 100, 5.0, 20.1, budget=limits).met is False
    assert Row("too few to show", "µs", 9, 5.0, budget=limits).met is None
    assert counted("no budget", "MB", 1.0).met is None
