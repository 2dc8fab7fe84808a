"""Looks at an outbox's database before it is opened: whether it is whole, empty, or damaged; and saves from a damaged one what can be read.

SQLite opens a file of zero bytes as an empty database, and garbage in its log as an older state. So what must be there is written in a second
file, `outbox.json`, and each record has a checksum of its own.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Annotated, NamedTuple
from zlib import crc32

import msgspec

from validator.errors import one_line
from validator.host.durable import replace_file
from validator.lane.outbox.wal import carve, cut_off, read_log
from validator.reports.stored_report import RecordError, Refused, StoredReport, decode, encode

DATABASE = "cache.db"  # as diskcache calls it
LOG = f"{DATABASE}-wal"
BEHIND_THE_ROT = "behind-the-rot"  # reports of a rotten log, a record a line
HEAD = "head"  # the key of the row that says whose outbox it is
REJECTED = (
    "rejected/"  # begins the key of a report that the back office did not take; its place follows
)
HEAD_CHARACTERS_MAX = 512
_CRC_DIGITS = 8

# What SQLite says of a disk that does not answer now (its primary result codes): nothing is known of the outbox then, and it is tried again.
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
}  # a sector that is lost: damage after all

_ROWS_SKIPPED_MAX = 4_096  # rows of a damaged table that are asked for one by one; then only those of which the index knows
_OURS = (
    "raw = 1 AND mode = 1 AND filename IS NULL AND typeof(value) = 'text'"
    " AND (typeof(key) = 'integer' AND key BETWEEN 1 AND 1 << 53 OR key = 'head' OR key LIKE 'rejected/%')"
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

_Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]


class DamagedError(Exception):
    """An outbox that cannot be gone on with; the message is one clear line."""


class Head(msgspec.Struct, frozen=True):
    """Whose outbox it is, the next `seq`, and how many places came before the first.

    It is written when reports go away or are refused; until then the newest place says what the next `seq` is.
    """

    outbox_id: str
    next_seq: Annotated[int, msgspec.Meta(ge=1, lt=1 << 53)]
    places_before: _Count = 0
    refused_before: Refused = 0
    """How many were refused since the report before the next one."""

    @property
    def next_place(self) -> int:
        """The key of the next report: it only rises, also past what was saved from an older outbox."""
        return self.places_before + self.next_seq

    def after(self, place: int) -> "Head":
        """The head when this place is taken."""
        next_seq = place - self.places_before + 1
        return (
            self
            if next_seq <= self.next_seq
            else msgspec.structs.replace(self, next_seq=next_seq, refused_before=0)
        )


def encode_head(head: Head) -> str:
    """The head as its row has it: a CRC-32 in front, since a rotten number would give numbers out twice."""
    content = msgspec.json.encode(head)
    return f"{crc32(content):0{_CRC_DIGITS}x} {content.decode()}"


def decode_head(text: str) -> Head:
    """The head of such a text, or of one without a CRC, as older versions wrote it. Raises ValueError."""
    crc, _, content = ("", "", text) if text.startswith("{") else text.partition(" ")
    if crc and crc != f"{crc32(content.encode()):0{_CRC_DIGITS}x}":
        raise ValueError("its checksum is wrong")
    return msgspec.json.decode(content, type=Head)


class Examined(NamedTuple):
    """A whole outbox: its head, how many reports wait, how many were rejected, and how many rows were planted and are gone now."""

    head: Head
    waiting: int
    rejected: int
    planted: int


class Saved(NamedTuple):
    """A report of a damaged outbox, and whether the back office had not taken it."""

    report: StoredReport
    is_rejected: bool


def examine(folder: Path, outbox_id: str) -> Examined:
    """Look at the outbox in this folder, which must be the one of this id.

    Raises DamagedError; and OSError or sqlite3.Error if the disk does not answer: a full one is no damage, nor is one that is read-only.
    """
    path = folder / DATABASE
    if not path.is_file():
        raise DamagedError(f"{path}: is gone")
    log = read_log(folder / LOG)
    if log.behind_the_rot is not None:
        raise DamagedError(f"{folder / LOG}: is damaged, and not at its end")
    cut_off(folder / LOG, log.end)
    try:
        with closing(_opened(path)) as database:
            (told,) = database.execute("PRAGMA integrity_check(1)").fetchone()
            if told != "ok":
                raise DamagedError(f"{path}: {one_line(told)}")
            _check_columns(path, database)
            _find_rotten_row(path, database)
            _forget_settings(database)
            planted = database.execute(f"DELETE FROM Cache WHERE NOT coalesce({_OURS}, 0)").rowcount  # noqa: S608 — a constant
            found = database.execute(
                "SELECT value FROM Cache WHERE key = ? AND raw = 1", (HEAD,)
            ).fetchone()
            waiting, rejected, newest = database.execute(
                "SELECT count(*) FILTER (WHERE typeof(key) = 'integer'), count(*) FILTER (WHERE key LIKE 'rejected/%'),"
                " coalesce(max(key) FILTER (WHERE typeof(key) = 'integer'), 0) FROM Cache"
            ).fetchone()
    except (
        sqlite3.Error,
        UnicodeError,
    ) as error:  # the second: a rotten name in SQLite's own words
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
    """Raise DamagedError for a table of other columns: in the words that made it a letter rots unseen, and a comparison goes wrong."""
    told = [
        (name.lower(), kind.upper())
        for _, name, kind, *_ in database.execute("PRAGMA table_info(Cache)")
    ]
    if told != _COLUMNS:
        raise DamagedError(f"{path}: its table has rotted")


def _find_rotten_row(path: Path, database: sqlite3.Connection) -> None:
    """Raise DamagedError for a row that is not as an outbox writes it, and has a report that can be read: it is saved, not removed."""
    for (value,) in database.execute(f"SELECT value FROM Cache WHERE NOT coalesce({_OURS}, 0)"):  # noqa: S608 — a constant
        with suppress(RecordError):
            decode(readable_record(value))
            raise DamagedError(f"{path}: a row has rotted")


def _forget_settings(database: sqlite3.Connection) -> None:
    """Leave nothing that diskcache would take from the file: its settings are given to it, and it makes its own triggers anew.

    A row that was planted among them could call what it likes inside the Cache, and a trigger could undo each append.
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
    """Write down what can be read behind the rot in a log, before SQLite opens the database and does away with it. Raises OSError."""
    reports = read_log(folder / LOG).behind_the_rot
    if reports is not None:
        replace_file(folder / BEHIND_THE_ROT, "\n".join(map(encode, reports)).encode())


