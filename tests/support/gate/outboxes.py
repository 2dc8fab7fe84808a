"""Outboxes in a folder of a test, and reports for them."""

import itertools
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

from validator.domain.cards import CardUid
from validator.domain.report import Report, ReportKind
from validator.lane.outbox.outbox import DiskOutbox, OutboxLimits
from validator.lane.outbox.recording import Origin

UID = bytes.fromhex("04a1b2c3d4e5f6")
NOW_UNIX_S = 1_800_000_000
SMALL = OutboxLimits(reports_max=1_000, reserve_bytes=0)


def report(tap: int = 1) -> Report:
    """The report of a tap."""
    return Report(
        ReportKind.DENIED_BOARDING,
        tap,
        CardUid(UID),
        "suspended",
        7,
        NOW_UNIX_S + tap,
        clock_synchronised=True,
    )


def seal(uid: bytes) -> tuple[str, str]:
    """In place of the sealing to a key."""
    return f"sealed {len(uid)}", "key 1"


def outbox(
    folder: Path,
    limits: OutboxLimits = SMALL,
    *,
    open_: bool = True,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> DiskOutbox:
    """The outbox of a folder."""
    # It rehearses at 4, so that the first report is made at 5.
    made = DiskOutbox(
        folder / "outbox",
        Origin("gate", 1, "boot 1"),
        seal,
        itertools.count(4).__next__,
        limits,
        monotonic_s,
    )
    if open_:
        assert made.open(), made.trouble
    return made


def seqs(box: DiskOutbox, count_max: int = 10_000) -> list[int]:
    """The numbers of the oldest reports."""
    return [stored.seq for stored in box.oldest(count_max)]


def ids(box: DiskOutbox, count_max: int = 10_000) -> list[str]:
    """Their ids."""
    return [stored.report_id for stored in box.oldest(count_max)]


def database(folder: Path) -> "closing[sqlite3.Connection]":
    """Open the outbox as another program."""
    return closing(sqlite3.connect(folder / "outbox" / "cache.db", isolation_level=None))


def nearly_full(_path: object) -> SimpleNamespace:
    """What is left of a disk: less than a megabyte."""
    return SimpleNamespace(f_bavail=255, f_frsize=4_096)
