"""Measure how fast 100,000 waiting reports reach the city, and the lane's latency meanwhile.

Serves the budget of the drain: 60 s, "without moving the lane's p99". It runs the lane's own loop
and clerk over a socket (adoption_lane.py), the real outbox on disk, the real courier with the
priorities of its unit, and the receiver as `serve` starts it, at the lowest priority, since a
city's does not run on a gate. A card comes every four milliseconds, each fifth a denial that is
reported: first while idle, then all through the drain.
"""

import os
import shutil
import socket
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle, pairwise
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from nacl.public import PrivateKey

from backoffice.home.config import FILE_NAME, example, load
from backoffice.reports.store import ReportStore
from backoffice.signing.ceremonies import found_for_development
from benchmarks.context import Bench, quiet_memory
from benchmarks.lists.adoption import Tap
from benchmarks.lists.published import COURIER_UNIT, MEMORY_BACKED
from benchmarks.rows import Limit, Row, counted, timed
from benchmarks.town import Town
from tests.support.machine.programs import Line, Program, lane_config, program
from validator.domain.cards import CardUid
from validator.domain.report import Report, ReportKind
from validator.ipc.client import LaneClient
from validator.lane.outbox.outbox import DiskOutbox
from validator.lane.outbox.recording import Origin
from validator.lane.outbox.sealing import Sealer

GATE_ID = "test"  # as lane_config has it
EVERY_S = 0.004
DENIED_EVERY = 5
CATCH_UP_EVERY = 50
DRAINED = 20  # what denials leave waiting at any moment
DRAINED_S = 600.0
BUDGET_S = 60.0
DENIAL_P99_MS = 10.0
SERVER_NICE = 19
_CARD = struct.Struct("<Q7s")


class Times(NamedTuple):
    """Times in CLOCK_MONOTONIC ns: lane warm, courier started, no report waiting any more."""

    warm_ns: int
    began_ns: int
    ended_ns: int


def run(bench: Bench) -> list[Row]:
    """Measure one drain."""
    town, folder, count = bench.town(bench.scale.cards), bench.folder / "drain", bench.scale.waiting
    for made in (folder, folder / "courier"):
        made.mkdir()
    for shared in ("lists", "keys"):
        (folder / shared).symlink_to(town.folder / shared)
    for _ in bench.track([count], f"{count:,} reports that wait"):
        _fill(folder / "reports", count)
    database_url = _city(folder)
    lane_socket = folder / "lane.sock"
    with (
        _served(folder / "city") as url,
        program(
            "benchmarks.lists.adoption_lane",
            str(folder),
            str(folder / "cards.sock"),
            str(lane_socket),
        ) as lane,
        quiet_memory(),
    ):
        noted, times = _drained(bench, town, lane, _config(folder, url))
    with ReportStore.open(database_url) as store:
        if store.count() < count:
            raise RuntimeError(
                f"{store.count()} of {count} reports are in the city: the lane has lost some"
            )
    taps = [Tap(*tap) for tap in noted["taps"]]
    idle = [tap for tap in taps if times.warm_ns <= tap.sent_ns < times.began_ns]
    busy = [tap for tap in taps if times.began_ns <= tap.sent_ns < times.ended_ns]
    return _rows(count, (times.ended_ns - times.began_ns) / 1e9, idle, busy)


def _fill(folder: Path, count: int) -> None:
    """Fill an outbox in memory, where syncing is free, and copy it to `folder`."""
    sealer = Sealer()
    sealer.seal_to(bytes(PrivateKey.generate().public_key))
    memory = MEMORY_BACKED if MEMORY_BACKED.is_dir() else folder.parent
    with tempfile.TemporaryDirectory(prefix="turnike-bench-", dir=memory) as made:
        outbox = DiskOutbox(
            Path(made) / "reports", Origin(GATE_ID, 1, "boot"), sealer.seal, time.monotonic_ns
        )
        outbox.open()
        for number in range(count):
            uid = CardUid(b"\x04" + number.to_bytes(6, "big"))
            denial = Report(
                ReportKind.DENIED_BOARDING,
                number,
                uid,
                "suspended",
                7,
                number,
                clock_synchronised=True,
            )
            if not outbox.append(denial):
                raise RuntimeError(f"the outbox does not take what should wait: {outbox.trouble}")
        outbox.close()
        shutil.copytree(Path(made) / "reports", folder)
    os.sync()  # else the idle row would wait for what this has written


