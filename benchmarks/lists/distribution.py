"""Measure the size of lists on the wire, and the cost of unpacking them: bits a card, s, MB.

The least possible is log2 of the number of sets of so many fingerprints, divided by their number:
no coding of all such sets takes less. Decoding and folding run in processes of their own, so that
their memory is measured apart.
"""

import io
import json
import math
import subprocess
import sys
import time
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path

import numpy as np

from benchmarks.context import Bench
from benchmarks.rows import Limit, Row, counted, timed
from benchmarks.town import (
    DAY_S,
    MATCHED_UNIT_S,
    SUSPENDED_OF_MATCHED,
    SUSPENDED_UNIT_S,
    Fingerprints,
    Town,
)
from validator.domain.cards import FINGERPRINT_BITS
from validator.lists.fingerprint_keys import key_id
from validator.lists.segment import NO_END, REMOVED, Header
from validator.lists.segment_builder import Head, write_segment
from validator.lists.segment_vectors import Until
from validator.lists.wire import encode

RATIO_MAX = 1.05
CHANGED_CARDS = 150_000  # a day of the city
MINUTE_CARDS = 104  # a minute of such a day
SUSPENDED_DAYS = 14
REPEATS = 3
MB = 1e6


@dataclass(frozen=True, slots=True)
class Work:
    """The result of benchmarks/lists/segment_work.py, which decoded or folded; memory in MB."""

    took_ns: int
    began: float
    peak: float
    peak_own: float


def run(bench: Bench) -> list[Row]:
    """The matched table and the suspended one at both sizes, then what is small."""
    sizes = (bench.scale.cards, bench.scale.cards_large)
    rows = [row for cards in sizes for row in _table(bench, cards)]
    rows += [row for cards in sizes for row in _ending(int(cards * SUSPENDED_OF_MATCHED))]
    return [*rows, _minute()]


def _table(bench: Bench, cards: int) -> list[Row]:
    town = bench.town(cards)
    entry = town.manifest.rules[-1].segments[0]
    path, wire = town.lists / entry.file_name, bench.folder / f"matched-{cards}.wire"
    encodings_ns = [_encode(path, wire) for _ in bench.track(range(REPEATS), "encoding")]
    out = bench.folder / f"matched-{cards}.out"
    decodings = [_work("decode", out, wire) for _ in bench.track(range(REPEATS), "decoding")]
    change = _change(bench, town)
    foldings = [_work("fold", out, change, path) for _ in bench.track(range(REPEATS), "folding")]
    out.unlink()
    size = wire.stat().st_size
    least = least_bits(cards)
    return [
        counted(
            f"wire form of {cards / 1e6:.2f} M matched cards",
            "bits/card",
            8 * size / cards,
            Limit("p50", RATIO_MAX * least),
            note=f"least possible {least:.2f}; until is constant and takes 4 bytes in 2^18 cards",
        ),
        counted(
            "– ratio to the least possible", "×", 8 * size / cards / least, Limit("p50", RATIO_MAX)
        ),
        counted("– file", "MB", size / MB, note=f"{entry.bytes / MB:.1f} as a segment"),
        timed("– encoding", "s", encodings_ns),
        timed("– decoding", "s", [work.took_ns for work in decodings]),
        _memory("– greatest memory of a process that decodes", decodings),
        timed(
            f"– folding {_cards(change):,} changes into it",
            "s",
            [work.took_ns for work in foldings],
        ),
        _memory("– greatest memory of a process that folds", foldings),
    ]


def least_bits(cards: int) -> float:
    """Bits a card that any set of so many fingerprints needs.

    That no two are alike saves less than a bit for all of them.
    """
    return FINGERPRINT_BITS - math.lgamma(cards + 1) / math.log(2) / cards


def _encode(path: Path, wire: Path) -> int:
    with (
        path.open("rb") as file,
        mmap(file.fileno(), 0, access=ACCESS_READ) as mapped,
        wire.open("wb") as out,
    ):
        started_ns = time.monotonic_ns()
        encode(mapped, out)
        return time.monotonic_ns() - started_ns


