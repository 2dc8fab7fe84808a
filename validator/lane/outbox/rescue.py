"""Checks an outbox's database before it is opened, and saves what can be read of a damaged one.

SQLite opens a file of zero bytes as an empty database, and garbage in its log as an older state. So
a second file, `outbox.json`, names the outbox that must be there, and each record has its own
checksum.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import msgspec

from validator.errors import one_line
from validator.host.durable import replace_file
from validator.lane.outbox.head import HEAD, HEAD_CHARACTERS_MAX, Head, decode_head
from validator.lane.outbox.wal import carve, cut_off, read_log
from validator.reports.stored_report import RecordError, StoredReport, decode, encode

DATABASE = "cache.db"  # the name that diskcache gives it
LOG = f"{DATABASE}-wal"
BEHIND_THE_ROT = "behind-the-rot"  # reports of a rotten log, a record a line
# Begins the key of a report that the back office rejected; its place follows.
REJECTED = "rejected/"

# SQLite's primary result codes for a disk that does not answer now: they do not prove damage, and
# the outbox is tried again.
_AWAY = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}
_UNREADABLE = {
    sqlite3.SQLITE_IOERR_READ,
    sqlite3.SQLITE_IOERR_SHORT_READ,
}  # a lost sector: this is damage

# Rows of a damaged table that are read one by one. After that, only rows that the index has.
_ROWS_SKIPPED_MAX = 4_096
_OURS = (
    "raw = 1 AND mode = 1 AND filename IS NULL AND typeof(value) = 'text'"
    " AND (typeof(key) = 'integer' AND key BETWEEN 1 AND 1 << 53"
    " OR key = 'head' OR key LIKE 'rejected/%')"
)

_COLUMNS = [  # as diskcache makes them
    ("rowid", "INTEGER"),
    ("key", "BLOB"),
    ("raw", "INTEGER"),
    ("store_time", "REAL"),
    ("expire_time", "REAL"),
    ("access_time", "REAL"),
    ("access_count", "INTEGER"),
    ("tag", "BLOB"),
    ("size", "INTEGER"),
    ("mode", "INTEGER"),
    ("filename", "TEXT"),
    ("value", "BLOB"),
]


class DamagedError(Exception):
    """An outbox that cannot be used any more. The message is one line: file and damage."""


class Examined(NamedTuple):
    """A whole outbox: its head, and how many reports wait and were rejected.

    `planted` counts rows that no outbox wrote. They were deleted.
    """

    head: Head
    waiting: int
    rejected: int
    planted: int


class Saved(NamedTuple):
    """A report of a damaged outbox, and whether the back office had rejected it."""

    report: StoredReport
    is_rejected: bool


def examine(folder: Path, outbox_id: str) -> Examined:
    """Check the outbox in a folder, and delete what was planted in it.

    Args:
        folder: holds the database and its log, which no one has opened.
        outbox_id: the id that the outbox must have.

    Raises:
        DamagedError: it is damaged, empty, or another outbox.
        OSError, sqlite3.Error: the disk does not answer. A full or read-only disk is no damage.
    """
    path = folder / DATABASE
    if not path.is_file():
        raise DamagedError(f"{path}: the file is gone")
    log = read_log(folder / LOG)
    if log.behind_the_rot is not None:
        raise DamagedError(f"{folder / LOG}: is damaged, and not at its end")
    cut_off(folder / LOG, log.end)
    try:
        with closing(_opened(path)) as database:
            (verdict,) = database.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict != "ok":
                raise DamagedError(f"{path}: {one_line(verdict)}")
            _check_columns(path, database)
            _find_rotten_row(path, database)
            _forget_settings(database)
            planted = database.execute(
                f"DELETE FROM Cache WHERE NOT coalesce({_OURS}, 0)"  # noqa: S608 — a constant
            ).rowcount
            found = database.execute(
                "SELECT value FROM Cache WHERE key = ? AND raw = 1", (HEAD,)
            ).fetchone()
            waiting, rejected, newest = database.execute(
                "SELECT count(*) FILTER (WHERE typeof(key) = 'integer'),"
                " count(*) FILTER (WHERE key LIKE 'rejected/%'),"
                " coalesce(max(key) FILTER (WHERE typeof(key) = 'integer'), 0) FROM Cache"
            ).fetchone()
    except (sqlite3.Error, UnicodeError) as error:  # UnicodeError: a rotten name in SQLite's schema
        if _is_away(error):
            raise
        raise DamagedError(f"{path}: {error}") from error
    if found is None:
        raise DamagedError(f"{path}: is empty, and should not be")
    head = _head(path, found)
    if head.outbox_id != outbox_id:
        raise DamagedError(f"{path}: is not the outbox that outbox.json names")
    return Examined(head.after(newest), waiting, rejected, planted)


def _check_columns(path: Path, database: sqlite3.Connection) -> None:
    """Raise DamagedError for a table of other columns.

    No checksum covers the SQL text that defines the table. One rotten letter in it makes a
    comparison wrong.
    """
    columns = [
        (name.lower(), kind.upper())
        for _, name, kind, *_ in database.execute("PRAGMA table_info(Cache)")
    ]
    if columns != _COLUMNS:
        raise DamagedError(f"{path}: its table has rotted")


def _find_rotten_row(path: Path, database: sqlite3.Connection) -> None:
    """Raise DamagedError for a row that no outbox wrote so, but that holds a readable report.

    The rescue saves that report. Else the row would be deleted as planted.
    """
    for (value,) in database.execute(
        f"SELECT value FROM Cache WHERE NOT coalesce({_OURS}, 0)"  # noqa: S608 — a constant
    ):
        with suppress(RecordError):
            decode(readable_record(value))
            raise DamagedError(f"{path}: a row has rotted")


def _forget_settings(database: sqlite3.Connection) -> None:
    """Delete diskcache's settings and triggers: it gets them as arguments, or makes them again.

    A planted setting could call any method of the Cache. A planted trigger could undo each append.
    """
    database.execute("DELETE FROM Settings")
    for (name,) in database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    ).fetchall():
        quoted = name.replace('"', '""')
        database.execute(f'DROP TRIGGER "{quoted}"')


def _head(path: Path, found: tuple[object]) -> Head:
    try:
        return decode_head(str(found[0])[:HEAD_CHARACTERS_MAX])
    except (msgspec.MsgspecError, ValueError) as error:
        raise DamagedError(f"{path}: its head cannot be read") from error


def keep_rotten_log(folder: Path) -> None:
    """Save the reports behind the rot of a log to a file, before SQLite drops them.

    Raises OSError.
    """
    reports = read_log(folder / LOG).behind_the_rot
    if reports is not None:
        replace_file(folder / BEHIND_THE_ROT, "\n".join(map(encode, reports)).encode())


def salvage(folder: Path) -> Iterator[Saved]:
    """Yield every report that can still be read once, by rising place.

    Raises:
        sqlite3.Error: the disk does not answer.
    """
    behind = {report.report_id: report for report in _behind_the_rot(folder)}
    for saved in _rows(folder) if _has_table(folder) else _carved(folder):
        behind.pop(saved.report.report_id, None)
        yield saved
    yield from (Saved(report, is_rejected=False) for report in behind.values())


def _behind_the_rot(folder: Path) -> Iterator[StoredReport]:
    with suppress(FileNotFoundError):
        for record in (folder / BEHIND_THE_ROT).read_text(errors="replace").splitlines():
            with suppress(RecordError):
                yield decode(record)


def _has_table(folder: Path) -> bool:
    """Whether SQLite still finds the table. Raises sqlite3.Error if the disk does not answer."""
    try:
        with closing(_opened(folder / DATABASE)) as database:
            database.execute("SELECT _rowid_, key, value FROM Cache LIMIT 0")
    except (sqlite3.Error, UnicodeError) as error:
        if _is_away(error):
            raise
        return False
    return True


def _carved(folder: Path) -> Iterator[Saved]:
    """Yield the reports in all pages, when SQLite no longer knows which pages are the table's."""
    found: set[bytes] = set()
    for report in chain(carve(folder / DATABASE), carve(folder / LOG)):
        report_id = bytes.fromhex(report.report_id.replace("-", ""))
        if report_id not in found:
            found.add(report_id)
            yield Saved(report, is_rejected=False)


