"""`turnike bench`: the time of decisions on this machine, with its configuration, keys and list.

No device is opened. The cards are random, so nearly all are in no table: each goes through every
rule, which takes longest. `make bench` compares the project with alternatives.
"""

import gc
import json
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

from validator.config import Config
from validator.domain.cards import Card, CardUid
from validator.domain.decision import decide
from validator.domain.latency import LatencyHistogram
from validator.errors import OperatorError
from validator.formats.shown import shown
from validator.host.clock import Clock
from validator.lists.fingerprint_keys import FingerprintKeyError
from validator.lists.held_keys import held_keys
from validator.programs.lane import list_folder, list_policy

BATCH = 1_000
DESFIRE_ATQA, DESFIRE_SAK = 0x0344, 0x20


def run(config: Config, decisions: int, *, as_json: bool) -> None:
    """Measure so many decisions and print the result.

    Raises:
        OperatorError: the gate holds no fingerprint key, or cannot read it.
    """
    started_ns = time.monotonic_ns()
    try:
        held_keys(Path(config.list.keys))
        adopted = list_folder(config).settled()
    except FingerprintKeyError as error:
        raise OperatorError(str(error)) from error
    for problem in adopted.problems:
        click.echo(f"turnike: {shown(problem)}", err=True)
    loaded_ns = time.monotonic_ns() - started_ns
    histogram, timer = LatencyHistogram(), LatencyHistogram()
    clock, policy, rules = Clock(), list_policy(config), adopted.rules
    gc.collect()
    gc.disable()
    batches = range(decisions // BATCH)
    for _ in track(batches, "deciding", console=Console(stderr=True), disable=as_json):
        cards = [
            Card(CardUid(b"\x04" + secrets.token_bytes(6)), DESFIRE_ATQA, DESFIRE_SAK)
            for _ in range(BATCH)
        ]
        for card in cards:
            asked_ns = time.perf_counter_ns()
            decide(card, rules, clock.now(), policy)
            decided_ns = time.perf_counter_ns()
            histogram.add(decided_ns - asked_ns)
            timer.add(time.perf_counter_ns() - decided_ns)
    result = {
        "list_version": rules.version if rules else None,
        "list_loaded_ms": loaded_ns // 1_000_000,
        "load_average": os.getloadavg(),
        "decision_ns": _figures(histogram),
        "timer_ns": _figures(timer),
    }
    click.echo(json.dumps(result) if as_json else _as_text(result))


def _figures(histogram: LatencyHistogram) -> dict[str, int]:
    return {
        "count": histogram.count,
        "p50": histogram.percentile_ns(50),
        "p99": histogram.percentile_ns(99),
        "p999": histogram.percentile_ns(99.9),
        "max": histogram.max_ns,
    }


def _as_text(result: Mapping[str, object]) -> str:
    loaded = f"mapped and verified in {result['list_loaded_ms']} ms"
    lines = [f"list version {result['list_version']}, {loaded}"]
    for name in ("decision_ns", "timer_ns"):
        figures = result[name]
        assert isinstance(figures, dict)  # noqa: S101 — for the type checker
        row = "  ".join(
            f"{key} {value / 1_000:,.1f}" for key, value in figures.items() if key != "count"
        )
        lines.append(f"{name.removesuffix('_ns'):9} µs: {row}   ({figures['count']:,} times)")
    return "\n".join(lines)
