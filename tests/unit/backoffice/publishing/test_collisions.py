"""The search for cards with one fingerprint: each pair is compared once, also after a kill.

No card is ever named.
"""

import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from backoffice.publishing import collisions
from backoffice.publishing.collisions import Comparison
from backoffice.publishing.fingerprints import CardsError, Fingerprints, hasher
from backoffice.registry import new_cards
from backoffice.registry.registry import IssuedCard, Registry
from tests.support.city.list_making import KEY, OTHER_KEY
from tests.support.city.town import uid
from validator.lists.fingerprint_keys import key_id


@dataclass
class Cards:
    """A registry and the comparison of its cards. `twins` share a fingerprint."""

    folder: Path
    registry: Registry
    key: bytes = KEY
    twins: dict[bytes, bytes] = field(default_factory=dict)
    hashed: list[bytes] = field(default_factory=list)
    told: list[tuple[int, int]] = field(default_factory=list)

    def issue(self, *numbers: int) -> None:
        """Issue cards."""
        self.registry.add_cards([IssuedCard(uid(number)) for number in sorted(numbers)])

    def check(self) -> int:
        """Compare, as a run of the publisher does."""
        comparison = Comparison(self.registry, self.folder / "kept", key_id(self.key), self._hashed)
        return comparison.check(lambda done, total: self.told.append((done, total)))

    def refused(self) -> None:
        """Compare. Returns the line about a collision, which names no card."""
        with pytest.raises(
            CardsError, match="has the fingerprint of another card, so nothing is published"
        ) as error:
            self.check()
        assert "\n" not in str(error.value)
        assert not any(card.hex() in str(error.value) for card in self.hashed)

    @property
    def file(self) -> Path:
        """Where the fingerprints are kept."""
        return self.folder / "kept" / "compared.u64"

    def _hashed(self, uids: Sequence[bytes]) -> Fingerprints:
        self.hashed += uids
        return hasher(self.key)([self.twins.get(card, card) for card in uids])


@pytest.fixture
def cards(tmp_path: Path) -> Iterator[Cards]:
    """Some cards, not compared yet."""
    with Registry.open(f"sqlite:///{tmp_path / 'registry.db'}") as registry:
        made = Cards(tmp_path, registry)
        made.issue(*range(10))
        yield made


def test_all_are_compared_once_and_then_only_what_is_new(cards: Cards) -> None:
    assert cards.check() == 10
    assert cards.told[-1] == (10, 10)
    assert cards.check() == 0
    cards.issue(10, 11)
    cards.hashed.clear()
    assert cards.check() == 2
    assert sorted(cards.hashed) == [uid(10), uid(11)]
    assert cards.check() == 0


def test_a_city_without_a_card_has_nothing_to_compare(tmp_path: Path) -> None:
    with Registry.open(f"sqlite:///{tmp_path / 'registry.db'}") as registry:
        town = Cards(tmp_path, registry)
        assert (town.check(), town.check()) == (0, 0)
        town.issue(1)
        assert (town.check(), town.check()) == (1, 0)


def test_a_new_card_like_an_old_one_is_found_each_time_until_the_key_is_another(
    cards: Cards,
) -> None:
    cards.check()
    cards.twins[uid(20)] = uid(3)
    cards.issue(20)
    cards.refused()
    cards.refused()
    cards.key = OTHER_KEY
    cards.twins.clear()
    assert cards.check() == 11


def test_two_new_cards_that_are_alike_are_found(cards: Cards) -> None:
    cards.check()
    cards.twins[uid(21)] = uid(20)
    cards.issue(20, 21)
    cards.refused()


def test_two_of_the_first_cards_that_are_alike_are_found(cards: Cards) -> None:
    cards.twins[uid(7)] = uid(2)
    cards.refused()


def test_a_new_card_like_one_that_was_new_before_is_found(cards: Cards) -> None:
    cards.check()
    cards.issue(20)
    cards.check()
    cards.twins[uid(21)] = uid(20)
    cards.issue(21)
    cards.refused()


@pytest.mark.parametrize(
    "content", [None, b"", b"\0" * 40, "cut"], ids=["gone", "empty", "damaged", "cut short"]
)
def test_without_the_file_that_was_kept_all_are_compared_again(
    cards: Cards, content: bytes | str | None
) -> None:
    cards.check()
    if content is None:
        cards.file.unlink()
    else:
        cards.file.write_bytes(
            cards.file.read_bytes()[:-1] if isinstance(content, str) else content
        )
    cards.issue(20)
    assert cards.check() == 11
    cards.issue(21)
    assert cards.check() == 1


def test_the_file_of_another_registry_counts_for_nothing(cards: Cards, tmp_path: Path) -> None:
    cards.check()
    with Registry.open(f"sqlite:///{tmp_path / 'other.db'}") as other:
        town = Cards(tmp_path, other)
        town.issue(*range(30, 40))
        assert town.check() == 10
    cards.issue(20)
    cards.twins[uid(20)] = uid(3)
    cards.refused()


def test_killed_between_keeping_and_noting_it_compares_all_again(
    cards: Cards, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards.check()
    monkeypatch.setattr(collisions, "MERGED_MIN", 1)
    cards.issue(20)

    def killed(_note: str, _text: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cards.registry, "set_meta", killed)
        with pytest.raises(KeyboardInterrupt):
            cards.check()
    cards.twins[uid(21)] = uid(20)
    cards.issue(21)
    cards.refused()
    cards.twins.clear()
    assert cards.check() == 12


def test_many_new_cards_are_put_into_the_file_and_few_are_not(
    cards: Cards, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collisions, "MERGED_MIN", 3)
    cards.check()
    size = cards.file.stat().st_size
    cards.issue(20, 21)
    assert cards.check() == 2
    assert cards.file.stat().st_size == size
    cards.issue(22)
    assert cards.check() == 3, "the two of before, and this one"
    assert cards.file.stat().st_size == size + 3 * 8
    cards.issue(23)
    assert cards.check() == 1
    kept = np.fromfile(cards.file, "<u8", offset=40)
    assert kept.tolist() == sorted(
        hasher(KEY)([uid(number) for number in (*range(10), 20, 21, 22)]).tolist()
    )


def test_more_new_cards_than_are_recorded_are_compared_with_all_the_others(
    cards: Cards, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_cards, "RECORDED_MAX", 3)
    cards.check()
    cards.issue(*range(20, 25))
    assert cards.check() == 15
    cards.issue(30)
    assert cards.check() == 1


def test_cards_that_are_added_while_the_others_are_read_are_compared_too(
    cards: Cards, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = cards.registry.new_cards.since

    def since() -> new_cards.NewCards:
        found = real()
        if not cards.registry.card(uid(20)):
            cards.issue(20)
        return found

    monkeypatch.setattr(cards.registry.new_cards, "since", since)
    assert cards.check() == 11
    assert cards.check() == 0
    cards.issue(21)
    assert cards.check() == 1


def test_no_other_user_may_read_what_is_kept(cards: Cards) -> None:
    cards.check()
    assert stat.S_IMODE(cards.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(cards.file.parent.stat().st_mode) == 0o700
    assert [path.name for path in cards.file.parent.iterdir()] == ["compared.u64"]


def test_a_disk_that_is_full_leaves_the_file_of_before(
    cards: Cards, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards.check()
    before = cards.file.read_bytes()
    cards.issue(20)
    monkeypatch.setattr(collisions, "MERGED_MIN", 1)

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            cards.check()
    assert cards.file.read_bytes() == before
    assert [path.name for path in cards.file.parent.iterdir()] == ["compared.u64"]
    assert cards.check() == 1
