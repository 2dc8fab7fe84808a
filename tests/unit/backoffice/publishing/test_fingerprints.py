"""Fingerprints by the million: the same as one card's, in the segment's order.

No end moves, and no card is named.
"""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backoffice.publishing.epochs import epoch
from backoffice.publishing.fingerprints import CardsError, check_distinct, hasher, table_of
from tests.support.city.list_making import EPOCH_UNIX_S, KEY, OTHER_KEY
from tests.support.city.segment_making import until_units
from tests.support.city.town import uid
from validator.domain.cards import CardUid
from validator.lists.segment import NO_END, REMOVED
from validator.lists.segment_builder import UNITS_MAX

Row = tuple[bytes, bool, int | None]

HOUR_S = 3_600
DAY_S = 24 * HOUR_S
uids = st.sampled_from([4, 7, 10]).flatmap(lambda size: st.binary(min_size=size, max_size=size))
ends = st.none() | st.integers(EPOCH_UNIX_S - 10 * DAY_S, EPOCH_UNIX_S + 40 * DAY_S)
rows = st.lists(st.tuples(uids, st.booleans(), ends), max_size=40, unique_by=lambda row: row[0])


def in_words(states: Sequence[Row], unit_s: int, *, is_snapshot: bool) -> dict[int, int]:
    """One card after the other, by the functions for one card."""
    units = {
        CardUid(card).fingerprint(KEY): until_units(end, EPOCH_UNIX_S, unit_s) if is_in else REMOVED
        for card, is_in, end in states
    }
    return {card: until for card, until in units.items() if until != REMOVED or not is_snapshot}


@given(st.lists(uids, max_size=20), st.sampled_from([KEY, OTHER_KEY]))
def test_many_fingerprints_are_those_of_single_cards(cards: list[bytes], key: bytes) -> None:
    assert hasher(key)(cards).tolist() == [CardUid(card).fingerprint(key) for card in cards]


@given(rows, st.integers(0, 40), st.sampled_from([60, 3_600]), st.booleans())
def test_a_table_has_of_each_card_what_a_table_of_it_alone_has(
    states: list[Row], cut: int, unit_s: int, is_snapshot: bool
) -> None:
    batches = [batch for batch in (states[:cut], states[cut:]) if batch]
    fingerprints, until = table_of(
        batches, hasher(KEY), EPOCH_UNIX_S, unit_s, is_snapshot=is_snapshot
    )
    expected = in_words(states, unit_s, is_snapshot=is_snapshot)
    assert list(zip(fingerprints.tolist(), until.tolist(), strict=True)) == sorted(expected.items())
    assert (str(fingerprints.dtype), str(until.dtype)) == ("uint64", "uint16")


def test_a_change_lists_what_was_taken_out_or_has_ended_and_a_snapshot_leaves_it_out() -> None:
    states = [(uid(1), False, None), (uid(2), True, EPOCH_UNIX_S), (uid(3), True, EPOCH_UNIX_S + 1)]
    change = table_of([states], hasher(KEY), EPOCH_UNIX_S, 60, is_snapshot=False)
    assert sorted(change[1].tolist()) == [REMOVED, REMOVED, 1]
    snapshot = table_of([states], hasher(KEY), EPOCH_UNIX_S, 60, is_snapshot=True)
    assert (len(snapshot[0]), snapshot[1].tolist()) == (1, [1])


def test_no_card_at_all_is_an_empty_table() -> None:
    fingerprints, until = table_of([], hasher(KEY), EPOCH_UNIX_S, 60, is_snapshot=True)
    assert (fingerprints.tolist(), until.tolist()) == ([], [])


def test_an_end_beyond_the_reach_is_refused_and_never_becomes_for_ever() -> None:
    farthest = EPOCH_UNIX_S + UNITS_MAX * 60
    _, until = table_of(
        [[(uid(1), True, farthest)]], hasher(KEY), EPOCH_UNIX_S, 60, is_snapshot=True
    )
    assert until.tolist() == [UNITS_MAX]
    for end in (farthest + 1, farthest + 60, farthest + 61, 1 << 61):
        states = [(uid(1), True, end), (uid(2), True, end), (uid(3), True, None)]
        with pytest.raises(CardsError, match=r"^2 cards end later than 44 days from now") as error:
            table_of([states], hasher(KEY), EPOCH_UNIX_S, 60, is_snapshot=True)
        assert "\n" not in str(error.value)
    assert NO_END == UNITS_MAX + 1


def test_two_cards_with_one_fingerprint_are_refused_without_a_name() -> None:
    states = [(uid(number), True, None) for number in range(3)]
    with pytest.raises(CardsError, match="2 cards have the fingerprint of another card") as error:
        table_of(
            [states],
            lambda cards: hasher(KEY)([uid(0)] * len(cards)),
            EPOCH_UNIX_S,
            60,
            is_snapshot=True,
        )
    assert uid(0).hex() not in str(error.value)
    assert "rotate fingerprint-key" in str(error.value)
    check_distinct(np.array([1, 2, 3], np.uint64))
    with pytest.raises(CardsError, match="1 card has"):
        check_distinct(np.array([1, 2, 2], np.uint64))


def test_progress_is_counted_in_cards() -> None:
    told: list[int] = []
    batches = [[(uid(1), True, None)], [(uid(2), True, None), (uid(3), False, None)]]
    table_of(batches, hasher(KEY), EPOCH_UNIX_S, 60, is_snapshot=False, progress=told.append)
    assert told == [1, 3]


@given(st.integers(0, 1 << 40), st.integers(1, DAY_S))
def test_an_epoch_is_a_whole_number_of_units_and_no_longer_ago_than_an_hour_or_a_unit(
    now_unix_s: int, unit_s: int
) -> None:
    found = epoch(now_unix_s, unit_s)
    assert found % unit_s == 0
    assert 0 <= now_unix_s - found < max(unit_s, HOUR_S)
    if HOUR_S % unit_s == 0:
        assert found % HOUR_S == 0
