"""The rows of an outbox in diskcache's database: appended, read, moved and counted by our own SQL.

    cache = connected(folder)
    append(cache, place, record)                 # one statement, one sync
    for row in oldest(cache, 20, 0): ...         # row.report is None if it cannot be read

Any column of a row may rot, and diskcache's `get` and `set` rely on all of them. A flipped bit in
`mode` calls the unpickler, one in `expire_time` hides the row, and one in `raw` makes another key.
Here a row is found by its key or its rowid, and the record's own checksum alone decides whether it
is a report. An unreadable report is a value (None), never an exception.

Every function raises sqlite3.Error, OSError and diskcache's Timeout.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from diskcache import Cache
from diskcache.core import MODE_RAW

from validator.lane.outbox.head import HEAD, Head, encode_head
from validator.lane.outbox.inline_disk import InlineTextDisk
from validator.lane.outbox.rescue import REJECTED, Saved, readable, readable_record
from validator.reports.stored_report import RecordError, StoredReport, decode

LOCK_WAIT_S = 1.0  # no other process should have the database open
_CACHE_PAGES = 1_024  # 1 MiB: only the oldest and the newest rows are read

SETTINGS = {
    "eviction_policy": "none",  # the default deletes reports that were acknowledged
    "cull_limit": 0,
    "size_limit": 1 << 62,
    "statistics": 0,
    "tag_index": 0,
    "sqlite_synchronous": 2,  # FULL: with the default a power cut loses acknowledged reports
    "sqlite_journal_mode": "wal",
    "sqlite_mmap_size": 0,  # so a disk that fails raises an error, and no SIGBUS
    "sqlite_cache_size": _CACHE_PAGES,
    "sqlite_auto_vacuum": 0,
}

# Without an open transaction a statement is one by itself. diskcache's own `set` runs four
# statements, for which a passenger would wait. As with `set`, a planted row in the next place is
# overwritten.
_PUT = (
    "INSERT INTO Cache (key, raw, store_time, access_time, access_count, size, mode, value)"
    " VALUES (?, 1, 0, 0, 0, 0, ?, ?)"
    " ON CONFLICT (key, raw) DO UPDATE SET mode = excluded.mode, value = excluded.value,"
    " filename = NULL, expire_time = NULL"
)

# In the order of the index: numbers come before texts, of which there may be thousands.
_OLDEST = "SELECT rowid, key, value FROM Cache WHERE key < '' ORDER BY key, raw LIMIT ? OFFSET ?"
_EVERY = "SELECT coalesce(key LIKE 'rejected/%', 0), value FROM Cache ORDER BY rowid"
_DELETE = "DELETE FROM Cache WHERE key = ?"
_REJECT = "UPDATE OR REPLACE Cache SET key = 'rejected/' || key, raw = 1 WHERE key = ?"
# An unreadable row, `rejected/unreadable-…`, stays. So does one whose place another report has.
_RETRY = (
    "UPDATE OR IGNORE Cache SET key = CAST(substr(key, 10) AS INTEGER), raw = 1"
    " WHERE rowid IN (SELECT rowid FROM Cache WHERE key GLOB 'rejected/[1-9]*'"
    " AND substr(key, 10) NOT GLOB '*[^0-9]*' AND length(key) < 25 LIMIT ?)"
)
_QUARANTINE = (
    "UPDATE OR REPLACE Cache"
    " SET key = 'rejected/unreadable-' || rowid, raw = 1, mode = 1, filename = NULL"
    " WHERE rowid = ? AND typeof(value) = 'text'"
)
_COUNT = (
    "SELECT count(*) FILTER (WHERE typeof(key) = 'integer'),"
    " count(*) FILTER (WHERE key LIKE 'rejected/%') FROM Cache"
)

# diskcache counts rows by triggers and finds expired ones by an index. An outbox needs neither, and
# each report would write one or two more pages. diskcache makes the triggers at each opening, and
# the index only if there is none of its name. So an index that holds no row takes its name.
_UNASKED_TRIGGERS = ("Settings_count_insert", "Settings_size_insert")
_EXPIRING = "Cache_expire_time"
_EXPIRING_INDEX = f"CREATE INDEX {_EXPIRING} ON Cache (expire_time) WHERE expire_time IS NOT NULL"


class Row(NamedTuple):
    """One row that waits; `place` is None if its key is no number, `report` if it is unreadable."""

    rowid: int
    place: int | None
    report: StoredReport | None


class Counted(NamedTuple):
    """How many rows wait, and how many were rejected or quarantined."""

    waiting: int
    rejected: int


def connected(folder: Path) -> Any:
    """Open the database of a folder through diskcache, and make it if there is none."""
    cache = Cache(str(folder), timeout=LOCK_WAIT_S, disk=InlineTextDisk, **SETTINGS)
    cache._con.text_factory = readable  # noqa: SLF001 — diskcache has no setting for it
    with cache.transact():
        for name in _UNASKED_TRIGGERS:
            _sql(cache, f"DROP TRIGGER {name}")
        made_as = _sql(cache, "SELECT sql FROM sqlite_master WHERE name = ?", _EXPIRING).fetchall()
        if made_as != [(_EXPIRING_INDEX,)]:
            _sql(cache, f"DROP INDEX {_EXPIRING}")
            _sql(cache, _EXPIRING_INDEX)
    return cache


def end_log(cache: Any) -> None:
    """Write the log to the database, sync that, and empty the log."""
    _sql(cache, "PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def append(cache: Any, place: int, record: str) -> None:
    """Insert the record of a report in a place: one statement and one sync."""
    # Without `_sql`, whose call a passenger would wait for.
    cache._sql(_PUT, (place, MODE_RAW, record))  # noqa: SLF001 — diskcache has no method for it


def save(cache: Any, place: int, record: str, *, is_rejected: bool) -> None:
    """Insert a record of an older outbox, as one that waits or one that was rejected."""
    _sql(cache, _PUT, f"{REJECTED}{place}" if is_rejected else place, MODE_RAW, record)


def set_head(cache: Any, head: Head) -> None:
    """Replace the head."""
    _sql(cache, _PUT, HEAD, MODE_RAW, encode_head(head))


def oldest(cache: Any, count_max: int, skipped: int) -> Sequence[Row]:
    """Return at most `count_max` rows that have waited longest, after the first `skipped`."""
    return [
        Row(rowid, key if isinstance(key, int) else None, _report(value))
        for rowid, key, value in _sql(cache, _OLDEST, count_max, skipped).fetchall()
    ]


def every(cache: Any) -> Iterator[Saved]:
    """Yield every readable report, by rising row, of an open database whose files were removed."""
    for is_rejected, value in _sql(cache, _EVERY):
        if (report := _report(value)) is not None:
            yield Saved(report, bool(is_rejected))


def delete(cache: Any, places: Iterable[int]) -> int:
    """Delete the rows that wait in these places. Returns how many there were."""
    return sum(_sql(cache, _DELETE, place).rowcount for place in places)


def reject(cache: Any, places: Iterable[int]) -> int:
    """Mark the rows in these places as rejected, also unreadable ones. Returns how many."""
    return sum(_sql(cache, _REJECT, place).rowcount for place in places)


def retry(cache: Any, count_max: int) -> int:
    """Let at most `count_max` rejected rows wait again in their old places. Returns how many."""
    changed: int = _sql(cache, _RETRY, count_max).rowcount
    return changed


def quarantine(cache: Any, rows: Iterable[Row]) -> None:
    """Take unreadable rows out of the queue: keep texts for the operator, delete all else."""
    for row in rows:
        if not _sql(cache, _QUARANTINE, row.rowid).rowcount:
            _sql(cache, "DELETE FROM Cache WHERE rowid = ?", row.rowid)


def counted(cache: Any) -> Counted:
    """Count all rows: a scan of the whole index, so only after something went wrong."""
    return Counted(*_sql(cache, _COUNT).fetchone())


def _report(value: object) -> StoredReport | None:
    try:
        return decode(readable_record(value))
    except RecordError:
        return None


def _sql(cache: Any, statement: str, *values: object) -> Any:
    return cache._sql(statement, values)  # noqa: SLF001 — diskcache has no method for it
