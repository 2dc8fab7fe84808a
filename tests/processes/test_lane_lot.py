"""A whole lane on a LOT turnstile, and `turnike check` beside it; the line is simulated."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.gate_rig import NOW_UNIX_S, Gate
from tests.support.city.built_city import build
from tests.support.machine.programs import Program, program

LIMIT_S = 120


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate whose board is a LOT turnstile; no lane yet."""
    build(tmp_path, NOW_UNIX_S)
    with (
        program("firmware_sim", "lot", "--link", str(tmp_path / "board")) as board,
        program("firmware_sim", "pn532", "--link", str(tmp_path / "reader")) as reader,
    ):
        board.first_line()
        reader.first_line()
        made = Gate(tmp_path, reader, board, reads_on_board=False)
        text = made.config.read_text()
        made.config.write_text(text.replace("[board]\n", '[board]\ndriver = "lot"\n'))
        yield made


@pytest.fixture
def lane(gate: Gate) -> Iterator[Program]:
    """A lane that serves this gate."""
    started = gate.lane()
    try:
        started.event("board", state="ready")
        started.event("reader", state="ready")
        yield started
    finally:
        started.close()


def check(gate: Gate) -> str:
    command = [sys.executable, "-m", "validator", "check", "--config", str(gate.config)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    return ended.stdout + ended.stderr


def test_an_admitted_card_opens_for_one_passage_and_a_denied_one_does_not(
    gate: Gate, lane: Program
) -> None:
    assert gate.tap(lane, gate.card("matched"))["outcome"] == "admitted"
    gate.board.event("open")
    gate.board.say("pass")
    gate.board.event("passed")
    lane.event("passage")
    assert gate.tap(lane, gate.card("suspended"))["outcome"] == "denied"
    gate.board.say("pass")
    gate.board.event("held")


def test_a_turnstile_that_is_unplugged_is_lost_and_serves_again(gate: Gate, lane: Program) -> None:
    gate.board.say("unplug")
    lane.event("board", state="lost")
    gate.board.say("replug")
    lane.event("board", state="ready")
    assert gate.tap(lane, gate.card("matched"))["outcome"] == "admitted"
    gate.board.event("open")


def test_check_names_the_turnstile_what_it_cannot_promise_and_who_holds_it(gate: Gate) -> None:
    printed = check(gate)
    assert "board" in printed
    assert f"{gate.folder / 'board'}: answers" in printed
    assert "housing" in printed, "no LOT turnstile reports that it was opened"
    lane = gate.lane()
    try:
        lane.event("board", state="ready")
        assert "held by another process, most likely the lane" in check(gate)
    finally:
        lane.close()
