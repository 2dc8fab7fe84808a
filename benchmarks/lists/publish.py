"""Measure publishing, and two hours of a city in fast motion: publisher, web server, courier.

Serves the budgets "change published → every gate refuses or admits by it" and "download for a day
of 150,000 changes at a 30 s poll", and the claim about what a gate writes to its SD card. No
process waits: the publisher's time goes on by half a minute from one list to the next, and the
courier polls as soon as a list is signed. Everything else is what a city and a gate run, pieces of
hours included. The traffic of a day is computed from these hours.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from backoffice.registry.publications import Kind
from backoffice.registry.registry import Registry
from backoffice.signing.keys import current_fingerprint_key
from benchmarks.context import Bench
from benchmarks.lists.courier import Polls, polls
from benchmarks.lists.office import CityOffice, publish, publisher
from benchmarks.lists.published import Courier, gate_of
from benchmarks.rows import Limit, Row, counted, timed
from benchmarks.town import DAY_S
from tests.support.machine.programs import Line, Program

EVERY_S = 30  # publish --every, and the gates' poll
DAY_LISTS = DAY_S // EVERY_S
CHANGED_CARDS = 52  # 150,000 a day
EARLIER_S = 60  # a list from the future is taken up to a day ahead
SNAPSHOT_AFTER_S = 31 * DAY_S
DOWNLOAD_MB_MAX = 16.0
ENFORCED_MS_MAX = 60_000.0
WAITS_MS = 37_000.0  # 30 s and a fifth until the gate polls, a second until its lane scans
TLS_RECORD_BYTES = 22
TLS_RECORD_MAX = 1 << 14
TLS_HANDSHAKE_BYTES = 1_812  # to the gate: TLS 1.3, an ECDSA certificate and one intermediate
MB = 1e6
KINDS = {
    Kind.MINUTE: "nothing but the change",
    Kind.HOUR: "an hour's pieces too",
    Kind.DAY: "a day's pieces too",
    Kind.SNAPSHOT: "new snapshots too",
}


@dataclass
class Day:
    """A city and its publisher at a simulated time, with a record of each publication."""

    city: CityOffice
    registry: Registry
    publisher: Program
    now_unix_s: int
    published: list[Line] = field(default_factory=list)

    def change(self, after_s: int = EVERY_S) -> Line:
        """Let this time pass, in which some cards change, and publish."""
        self.now_unix_s += after_s
        self.city.change(self.registry, CHANGED_CARDS, self.now_unix_s)
        self.published.append(publish(self.publisher, self.now_unix_s))
        return self.published[-1]

    def reach(self, courier: Courier) -> int:
        """Publish a change; return ns from the signal to the courier until it is installed."""
        version = self.change()["list_version"]
        asked_ns = courier.ask()
        courier.fresh(version)
        return time.monotonic_ns() - asked_ns


def run(bench: Bench) -> list[Row]:
    """The first list, two hours of lists, another day, and new snapshots after a month."""
    scale, now_unix_s = bench.scale, int(time.time()) - EARLIER_S
    spare = (scale.day_lists + 2) * CHANGED_CARDS
    city = CityOffice.founded(bench.folder / "office", scale.cards, spare, now_unix_s)
    filled_ns = city.fill(bench, now_unix_s)
    for _ in bench.track([None], "the first list"):
        with publisher(city) as process:
            first = publish(process, now_unix_s)
    with Registry.open(city.config.database_url) as registry, publisher(city) as process:
        day = Day(city, registry, process, now_unix_s)
        passed, unchanged, peak = _live(bench, day)
        day.change(DAY_S)
        day.change(SNAPSHOT_AFTER_S)
    changes = day.published
    size = f"{scale.cards / 1e6:.2f} M matched cards and {len(city.suspended):,} suspended"
    return [
        timed(f"registry filled, {size}, SQLite", "s", [filled_ns]),
        timed("first list published", "s", [first["took_ns"]]),
        _peak([first]),
        *_kinds(changes),
        *_day_rows(changes[:-2], passed, unchanged, peak),
    ]


def _live(bench: Bench, day: Day) -> tuple[Polls, Polls, float]:
    """Publish and fetch, list after list.

    Returns:
        The polls with a change, polls without, and the courier's peak memory in MB.
    """
    home = day.city.config.home
    key = current_fingerprint_key(home).key
    with gate_of(bench.folder / "office-gate", key, home.published) as (_, server, courier):
        courier.watch(1)
        lists: list[Callable[[], int]] = [lambda: day.reach(courier)] * bench.scale.day_lists
        passed = polls(
            server, courier, bench.track(lists, "two hours of the city, list after list")
        )
        unchanged = polls(server, courier, [courier.poll] * bench.scale.polls)
        return passed, unchanged, courier.peak()


def _kinds(changes: Sequence[Line]) -> list[Row]:
    """Publications by the highest tier of the pieces that were built with them."""
    by_kind: defaultdict[Kind, list[Line]] = defaultdict(list)
    for line in changes:
        by_kind[max(Kind[kind] for _, kind, _ in line["built"])].append(line)
    rows = []
    for kind in sorted(by_kind):
        some = by_kind[kind]
        name = f"change of {CHANGED_CARDS} cards published: {KINDS[kind]}"
        rows += [timed(name, "ms", [line["took_ns"] for line in some]), _peak(some)]
    return rows


def _peak(some: Sequence[Line]) -> Row:
    return counted("– greatest memory of the publisher", "MB", max(line["peak"] for line in some))


def _day_rows(changes: Sequence[Line], passed: Polls, unchanged: Polls, peak: float) -> list[Row]:
    lists = len(passed.taken_ns)
    day = DAY_LISTS / lists
    work_ns = [
        line["took_ns"] + poll_ns for line, poll_ns in zip(changes, passed.taken_ns, strict=True)
    ]
    limit = Limit("max", ENFORCED_MS_MAX - WAITS_MS, "60 s less 37 s of waiting")
    pieces = sum(
        size for line in changes for _, kind, size in line["built"] if kind == Kind.MINUTE.name
    )
    # Lists half as often: pieces no larger than two together, and every other poll finds nothing.
    rarer = (_to_gate(passed) + pieces) / lists + _to_gate(unchanged) / len(unchanged.taken_ns)
    sent_mb = day * (passed.from_gate_bytes + passed.requests * TLS_RECORD_BYTES) / MB
    return [
        timed(f"poll with {CHANGED_CARDS} changed cards → installed", "ms", passed.taken_ns),
        timed(
            "publisher begins → installed on the gate: the work",
            "ms",
            work_ns,
            limit,
            note="besides, up to 36 s until the gate polls and 1 s until its lane scans",
        ),
        counted(
            f"to a gate in a day of 150,000 changes, a list every {EVERY_S} s",
            "MB",
            (day * _to_gate(passed) + TLS_HANDSHAKE_BYTES) / MB,
            Limit("p50", DOWNLOAD_MB_MAX),
            note=f"as in these {lists}, {passed.requests / lists:.1f} requests each; TLS computed,"
            f" the rest counted; and {sent_mb:.1f} MB from it",
        ),
        counted(
            "– with a list every 60 s, computed from it",
            "MB",
            (DAY_LISTS / 2 * rarer + TLS_HANDSHAKE_BYTES) / MB,
            Limit("p50", DOWNLOAD_MB_MAX),
        ),
        counted(
            "– written to the SD card",
            "MB",
            day * passed.written_mb,
            note="likewise, all files, in whole pages of 4 KiB;"
            " besides, once a day the changes are folded onto it",
        ),
        counted("– greatest memory of the courier, with mapped files", "MB", peak),
    ]


def _to_gate(of: Polls) -> float:
    """Bytes with TLS: a record for the head and one for each 16 KiB of an answer's body."""
    records = 2 * of.requests + of.to_gate_bytes // TLS_RECORD_MAX
    return of.to_gate_bytes + records * TLS_RECORD_BYTES
