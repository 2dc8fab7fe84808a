"""Measure the decision stage while a whole list is fetched and adopted, against idle, in one run.

Serves the budget "p99.9 of the decision stage while a full list is fetched, verified and
installed". The real courier as a process, with the priorities of its unit, fetches each list whole
from a web server, verifies its signatures, decodes it and installs it. The lane's clerk then scans
(checksum, map, swap). A card comes every millisecond meanwhile. The web server runs at the lowest
priority, since a city's does not run on a gate. Also measured is the clerk's scan that finds no
change, which it does every second.
"""

import socket
import struct
import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import cycle
from typing import NamedTuple

from benchmarks.context import Bench, quiet_memory
from benchmarks.lists.courier import publication
from benchmarks.lists.published import Courier, Published, gate_of
from benchmarks.rows import Limit, Row, timed
from benchmarks.town import Town
from tests.support.machine.programs import Line, Program, program
from validator.lane.lists_in_force import ListFolder
from validator.lists.held_keys import held_keys
from validator.lists.manifest import PieceEntry

EVERY_S = 0.001
CATCH_UP_EVERY = 20  # cards
ADOPTED_S = 120.0
TAP_MAX_MS = 10.0
_CARD = struct.Struct("<Q7s")


class Tap(NamedTuple):
    """One tap: when it was seen and sent (CLOCK_MONOTONIC ns), and ns to decide and to report.

    `report_ns` is 0 for a tap without a report.
    """

    seen_ns: int
    sent_ns: int
    decided_ns: int
    report_ns: int


Window = tuple[int, int]


def run(bench: Bench) -> list[Row]:
    """Measure the scan, then adoptions under taps, at both sizes."""
    scale = bench.scale
    rows = [_scan(bench, bench.town(scale.cards))]
    for cards, adoptions in (
        (scale.cards, scale.adoptions),
        (scale.cards_large, scale.adoptions_large),
    ):
        rows += _adoptions(bench, bench.town(cards), adoptions)
    return rows


def _adoptions(bench: Bench, town: Town, count: int) -> list[Row]:
    folder = bench.folder / f"adoption-{town.cards}"
    published = publication(bench, town, bench.folder / f"adopted-{town.cards}")
    lists = {
        version: _another(published, town, version)
        for version in bench.track(range(2, count + 2), "lists to adopt")
    }
    with gate_of(folder, town.key, published.public) as (gate, _, courier):
        courier.fresh(1)
        with (
            program(
                "benchmarks.lists.adoption_lane", str(gate.folder), str(gate.folder / "cards.sock")
            ) as lane,
            quiet_memory(),
        ):
            measured = _under_taps(bench, town, lane, courier, published, lists)
    return _rows(town, *measured)


def _another(published: Published, town: Town, version: int) -> PieceEntry:
    """Another version of the whole matched table, ready to be fetched."""
    segment = town.matched_again(version)
    entry = published.wire(segment, 0, version)
    segment.unlink()
    return entry


def _scan(bench: Bench, town: Town) -> Row:
    folder = ListFolder(town.lists, held_keys(town.folder / "keys"))
    folder.scan()
    taken_ns = []
    with quiet_memory():
        for _ in range(bench.scale.looks):
            started_ns = time.perf_counter_ns()
            folder.scan()
            taken_ns.append(time.perf_counter_ns() - started_ns)
    return timed(
        "clerk's scan when nothing changed", "µs", taken_ns, note="once a second, one scandir"
    )


def _under_taps(
    bench: Bench,
    town: Town,
    lane: Program,
    courier: Courier,
    published: Published,
    lists: Mapping[int, PieceEntry],
) -> tuple[Line, Window, list[Window]]:
    """Send cards while idle, then while one list after the other is fetched and adopted."""
    path = courier.gate.folder / "cards.sock"
    lane.event("listening", ADOPTED_S)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.connect(str(path))
        cards = _Cards(channel, town.unmatched)
        cards.bring(lane, _for_s(1.0 if bench.scale.idle_s > 1 else 0.0))  # warm
        idle_ns = time.monotonic_ns()
        cards.bring(lane, _for_s(bench.scale.idle_s))
        idle = (idle_ns, time.monotonic_ns())
        fetches = []
        for version, entry in bench.track(lists.items(), "lists adopted under taps"):
            published.offered["matched"] = [entry]
            published.publish(version, town.manifest.rules)
            adopted, asked_ns = _lists_reported(lane) + 1, courier.ask()
            cards.bring(lane, partial(courier.holds, version))
            fetches.append((asked_ns, time.monotonic_ns()))
            cards.bring(lane, partial(_has_adopted, lane, adopted))
    return lane.event("noted", ADOPTED_S), idle, fetches