def _rows(folder: Path) -> Iterator[Saved]:
    with _damage_suppressed(), closing(_opened(folder / DATABASE)) as database:
        place = skipped = 0
        known: Iterator[int] | None = None
        while True:
            try:
                # The record's checksum decides what is a report, whatever became of other columns.
                for rowid, is_rejected, value in database.execute(
                    "SELECT _rowid_, coalesce(key LIKE 'rejected/%', 0), value FROM Cache"
                    " WHERE _rowid_ > ? ORDER BY _rowid_",
                    (place,),
                ):
                    place = rowid
                    with suppress(RecordError):
                        yield Saved(decode(readable_record(value)), bool(is_rejected))
            except (sqlite3.Error, UnicodeError) as error:
                if _is_away(error):
                    raise
            else:
                return
            # Go on behind the row whose page cannot be read; its neighbours may be readable.
            place, skipped = place + 1, skipped + 1
            if skipped > _ROWS_SKIPPED_MAX:
                known = known or iter(_rowids(database))
                place = next((rowid for rowid in known if rowid >= place), 0)
            if not place:
                return


def _rowids(database: sqlite3.Connection) -> Sequence[int]:
    """Return the row ids that the index of keys has, rising. The index is on pages of its own.

    It is read from each end as far as its pages are readable.
    """
    found: set[int] = set()
    for order in ("ASC", "DESC"):
        index = (
            "SELECT _rowid_ FROM Cache INDEXED BY Cache_key_raw"  # noqa: S608 — a constant
            f" ORDER BY key {order}, raw {order}"
        )
        with _damage_suppressed():
            found.update(rowid for (rowid,) in database.execute(index))
    return sorted(found)


def was_used(folder: Path) -> bool:
    """Whether this database ever held a report, as far as its head can still be read."""
    with (
        suppress(sqlite3.Error, UnicodeError, DamagedError),
        closing(_opened(folder / DATABASE)) as database,
    ):
        found = database.execute("SELECT value FROM Cache WHERE key = ?", (HEAD,)).fetchone()
        return found is not None and _head(folder / DATABASE, found).next_seq > 1
    return False


@contextmanager
def _damage_suppressed() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, UnicodeError) as error:
        if _is_away(error):
            raise


def _is_away(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)  # Python's own errors have none
    return code & 0xFF in _AWAY and code not in _UNREADABLE


def is_damage(error: Exception) -> bool:
    """Whether an error in use proves damage. A disk that does not answer may answer later."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, UnicodeError) or (code is not None and code & 0xFF not in _AWAY)


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=1.0, isolation_level=None)
    database.text_factory = readable
    return database


def readable_record(value: object) -> object:
    """Return the text of a `value` column: one rotten bit makes its bytes a blob."""
    return readable(value) if isinstance(value, bytes) else value


def readable(text: bytes) -> str:
    """Decode a text of the database, rotten or not; a record's own checksum judges it.

    Python's sqlite3 would fail the whole statement for one byte that is no UTF-8.
    """
    return text.decode(errors="replace")
