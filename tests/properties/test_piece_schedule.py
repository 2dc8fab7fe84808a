"""The piece schedule over simulated weeks, without a disk: each gate finds a cheap way forward.

A piece here costs what its cards do, as the real one: each card that changed in its span once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from backoffice.publishing.pieces import (
    DAY_S,
    HOUR_S,
    PIECES_MAX,
    Due,
    Schedule,
    due,
    joined,
    kept,
    missing,
    newest,
    recent,
)
from backoffice.registry.publications import Kind, Piece
from validator.domain.chain import cheapest_chain

PIECE_BYTES = 150
CARD_BYTES = 6
START_UNIX_S = 1_609_459_200  # midnight, UTC


@dataclass
class Rule:
    """The pieces of one rule as the publisher offers them, and what really changed."""

    rules: int = 3
    now_unix_s: int = START_UNIX_S
    version: int = 0
    offered: tuple[Piece, ...] = ()
    changes: list[frozenset[int]] = field(
        default_factory=lambda: [frozenset()]
    )  # cards, by list version
    published_unix_s: list[int] = field(default_factory=lambda: [START_UNIX_S])
    built: list[Due] = field(default_factory=list)

    def publish(self, after_s: int, cards: frozenset[int], lost: Sequence[Piece] = ()) -> None:
        """Publish a list version later, in which `cards` change."""
        self.now_unix_s += after_s
        self.version += 1
        self.changes.append(cards)
        self.published_unix_s.append(self.now_unix_s)
        there = [piece for piece in self.offered if piece not in lost]
        wanted = due(
            there,
            version=self.version,
            now_unix_s=self.now_unix_s,
            changed=any(self.changes[newest(there) + 1 :]),
            schedule=Schedule.of(self.rules),
            lost=lost,
        )
        self.built = list(missing(there, wanted))
        pieces = joined(there, wanted, map(self.build, self.built), self.now_unix_s)
        self.offered = kept(pieces, self.now_unix_s, Schedule.of(self.rules))

    def build(self, one: Due) -> Piece:
        """Return the piece of the cards that changed in a span."""
        cards = frozenset().union(*self.changes[one.from_version + 1 : one.to_version + 1])
        size = PIECE_BYTES + CARD_BYTES * len(cards)
        return Piece(one.kind, one.from_version, one.to_version, size, self.now_unix_s)

    def chain(self, held: int, offers: Sequence[Piece] | None = None) -> Sequence[Piece] | None:
        """Return what a gate at a version fetches."""
        return cheapest_chain(held, self.offered if offers is None else offers)

    def missed_bytes(self, held: int) -> int:
        """Return what a gate fetches that never missed a publication."""
        return sum(
            PIECE_BYTES + CARD_BYTES * len(cards) for cards in self.changes[held + 1 :] if cards
        )

    def in_step(self, ago_s: int) -> int:
        """Return the list version that was the newest some time ago; 0 if there was none."""
        return sum(at <= self.now_unix_s - ago_s for at in self.published_unix_s[1:])


def check_ways(rule: Rule, held: Sequence[int]) -> None:
    """Check that each version has a way to the newest.

    Without a snapshot: each version from the start of the oldest day piece on.
    """
    changes = [piece for piece in rule.offered if piece.kind is not Kind.SNAPSHOT]
    oldest_day = min(
        (piece.from_version for piece in changes if piece.kind is Kind.DAY), default=None
    )
    for version in held:
        chain = rule.chain(version)
        assert chain is not None, version
        stand = version
        for piece in chain:
            assert piece.from_version <= stand < piece.to_version
            stand = piece.to_version
        assert not any(rule.changes[stand + 1 :]), "a change is missing at the end of the chain"
        if oldest_day is not None and version >= oldest_day:
            assert not any(rule.changes[version + 1 :]) or rule.chain(version, changes) is not None


def check_bytes(rule: Rule) -> None:
    """Check that a gate pays for what it missed, and one that always polls for nothing twice."""
    polls = rule.chain(rule.version - 1)
    assert polls is not None
    assert len(polls) <= (1 if rule.changes[-1] else 0) or rule.version == 1
    if rule.version > 1:
        assert sum(piece.bytes for piece in polls) <= rule.missed_bytes(rule.version - 1)
    hour = rule.in_step(HOUR_S)
    if hour:
        chain = rule.chain(hour)
        assert chain is not None
        assert sum(piece.bytes for piece in chain) <= 2 * rule.missed_bytes(hour)


def check_size(rule: Rule) -> None:
    """Check that the index keeps its size, and that the manifest names each newest `to` once."""
    assert len(rule.offered) <= PIECES_MAX // rule.rules
    spans = [(piece.to_version, piece.from_version) for piece in rule.offered]
    assert spans == sorted(set(spans))
    named = [piece.to_version for piece in recent(rule.offered)]
    assert named == sorted(set(named), reverse=True)[:3]
    assert named[0] == newest(rule.offered)


gaps = st.one_of(
    st.integers(1, 120),
    st.integers(1_200, 2 * HOUR_S),
    st.integers(HOUR_S, 3 * DAY_S),
    st.integers(DAY_S, 70 * DAY_S),
)
cards = st.frozensets(st.integers(0, 400), max_size=12)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(gaps, cards), min_size=1, max_size=60))
def test_from_every_version_there_is_a_cheap_way_to_the_newest(
    publications: list[tuple[int, frozenset[int]]],
) -> None:
    rule = Rule()
    for after_s, changed in publications:
        rule.publish(after_s, changed)
        check_ways(rule, range(rule.version + 1))
        check_bytes(rule)
        check_size(rule)
    for kind in {piece.kind for piece in rule.offered}:
        event(f"offers {kind.name}")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(gaps, cards, st.integers(0, 1 << 30)), min_size=2, max_size=40))
def test_pieces_whose_files_are_gone_leave_no_version_without_a_way(
    publications: list[tuple[int, frozenset[int], int]],
) -> None:
    rule = Rule()
    for after_s, changed, lot in publications:
        lost = [piece for place, piece in enumerate(rule.offered) if not lot >> place & 3]
        rule.publish(after_s, changed, lost)
        event(f"lost {'some' if lost else 'none'}")
        check_ways(rule, range(rule.version + 1))
        check_size(rule)


@pytest.mark.parametrize(("every_s", "rules"), [(1, 8), (20, 3), (60, 3), (1_500, 3), (7_200, 1)])
def test_a_long_time_at_a_steady_pace_keeps_every_way_open(every_s: int, rules: int) -> None:
    rule = Rule(rules)
    for number in range(2_000):
        rule.publish(every_s, frozenset({number, number // 2}))
        check_size(rule)
        if number % 100 == 0:
            check_ways(rule, range(0, rule.version + 1, 211))
            if every_s >= 20:
                check_bytes(rule)


def test_a_snapshot_is_made_again_when_the_days_since_weigh_a_quarter_of_it_or_after_a_month() -> (
    None
):
    rule = Rule()
    rule.publish(0, frozenset(range(1_000)))
    when = []
    for day in range(1, 80):
        rule.publish(DAY_S, frozenset(range(20)))
        when += [day for one in rule.built if one.kind is Kind.SNAPSHOT]
    assert when == [7, 14, 21, 28, 35, 42, 49, 56, 63, 70, 77]
    rule = Rule()
    rule.publish(0, frozenset(range(100_000)))
    when = []
    for day in range(1, 80):
        rule.publish(DAY_S, frozenset(range(20)))
        when += [day for one in rule.built if one.kind is Kind.SNAPSHOT]
    assert when == [30, 60]


def test_nothing_that_has_the_same_span_is_made_twice() -> None:
    rule = Rule()
    rule.publish(0, frozenset({1}))
    assert rule.built == [Due(Kind.SNAPSHOT, 0, 1)]
    rule.publish(60, frozenset({2}))
    assert rule.built == [Due(Kind.MINUTE, 1, 2)]
    rule.publish(DAY_S, frozenset())
    assert rule.built == [], "the minute piece spans what an hour or a day piece would"
    rule.publish(60, frozenset({3}))
    assert rule.built == [Due(Kind.MINUTE, 2, 4)]
    rule.publish(HOUR_S, frozenset({3}))
    assert rule.built == [Due(Kind.MINUTE, 4, 5), Due(Kind.HOUR, 2, 5)]
    rule.publish(HOUR_S, frozenset({3}))
    assert rule.built == [Due(Kind.HOUR, 5, 6)]
    assert [piece.kind for piece in rule.offered] == [
        Kind.SNAPSHOT,
        Kind.DAY,
        Kind.HOUR,
        Kind.MINUTE,
        Kind.HOUR,
    ]


def test_a_clock_that_once_ran_ahead_does_not_hold_up_the_schedule() -> None:
    rule = Rule()
    rule.publish(0, frozenset({1}))
    rule.publish(20 * 365 * DAY_S, frozenset({2}))
    rule.publish(-20 * 365 * DAY_S, frozenset({3}))
    rule.publish(60, frozenset({4}))
    rule.publish(HOUR_S, frozenset({5}))
    assert [one.kind for one in rule.built] == [Kind.MINUTE, Kind.HOUR]
    check_ways(rule, range(6))
