"""The demo as a person starts it: back office, courier, lane and crowd as processes of their own, and a story that comes true."""

import json
import subprocess
import sys
from pathlib import Path

RESULT = (
    "taps",
    "admitted",
    "denied",
    "retry",
    "reports_received",
    "reports_lost",
    "reports_duplicated",
    "list_version",
    "tap_to_gate_ms",
)
STORY = (
    "refused at the gate",
    "an end: refused as well",
    "lifted: admitted at the gate",
    "passengers noticed nothing",
    "the network is back",
    "has ended by itself: admitted again",
)


def demo(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "validator", "demo", "--cards", "5000", "--timing", "ideal", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_what_the_city_says_is_seen_at_the_gate_and_what_the_gate_reports_in_the_city() -> None:
    ended = demo("--taps", "80", "--seed", "3")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout.splitlines()[-1])
    assert tuple(told) == RESULT
    assert told["taps"] == told["admitted"] + told["denied"] + told["retry"] == 80
    assert told["reports_received"] >= 2, "the two that were suspended meanwhile, at least"
    assert (told["reports_lost"], told["reports_duplicated"], told["list_version"]) == (0, 0, 4)
    assert set(told["tap_to_gate_ms"]) == {"p50", "p99", "p999", "max"}
    story = " ".join(ended.stderr.split())
    assert [line for line in STORY if line not in story] == []


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "validator", "demo", "--cards", "1000", "--taps", "5", "--timing", "ideal"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)},
    )
    assert ended.returncode == 0, ended.stderr
    assert list(tmp_path.iterdir()) == []
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in running
