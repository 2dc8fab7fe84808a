"""The simulated list store equals the real one: its levels, and the bytes on the SD card."""

from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from tests.simulation.fleet import list_store as sim_module
from tests.simulation.fleet.city import PieceIs
from tests.simulation.fleet.list_store import Held, SimListStore
from tests.simulation.fleet.sizes import BLOCK_BYTES
from tests.simulation.fleet.tally import Of
from tests.support.city.list_making import KEY
from tests.support.city.town import uid, wire
from validator.courier.ports import Fetched
from validator.courier.store import list_store
from validator.courier.store.list_store import DiskListStore
from validator.domain.rules import Effect
from validator.lists.fingerprint_keys import key_id
from validator.lists.manifest import Manifest, PieceEntry, RuleEntry
from validator.lists.segment import NO_END

NOW_UNIX_S = 1_800_000_000
KEY_HEX = key_id(KEY).hex()
RULE = "suspended"
BASE_CARDS = 2_000
TOP_CARDS = 60


class Pair:
    """Both list stores, given the same pieces.

    Changes are of cards that the table has, each another one, so that numbers of cards add up.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        for made in ("disk", "pieces"):
            (path / made).mkdir()
        self.real = DiskListStore(path / "disk", path / "memory")
        self.city = SimpleNamespace(pieces={}, plan=SimpleNamespace(cards=0))
        self.counted = self.writes = 0
        city: Any = self.city  # a part of a City: all that the store uses
        self.sim = SimListStore(city, self._count, Held())
        self.version = 0
        self._next_card = 0

    def _count(self, of: Of, bytes_: int) -> None:
        assert of is Of.SD_LISTS
        self.counted += bytes_
        self.writes += 1

    def bring(self, *counts: int, snapshot: bool = False) -> None:
        """Install pieces with so many cards, one version each; the first may be a snapshot."""
        chain: list[Fetched] = []
        for count in counts:
            from_version = 0 if snapshot and not chain else self.version
            self.version += 1
            chain.append(self._piece(from_version, count))
        rule = RuleEntry(RULE, Effect.REFUSE, (chain[-1].entry,))
        manifest = Manifest(
            self.version, NOW_UNIX_S, NOW_UNIX_S + 500_000, (rule,), fingerprint_key=KEY_HEX
        )
        for store in (self.real, self.sim):
            store.install(manifest, 1, {RULE: chain})

    def _piece(self, from_version: int, count: int) -> Fetched:
        begin = 0 if from_version == 0 else self._next_card
        self._next_card = 0 if from_version == 0 else begin + count
        cards = {uid(number % BASE_CARDS): NO_END for number in range(begin, begin + count)}
        content = wire(cards, from_version, self.version, rule=RULE, key=KEY)
        sha256 = f"{self.version:064x}"
        path = self.path / "pieces" / f"{self.version}.wire"
        path.write_bytes(content)
        self.city.pieces[sha256] = PieceIs(RULE, count)
        return Fetched(PieceEntry(from_version, self.version, len(content), sha256), path)

    def real_levels(self) -> list[tuple[int, int, bool]]:
        return [
            (each.from_version, each.to_version, self.real._files.on_disk(each))
            for each in self.real._segments(RULE)
        ]

    def sim_levels(self) -> list[tuple[int, int, bool]]:
        return [
            (each.from_version, each.to_version, each.on_card)
            for each in self.sim.list.tables[RULE]
        ]

    def check(self) -> None:
        assert self.sim_levels() == self.real_levels()
        assert self.sim.held == self.real.held
        assert self.sim.kept(RULE) == self.real.kept(RULE)
        assert self.sim.standing(RULE, KEY_HEX, 1) == self.real.standing(RULE, KEY_HEX, 1)
        # The simulated store counts whole blocks, and no file that is stored already.
        assert (
            self.real.disk_bytes <= self.counted <= self.real.disk_bytes + self.writes * BLOCK_BYTES
        )


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pair:
    for module in (list_store, sim_module):
        monkeypatch.setattr(module, "TOP_CARDS_MAX", TOP_CARDS)
    pair = Pair(tmp_path)
    pair.bring(BASE_CARDS, snapshot=True)
    pair.check()
    return pair


@pytest.mark.parametrize("seed", range(2))
def test_the_same_pieces_make_the_same_levels(pair: Pair, seed: int) -> None:
    rng, seen = Random(seed), set()
    for _ in range(30):
        pair.bring(*(rng.randrange(1, 25) for _ in range(rng.choice((1, 1, 1, 2, 3)))))
        pair.check()
        seen.add(len(pair.sim_levels()))
    assert seen >= {2, 3}  # with a middle, and without one


def test_a_chain_that_begins_with_a_snapshot_goes_to_the_card_as_a_whole(pair: Pair) -> None:
    pair.bring(5)
    pair.bring(BASE_CARDS, 7, snapshot=True)
    pair.check()
    assert all(on_card for _, _, on_card in pair.sim_levels())


def test_after_a_power_cut_both_hold_what_was_on_the_card(pair: Pair) -> None:
    for count in (30, 40, 10):  # 70 are too many for the top
        pair.bring(count)
    pair.check()
    for file in (pair.path / "memory").iterdir():
        file.unlink()
    pair.real = DiskListStore(pair.path / "disk", pair.path / "memory")
    pair.sim.power_cut()
    assert pair.sim_levels() == pair.real_levels()
    assert pair.sim.held == pair.real.held == (1, 3)
