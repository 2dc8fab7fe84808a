"""The rows of an outbox's table in diskcache's database: kept, read, moved and counted by statements of our own.

    cache = connected(folder)
    append(cache, place, record)                 # one statement, one sync
    for row in oldest(cache, 20, 0): ...         # row.report is None if nobody can read it any more

Any column of a row may rot, and diskcache's `get` and `set` go by all of them: a flipped bit in `mode` calls
the unpickler, one in `expire_time` hides the row, one in `raw` makes another key of it. Here a row is found by
its key or its rowid, and the record's own checksum alone says whether it is a report. What cannot be read is
a value (None), never an exception. Every function raises sqlite3.Error, OSError and diskcache's Timeout.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from diskcache import Cache
from diskcache.core import MODE_RAW

from validator.lane.outbox.inline_disk import InlineTextDisk
from validator.lane.outbox.rescue import (
    HEAD,
    REJECTED,
    Head,
    Saved,
    encode_head,
    readable,
    readable_record,
)
from validator.reports.stored_report import RecordError, StoredReport, decode

LOCK_WAIT_S = 1.0  # nobody else should have the database at all
_CACHE_PAGES = 1_024  # 1 MiB: it is asked for the oldest and the newest only

SETTINGS = {
    "eviction_policy": "none",  # the default throws away what was promised
    "cull_limit": 0,
    "size_limit": 1 << 62,
    "statistics": 0,
    "tag_index": 0,
    "sqlite_synchronous": 2,  # FULL: with the default a power cut loses what was acknowledged
    "sqlite_journal_mode": "wal",
    "sqlite_mmap_size": 0,  # a disk that fails is an error then, and no SIGBUS
    "sqlite_cache_size": _CACHE_PAGES,
    "sqlite_auto_vacuum": 0,
}

# A statement is a transaction by itself, none being open: each ends with its `with`, or the outbox is closed. diskcache's own `set` begins one, looks
# for the key and ends it: four, for which a passenger would wait. As with `set`, what was planted in the next place gives way.
_PUT = (
    "INSERT INTO Cache (key, raw, store_time, access_time, access_count, size, mode, value) VALUES (?, 1, 0, 0, 0, 0, ?, ?)"
    " ON CONFLICT (key, raw) DO UPDATE SET mode = excluded.mode, value = excluded.value, filename = NULL, expire_time = NULL"
)

# By rising key, as the index has them: numbers stand before texts, of which there may be thousands.
_OLDEST = "SELECT rowid, key, value FROM Cache WHERE key < '' ORDER BY key, raw LIMIT ? OFFSET ?"
_EVERY = "SELECT coalesce(key LIKE 'rejected/%', 0), value FROM Cache ORDER BY rowid"
_DELETE = "DELETE FROM Cache WHERE key = ?"
_REJECT = "UPDATE OR REPLACE Cache SET key = 'rejected/' || key, raw = 1 WHERE key = ?"
# What cannot be read, `rejected/unreadable-…`, stays where it is. So does what would push a report from its place.
_RETRY = (
    "UPDATE OR IGNORE Cache SET key = CAST(substr(key, 10) AS INTEGER), raw = 1 WHERE rowid IN (SELECT rowid FROM Cache"
    " WHERE key GLOB 'rejected/[1-9]*' AND substr(key, 10) NOT GLOB '*[^0-9]*' AND length(key) < 25 LIMIT ?)"
)
_GIVE_UP = (
    "UPDATE OR REPLACE Cache SET key = 'rejected/unreadable-' || rowid, raw = 1, mode = 1, filename = NULL"
    " WHERE rowid = ? AND typeof(value) = 'text'"
)
_COUNT = "SELECT count(*) FILTER (WHERE typeof(key) = 'integer'), count(*) FILTER (WHERE key LIKE 'rejected/%') FROM Cache"

# With these diskcache counts rows and finds those that have expired, which an outbox never asks; they would cost a page or two a report. The triggers it makes
# anew at each opening; the index only where there is none of the name, and nothing of ours is in this one.
_UNASKED_TRIGGERS = ("Settings_count_insert", "Settings_size_insert")
_EXPIRING = "Cache_expire_time"
_EXPIRING_INDEX = f"CREATE INDEX {_EXPIRING} ON Cache (expire_time) WHERE expire_time IS NOT NULL"


class Row(NamedTuple):
    """One row that waits: where it stands, its place (None if the key is none), and its report (None if unreadable)."""

    rowid: int
    place: int | None
    report: StoredReport | None


class Counted(NamedTuple):
    """How many rows wait, and how many were put aside."""

    waiting: int
    rejected: int


def connected(folder: Path) -> Any:
    """The database in this folder, opened through diskcache; it is made if there is none."""
    cache = Cache(str(folder), timeout=LOCK_WAIT_S, disk=InlineTextDisk, **SETTINGS)
    cache._con.text_factory = readable  # noqa: SLF001 — diskcache has no word for it
    with cache.transact():
        for name in _UNASKED_TRIGGERS:
            _sql(cache, f"DROP TRIGGER {name}")
        made_as = _sql(cache, "SELECT sql FROM sqlite_master WHERE name = ?", _EXPIRING).fetchall()
        if made_as != [(_EXPIRING_INDEX,)]:
            _sql(cache, f"DROP INDEX {_EXPIRING}")
            _sql(cache, _EXPIRING_INDEX)
    return cache


def end_log(cache: Any) -> None:
    """Write the log to the database, sync that, and begin the log anew."""
    _sql(cache, "PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def append(cache: Any, place: int, record: str) -> None:
    """Keep the record of a report in this place."""
    cache._sql(_PUT, (place, MODE_RAW, record))  # noqa: SLF001 — diskcache has no word for it, and a passenger waits


def save(cache: Any, place: int, record: str, *, is_rejected: bool) -> None:
    """Keep a record of an older outbox, as one that waits or as one that was rejected."""
    _sql(cache, _PUT, f"{REJECTED}{place}" if is_rejected else place, MODE_RAW, record)


def set_head(cache: Any, head: Head) -> None:
    """Write down whose outbox it is and what comes next."""
    _sql(cache, _PUT, HEAD, MODE_RAW, encode_head(head))


def oldest(cache: Any, count_max: int, skipped: int) -> Sequence[Row]:
    """The rows that have waited longest, after so many of them."""
    return [
        Row(rowid, key if isinstance(key, int) else None, _report(value))
        for rowid, key, value in _sql(cache, _OLDEST, count_max, skipped).fetchall()
    ]


def every(cache: Any) -> Iterator[Saved]:
    """Every report that can be read, by rising row: for a database whose files were removed, and which is still open."""
    for is_rejected, value in _sql(cache, _EVERY):
        if (report := _report(value)) is not None:
            yield Saved(report, bool(is_rejected))


def delete(cache: Any, places: Iterable[int]) -> int:
    """Delete what waits in these places; how many there were."""
    return sum(_sql(cache, _DELETE, place).rowcount for place in places)


def reject(cache: Any, places: Iterable[int]) -> int:
    """Put aside what waits in these places, whether it can be read or not; how many there were."""
    return sum(_sql(cache, _REJECT, place).rowcount for place in places)


def retry(cache: Any, count_max: int) -> int:
    """Let so many of those wait again, each in its old place; how many do."""
    changed: int = _sql(cache, _RETRY, count_max).rowcount
    return changed


def give_up(cache: Any, rows: Iterable[Row]) -> None:
    """Take rows away that cannot be read: a text is kept aside for a person to look at, anything else was no record."""
    for row in rows:
        if not _sql(cache, _GIVE_UP, row.rowid).rowcount:
            _sql(cache, "DELETE FROM Cache WHERE rowid = ?", row.rowid)


def counted(cache: Any) -> Counted:
    """Count all rows: a scan of the index, for when something was not as it should be."""
    return Counted(*_sql(cache, _COUNT).fetchone())


def _report(value: object) -> StoredReport | None:
    try:
        return decode(readable_record(value))
    except RecordError:
        return None


def _sql(cache: Any, statement: str, *values: object) -> Any:
    return cache._sql(statement, values)  # noqa: SLF001 — diskcache has no word for it
