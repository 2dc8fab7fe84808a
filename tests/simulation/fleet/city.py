"""A simulated city: the changes of its cards, and what its back office publishes, day by day.

Manifests and indexes are real; nothing is signed. The city does not depend on its gates, so its
whole timeline is built before the first gate polls. The pieces are those that
backoffice/publishing/pieces.py schedules, with the sizes of real ones (sizes.py). Times are
seconds since the first simulated midnight; negative times are history.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import NamedTuple

import msgspec
import numpy as np

from backoffice.publishing.pieces import Due, Schedule, due, joined, kept, missing, recent
from backoffice.registry.publications import Kind, Piece
from tests.simulation.fleet import sizes
from validator.domain.rules import Effect
from validator.lists.manifest import IndexEntry, Manifest, PieceEntry, RuleEntry, ScopeEntry, encode
from validator.lists.piece_index import PieceIndex

DAY_S = 86_400
EPOCH_UNIX_S = 1_609_459_200  # midnight, UTC
TIMESTAMP_VALID_S = 6 * 3_600
LISTS_VALID_S = 5 * DAY_S
# Long before the first day the city published once an hour: a gate that was away since then takes
# pieces of days. From WARM_S before the first day on it published as often as later, so that every
# piece of a minute is there.
HISTORY_STEP_S = 3_600
WARM_S = 3 * 3_600
# How a city's day goes, by the hour: share of the changes. Local time is three hours ahead of UTC.
HOURS = (2, 1, 1, 1, 1, 2, 4, 7, 8, 7, 6, 6, 6, 6, 6, 6, 6, 7, 8, 7, 6, 5, 4, 3)
LOCAL_S = 3 * 3_600


class RulePlan(NamedTuple):
    """A rule: how many cards change a day, how many its table has, and whether they have ends."""

    name: str
    effect: Effect
    changes_a_day: float
    cards: int
    snapshot_bytes: int
    ending: bool


def rules(changes_a_day: int) -> tuple[RulePlan, ...]:
    """The city's rules: half of the changes are suspensions and early ends, half matched cards."""
    half = changes_a_day / 2
    tables = sizes.SNAPSHOTS
    return (
        RulePlan("suspended", Effect.REFUSE, half, *tables["suspended"], ending=True),
        RulePlan("staff", Effect.ADMIT, 20, *tables["staff"], ending=False),
        RulePlan("matched", Effect.REQUIRE, half, *tables["matched"], ending=False),
    )


class CityPlan(NamedTuple):
    """What kind of city to simulate.

    With `cards` above 0 every change is of one of so many cards, and each is followed: for tests.
    """

    days: float = 2.0
    publish_every_s: int = 60
    changes_a_day: int = 150_000
    history_days: int = 75
    seed: int = 1
    rotate_key_at_s: float = float("inf")
    cards: int = 0


@dataclass(frozen=True, slots=True)
class Published:
    """One publication: its time, manifest and pieces on offer. In history `manifest` is empty."""

    at_s: float
    version: int
    manifest: bytes
    index_sha256: str
    index_bytes: int
    offered: Mapping[str, Sequence[Piece]]
    changed: Mapping[str, int]
    """The list version at which each rule changed last."""

    @property
    def unix_s(self) -> int:
        """The Unix time at which the list was issued and signed."""
        return EPOCH_UNIX_S + int(self.at_s)


class PieceIs(NamedTuple):
    """What a piece on offer is, by its hash."""

    rule: str
    cards: int


