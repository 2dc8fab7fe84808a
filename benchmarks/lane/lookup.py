"""Measure one lookup of a fingerprint, in a segment and in what a user would pick instead.

Serves docs/decisions/0003-segment-lookup.md and the budget "table on disk and in memory". There is
no hashing and no rule in it. Each call is timed by itself, the timer included; rounds of all
contenders take turns. Memory is anonymous memory: the kernel can take back the pages of a mapped
file.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.context import Bench, quiet_memory
from benchmarks.lane.decisions import DiskcacheTable, SqliteTable
from benchmarks.rows import Limit, Row, counted, timed
from benchmarks.town import Town
from validator.domain.cards import FINGERPRINT_BITS, fingerprinter
from validator.domain.rules import Table

ROUNDS = 20
BYTES_PER_CARD = (Limit("p50", 7.5),)


class SetTable:
    """A Python set of fingerprints, and its weight: the set and its numbers."""

    def __init__(self, key: bytes, fingerprints: list[int]) -> None:
        self.key, self.fingerprint = key, fingerprinter(key)
        self._held = set(fingerprints)
        self.bytes = sys.getsizeof(self._held) + sum(map(sys.getsizeof, self._held))

    def holds(self, fingerprint: int, unix_s: int) -> bool:
        """See rules.Table; it knows no ends."""
        del unix_s
        return fingerprint in self._held


@dataclass(slots=True)
class Contender:
    """One table, cards that it holds, and how long its answers took."""

    name: str
    table: Table
    hits: Sequence[int]
    misses: Sequence[int]
    compared: bool = True
    note: str = ""
    taken_ns: dict[bool, list[int]] = field(default_factory=lambda: {True: [], False: []})

    def round(self, number: int) -> None:
        """Time a share of the hits, then of the misses. Raises RuntimeError for a wrong answer."""
        for held, cards in ((True, self.hits), (False, self.misses)):
            share = len(cards) // ROUNDS
            self._ask(cards[number * share : (number + 1) * share], held=held)

    def _ask(self, cards: Sequence[int], *, held: bool) -> None:
        holds, clock_ns, taken_ns = self.table.holds, time.perf_counter_ns, self.taken_ns[held]
        unix_s = int(time.time())
        for card in cards:
            started_ns = clock_ns()
            answer = holds(card, unix_s)
            taken_ns.append(clock_ns() - started_ns)
            if answer is not held:
                raise RuntimeError(f"{self.name}: a wrong answer, so nothing here is worth timing")

    def rows(self) -> Iterator[Row]:
        """The rows of all rounds."""
        for held, kind in ((True, "hit"), (False, "miss")):
            yield timed(
                f"{self.name}, {kind}",
                "µs",
                self.taken_ns[held],
                compared=self.compared,
                note=self.note,
            )


def run(bench: Bench) -> list[Row]:
    """Both sizes against a set; the smaller one against SQLite and diskcache too."""
    scale = bench.scale
    small, large = bench.town(scale.cards), bench.town(scale.cards_large)
    rows: list[Row] = []
    with ExitStack() as opened:
        contenders = _segment_and_set(bench, small, rows)
        hits, misses = contenders[0].hits, contenders[0].misses
        slow = scale.decisions_slow
        for _ in bench.track([1], "filling SQLite"):
            path = bench.folder / "lookup.sqlite"
            sqlite = opened.enter_context(
                closing(SqliteTable(small.key, _drawn(small).tolist(), path))
            )
        contenders.append(Contender("… SQLite, indexed", sqlite, hits[:slow], misses[:slow]))
        rows.append(_per_card("… SQLite, on disk", path.stat().st_size, small, compared=True))
        count = min(scale.cards_diskcache, len(hits))
        for _ in bench.track([1], "filling diskcache"):
            path = bench.folder / "lookup.cache"
            cache = opened.enter_context(closing(DiskcacheTable(small.key, hits[:count], path)))
        note = f"with {count:,} cards only: filling it takes 30 µs a card"
        contenders.append(
            Contender("… diskcache", cache, hits[: min(slow, count)], misses[:slow], note=note)
        )
        rows += _race(bench, contenders, small)
    del contenders
    rows += _race(bench, _segment_and_set(bench, large, rows), large)
    return rows


def _segment_and_set(bench: Bench, town: Town, rows: list[Row]) -> list[Contender]:
    """The two contenders at both sizes; their memory goes into `rows`."""
    fingerprints, rng = _drawn(town), np.random.default_rng(2)
    hits = rng.choice(fingerprints, bench.scale.decisions).tolist()
    # One in nine million of these is a card by chance: they are taken out.
    drawn = rng.integers(0, 1 << FINGERPRINT_BITS, size=bench.scale.decisions, dtype=np.uint64)
    misses = drawn[~np.isin(drawn, fingerprints)].tolist()
    size = f"{town.cards / 1e6:.2f} M cards"
    before = _anonymous_bytes()
    segment = town.rules().rules[-1].table
    kept = max(_anonymous_bytes() - before, 0) / 1e6
    on_disk = max(path.stat().st_size for path in town.lists.glob("*.seg"))
    rows.append(_per_card(f"segment on disk, {size}", on_disk, town, *BYTES_PER_CARD))
    rows.append(counted(f"segment, anonymous memory, {size}", "MB", kept, note="all three tables"))
    held = SetTable(town.key, fingerprints.tolist())
    rows.append(_per_card(f"… Python set in memory, {size}", held.bytes, town, compared=True))
    return [
        Contender(f"segment, {size}", segment, hits, misses, compared=False),
        Contender("… Python set", held, hits, misses),
    ]


def _race(bench: Bench, contenders: list[Contender], town: Town) -> list[Row]:
    with quiet_memory():
        for number in bench.track(range(ROUNDS), f"lookups, {town.cards:,} cards"):
            for contender in contenders:
                contender.round(number)
    return [row for contender in contenders for row in contender.rows()]


def _drawn(town: Town) -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    return np.fromfile(town.fingerprints, "<u8").astype(np.uint64)


def _per_card(name: str, size: int, town: Town, *budget: Limit, compared: bool = False) -> Row:
    return counted(name, "B/card", size / town.cards, *budget, compared=compared)


def _anonymous_bytes() -> int:
    for line in Path("/proc/self/smaps_rollup").read_text("ascii").splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    return 0