def _city(folder: Path) -> str:
    """A city in which this gate is enrolled, and the gate's key file; the database's URL."""
    home, now_unix_s = folder / "city", int(time.time())
    home.mkdir()
    (home / FILE_NAME).write_text(example(), "utf-8")
    config = load(home)
    found_for_development(config.home, now_unix_s)
    key = Ed25519PrivateKey.generate()
    (folder / "gate.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    with ReportStore.open(config.database_url) as store:
        public = key.public_key().public_bytes_raw()
        store.enrol(GATE_ID, store.invite(GATE_ID, now_unix_s), public, now_unix_s)
    return config.database_url


@contextmanager
def _served(home: Path) -> Iterator[str]:
    with program("backoffice", "serve", "--home", str(home), "--port", "0") as receiver:
        url = receiver.first_line()
        os.setpriority(os.PRIO_PROCESS, receiver.process.pid, SERVER_NICE)
        yield url


def _config(folder: Path, url: str) -> Path:
    """The courier's configuration; there are no lists, since this city has published none."""
    more = f"""
[courier]
url = "{url}"
root = "{folder}/city/root/1.root.json"
poll_s = 3600
[upload]
url = "{url}"
key = "{folder}/gate.pem"
lanes = ["{folder}/lane.sock"]
"""
    path = lane_config(folder / "courier", more=more)
    (folder / "courier" / "lists").mkdir()
    (folder / "courier" / "keys").mkdir()
    return path


def _drained(bench: Bench, town: Town, lane: Program, config: Path) -> tuple[Line, Times]:
    """Send cards while idle, then while the courier uploads."""
    lane.event("listening", DRAINED_S)
    folder = config.parent.parent
    with ExitStack() as stack:
        channel = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        channel.connect(str(folder / "cards.sock"))
        lane_client = LaneClient(folder / "lane.sock")
        stack.callback(lane_client.close)
        cards = _Cards(channel, town)
        cards.bring(lane, _for_s(bench.scale.idle_s / 10))  # warm
        warm_ns = time.monotonic_ns()
        cards.bring(lane, _for_s(bench.scale.idle_s))
        began_ns = time.monotonic_ns()
        stack.enter_context(
            program(
                "benchmarks.as_unit", COURIER_UNIT, "validator", "courier", "--config", str(config)
            )
        )
        for _ in bench.track([config], "the drain, under taps"):
            cards.bring(lane, lambda: _is_drained(lane_client.status().reports_waiting))
        ended_ns = time.monotonic_ns()
    return lane.event("noted", DRAINED_S), Times(warm_ns, began_ns, ended_ns)


def _is_drained(reports_waiting: int | None) -> bool:
    return reports_waiting is not None and reports_waiting <= DRAINED


class _Cards:
    """Sends a card every few milliseconds.

    Most are in no table and are looked up in all three; the others are suspended, each sent once.
    """

    def __init__(self, channel: socket.socket, town: Town) -> None:
        self._channel = channel
        self._others = cycle(town.unmatched)
        self._suspended = cycle(town.suspended)

    def bring(self, lane: Program, enough: Callable[[], bool]) -> None:
        """Send cards until `enough` is true. Raises TimeoutError after DRAINED_S."""
        due_s = time.monotonic()
        ends_s, number = due_s + DRAINED_S, 0
        while number % CATCH_UP_EVERY or not enough():
            number += 1
            if number % CATCH_UP_EVERY == 0:
                lane.catch_up()
            uid = next(self._others if number % DENIED_EVERY else self._suspended)
            self._channel.sendall(_CARD.pack(time.monotonic_ns(), uid))
            due_s += EVERY_S
            if due_s > ends_s:
                raise TimeoutError("reports still wait")
            time.sleep(max(due_s - time.monotonic(), 0))


def _for_s(length_s: float) -> Callable[[], bool]:
    ends_s = time.monotonic() + length_s
    return lambda: time.monotonic() >= ends_s


def _rows(count: int, took_s: float, idle: list[Tap], busy: list[Tap]) -> list[Row]:
    rows = [
        counted(
            f"{count:,} waiting reports → in the city",
            "s",
            took_s,
            Limit("p50", BUDGET_S),
            note=f"{count / took_s:,.0f} a second, from the courier's start",
        )
    ]
    denial = Limit("p99", DENIAL_P99_MS)
    rows += _pair("denial, its report on the disk", "ms", _reported(idle), _reported(busy), denial)
    rows += _pair(
        "decided stage", "µs", [tap.decided_ns for tap in idle], [tap.decided_ns for tap in busy]
    )
    return rows + _pair("card sent → decided, none ahead", "µs", _sent(idle), _sent(busy))


def _pair(
    name: str, unit: str, idle_ns: list[int], busy_ns: list[int], limit: Limit | None = None
) -> list[Row]:
    if not idle_ns or not busy_ns:  # few taps on a busy machine, each behind another
        return []
    idle = timed(f"{name}, idle", unit, idle_ns)
    if limit is None and idle.p99 is not None:
        limit = Limit("p99", 2 * idle.p99, "2 × idle")
    return [idle, timed("– while draining", unit, busy_ns, *([limit] if limit else []))]


def _reported(taps: list[Tap]) -> list[int]:
    return [tap.report_ns for tap in taps if tap.report_ns]


def _sent(taps: list[Tap]) -> list[int]:
    """Ns from send to decision, of taps that came after the tap before had ended.

    At a gate no passenger comes four milliseconds after a denial.
    """
    return [
        tap.seen_ns - tap.sent_ns + tap.decided_ns
        for before, tap in pairwise(taps)
        if before.seen_ns + before.decided_ns + before.report_ns < tap.sent_ns
    ]