def _work(*words: str | Path) -> Work:
    command = [sys.executable, "-m", "benchmarks.lists.segment_work", *map(str, words)]
    return Work(**json.loads(subprocess.run(command, check=True, capture_output=True).stdout))


def _memory(name: str, works: list[Work]) -> Row:
    most = max(works, key=lambda work: work.peak_own)
    note = (
        f"of its own; {most.began:.1f} before it began; {most.peak:.1f} with the files that it maps"
    )
    return counted(name, "MB", most.peak_own, note=note)


def _change(bench: Bench, town: Town) -> Path:
    """A day's changes to the matched table: half of the cards leave it, half join it."""
    rng = np.random.default_rng(2)
    half = min(CHANGED_CARDS, town.cards) // 2
    leave = rng.choice(np.fromfile(town.fingerprints, "<u8"), half, replace=False)
    cards = np.union1d(leave, rng.integers(0, 1 << FINGERPRINT_BITS, size=half, dtype=np.uint64))
    until = np.where(np.isin(cards, leave), REMOVED, NO_END).astype(np.uint16)
    path = bench.folder / f"change-{town.cards}.seg"
    path.write_bytes(_segment(cards, until, town, from_version=1))
    return path


def _cards(path: Path) -> int:
    with path.open("rb") as file:
        return Header.parse(file.read(128)).count


def _segment(
    cards: Fingerprints, until: Until, town: Town | None = None, *, from_version: int = 0
) -> bytes:
    """A segment of the matched table of `town`, or of a suspended table that no gate has."""
    out = io.BytesIO()
    rule, unit_s = ("matched", MATCHED_UNIT_S) if town else ("suspended", SUSPENDED_UNIT_S)
    epoch_unix_s = int(time.time()) // MATCHED_UNIT_S * MATCHED_UNIT_S
    key = key_id(town.key if town else bytes(32))
    write_segment(
        out, Head(rule, from_version, from_version + 1, key, epoch_unix_s, unit_s), cards, until
    )
    return out.getvalue()


def _wire_bytes(segment: bytes) -> int:
    return encode(segment, io.BytesIO()).bytes


def _suspended(count: int) -> tuple[Fingerprints, Until]:
    rng = np.random.default_rng(3)
    cards = np.unique(rng.integers(0, 1 << FINGERPRINT_BITS, size=count, dtype=np.uint64))
    units = SUSPENDED_DAYS * DAY_S // SUSPENDED_UNIT_S
    return cards, rng.integers(1, units + 1, size=len(cards)).astype(np.uint16)


def _ending(count: int) -> list[Row]:
    """The suspended table: what its fingerprints take, and what their ends take besides."""
    cards, until = _suspended(count)
    alike = 8 * _wire_bytes(_segment(cards, np.full(len(cards), NO_END, np.uint16))) / len(cards)
    both = 8 * _wire_bytes(_segment(cards, until)) / len(cards)
    least, least_until = (
        least_bits(len(cards)),
        math.log2(SUSPENDED_DAYS * DAY_S / SUSPENDED_UNIT_S),
    )
    limit = Limit("p50", RATIO_MAX * least)
    return [
        counted(
            f"wire form of {count:,} suspended cards, without until",
            "bits/card",
            alike,
            limit,
            note=f"least possible {least:.2f}",
        ),
        counted("– ratio to the least possible", "×", alike / least, Limit("p50", RATIO_MAX)),
        counted(
            f"– until, ends within {SUSPENDED_DAYS} days",
            "bits/card",
            both - alike,
            note=f"least possible {least_until:.2f}, if every minute is as likely",
        ),
    ]


def _minute() -> Row:
    segment = _segment(*_suspended(MINUTE_CARDS))
    return counted(
        f"piece of a minute, {MINUTE_CARDS} suspended cards",
        "bytes",
        _wire_bytes(segment),
        note=f"{len(segment):,} as a segment; 136 are headers",
    )
