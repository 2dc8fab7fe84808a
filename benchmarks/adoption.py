"""Whether a new list disturbs the taps: the decision stage while a full list is installed and adopted, against idle, in the same run.

Serves the budget "p99.9 of the decision stage while a full list is fetched, verified and installed". Fetching is not here yet, as
there is no courier: what is measured is the installing process (copy, sha256, fsync) and the clerk's look (checksum, map, swap), with
a card every millisecond meanwhile. And the clerk's look when nothing has changed, which it does every second.
"""

import json
import socket
import struct
import time
from collections.abc import Callable
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

from benchmarks.context import Bench, quiet_memory
from benchmarks.rows import Limit, Row, timed
from benchmarks.town import Town
from tests.programs import Line, Program, program
from validator.adapters.list_folder import ListFolder, held_keys

EVERY_S = 0.001
HEAR_EVERY = 20  # cards
ADOPTED_S = 30.0
TAP_MAX_MS = 10.0
_CARD = struct.Struct("<Q7s")


class Tap(NamedTuple):
    """One tap in CLOCK_MONOTONIC ns: seen by the lane, sent to it, and how long it took to decide from being seen."""

    seen_ns: int
    sent_ns: int
    decided_ns: int


Window = tuple[int, int]


def run(bench: Bench) -> list[Row]:
    """The look, then adoptions under taps."""
    town = bench.town(bench.scale.cards)
    rows = [_look(bench, town)]
    published = []
    for version in bench.track(range(2, bench.scale.adoptions + 2), "lists to adopt"):
        manifest, segment = town.publish_again(version)
        path = town.folder / f"{version}.json"
        path.write_bytes(manifest)
        published.append((path, segment))
    with (
        program("benchmarks.installs", str(town.lists)) as installer,
        program("benchmarks.adoption_lane", str(town.folder), str(town.folder / "cards.sock")) as lane,
        quiet_memory(),
    ):
        noted, idle, installs = _under_taps(bench, town, lane, installer, published)
    return rows + _rows(town, noted, idle, installs)


def _look(bench: Bench, town: Town) -> Row:
    folder = ListFolder(town.lists, held_keys(town.folder / "keys"))
    folder.look()
    taken_ns = []
    with quiet_memory():
        for _ in range(bench.scale.looks):
            started_ns = time.perf_counter_ns()
            folder.look()
            taken_ns.append(time.perf_counter_ns() - started_ns)
    return timed("clerk's look when nothing changed", "µs", taken_ns, note="once a second, one scandir")


def _under_taps(
    bench: Bench, town: Town, lane: Program, installer: Program, published: list[tuple[Path, Path]]
) -> tuple[Line, Window, list[Window]]:
    """Bring cards while nothing else happens, then while one list after the other is installed and adopted."""
    lane.event("listening", ADOPTED_S)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.connect(str(town.folder / "cards.sock"))
        cards = _Cards(channel, town.unmatched)
        cards.bring(lane, _for_s(1.0 if bench.scale.idle_s > 1 else 0.0))  # warm
        idle_ns = time.monotonic_ns()
        cards.bring(lane, _for_s(bench.scale.idle_s))
        idle = (idle_ns, time.monotonic_ns())
        installs = []
        for manifest, segment in bench.track(published, "lists adopted under taps"):
            adopted = _lists_told(lane) + 1
            installer.say(json.dumps({"manifest": str(manifest), "segment": str(segment)}))
            cards.bring(lane, partial(_has_adopted, lane, adopted))
            told = installer.event("installed", ADOPTED_S)
            installs.append((told["start_ns"], told["end_ns"]))
            segment.unlink()
    return lane.event("noted", ADOPTED_S), idle, installs


class _Cards:
    """Brings a card every millisecond. All are in no table: each goes through all three, and none waits for a passage."""

    def __init__(self, channel: socket.socket, uids: list[bytes]) -> None:
        self._channel = channel
        self._uids = cycle(uids)

    def bring(self, lane: Program, enough: Callable[[], bool]) -> None:
        """Until it is enough. Raises TimeoutError when it never is."""
        ends_s = time.monotonic() + ADOPTED_S
        due_s = time.monotonic()
        for number, uid in enumerate(self._uids):
            if number % HEAR_EVERY == 0:
                lane.catch_up()
                if enough():
                    return
            self._channel.sendall(_CARD.pack(time.monotonic_ns(), uid))
            due_s += EVERY_S
            if due_s > ends_s:
                raise TimeoutError("the lane did not adopt the list")
            time.sleep(max(due_s - time.monotonic(), 0))


def _for_s(length_s: float) -> Callable[[], bool]:
    ends_s = time.monotonic() + length_s
    return lambda: time.monotonic() >= ends_s


def _has_adopted(lane: Program, lists: int) -> bool:
    return _lists_told(lane) >= lists


def _lists_told(lane: Program) -> int:
    return sum(line.get("event") == "list" for line in lane.heard)


def _rows(town: Town, noted: Line, idle: Window, installs: list[Window]) -> list[Row]:
    taps = [Tap(*tap) for tap in noted["taps"]]
    looks = [(start_ns, end_ns) for start_ns, end_ns in noted["looks"]]
    quiet = _within(taps, [idle])
    decided = timed("decided stage, idle", "µs", [tap.decided_ns for tap in quiet])
    limits = (Limit("p999", 2 * decided.p999, "2 × idle"),) if decided.p999 else ()
    size = f"{town.cards / 1e6:.2f} M list"
    rows = [decided]
    for what, windows in (("installed by another process", installs), ("verified, mapped, swapped", looks)):
        during = _within(taps, windows)
        mean_ms = sum(end_ns - start_ns for start_ns, end_ns in windows) / len(windows) / 1e6
        note = f"{len(windows)} × {mean_ms:.0f} ms"
        if during:
            taken_ns = [tap.decided_ns for tap in during]
            rows.append(timed(f"decided stage, {size} being {what}", "µs", taken_ns, *limits, note=note))
    return rows + _sent_rows(quiet, _within(taps, installs + looks))


def _sent_rows(quiet: list[Tap], busy: list[Tap]) -> list[Row]:
    """From another process's send to the decision: the waking up is in it, and whatever held the loop before the card was seen."""

    def taken_ns(some: list[Tap]) -> list[int]:
        return [tap.seen_ns - tap.sent_ns + tap.decided_ns for tap in some]

    limit = Limit("max", TAP_MAX_MS * 1_000, "no tap above 10 ms")
    rows = [timed("card sent → decided, idle", "µs", taken_ns(quiet))]
    if busy:
        rows.append(timed("card sent → decided, while adopting", "µs", taken_ns(busy), limit))
    return rows


def _within(taps: list[Tap], windows: list[Window]) -> list[Tap]:
    """The taps that were in flight during any of these."""
    return [
        tap
        for tap in taps
        if any(
            tap.sent_ns < end_ns and tap.seen_ns + tap.decided_ns > start_ns for start_ns, end_ns in windows
        )
    ]