class _Cards:
    """Sends a card every millisecond.

    The cards are in no table, so each is looked up in all three, and none waits for a passage.
    """

    def __init__(self, channel: socket.socket, uids: list[bytes]) -> None:
        self._channel = channel
        self._uids = cycle(uids)

    def bring(self, lane: Program, enough: Callable[[], bool]) -> None:
        """Send cards until `enough` is true. Raises TimeoutError after ADOPTED_S."""
        ends_s = time.monotonic() + ADOPTED_S
        due_s = time.monotonic()
        for number, uid in enumerate(self._uids):
            if number % CATCH_UP_EVERY == 0:
                lane.catch_up()
                if enough():
                    return
            self._channel.sendall(_CARD.pack(time.monotonic_ns(), uid))
            due_s += EVERY_S
            if due_s > ends_s:
                raise TimeoutError("the list did not come")
            time.sleep(max(due_s - time.monotonic(), 0))


def _for_s(length_s: float) -> Callable[[], bool]:
    ends_s = time.monotonic() + length_s
    return lambda: time.monotonic() >= ends_s


def _has_adopted(lane: Program, lists: int) -> bool:
    return _lists_reported(lane) >= lists


def _lists_reported(lane: Program) -> int:
    return sum(line.get("event") == "list" for line in lane.heard)


def _rows(town: Town, noted: Line, idle: Window, fetches: list[Window]) -> list[Row]:
    taps = [Tap(*tap) for tap in noted["taps"]]
    looks = [(start_ns, end_ns) for start_ns, end_ns in noted["looks"]]
    quiet = _within(taps, [idle])
    size = f"{town.cards / 1e6:.2f} M list"
    decided = timed(f"decided stage, {size}, idle", "µs", [tap.decided_ns for tap in quiet])
    limits = (Limit("p999", 2 * decided.p999, "2 × idle"),) if decided.p999 else ()
    rows = [decided]
    for what, windows, budget in (
        ("fetched, verified, decoded, installed by the courier", fetches, limits),
        ("verified, mapped, swapped by the lane", looks, limits),
    ):
        during = _within(taps, windows)
        if during:  # else no window was long enough for a tap, or none was seen
            mean_ms = sum(end_ns - start_ns for start_ns, end_ns in windows) / len(windows) / 1e6
            taken_ns = [tap.decided_ns for tap in during]
            note = f"{len(windows)} × {mean_ms:,.0f} ms"
            rows.append(timed(f"– while another is {what}", "µs", taken_ns, *budget, note=note))
    return rows + _sent_rows(quiet, _within(taps, fetches + looks))


def _sent_rows(quiet: list[Tap], busy: list[Tap]) -> list[Row]:
    """Rows from another process's send to the decision.

    They include the lane's waking up and all that held its loop before it saw the card.
    """

    def taken_ns(some: list[Tap]) -> list[int]:
        return [tap.seen_ns - tap.sent_ns + tap.decided_ns for tap in some]

    limit = Limit("max", TAP_MAX_MS * 1_000, "no tap above 10 ms")
    rows = [timed("card sent → decided, idle", "µs", taken_ns(quiet))]
    if busy:
        rows.append(
            timed(
                "card sent → decided, while a list is fetched and adopted",
                "µs",
                taken_ns(busy),
                limit,
            )
        )
    return rows


def _within(taps: list[Tap], windows: list[Window]) -> list[Tap]:
    """The taps that were in flight during any of these."""
    return [
        tap
        for tap in taps
        if any(
            tap.sent_ns < end_ns and tap.seen_ns + tap.decided_ns > start_ns
            for start_ns, end_ns in windows
        )
    ]
