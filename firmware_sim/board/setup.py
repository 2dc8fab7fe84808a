"""How a simulated board is built."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Setup:
    """How the board is built, and when its simulated passengers walk.

    Attributes:
        reader: the board reads cards by itself and sends CARD.
        walk_ms: from the release of the arms until a passenger walks through; None for only at
            the verb `pass`.
        release_ms: from OPEN until the arms are free.
        read_ms: from a card on the board's own reader until CARD.
    """

    reader: bool = False
    walk_ms: int | None = 300
    release_ms: int = 0
    read_ms: int = 0