def salvage(folder: Path) -> Iterator[Saved]:
    """Every report that can still be read, by rising place, each once: what is damaged is not there. Raises sqlite3.Error if the disk does not answer."""
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
    """Whether the database still knows where its rows are. Raises sqlite3.Error if the disk does not answer."""
    try:
        with closing(_opened(folder / DATABASE)) as database:
            database.execute("SELECT _rowid_, key, value FROM Cache LIMIT 0")
    except (sqlite3.Error, UnicodeError) as error:
        if _is_away(error):
            raise
        return False
    return True


def _carved(folder: Path) -> Iterator[Saved]:
    """What stands in the pages, when nothing says any more which of them are the table's."""
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
                # Whatever has become of its other columns: the record's checksum says what is a report.
                for rowid, is_rejected, value in database.execute(
                    "SELECT _rowid_, coalesce(key LIKE 'rejected/%', 0), value FROM Cache WHERE _rowid_ > ? ORDER BY _rowid_",
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
            # Past a page that cannot be read, if the next can: `place` is asked for no more.
            place, skipped = place + 1, skipped + 1
            if skipped > _ROWS_SKIPPED_MAX:
                known = known or iter(_rowids(database))
                place = next((rowid for rowid in known if rowid >= place), 0)
            if not place:
                return


def _rowids(database: sqlite3.Connection) -> Sequence[int]:
    """The rows that there are, rising, by the index of their keys, which is on pages of its own: from its one end as far as it can be read, and from its other."""
    found: set[int] = set()
    for order in ("ASC", "DESC"):
        index = (
            f"SELECT _rowid_ FROM Cache INDEXED BY Cache_key_raw ORDER BY key {order}, raw {order}"  # noqa: S608 — a constant
        )
        with _damage_suppressed():
            found.update(rowid for (rowid,) in database.execute(index))
    return sorted(found)


def was_used(folder: Path) -> bool:
    """Whether a report ever stood in this database, as far as it can still be read."""
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
    """Whether an error in use says that the database is not what it was. A disk that does not answer may yet do so."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, UnicodeError) or (code is not None and code & 0xFF not in _AWAY)


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=1.0, isolation_level=None)
    database.text_factory = readable
    return database


def readable_record(value: object) -> object:
    """What a `value` column may hold: one bit makes the same bytes a blob in place of a text."""
    return readable(value) if isinstance(value, bytes) else value


def readable(text: bytes) -> str:
    """A text of the database, rotten or not: a record's own checksum judges it. SQLite's would be an error of the whole database."""
    return text.decode(errors="replace")
