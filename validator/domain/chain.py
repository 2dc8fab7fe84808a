"""Which pieces bring a table to the newest version at the least cost in bytes.

A piece spans (from, to]: it holds the last state of every card that changed after `from`, up to
`to`. It applies to a table at any version v with from <= v < to, and makes it one at `to`. A piece
with from 0 is a snapshot: it replaces whatever was there.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar


class Span(Protocol):
    """The versions and the cost of a piece; lists/ and courier/ have the pieces themselves."""

    @property
    def from_version(self) -> int:
        """The list version after which its changes begin; 0 for a snapshot."""

    @property
    def to_version(self) -> int:
        """The list version whose state the piece makes."""

    @property
    def bytes(self) -> int:
        """The bytes to download."""


PieceT = TypeVar("PieceT", bound=Span)


def cheapest_chain(
    held: int, offers: Iterable[PieceT], piece_cost_bytes: int = 0
) -> Sequence[PieceT] | None:
    """Return the pieces that bring a table to the newest `to` on offer, in order.

    At most one piece is a snapshot, and it comes first.

    Args:
        held: the table's version; 0 if there is no table.
        offers: the pieces that can be fetched.
        piece_cost_bytes: the cost of one more request, besides the bytes of the piece.

    Returns:
        The pieces; empty if the table is at that version or beyond it; None if no chain leads
            there.
    """
    pieces = sorted(offers, key=lambda piece: (piece.to_version, piece.from_version))
    if not pieces or (held and pieces[-1].to_version <= held):
        return () if held else None
    # Each version that can be reached, with the cheapest way there. Pieces come by rising `to`, so
    # all ways to the start of a piece are known before it. A piece may start at any version that it
    # spans, so the cheapest of those is taken.
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
            ways.append((0, ()))  # a snapshot needs no table
        if not ways:
            continue
        cost, chain = min(ways, key=lambda way: way[0])
        cost += piece.bytes + piece_cost_bytes
        known = reached.get(piece.to_version)
        if known is None or cost < known[0]:
            is_snapshot = piece.from_version == 0
            reached[piece.to_version] = (cost, (piece,) if is_snapshot else (*chain, piece))
    return reached.get(pieces[-1].to_version, (0, None))[1]
