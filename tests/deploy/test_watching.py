"""deploy/ for watching gates: the alerts report each trouble and no other, and queries are valid.

promtool judges (Debian's package `prometheus`).
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gate.console_lane import counts, status
from validator.console.gate import Gate
from validator.console.metrics import metrics_text

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "turnike.rules.yml"
DASHBOARD = DEPLOY / "grafana" / "turnike-gates.json"
VARIABLES = {"$__rate_interval": "5m", "$gate": ".*"}


def promtool(*arguments: str) -> None:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not here: apt-get install prometheus")
    ended = subprocess.run([found, *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def queries() -> Iterator[str]:
    """Those of the dashboard, as Grafana would send them."""
    board = json.loads(DASHBOARD.read_text())
    asked: list[dict[str, Any]] = [
        target for panel in board["panels"] for target in panel["targets"]
    ]
    for one in asked + board["annotations"]["list"]:
        query = one["expr"]
        for name, value in VARIABLES.items():
            query = query.replace(name, value)
        yield query


def test_the_alerts_are_rules_that_prometheus_takes() -> None:
    promtool("check", "rules", str(RULES))


def test_the_alerts_are_silent_about_a_gate_that_is_well_and_report_each_trouble() -> None:
    promtool("test", "rules", str(RULES.with_suffix(".test.yml")))


def test_each_query_of_the_dashboard_is_one_that_prometheus_takes(tmp_path: Path) -> None:
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries())]
    file = tmp_path / "queries.json"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert rules
    promtool("check", "rules", str(file))


def test_alerts_and_dashboard_ask_for_metrics_that_a_console_has() -> None:
    gate = Gate("kadikoy-03", "0.1.0", [Path("lane-1.sock")])
    for said in (status(), counts({"told": [1_000_000]})):
        gate.lanes[0].take(said)
    has = set(re.findall(r"(?m)^turnike_\w+", metrics_text(gate).decode()))
    asked = set(re.findall(r"turnike_\w+", "".join(rules()) + "".join(queries())))
    assert asked - has == set()
    assert len(asked) > 10


def rules() -> list[str]:
    """What each alert asks."""
    return re.findall(r"(?ms)^        expr: (.*?)^        (?:for|labels):", RULES.read_text())