@dataclass
class City:
    """The whole timeline, built at once."""

    plan: CityPlan
    rules: tuple[RulePlan, ...] = field(init=False)
    published: list[Published] = field(init=False, default_factory=list)
    pieces: dict[str, PieceIs] = field(init=False, default_factory=dict)
    withdrawn_s: dict[str, float] = field(init=False, default_factory=dict)
    """By hash, the time at which a piece was last listed in the index, if it was withdrawn."""

    def __post_init__(self) -> None:
        self.rules = rules(self.plan.changes_a_day)
        self._schedule = Schedule.of(len(self.rules))
        self._entries: dict[tuple[str, int, int, int], PieceEntry] = {}
        self._key = 1
        self._totals: dict[str, list[int]] = {rule.name: [0] for rule in self.rules}
        self.log: dict[str, list[tuple[int, int, bool]]] = {rule.name: [] for rule in self.rules}
        """Of followed cards: list version, card, and whether it is in from then on."""
        self._live()
        self._at_s = [each.at_s for each in self.published]
        self._index = lru_cache(maxsize=256)(self._encoded_index)

    @property
    def end_s(self) -> float:
        """The end of the simulation."""
        return self.plan.days * DAY_S

    def at(self, at_s: float) -> Published:
        """What is public at this time."""
        return self.published[bisect_right(self._at_s, at_s) - 1]

    def version(self, version: int) -> Published:
        """The publication of this list version."""
        return self.published[version - 1]

    def index(self, published: Published) -> bytes:
        """The index of this publication."""
        return self._index(published.version)

    def key(self, published: Published) -> str:
        """The id of the fingerprint key of this publication."""
        return _key_hex(2 if published.at_s >= self.plan.rotate_key_at_s else 1)

    def changes(self, rule: str, from_version: int, to_version: int) -> int:
        """How many changes a rule had after the one version, up to the other."""
        totals = self._totals[rule]
        return totals[to_version] - totals[from_version]

    def followed(self, rule: str, from_version: int, to_version: int) -> dict[int, bool]:
        """The last state of each followed card that changed in (from_version, to_version].

        With `from_version` 0, only the cards that are in.
        """
        log = self.log[rule]
        start, end = (
            bisect_right(log, (version, self.plan.cards, True))
            for version in (from_version, to_version)
        )
        cards = {card: is_in for _, card, is_in in log[start:end]}
        return cards if from_version else {card: True for card, is_in in cards.items() if is_in}

    def _live(self) -> None:
        rng, cards = np.random.default_rng(self.plan.seed), Random(self.plan.seed)
        offered: dict[str, tuple[Piece, ...]] = {rule.name: () for rule in self.rules}
        changed = {rule.name: 0 for rule in self.rules}
        before_s = float(-self.plan.history_days * DAY_S)
        for at_s in self._moments():
            version = len(self.published) + 1
            if at_s >= self.plan.rotate_key_at_s and self._key == 1:
                self._key, offered = 2, dict.fromkeys(offered, ())
            for rule in self.rules:
                count = int(rng.poisson(rule.changes_a_day * _share_of_day(before_s, at_s)))
                self._totals[rule.name].append(self._totals[rule.name][-1] + count)
                changed[rule.name] = version if count else changed[rule.name]
                self._follow(rule.name, version, count, cards)
                there = offered[rule.name]
                offered[rule.name] = self._offer(rule, there, version, at_s, changed=count > 0)
                self._note_withdrawn(there, offered[rule.name], at_s)
            self.published.append(self._publication(at_s, version, offered, changed))
            before_s = at_s

    def _moments(self) -> Sequence[float]:
        history = range(-self.plan.history_days * DAY_S + HISTORY_STEP_S, -WARM_S, HISTORY_STEP_S)
        return [*history, *range(-WARM_S, int(self.end_s) + 1, self.plan.publish_every_s)]

    def _offer(
        self, rule: RulePlan, there: tuple[Piece, ...], version: int, at_s: float, *, changed: bool
    ) -> tuple[Piece, ...]:
        unix_s, schedule = EPOCH_UNIX_S + int(at_s), self._schedule
        wanted = due(there, version=version, now_unix_s=unix_s, changed=changed, schedule=schedule)

        def build(one: Due) -> Piece:
            entry, is_snapshot = self._made(rule, one), one.kind is Kind.SNAPSHOT
            cards = (
                rule.cards
                if is_snapshot
                else self.changes(rule.name, one.from_version, one.to_version)
            )
            self.pieces[entry.sha256] = PieceIs(rule.name, cards)
            return Piece(
                one.kind, one.from_version, one.to_version, entry.bytes, unix_s, entry.sha256
            )

        built = [build(one) for one in missing(there, wanted)]
        return kept(joined(there, wanted, built, unix_s), unix_s, schedule)

    def _made(self, rule: RulePlan, one: Due) -> PieceEntry:
        if one.from_version == 0:
            bytes_ = rule.snapshot_bytes
        else:
            bytes_ = sizes.change_bytes(
                self.changes(rule.name, one.from_version, one.to_version), ending=rule.ending
            )
        number = [each.name for each in self.rules].index(rule.name)
        sha256 = f"{self._key:08x}{number:08x}{one.from_version:024x}{one.to_version:024x}"
        entry = PieceEntry(one.from_version, one.to_version, bytes_, sha256)
        self._entries[rule.name, self._key, one.from_version, one.to_version] = entry
        return entry

    def _note_withdrawn(self, before: Sequence[Piece], after: Sequence[Piece], at_s: float) -> None:
        for piece in {each.sha256 for each in before} - {each.sha256 for each in after}:
            self.withdrawn_s[piece] = at_s

    def _publication(
        self,
        at_s: float,
        version: int,
        offered: Mapping[str, tuple[Piece, ...]],
        changed: Mapping[str, int],
    ) -> Published:
        if at_s < 0:
            return Published(at_s, version, b"", "", 0, {}, dict(changed))
        held = dict(offered)
        index_sha256, index_bytes = f"{version:064x}", len(self._index_of(held))
        issued_unix_s = EPOCH_UNIX_S + int(at_s)
        manifest = Manifest(
            version,
            issued_unix_s,
            issued_unix_s + LISTS_VALID_S,
            tuple(self._rule_entry(rule, held[rule.name]) for rule in self.rules),
            index=IndexEntry(index_bytes, index_sha256),
            fingerprint_key=_key_hex(self._key),
        )
        return Published(
            at_s, version, encode(manifest), index_sha256, index_bytes, held, dict(changed)
        )

    def _rule_entry(self, rule: RulePlan, offered: tuple[Piece, ...]) -> RuleEntry[PieceEntry]:
        named = tuple(self._entry(rule.name, piece) for piece in recent(offered))
        if rule.effect is Effect.REQUIRE:
            return RuleEntry(
                rule.name, rule.effect, named, ScopeEntry((7,)), EPOCH_UNIX_S, notice=True
            )
        return RuleEntry(rule.name, rule.effect, named, reports=True)

    def _entry(self, rule: str, piece: Piece) -> PieceEntry:
        return self._entries[rule, self._key, piece.from_version, piece.to_version]

    def _index_of(self, offered: Mapping[str, Sequence[Piece]]) -> bytes:
        entries = {
            rule: tuple(
                self._entries[rule, int(piece.sha256[:8], 16), piece.from_version, piece.to_version]
                for piece in pieces
            )
            for rule, pieces in offered.items()
        }
        return msgspec.json.encode(PieceIndex(entries))

    def _encoded_index(self, version: int) -> bytes:
        return self._index_of(self.version(version).offered)

    def _follow(self, rule: str, version: int, count: int, cards: Random) -> None:
        for _ in range(count if self.plan.cards else 0):
            self.log[rule].append((version, cards.randrange(self.plan.cards), cards.random() < 0.5))


def _share_of_day(from_s: float, to_s: float) -> float:
    """The share of a day's changes that comes in this short span."""
    hour = int((from_s + LOCAL_S) // 3_600) % 24
    return (to_s - from_s) / DAY_S * HOURS[hour] * 24 / sum(HOURS)


def _key_hex(number: int) -> str:
    return f"{number:016x}"
