"""Measure the decision, from the bytes of a UID to a verdict, over real segment files.

Serves the budget "decision, UID bytes → verdict". There is no device and no other process. Three
rules are asked in order: suspended, staff, matched. The same decision is then made with what a user
would pick instead of a segment for the matched table; suspended and staff stay as they are. Rounds
of all contenders take turns, so that a disturbance of the machine meets all of them.
"""

import io
import mmap
import sqlite3
import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path

import diskcache
import numpy as np

from benchmarks.context import Bench, quiet_memory
from benchmarks.rows import Limit, Row, timed
from benchmarks.town import MATCHED_UNIT_S, Town
from validator.domain.cards import FINGERPRINT_BITS, Card, CardUid, fingerprinter
from validator.domain.decision import Decision, ListPolicy, Verdict, WhenMissing, WhenStale, decide
from validator.domain.rules import RuleSet, Table
from validator.host.clock import Clock
from validator.lists.fingerprint_keys import key_id
from validator.lists.segment import NO_END, MappedTable, Segment
from validator.lists.segment_builder import Head, write_segment

ATQA, SAK = 0x0344, 0x20  # DESFire EV1
POLICY = ListPolicy(WhenStale.DECIDE, WhenMissing.DENY)
ROUNDS = 20
CHANGED_DAY, CHANGED_HOUR = 150_000, 6_000
WARM_UP = 200  # decisions in each round that are made and not counted
BUDGET = (Limit("p50", 5.0), Limit("p99", 20.0))

Decide = Callable[[bytes], Decision]


class SetTable:
    """A Python set of fingerprints."""

    def __init__(self, key: bytes, fingerprints: Iterable[int]) -> None:
        self.key, self.fingerprint = key, fingerprinter(key)
        self._held = set(fingerprints)

    def holds(self, fingerprint: int, unix_s: int) -> bool:
        """See rules.Table; it knows no ends."""
        del unix_s
        return fingerprint in self._held


class SqliteTable:
    """One indexed SQLite table, prepared statement, everything in its page cache."""

    def __init__(self, key: bytes, fingerprints: Iterable[int], path: Path) -> None:
        self.key, self.fingerprint = key, fingerprinter(key)
        self._database = sqlite3.connect(path)
        self._database.execute("pragma mmap_size = 1073741824")
        self._database.execute(
            "create table cards (fingerprint integer primary key, until integer)"
        )
        self._database.executemany(
            "insert into cards values (?, 65535)", ((value,) for value in fingerprints)
        )
        self._database.commit()

    def holds(self, fingerprint: int, unix_s: int) -> bool:
        """See rules.Table."""
        found = self._database.execute(
            "select until from cards where fingerprint = ?", (fingerprint,)
        ).fetchone()
        return found is not None and (found[0] == 65_535 or unix_s < found[0])

    def close(self) -> None:
        """Close the store."""
        self._database.close()


class DiskcacheTable:
    """A diskcache.Cache with the fingerprint as key."""

    def __init__(self, key: bytes, fingerprints: Iterable[int], path: Path) -> None:
        self.key, self.fingerprint = key, fingerprinter(key)
        self._cache = diskcache.Cache(str(path), eviction_policy="none", cull_limit=0)
        with self._cache.transact():
            for fingerprint in fingerprints:
                self._cache.set(fingerprint, 65_535)

    def holds(self, fingerprint: int, unix_s: int) -> bool:
        """See rules.Table."""
        until = self._cache.get(fingerprint)
        return until is not None and (until == 65_535 or unix_s < until)

    def close(self) -> None:
        """Close the store."""
        self._cache.close()


