"""The courier's stores: the real ones and the stand-ins of tests keep the same promises.

tests/contracts/test_courier_ports.py holds the other ports.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.contracts.courier_kinds import KEY_HEX, KINDS, RULE, a_line, accepted
from tests.simulation.fleet.city import PieceIs
from tests.simulation.fleet.list_store import Held, SimListStore
from tests.simulation.fleet.ports import (
    SimAcceptedStore,
)
from tests.support.city.list_making import KEY
from tests.support.city.town import uid, wire
from tests.support.gate.courier_world import (
    NOW_UNIX_S,
    FakeAcceptedStore,
    FakeListStore,
    World,
)
from validator.courier.ports import (
    AcceptedStore,
    Fetched,
    ListStore,
)
from validator.courier.store.accepted_store import DiskAcceptedStore
from validator.courier.store.list_store import DiskListStore
from validator.domain.rules import Effect
from validator.lists.manifest import Manifest, PieceEntry, RuleEntry
from validator.lists.segment import NO_END

# --- where it is written down what was accepted ---


@pytest.fixture(params=KINDS)
def accepted_store(request: pytest.FixtureRequest, tmp_path: Path) -> AcceptedStore:
    made: dict[str, Callable[[], AcceptedStore]] = {
        "real": lambda: DiskAcceptedStore(tmp_path),
        "world": lambda: FakeAcceptedStore(World()),
        "fleet": lambda: SimAcceptedStore(a_line()),
    }
    return made[request.param]()


def test_a_new_accepted_store_has_nothing_and_needs_no_repair(
    accepted_store: AcceptedStore,
) -> None:
    assert accepted_store.accepted is None
    assert list(accepted_store.mend()) == []


def test_an_accepted_store_gives_back_what_was_accepted_last(
    accepted_store: AcceptedStore,
) -> None:
    for version in (7, 9, 8):  # the floor decides which may follow which
        accepted_store.keep_root(f"root {version}".encode())
        accepted_store.accept(accepted(version))
        assert accepted_store.accepted == accepted(version)
    assert list(accepted_store.mend()) == [], "nothing was damaged"
    assert accepted_store.accepted == accepted(8)


# --- the lists that a gate holds ---


@dataclass
class Lists:
    """A list store, and pieces as it takes them."""

    store: ListStore
    piece: Callable[[int, int], Fetched]

    def bring(self, from_version: int, to_version: int, era: int = 1) -> None:
        fetched = self.piece(from_version, to_version)
        rule = RuleEntry(RULE, Effect.REFUSE, (fetched.entry,))
        times = (NOW_UNIX_S, NOW_UNIX_S + 500_000)
        manifest = Manifest(to_version, *times, (rule,), fingerprint_key=KEY_HEX)
        self.store.install(manifest, era, {RULE: [fetched]})

    def at(self, *, key: str = KEY_HEX, era: int = 1, rule: str = RULE) -> int:
        return self.store.standing(rule, key, era)


@pytest.fixture(params=KINDS)
def lists(request: pytest.FixtureRequest, tmp_path: Path) -> Lists:
    for made in ("disk", "pieces"):
        (tmp_path / made).mkdir()
    of_city = SimpleNamespace(pieces={}, plan=SimpleNamespace(cards=0))

    def real(from_version: int, to_version: int) -> Fetched:
        cards = {uid(number): NO_END for number in range(40 if from_version == 0 else 2)}
        content = wire(cards, from_version, to_version, rule=RULE, key=KEY)
        path = tmp_path / "pieces" / f"{from_version}-{to_version}.wire"
        path.write_bytes(content)
        digest = sha256(content).hexdigest()
        of_city.pieces[digest] = PieceIs(RULE, len(cards))
        return Fetched(PieceEntry(from_version, to_version, len(content), digest), path)

    def named(from_version: int, to_version: int) -> Fetched:
        entry = real(from_version, to_version).entry
        return Fetched(entry, Path(entry.sha256))

    simulated: Any = of_city  # as much of a city as the simulated store reads
    stores: dict[str, Callable[[], Lists]] = {
        "real": lambda: Lists(DiskListStore(tmp_path / "disk", tmp_path / "memory"), real),
        "world": lambda: Lists(FakeListStore(World()), named),
        "fleet": lambda: Lists(SimListStore(simulated, a_line().count, Held()), named),
    }
    return stores[request.param]()


def test_an_empty_list_store_holds_nothing(lists: Lists) -> None:
    assert lists.store.held == (0, 0)
    assert (lists.at(), lists.store.kept(RULE)) == (0, 0)
    assert list(lists.store.mend()) == []


def test_a_snapshot_is_found_by_rule_key_and_era_and_survives_a_power_cut(
    lists: Lists,
) -> None:
    lists.bring(0, 5)
    assert lists.store.held == (1, 5)
    assert (lists.at(), lists.store.kept(RULE)) == (5, 5)
    assert lists.at(rule="another") == 0
    assert lists.at(key="0" * 16) == 0
    assert lists.at(era=2) == 0
    assert list(lists.store.mend()) == []


def test_a_small_change_moves_the_table_on_and_its_pieces_have_to_be_kept(lists: Lists) -> None:
    lists.bring(0, 5)
    lists.bring(5, 6)
    assert lists.store.held == (1, 6)
    assert (lists.at(), lists.store.kept(RULE)) == (6, 5)


def test_a_list_of_a_new_era_replaces_one_of_a_higher_version(lists: Lists) -> None:
    lists.bring(0, 5)
    lists.bring(0, 3, era=2)
    assert lists.store.held == (2, 3)
    assert (lists.at(era=2), lists.at(era=1)) == (3, 0)
