"""Which pieces bring a table forward at the least cost in bytes. Pure: what a piece is made of is the formats' affair.

A piece spans (from, to]: it holds the last state of every card that changed after `from` up to `to`, so it applies to a table at any
version v with from <= v < to, and makes it one at `to`. A piece with from 0 is a snapshot: it begins anew, whatever was there.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar


class Span(Protocol):
    """What matters of a piece here."""

    @property
    def from_version(self) -> int:
        """The list version after which its changes begin; 0: it is a snapshot."""

    @property
    def to_version(self) -> int:
        """The list version whose state it makes."""

    @property
    def bytes(self) -> int:
        """What it costs to fetch."""


PieceT = TypeVar("PieceT", bound=Span)


def cheapest_chain(
    held: int, offers: Iterable[PieceT], piece_cost_bytes: int = 0
) -> Sequence[PieceT] | None:
    """The pieces to apply in order to a table at version `held` (0: there is none) so that it stands at the newest `to` on offer.

    Empty when it stands there already, None when no chain leads there. `piece_cost_bytes` is what asking for any piece costs besides.
    A table that has run ahead of every offer has nothing to fetch. At most one piece is a snapshot, and it comes first.
    """
    pieces = sorted(offers, key=lambda piece: (piece.to_version, piece.from_version))
    if not pieces or (held and pieces[-1].to_version <= held):
        return () if held else None
    # Versions that can be reached, each with the cost of the cheapest way there. By rising `to`, all ways to a piece's start are known
    # before it. It may start at any version that it spans, so the cheapest of those is taken.
    reached: dict[int, tuple[int, tuple[PieceT, ...]]] = {held: (0, ())} if held else {}
    for piece in pieces:
        if piece.to_version <= held:
            continue
        ways = [
            way
            for version, way in reached.items()
            if piece.from_version <= version < piece.to_version
        ]
        if piece.from_version == 0:
            ways.append((0, ()))  # begin anew
        if not ways:
            continue
        cost, chain = min(ways, key=lambda way: way[0])
        cost += piece.bytes + piece_cost_bytes
        known = reached.get(piece.to_version)
        if known is None or cost < known[0]:
            begins_anew = piece.from_version == 0
            reached[piece.to_version] = (cost, (piece,) if begins_anew else (*chain, piece))
    return reached.get(pieces[-1].to_version, (0, None))[1]
