"""Measure the bytes of a piece in its wire form by its number of cards, with the real encoder.

    python -m tests.simulation.fleet.wire_bytes     # prints what `sizes.py` keeps

It takes 20 s, and 0.5 GB for the largest piece. Fingerprints are uniform. Half of the changes of a
rule put a card in, half take one out. A suspension ends 5 to 14 days after it began, at any
minute; a matched card has no end. A snapshot holds cards that are in, suspended ones with 0 to 14
days left.
"""

import io

import click
import numpy as np
from numpy.typing import NDArray

from validator.domain.cards import FINGERPRINT_BITS
from validator.lists.segment import NO_END, REMOVED
from validator.lists.segment_builder import Head, write_segment
from validator.lists.wire import encode

CARDS = (
    0,
    1,
    2,
    4,
    8,
    16,
    32,
    64,
    128,
    256,
    512,
    1 << 10,
    1 << 12,
    1 << 14,
    1 << 16,
    1 << 18,
    1 << 20,
)
SNAPSHOT_CARDS = {
    "matched": (10_000, 1_000_000, 8_260_000),
    "suspended": (300_000,),
    "staff": (10_000,),
}
DAY_MINUTES = 1_440
_ENDING = "suspended"


def wire_bytes(rule: str, cards: int, *, snapshot: bool, seed: int = 1) -> int:
    """The size of a piece of this rule with so many cards, as the real encoder makes it."""
    rng = np.random.default_rng(seed)
    fingerprints = np.unique(rng.integers(0, 1 << FINGERPRINT_BITS, cards, dtype=np.uint64))
    until = _until(rng, rule, len(fingerprints), snapshot=snapshot)
    head = Head(
        rule, 0 if snapshot else 100_000, 100_001, bytes(8), 0, 60 if rule == _ENDING else 3_600
    )
    segment, wire = io.BytesIO(), io.BytesIO()
    write_segment(segment, head, fingerprints, until)
    return encode(segment.getbuffer(), wire).bytes


def _until(
    rng: np.random.Generator, rule: str, cards: int, *, snapshot: bool
) -> NDArray[np.uint16]:
    if rule != _ENDING:
        until = np.full(cards, NO_END, np.uint16)
    else:
        earliest = 1 if snapshot else 5 * DAY_MINUTES
        until = rng.integers(earliest, 14 * DAY_MINUTES, cards).astype(np.uint16)
    if not snapshot:
        until[rng.random(cards) < 0.5] = REMOVED
    return until


@click.command()
def main() -> None:
    """Print what was measured."""
    for rule in ("suspended", "matched"):
        sizes = [wire_bytes(rule, cards, snapshot=False) for cards in CARDS]
        click.echo(f'    "{rule}": {tuple(sizes)},')
    for rule, counts in SNAPSHOT_CARDS.items():
        for cards in counts:
            click.echo(f"    {rule} {cards:,}: {wire_bytes(rule, cards, snapshot=True):,}")


if __name__ == "__main__":
    main()