@dataclass(slots=True)
class Contender:
    """One way to decide, the UIDs it is asked about, and how long each decision took."""

    name: str
    decide: Decide
    uids: Sequence[bytes]
    verdict: Verdict
    count: int
    budget: tuple[Limit, ...] = ()
    compared: bool = False
    note: str = ""
    taken_ns: list[int] = field(default_factory=list)

    def round(self, number: int) -> None:
        """Run one round: a warm-up, then its share of the decisions, each timed by itself.

        Raises:
            RuntimeError: a verdict is wrong.
        """
        share = max(self.count // ROUNDS, 1)
        drawn = list(islice(cycle(self.uids), number * share, (number + 1) * share + WARM_UP))
        uids, warm_up = drawn[:share], drawn[share:]
        decide, clock_ns, taken_ns = self.decide, time.perf_counter_ns, self.taken_ns
        for uid in warm_up:
            if decide(uid).verdict is not self.verdict:
                raise RuntimeError(f"{self.name}: a wrong verdict, so nothing here is worth timing")
        for uid in uids:
            started_ns = clock_ns()
            decide(uid)
            taken_ns.append(clock_ns() - started_ns)

    def row(self) -> Row:
        """The row of all rounds."""
        return timed(
            self.name, "µs", self.taken_ns, *self.budget, compared=self.compared, note=self.note
        )


def run(bench: Bench) -> list[Row]:
    """At the size of the budget with its rivals, then at the large size."""
    scale = bench.scale
    small, large = bench.town(scale.cards), bench.town(scale.cards_large)
    rules = small.rules()
    with closing(_sqlite(bench, small)) as sqlite, closing(_diskcache(bench, small)) as cache:
        known = small.matched[: scale.cards_diskcache // 2]  # those that it was filled with
        rivals: list[tuple[str, Table, list[bytes], int, str]] = [
            (
                "a Python set",
                SetTable(small.key, _fingerprints(small)),
                small.matched,
                scale.decisions,
                "",
            ),
            ("SQLite, indexed", sqlite, small.matched, scale.decisions_slow, ""),
            (
                "diskcache",
                cache,
                known,
                scale.decisions_slow,
                f"with {scale.cards_diskcache:,} cards only: filling it takes 30 µs a card",
            ),
        ]
        contenders = _ours(small, rules, scale.decisions, BUDGET)
        contenders[1:1] = [
            Contender(
                f"… {name}",
                decider(with_matched(rules, table)),
                uids,
                Verdict.ADMIT,
                count,
                compared=True,
                note=note,
            )
            for name, table, uids, count, note in rivals
        ]
        contenders += [
            _as_the_lane_asks(small, rules, scale.decisions),
            _with_changes(small, rules, scale.decisions),
        ]
        rows = _race(bench, contenders, f"decisions, {small.cards:,} cards")
    rows += _race(
        bench, _ours(large, large.rules(), scale.decisions, ()), f"decisions, {large.cards:,} cards"
    )
    return [*rows, _timer(scale.decisions)]


def decider(rules: RuleSet) -> Decide:
    """UID bytes to decision, with the time already asked for."""
    now = _clock(rules).now()

    def decide_raw(raw: bytes) -> Decision:
        return decide(Card(CardUid(raw), ATQA, SAK), rules, now, POLICY)

    return decide_raw


def _clock(rules: RuleSet) -> Clock:
    """The clock of a machine without synchronisation: it counts from the list's signed time."""
    clock = Clock()
    clock.raise_floor(rules.issued_unix_s)
    return clock


def with_matched(rules: RuleSet, table: Table) -> RuleSet:
    """The same rules with another table of matched cards."""
    *others, matched = rules.rules
    return replace(rules, rules=(*others, replace(matched, table=table)))


def _ours(town: Town, rules: RuleSet, count: int, budget: tuple[Limit, ...]) -> list[Contender]:
    by, size = decider(rules), f"{town.cards / 1e6:.2f} M cards"
    return [
        Contender(
            f"decision, matched card, {size}", by, town.matched, Verdict.ADMIT, count, budget
        ),
        Contender(
            f"decision, card in no table, {size}", by, town.unmatched, Verdict.DENY, count, budget
        ),
        Contender(
            f"decision, suspended card, {size}",
            by,
            town.suspended,
            Verdict.DENY,
            count,
            budget,
            note="the first rule speaks",
        ),
    ]


def _as_the_lane_asks(town: Town, rules: RuleSet, count: int) -> Contender:
    clock = _clock(rules)

    def decide_raw(raw: bytes) -> Decision:
        return decide(Card(CardUid(raw), ATQA, SAK), rules, clock.now(), POLICY)

    return Contender(
        "decision, matched card, asking the clock too",
        decide_raw,
        town.matched,
        Verdict.ADMIT,
        count,
        BUDGET,
        note="what the lane does for each tap",
    )


def _with_changes(town: Town, rules: RuleSet, count: int) -> Contender:
    """A list in the middle of a day: a snapshot below changes of the day and of the last hour."""
    snapshot = _mapped_matched(town)
    rng = np.random.default_rng(3)
    changes = [
        _change(rng, town, version, size) for version, size in ((3, CHANGED_HOUR), (2, CHANGED_DAY))
    ]
    table = MappedTable(town.key, (*changes, snapshot))
    return Contender(
        f"decision, matched card, {len(changes)} changes on top",
        decider(with_matched(rules, table)),
        town.matched,
        Verdict.ADMIT,
        count,
        BUDGET,
        note="three segments of matched cards to ask instead of one",
    )


def _mapped_matched(town: Town) -> Segment:
    path = town.lists / town.manifest.rules[-1].segments[0].file_name
    with path.open("rb") as file:
        return Segment(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _change(rng: np.random.Generator, town: Town, version: int, size: int) -> Segment:
    fingerprints = np.unique(rng.integers(0, 1 << FINGERPRINT_BITS, size, dtype=np.uint64))
    until = np.full(len(fingerprints), NO_END, np.uint16)
    out = io.BytesIO()
    write_segment(
        out,
        Head("matched", version - 1, version, key_id(town.key), 0, MATCHED_UNIT_S),
        fingerprints,
        until,
    )
    return Segment(out.getvalue())


def _race(bench: Bench, contenders: list[Contender], what: str) -> list[Row]:
    with quiet_memory():
        for number in bench.track(range(ROUNDS), what):
            for contender in contenders:
                contender.round(number)
    return [contender.row() for contender in contenders]


def _timer(count: int) -> Row:
    """What timing costs by itself; it is in every row above and taken off none."""
    taken_ns = []
    with quiet_memory():
        for _ in range(count):
            started_ns = time.perf_counter_ns()
            taken_ns.append(time.perf_counter_ns() - started_ns)
    return timed("the timer by itself", "µs", taken_ns, note="contained in every row above")


def _fingerprints(town: Town) -> "array[int]":
    vector = array("Q")
    vector.frombytes(town.fingerprints.read_bytes())
    return vector


def _sqlite(bench: Bench, town: Town) -> SqliteTable:
    for _ in bench.track([1], "filling SQLite"):
        return SqliteTable(town.key, _fingerprints(town), bench.folder / "rival.sqlite")
    raise AssertionError


def _diskcache(bench: Bench, town: Town) -> DiskcacheTable:
    count = bench.scale.cards_diskcache
    known = [CardUid(uid).fingerprint(town.key) for uid in town.matched[: count // 2]]
    some = dict.fromkeys([*known, *_fingerprints(town)[:count]])
    for _ in bench.track([1], "filling diskcache"):
        return DiskcacheTable(town.key, islice(some, count), bench.folder / "rival.cache")
    raise AssertionError
