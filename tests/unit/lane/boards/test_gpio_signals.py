"""Lamps and buzzer on GPIO lines: what a passenger sees and hears, in simulated time."""

from collections.abc import Iterator

import pytest

from tests.support.devices.gpio_gate import (
    AMBER,
    BUZZER,
    GREEN,
    RED,
    WIRED,
    Gate,
)
from validator.domain.outcomes import Outcome


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate(WIRED)
    gate.run()
    yield gate
    gate.board.close()


def test_every_denial_looks_and_sounds_the_same(gate: Gate) -> None:
    shown = []
    for date in (0, 380):
        before = len(gate.chip.history)
        start_ns = gate.now_ns
        gate.board.show(Outcome.DENIED, 1_500, date)
        gate.run(2_000)
        shown.append(
            [(at - start_ns, line, high) for at, line, high in list(gate.chip.history)[before:]]
        )
    assert shown[0] == shown[1]
    assert [line for _, line, high in shown[0] if high] == [RED, BUZZER, BUZZER]


@pytest.mark.parametrize("outcome", Outcome)
def test_each_outcome_has_its_lamp_and_returns_to_the_resting_picture(
    gate: Gate, outcome: Outcome
) -> None:
    gate.board.show(Outcome.READY, 0, 0)
    assert (gate.on(GREEN), gate.on(RED), gate.on(AMBER)) == (False, False, True)
    gate.board.show(outcome, 1_000, 0)
    lamps = {
        Outcome.READY: (False, False, True),
        Outcome.ADMITTED: (True, False, False),
        Outcome.ADMITTED_WITH_NOTICE: (True, False, False),
        Outcome.EMERGENCY: (True, False, False),
        Outcome.OUT_OF_SERVICE: (False, False, False),
    }
    assert (gate.on(GREEN), gate.on(RED), gate.on(AMBER)) == lamps.get(
        outcome, (False, True, False)
    )
    gate.run(1_000)
    assert (gate.on(GREEN), gate.on(RED), gate.on(AMBER)) == (False, False, True)
    assert not gate.on(BUZZER)
    if outcome is Outcome.EMERGENCY:
        assert gate.changes(BUZZER) == [], "the building's alarm must stay audible"


def test_a_blinking_lamp_blinks_and_a_tone_has_its_rhythm(gate: Gate) -> None:
    gate.board.show(Outcome.TRY_AGAIN, 1_000, 0)
    gate.run(1_200)
    assert gate.changes(RED) == [(0, True), (250, False), (500, True), (750, False)]
    assert gate.changes(BUZZER) == [
        (0, True),
        (60, False),
        (120, True),
        (180, False),
        (240, True),
        (300, False),
    ]
