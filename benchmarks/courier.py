"""What it costs a gate to bring lists home: a whole one, as a new gate does, and then change after change.

Serves the claims about the courier's memory (a Pi has 512 MB) and about what it writes to the SD card, and the way of a change from the
published folder to the list folder. The real courier as a process, real signatures, a plain web server over loopback without TLS.
"""

import signal
import time
from pathlib import Path

import numpy as np

from benchmarks.context import Bench
from benchmarks.published import BROUGHT_S, Published, courier, peak_mb
from benchmarks.rows import Row, counted, timed
from benchmarks.town import MATCHED_UNIT_S, SUSPENDED_UNIT_S, Town
from tests.programs import Program
from validator.domain.cards import FINGERPRINT_BITS
from validator.formats.fingerprint_keys import format_key_file, key_id
from validator.formats.segment import NO_END
from validator.formats.segment_builder import Head, write_segment

CHANGED_CARDS = 104  # 150,000 a day in pieces of a minute
MB = 1e6


def run(bench: Bench) -> list[Row]:
    """At both sizes."""
    return [row for cards in (bench.scale.cards, bench.scale.cards_large) for row in _bring(bench, cards)]


def _bring(bench: Bench, cards: int) -> list[Row]:
    town = bench.town(cards)
    published = _published(bench, town)
    gate = bench.folder / f"gate-{cards}"
    for made in ("lists", "keys"):
        (gate / made).mkdir(parents=True)
    (gate / "keys" / "city.key").write_bytes(format_key_file(town.key))
    size = f"{cards / 1e6:.2f} M cards"
    with published.served() as url, courier(gate, published, url) as process:
        started_s = time.monotonic()
        line = process.event("courier", BROUGHT_S, state="fresh", list_version=1)
        brought_s = time.monotonic() - started_s
        first_mb = peak_mb(process)
        wire_bytes = sum(entry.bytes for each in published.offered.values() for entry in each)
        changes_ns = [
            _change(town, published, process, version)
            for version in bench.track(range(2, bench.scale.changes + 2), f"changes to {size}")
        ]
        last, last_mb = process.heard[-1], peak_mb(process)
    written = last["disk_bytes"] - line["disk_bytes"]
    return [
        counted(
            f"courier brings a list of {size}", "s", brought_s, note=f"{wire_bytes / MB:.1f} MB in wire form"
        ),
        counted("– its greatest memory meanwhile", "MB", first_mb),
        counted("– written to the list folder on the SD card", "MB", line["disk_bytes"] / MB),
        timed(f"a change of {2 * CHANGED_CARDS} cards, signed → in the gate's list folder", "ms", changes_ns),
        counted("– written to the list folder on the SD card by all of them", "MB", written / MB),
        counted("– greatest memory after them", "MB", last_mb),
    ]


def _published(bench: Bench, town: Town) -> Published:
    published = Published(bench.folder / f"city-{town.cards}", town.key)
    for rule in bench.track(town.manifest.rules, "wire forms"):
        for segment in rule.segments:
            published.offer(
                rule.name, town.lists / segment.file_name, segment.from_version, segment.to_version
            )
    published.publish(1, town.manifest.rules)
    return published


def _change(town: Town, published: Published, process: Program, version: int) -> int:
    """Ns from the signed publication to the gate's list folder; the courier is told to ask at once."""
    rng = np.random.default_rng(version)
    epoch_unix_s = int(time.time()) // MATCHED_UNIT_S * MATCHED_UNIT_S
    for rule, unit_s in (("suspended", SUSPENDED_UNIT_S), ("matched", MATCHED_UNIT_S)):
        drawn = np.unique(rng.integers(0, 1 << FINGERPRINT_BITS, size=CHANGED_CARDS, dtype=np.uint64))
        head = Head(rule, version - 1, version, key_id(town.key), epoch_unix_s, unit_s)
        path = Path(published.folder) / f"{rule}.seg"
        with path.open("w+b") as out:
            write_segment(out, head, drawn, np.full(len(drawn), NO_END, np.uint16))
        published.offer(rule, path, version - 1, version)
    published.publish(version, town.manifest.rules)
    published_ns = time.monotonic_ns()
    process.process.send_signal(signal.SIGHUP)
    process.event("courier", BROUGHT_S, state="fresh", list_version=version)
    return time.monotonic_ns() - published_ns
