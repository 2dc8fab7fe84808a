"""Which pieces bring a table to the newest version at the least cost."""

from itertools import chain as chained
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from validator.domain.chain import cheapest_chain


class Piece(NamedTuple):
    """A span and its cost."""

    from_version: int
    to_version: int
    bytes: int


MINUTES = [Piece(at, at + 1, 10) for at in range(4, 9)]
HOUR = Piece(4, 9, 30)
SNAPSHOT = Piece(0, 4, 1_000)


def test_a_table_in_step_takes_the_one_piece_that_is_new() -> None:
    assert cheapest_chain(8, [SNAPSHOT, HOUR, *MINUTES]) == (MINUTES[-1],)


def test_a_table_far_behind_takes_the_large_piece_instead_of_many_small_ones() -> None:
    assert cheapest_chain(4, [SNAPSHOT, HOUR, *MINUTES]) == (HOUR,)


def test_a_large_piece_serves_from_the_middle_of_its_span_too() -> None:
    assert cheapest_chain(5, [HOUR]) == (HOUR,)


def test_a_new_table_begins_at_the_snapshot() -> None:
    assert cheapest_chain(0, [SNAPSHOT, HOUR, *MINUTES]) == (SNAPSHOT, HOUR)


def test_a_table_that_no_piece_reaches_begins_at_the_snapshot() -> None:
    assert cheapest_chain(2, [SNAPSHOT, HOUR, *MINUTES]) == (SNAPSHOT, HOUR)


def test_a_table_at_the_newest_version_needs_nothing() -> None:
    assert cheapest_chain(9, [SNAPSHOT, HOUR, *MINUTES]) == ()
    assert cheapest_chain(12, [SNAPSHOT, HOUR, *MINUTES]) == ()


def test_without_a_way_there_is_no_chain() -> None:
    assert cheapest_chain(0, [HOUR]) is None
    assert cheapest_chain(3, [HOUR]) is None
    assert cheapest_chain(0, []) is None


def test_asking_for_a_piece_costs_something_too() -> None:
    assert cheapest_chain(4, [Piece(4, 9, 60), *MINUTES]) == tuple(MINUTES)
    assert cheapest_chain(4, [Piece(4, 9, 60), *MINUTES], piece_cost_bytes=5) == (Piece(4, 9, 60),)


pieces = st.lists(
    st.tuples(st.integers(0, 8), st.integers(1, 9), st.integers(1, 100))
    .filter(lambda piece: piece[0] < piece[1])
    .map(lambda piece: Piece(*piece)),
    max_size=7,
)


@given(st.integers(0, 9), pieces)
def test_the_chain_is_as_cheap_as_the_cheapest_of_all_that_can_be_tried(
    held: int, offers: list[Piece]
) -> None:
    chain = cheapest_chain(held, offers)
    newest = max((piece.to_version for piece in offers), default=0)
    if held >= newest:
        assert chain == (() if held else None)
        return
    ways = list(_all_ways(held, newest, offers))
    assert (chain is None) == (not ways)
    if chain is not None:
        assert chain in ways
        assert sum(piece.bytes for piece in chain) == min(
            sum(piece.bytes for piece in way) for way in ways
        )


def _all_ways(at: int, newest: int, offers: list[Piece]) -> "list[tuple[Piece, ...]]":
    """Return every chain: a piece from 0 always applies, any other within its span."""
    if at >= newest:
        return [()]
    applies = [
        piece
        for piece in offers
        if piece.to_version > at and (piece.from_version == 0 or piece.from_version <= at != 0)
    ]
    return list(
        chained.from_iterable(
            [(piece, *rest) for rest in _all_ways(piece.to_version, newest, offers)]
            for piece in applies
        )
    )
