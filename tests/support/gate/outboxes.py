"""Outboxes in a folder of a test, and reports for them."""

import itertools
import os
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
    """Return the report of a tap."""
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
    """Return a text in place of a sealed UID."""
    return f"sealed {len(uid)}", "key 1"


def outbox(
    folder: Path,
    limits: OutboxLimits = SMALL,
    *,
    open_: bool = True,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> DiskOutbox:
    """Return the outbox of a folder, opened if `open_`."""
    # `open` makes a report that is not kept, at 4. So the first report is made at 5.
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
    """Return the numbers of the oldest reports."""
    return [stored.seq for stored in box.oldest(count_max)]


def ids(box: DiskOutbox, count_max: int = 10_000) -> list[str]:
    """Return the ids of the oldest reports."""
    return [stored.report_id for stored in box.oldest(count_max)]


def database(folder: Path) -> "closing[sqlite3.Connection]":
    """Open the database of an outbox as another program does."""
    return closing(sqlite3.connect(folder / "outbox" / "cache.db", isolation_level=None))


def middle_of_garbage(path: Path) -> None:
    """Overwrite a quarter of a file, from its middle on, with random bytes."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(os.urandom(size // 4))


def nearly_full(_path: object) -> SimpleNamespace:
    """Return the figures of a disk with less than a megabyte of room."""
    return SimpleNamespace(f_bavail=255, f_frsize=4_096)
