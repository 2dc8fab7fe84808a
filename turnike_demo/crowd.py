"""The demo's crowd: passengers with cards at a lane of their own, who judge what they see. A command that anybody can start by hand."""

from pathlib import Path
from typing import Literal

from turnike_demo.children import Child
from turnike_demo.gate import CROWDS_LANE, Gate

Pace = Literal["scripted", "chaos", "watched"]
_PACES_MS: dict[Pace, int] = {
    "scripted": 60,
    "chaos": 20,
    "watched": 1_200,
}  # about as a busy turnstile


def crowd(gate: Gate, deck: Path, seed: int, timing: str, taps: int | None, pace: Pace) -> Child:
    """A crowd with these cards; `taps` None is for ever."""
    return Child(
        "crowd",
        *("firmware_sim", "crowd", "--deck", str(deck), "--seed", str(seed), "--timing", timing),
        *(
            "--reader-link",
            str(gate.reader(CROWDS_LANE)),
            "--board-link",
            str(gate.board(CROWDS_LANE)),
        ),
        *(("--forever",) if taps is None else ("--taps", str(taps))),
        *("--pace-ms", str(_PACES_MS[pace])),
    )
