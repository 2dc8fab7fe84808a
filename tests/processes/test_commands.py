"""The commands as a person meets them: wrong input ends in one line and exit 2, no traceback."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.gate_rig import NOW_UNIX_S, Gate, gate, serving
from tests.support.city.built_city import build
from tests.support.machine.programs import lane_config

COMMANDS = (["lane"], ["check"], ["bench"], ["list"], ["list", "show"], ["demo"])


def turnike(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "validator", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with a list, and no devices."""
    build(tmp_path, NOW_UNIX_S)
    return lane_config(tmp_path)


@pytest.fixture
def one_gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate with devices."""
    with gate(tmp_path) as made:
        yield made


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_of_each_command_shows_an_example(command: list[str]) -> None:
    helped = turnike(*command, "--help")
    assert helped.returncode == 0
    assert "Example:" in helped.stdout or command == ["list"]


@pytest.mark.parametrize(
    "command", [["lane"], ["check"], ["bench"], ["list", "show"]], ids=" ".join
)
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("[board]", "[bord]"), "bord: is not a key"),
        (('stale = "decide"', ""), "list.stale: is missing and has no default"),
        (('missing = "deny"', "missing = deny"), "is not TOML"),
    ],
)
def test_a_bad_configuration_is_one_clear_line(
    config: Path, command: list[str], change: tuple[str, str], told: str
) -> None:
    config.write_text(config.read_text().replace(*change))
    ended = turnike(*command, "--config", str(config))
    assert ended.returncode == 2
    assert told in ended.stderr
    assert ended.stderr.startswith(f"turnike: {config}: ")
    assert ended.stderr.count("\n") == 1
    assert ended.stdout == ""


def test_all_faults_of_a_configuration_are_reported_at_once_a_line_each(config: Path) -> None:
    config.write_text(
        config.read_text().replace("[board]", "[bord]").replace('"decide"', '"decided"')
    )
    ended = turnike("check", "--config", str(config))
    lines = ended.stderr.splitlines()
    assert (ended.returncode, ended.stdout, len(lines)) == (2, "", 2)
    assert all(line.startswith(f"turnike: {config}: ") for line in lines)
    assert "bord: is not a key of the configuration; did you mean board?" in lines[0]
    assert (
        'list.stale: must be "decide" or "deny", not "decided"; did you mean "decide"?' in lines[1]
    )


def test_check_names_every_missing_device_and_exits_1(config: Path) -> None:
    ended = turnike("check", "--config", str(config), "--json")
    assert ended.returncode == 1
    told = json.loads(ended.stdout)
    bad = {
        finding["subject"]: finding["text"]
        for finding in told["findings"]
        if finding["mark"] == "bad"
    }
    assert told["serves"] is False
    assert set(bad) == {"board", "reader"}
    assert all(str(config.parent / name) in text for name, text in bad.items())


def test_check_of_a_good_gate_exits_0_and_of_a_running_one_leaves_it_alone(one_gate: Gate) -> None:
    ended = turnike("check", "--config", str(one_gate.config))
    assert ended.returncode == 0, ended.stdout
    assert ended.stdout.count("answers") == 2
    with serving(one_gate) as lane:
        held = turnike("check", "--config", str(one_gate.config))
        assert held.returncode == 0
        assert held.stdout.count("held by another process") == 2
        one_gate.serves(lane)


def test_a_second_lane_on_the_same_devices_names_the_first_and_does_not_disturb_it(
    one_gate: Gate,
) -> None:
    config = one_gate.config.read_text()
    with serving(one_gate) as lane:
        one_gate.config.write_text(
            config.replace("/reports", "/reports-2").replace("/lane.sock", "/lane-2.sock")
        )
        second = one_gate.lane()
        try:
            reasons = [
                second.wait_for(lambda line: line.get("state") == "lost")["reason"]
                for _ in range(2)
            ]
        finally:
            second.end()
            second.close()
        assert all("by another pro" in reason for reason in reasons), reasons
        one_gate.serves(lane)


def test_a_second_lane_with_the_same_configuration_is_refused_in_one_line(one_gate: Gate) -> None:
    with serving(one_gate) as lane:
        ended = turnike("lane", "--config", str(one_gate.config))
        assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
        assert "another process listens here" in ended.stderr
        one_gate.serves(lane)


@pytest.mark.parametrize(("missing", "code"), [("deny", 1), ("admit", 0)])
def test_check_without_a_list_shows_what_the_operator_chose(
    one_gate: Gate, missing: str, code: int
) -> None:
    for path in (one_gate.folder / "lists").iterdir():
        path.unlink()
    one_gate.config.write_text(
        one_gate.config.read_text().replace('missing = "deny"', f'missing = "{missing}"')
    )
    ended = turnike("check", "--config", str(one_gate.config))
    assert ended.returncode == code
    assert "(list.missing)" in ended.stdout


def test_list_show_prints_rules_and_sizes_and_no_card(config: Path) -> None:
    text = turnike("list", "show", "--config", str(config)).stdout
    assert "refuse   suspended" in text
    told = json.loads(turnike("list", "show", "--config", str(config), "--json").stdout)
    assert [(rule["name"], rule["effect"]) for rule in told["rules"]] == [
        ("suspended", "refuse"),
        ("staff", "admit"),
        ("matched", "require"),
    ]


def test_bench_measures_this_machines_list(config: Path) -> None:
    ended = turnike("bench", "--config", str(config), "--json", "--decisions", "2000")
    told = json.loads(ended.stdout)
    assert told["decision_ns"]["count"] == 2_000
    assert (
        0 < told["decision_ns"]["p50"] <= told["decision_ns"]["p999"] <= told["decision_ns"]["max"]
    )


def test_a_closed_standard_output_is_one_clear_line(config: Path) -> None:
    command = f"{sys.executable} -m validator lane --config '{config}' >&-"
    ended = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert (
        ended.stderr
        == "turnike: standard output is closed; the log goes there (/dev/null will do)\n"
    )


@pytest.mark.parametrize("text", ["a = " + "[" * 3_000, "a = " + "1" * 5_000, "\ufeff= 1"])
def test_a_file_beyond_reason_is_one_clear_line(config: Path, text: str) -> None:
    config.write_text(text)
    ended = turnike("check", "--config", str(config))
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)


def test_sighup_while_the_lane_starts_does_not_end_it(one_gate: Gate) -> None:
    lane = one_gate.lane()
    try:
        lane.event("list")  # the list is read, the handlers are not there yet
        lane.process.send_signal(signal.SIGHUP)
        one_gate.board.event(
            "show", outcome="ready", by="lane"
        )  # a card that lay there before is shown again
        one_gate.serves(lane)
    finally:
        lane.close()


@pytest.mark.parametrize(
    "arguments",
    [["lane", "--konfig", "x"], ["lisst"], ["demo", "--taps", "0"]],
)
def test_a_wrong_argument_is_one_clear_line(arguments: list[str]) -> None:
    ended = turnike(*arguments)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert ended.stderr.startswith("turnike")
