"""The record of cards that were not compared yet, and reads of thousands of rows at a time."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backoffice.registry import new_cards
from backoffice.registry.registry import IssuedCard, Registry, State
from tests.support.city.registry_reads import issued_uids, remove_state, snapshot


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(f"sqlite:///{tmp_path / 'registry.db'}") as opened:
        yield opened


def cards(*numbers: int) -> list[IssuedCard]:
    return [IssuedCard(b"\x04" + number.to_bytes(6)) for number in numbers]


def test_only_what_was_added_since_is_returned(registry: Registry) -> None:
    assert registry.new_cards.since() == (0, 0, ())
    registry.add_cards(cards(1, 2))
    registry.add_cards(cards(2, 3))
    added, checked, uids = registry.new_cards.since()
    assert (added, checked, sorted(uids or ())) == (3, 0, [card.uid for card in cards(1, 2, 3)])
    registry.new_cards.checked(2)
    assert registry.new_cards.since() == (3, 2, (cards(3)[0].uid,))
    registry.set_states("staff", [State(card.uid, is_in=True) for card in cards(1, 4)], issue=True)
    registry.new_cards.checked(3)
    assert registry.new_cards.since() == (4, 3, (cards(4)[0].uid,))


def test_an_undone_batch_leaves_no_trace(registry: Registry) -> None:
    registry.add_cards(cards(1), keep=False)
    assert registry.new_cards.since() == (0, 0, ())


def test_too_many_are_not_recorded_and_that_is_returned(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_cards, "RECORDED_MAX", 3)
    registry.add_cards(cards(1, 2))
    registry.add_cards(cards(3, 4))
    assert registry.new_cards.since() == (4, 0, None)
    registry.add_cards(cards(5))
    registry.new_cards.checked(4)
    assert registry.new_cards.since() == (5, 4, None), "it was added while there were too many"
    registry.new_cards.checked(5)
    registry.add_cards(cards(6))
    assert registry.new_cards.since() == (6, 5, (cards(6)[0].uid,))


def test_a_read_of_many_rows_leaves_none_out(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backoffice.registry.database._FETCHED_ROWS", 7)
    uids = [card.uid for card in cards(*range(100))]
    registry.set_states("matched", [State(uid, is_in=True) for uid in uids], issue=True)
    registry.claim(1)
    remove_state(registry, "matched", uids[50])
    assert sorted(issued_uids(registry)) == uids
    assert sorted(snapshot(registry, "matched", 1)) == [State(uid, is_in=True) for uid in uids]
    batches = [len(batch) for batch in registry.state_batches("matched", 0, 1)]
    assert batches == [7] * 14 + [2]
