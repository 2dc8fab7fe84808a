"""Measure the courier: a new gate's first list, then poll after poll, with a change and without.

Serves the claims about the courier's memory (a Pi has 512 MB, the unit allows 200 MiB), about what
it writes to the SD card, and about the way of a change from the published folder to the gate. The
real courier is a process with the priorities of its unit; signatures are real; the web server is
on loopback without TLS. The lists are those of the other benchmarks; publish.py measures what the
back office does for one.
"""

import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.as_unit import memory_max_mb
from benchmarks.context import Bench
from benchmarks.lists.published import COURIER_UNIT, Courier, Published, Server, gate_of
from benchmarks.rows import Limit, Row, counted, timed
from benchmarks.town import MATCHED_UNIT_S, SUSPENDED_UNIT_S, Town
from validator.domain.cards import FINGERPRINT_BITS
from validator.lists.fingerprint_keys import key_id
from validator.lists.segment import NO_END
from validator.lists.segment_builder import Head, write_segment

CHANGED_CARDS = 26  # of each of two rules: 150,000 a day in pieces of half a minute
MB = 1e6
KB = 1e3


class Polls(NamedTuple):
    """Some polls: ns that each took, and the traffic and disk writes of all together."""

    taken_ns: list[int]
    to_gate_bytes: int
    from_gate_bytes: int
    requests: int
    written_mb: float


def run(bench: Bench) -> list[Row]:
    """Measure at both sizes."""
    return [
        row
        for cards in (bench.scale.cards, bench.scale.cards_large)
        for row in _bring(bench, cards)
    ]


def _bring(bench: Bench, cards: int) -> list[Row]:
    town = bench.town(cards)
    published = publication(bench, town, bench.folder / f"city-{cards}")
    with gate_of(bench.folder / f"gate-{cards}", town.key, published.public) as (
        _,
        server,
        courier,
    ):
        rows = first_sync(f"list of {cards / 1e6:.2f} M cards", server, courier)
        unchanged = polls(
            server,
            courier,
            bench.track([courier.poll] * bench.scale.polls, "polls without a change"),
        )
        changes = [
            partial(_change, town, published, courier, version)
            for version in range(2, bench.scale.changes + 2)
        ]
        changed = polls(server, courier, bench.track(changes, "polls with a change"))
        peak = courier.peak()
    what = f"poll with {2 * CHANGED_CARDS} changed cards → installed"
    return [
        *rows,
        *_poll_rows("poll without a change", unchanged),
        *_poll_rows(what, changed),
        counted("– greatest memory of the courier after that, with mapped files", "MB", peak),
    ]


def publication(bench: Bench, town: Town, folder: Path) -> Published:
    """The list of `town`, published as version 1."""
    published = Published(folder, town.key)
    for rule in bench.track(town.manifest.rules, "wire forms"):
        for segment in rule.segments:
            path = town.lists / segment.file_name
            published.offer(rule.name, path, segment.from_version, segment.to_version)
    published.publish(1, town.manifest.rules)
    return published


def first_sync(what: str, server: Server, courier: Courier) -> list[Row]:
    """Wait until the first list is installed; rows from the courier's start on."""
    line = courier.watch(1)
    brought_s = (time.monotonic_ns() - courier.started_ns) / 1e9
    allowed = Limit("p50", memory_max_mb(COURIER_UNIT), "MemoryMax of its unit")
    return [
        counted(
            f"courier started → {what} installed",
            "s",
            brought_s,
            note=f"{server.passed()['sent_bytes'] / MB:.1f} MB over the line",
        ),
        counted(
            "– its greatest memory meanwhile",
            "MB",
            courier.peak_own,
            allowed,
            note=f"of its own, seen every 5 ms; {courier.peak():.1f} with the files that it maps",
        ),
        counted(
            "– written to the SD card",
            "MB",
            courier.written(),
            note=f"{line['disk_bytes'] / MB:.1f} of it the list; the rest are its wire forms,"
            " deleted afterwards",
        ),
    ]


def polls(server: Server, courier: Courier, asked: Iterable[Callable[[], int]]) -> Polls:
    """Run the polls `asked`, each of which returns the ns it took."""
    before, written = server.passed(), courier.written()
    taken_ns = [poll() for poll in asked]
    after = server.passed()
    to_gate, from_gate, requests = (
        after[what] - before[what] for what in ("sent_bytes", "received_bytes", "requests")
    )
    return Polls(taken_ns, to_gate, from_gate, requests, courier.written() - written)


def _poll_rows(name: str, of: Polls) -> list[Row]:
    count = len(of.taken_ns)
    return [
        timed(name, "ms", of.taken_ns),
        counted(
            "– to the gate, headers included",
            "bytes",
            of.to_gate_bytes / count,
            note=f"{of.requests / count:.2g} requests, and {of.from_gate_bytes / count:,.0f} bytes"
            " from it; without TLS",
        ),
        counted(
            "– written to the SD card",
            "kB",
            of.written_mb / count * MB / KB,
            note="in whole pages of 4 KiB",
        ),
    ]


def _change(town: Town, published: Published, courier: Courier, version: int) -> int:
    """Publish a change; return ns from the signal to the courier until the list is installed."""
    rng = np.random.default_rng(version)
    epoch_unix_s = int(time.time()) // MATCHED_UNIT_S * MATCHED_UNIT_S
    for rule, unit_s in (("suspended", SUSPENDED_UNIT_S), ("matched", MATCHED_UNIT_S)):
        drawn = np.unique(
            rng.integers(0, 1 << FINGERPRINT_BITS, size=CHANGED_CARDS, dtype=np.uint64)
        )
        head = Head(rule, version - 1, version, key_id(town.key), epoch_unix_s, unit_s)
        path = published.folder / f"{rule}.seg"
        with path.open("w+b") as out:
            write_segment(out, head, drawn, np.full(len(drawn), NO_END, np.uint16))
        published.offer(rule, path, version - 1, version)
    published.publish(version, town.manifest.rules)
    asked_ns = courier.ask()
    courier.fresh(version)
    return time.monotonic_ns() - asked_ns
