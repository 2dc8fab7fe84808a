"""The command that runs the demo's crowd: passengers with cards at a lane of their own."""

from pathlib import Path
from typing import Literal

from turnike_demo.gate.gate import CROWDS_LANE, Gate
from turnike_demo.processes.child import Child

Pace = Literal["scripted", "chaos", "watched"]
_PACES_MS: dict[Pace, int] = {
    "scripted": 60,
    "chaos": 20,
    "watched": 1_200,  # about the pace of a busy turnstile
}


def crowd(gate: Gate, deck: Path, seed: int, timing: str, taps: int | None, pace: Pace) -> Child:
    """Start the crowd.

    Args:
        gate: whose crowd lane it uses.
        deck: the file of its cards; see `People.write_deck`.
        seed: chooses the order of the cards.
        timing: `ideal` or `real`, of the simulated chip.
        taps: after how many taps it ends; None for never.
        pace: the time between two passengers.
    """
    reader, board = gate.reader(CROWDS_LANE), gate.board(CROWDS_LANE)
    return Child(
        "crowd",
        *("firmware_sim", "crowd", "--deck", str(deck), "--seed", str(seed), "--timing", timing),
        *("--reader-link", str(reader), "--board-link", str(board)),
        *(("--forever",) if taps is None else ("--taps", str(taps))),
        *("--pace-ms", str(_PACES_MS[pace])),
    )
