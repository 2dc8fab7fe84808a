"""A simulated list store: the levels of DiskListStore by numbers of cards, without the cards.

It counts the bytes written to the SD card, and writes a table there when the constants of the real
store do; tests/simulation/test_fleet_list_store.py compares the two. Each segment of a table has
its span of versions, so that a gap between two cannot go unseen.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from tests.simulation.fleet.city import City
from tests.simulation.fleet.sizes import BLOCK_BYTES, blocks
from tests.simulation.fleet.tally import Of
from validator.courier.ports import Fetched
from validator.courier.store.list_store import BASE_SHARE, TOP_CARDS_MAX
from validator.lists.manifest import PublishedManifest
from validator.lists.segment import INDEX_BITS, INDEX_CARDS_MIN, Layout

Cards = dict[int, bool]
"""Of followed cards: whether each is in."""


class Level(NamedTuple):
    """A segment of a table."""

    from_version: int
    to_version: int
    cards: int
    on_card: bool

    @property
    def bytes_(self) -> int:
        """The size of the segment's file."""
        return Layout.of(self.cards, INDEX_BITS if self.cards >= INDEX_CARDS_MIN else 0).size


@dataclass(frozen=True, slots=True)
class Held:
    """A list: its era, version and key, and of each rule the segments, newest first."""

    era: int = 0
    version: int = 0
    key: str | None = None
    tables: Mapping[str, Sequence[Level]] = field(default_factory=dict)
    cards: Mapping[str, Cards] = field(default_factory=dict)


class SimListStore:
    """courier.ports.ListStore."""

    def __init__(self, city: City, count: Callable[[Of, int], None], begins: Held) -> None:
        """`count` is called with the bytes of each write to the SD card."""
        self._city = city
        self._count = count
        self.list = self._on_card = begins
        self._kept: defaultdict[str, int] = defaultdict(int)
        # See courier.ports.ListStore. At each poll the courier asks once for each of thousands of
        # pieces, so this is a plain look-up.
        self.kept = self._kept.__getitem__
        self._note_kept()

    @property
    def held(self) -> tuple[int, int]:
        """See courier.ports.ListStore."""
        return self.list.era, self.list.version

    def mend(self, *, suspect: bool = False) -> Sequence[str]:
        """See courier.ports.ListStore. This card forgets nothing."""
        assert not suspect
        return ()

    def standing(self, rule: str, fingerprint_key: str | None, era: int) -> int:
        """See courier.ports.ListStore."""
        held = self.list
        return (
            held.version
            if held.era == era and held.key == fingerprint_key and rule in held.tables
            else 0
        )

    def power_cut(self) -> None:
        """Lose what was in memory alone."""
        self.list = self._on_card
        self._note_kept()

    def newest(self, rule: str) -> int:
        """The version up to which this rule's table has every change.

        Raises:
            AssertionError: there is a gap in the table.
        """
        levels = self.list.tables[rule]
        for newer, older in pairwise(levels):
            assert newer.from_version <= older.to_version < newer.to_version, (rule, levels)
        assert levels[-1].from_version == 0, (rule, levels)
        return levels[0].to_version

    def install(
        self, manifest: PublishedManifest, era: int, chains: Mapping[str, Sequence[Fetched]]
    ) -> None:
        """See courier.ports.ListStore; as DiskListStore does it."""
        pieces = {
            rule: [self._level(fetched) for fetched in reversed(chain)]
            for rule, chain in chains.items()
        }
        to_card = self._is_large(era, pieces)
        tables = {
            rule.name: self._table(rule.name, pieces[rule.name], to_card=to_card)
            for rule in manifest.rules
        }
        cards = (
            {rule: self._followed(rule, chain) for rule, chain in chains.items()}
            if self._city.plan.cards
            else {}
        )
        self.list = Held(era, manifest.list_version, manifest.fingerprint_key, tables, cards)
        self._note_kept()
        if to_card:
            self._on_card = self.list
            self._count(Of.SD_LISTS, BLOCK_BYTES)  # its manifest

    def _level(self, fetched: Fetched) -> Level:
        entry = fetched.entry
        return Level(
            entry.from_version,
            entry.to_version,
            self._city.pieces[entry.sha256].cards,
            on_card=False,
        )

    def _is_large(self, era: int, pieces: Mapping[str, Sequence[Level]]) -> bool:
        if self.list.era != era:
            return True
        for rule, new in pieces.items():
            if new and new[-1].from_version == 0:
                return True
            top = [level for level in self.list.tables.get(rule, ()) if not level.on_card]
            if sum(level.cards for level in (*top, *new)) > TOP_CARDS_MAX:
                return True
        return False

    def _table(self, rule: str, new: Sequence[Level], *, to_card: bool) -> Sequence[Level]:
        if to_card:
            new = [self._written(level) for level in new]
        has_snapshot = bool(new) and new[-1].from_version == 0
        *changes, base = [*new, *(() if has_snapshot else self.list.tables[rule])]
        if not to_card:
            on_card = [level for level in changes if level.on_card]
            return (
                *self._folded([level for level in changes if not level.on_card], to_card=False),
                *on_card,
                base,
            )
        levels = (*self._folded(changes, to_card=True), base)
        if len(levels) > 1 and levels[0].bytes_ * BASE_SHARE > base.bytes_:
            levels = self._folded(levels, to_card=True)
        return levels

    def _folded(self, levels: Sequence[Level], *, to_card: bool) -> tuple[Level, ...]:
        """These levels as one.

        Few cards change twice before a fold, so the numbers of cards are added; a base keeps its
        number.
        """
        if not levels or (len(levels) == 1 and levels[0].on_card == to_card):
            return tuple(levels)
        first, last = levels[0], levels[-1]
        cards = last.cards if last.from_version == 0 else sum(level.cards for level in levels)
        level = Level(last.from_version, first.to_version, cards, on_card=False)
        return (self._written(level) if to_card else level,)

    def _written(self, level: Level) -> Level:
        self._count(Of.SD_LISTS, blocks(level.bytes_))
        return level._replace(on_card=True)

    def _followed(self, rule: str, chain: Sequence[Fetched]) -> Cards:
        cards = dict(self.list.cards.get(rule, {}))
        for fetched in chain:
            entry = fetched.entry
            cards = {} if entry.from_version == 0 else cards
            cards |= self._city.followed(rule, entry.from_version, entry.to_version)
        return cards

    def _note_kept(self) -> None:
        self._kept.clear()
        for rule, levels in self.list.tables.items():
            self._kept[rule] = max(
                (level.to_version for level in levels if level.on_card), default=0
            )
