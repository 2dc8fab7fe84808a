"""The outbox: reports on the disk until the back office has them. ports.Outbox on diskcache, hardened; docs/reports.md says what it promises.

    outbox = DiskOutbox(folder, origin, seal, boottime_ns, limits)
    outbox.open()                        # in the thread that will own it; looks the database over first
    outbox.prepare()                     # now and then, while nobody waits
    outbox.append(report)                # True: it is on the disk, and outlives a power cut
    for stored in outbox.oldest(20): ...
    outbox.forget(["<report id>", ...])  # delivered; only what `oldest` told

One transaction of one row, so one sync, a report: the number of the newest is the place in which it stands, so no `seq` is used twice and none left
out; whatever takes reports away writes the next number down first. A disk that fails is told in `trouble` and tried again every second; what could not be kept meanwhile is counted in `refused`, and
the next report that is kept says how many there were.
"""

import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec
from diskcache import Cache, Timeout
from diskcache.core import MODE_RAW

from validator.adapters.inline_disk import InlineTextDisk, PlantedError
from validator.adapters.outbox_folder import OutboxFolder
from validator.adapters.outbox_rescue import (
    HEAD,
    REJECTED,
    DamagedError,
    Head,
    Saved,
    examine,
    keep_rotten_log,
    readable,
    salvage,
    was_used,
)
from validator.domain.cards import CardUid
from validator.domain.report import Report, ReportKind
from validator.formats.report_ids import uuid7
from validator.formats.stored_report import RECORD_CHARACTERS_MAX, RecordError, StoredReport, decode, encode
from validator.ports import OutboxError

REOPEN_S = 1.0
LOCK_WAIT_S = 1.0  # nobody else should have the database at all
TOLD_MAX = 1_000  # several may ask, and each for two hundred
_CACHE_PAGES = 1_024  # 1 MiB: it is asked for the oldest and the newest only
_SEED_BITS = 256

# What cannot be read, `rejected/unreadable-…`, stays where it is.
_REJECTED_PLACES = (
    "SELECT key FROM Cache WHERE key GLOB 'rejected/[1-9]*' AND substr(key, 10) NOT GLOB '*[^0-9]*'"
    " AND length(key) < 25 LIMIT ?"
)

# A statement is a transaction by itself, none being open: each ends with its `with`, or the outbox is closed. diskcache's own `set` begins one, looks
# for the key and ends it: four, for which a passenger would wait. As with `set`, what was planted in the next place gives way.
_APPEND = (
    "INSERT INTO Cache (key, raw, store_time, access_time, access_count, size, mode, value) VALUES (?, 1, 0, 0, 0, 0, ?, ?)"
    " ON CONFLICT (key, raw) DO UPDATE SET mode = excluded.mode, value = excluded.value, filename = NULL, expire_time = NULL"
)

# With these diskcache counts rows and finds those that have expired, which an outbox never asks; they would cost a page or two a report. The triggers it makes
# anew at each opening; the index only where there is none of the name, and nothing of ours is in this one.
_UNASKED_TRIGGERS = ("Settings_count_insert", "Settings_size_insert")
_EXPIRING = "Cache_expire_time"
_EXPIRING_INDEX = f"CREATE INDEX {_EXPIRING} ON Cache (expire_time) WHERE expire_time IS NOT NULL"

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


_REHEARSED = Report(
    kind=ReportKind.DENIED_BOARDING,
    tap=0,
    uid=CardUid(bytes(4)),
    rule="",
    list_version=0,  # a list has checked its own, and the rule's name
    unix_s=(1 << 40) - 1,  # as far as a list, or a signed time, may carry the clock
    clock_synchronised=False,
)


class Origin(NamedTuple):
    """Whose reports these are."""

    gate_id: str
    lane: int
    boot_id: str


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """What the outbox may take."""

    reports_max: int = 500_000  # 96 hours of a gate that refuses one and a half passengers a second; what was rejected counts too
    reserve_bytes: int = 32 << 20  # left free: a full disk can neither append nor delete


Seal = Callable[[bytes], tuple[str, str]]
"""Seals a UID: base64, and the id of the key that opens it; both empty while there is none."""


class DiskOutbox:
    """One outbox in one folder. For one thread, which opens it too: diskcache has a connection for each thread that touches it."""

    def __init__(
        self,
        folder: Path,
        origin: Origin,
        seal: Seal,
        boottime_ns: Callable[[], int],
        limits: OutboxLimits = OutboxLimits(),
    ) -> None:
        """Nothing is touched before `open`."""
        self.waiting = 0
        """How many reports wait."""
        self.rejected = 0
        """How many the back office did not take: kept beside the others, for a person to look at."""
        self.refused = 0
        """How many were refused since the start: no room, or a disk that failed."""
        self.trouble = ""
        """What is wrong with the disk, in one line; empty while reports are kept."""
        self.news: list[str] = []
        """What a person should hear of, a line each; whoever tells it empties it."""
        self._folder = OutboxFolder(folder)
        self._origin = origin
        self._seal = seal
        self._boottime_ns = boottime_ns
        self._limits = limits
        self._cache: Any = None
        self._head = Head("", 1)
        self._doubted: Head | None = (
            None  # before a report whose commit failed, and may have been done all the same
        )
        # They must differ, not be secret; and the system is not asked while a passenger waits.
        self._draw = Random(secrets.randbits(_SEED_BITS)).getrandbits  # noqa: S311
        self._disk_is_full = False  # as seen last
        self._unreadable = ""  # why nobody could read a report of this gate
        self._told: dict[str, int] = {}  # places of the reports that `oldest` told last, by their id
        self._retry_s = 0.0

    def open(self) -> bool:
        """Look it over and open it; whether it is open. A damaged one is put aside, and what can be read of it goes into a new one."""
        self._disconnect()
        try:
            self._open()
            self._look_for_room()
        except (OSError, sqlite3.Error, Timeout, DamagedError) as error:
            self._fail(error)
        else:
            self.trouble = ""
            self._unreadable = self._rehearse()
        return self._cache is not None

    def prepare(self) -> None:
        """See ports.Outbox: whether its disk has room is asked now, and not while a passenger waits."""
        if self._cache is not None:
            try:
                self._look_for_room()
            except OSError as error:
                self._fail(error)

    def append(self, report: Report) -> bool:
        """See ports.Outbox."""
        if self._disk_is_full:  # it may not be any more, and nothing is lost by asking
            self.prepare()
        if not self._is_open():
            return self._refuse("")
        if room := self._room():
            self._refuse(room)
            self._note_refused()
            return False
        record = encode(self._stored(report, *self._seal(report.uid.raw)))
        try:
            self._cache._sql(_APPEND, (self._head.next_place, MODE_RAW, record))  # noqa: SLF001 — diskcache has no word for it
        except (OSError, sqlite3.Error, Timeout) as error:
            self._doubted = self._head
            self._fail(error)
            return self._refuse(self.trouble)
        self._head = self._head.after(self._head.next_place)
        self.waiting += 1
        self.trouble = ""
        return True

    def oldest(self, count_max: int, skipped: int = 0) -> Sequence[StoredReport]:
        """The reports that have waited longest, after so many of them. Raises OutboxError."""
        with self._asked() as cache:
            found: dict[int, StoredReport] = {}
            unreadable: list[int] = []
            # By rising key: numbers stand before texts, and there may be thousands of those.
            places = takewhile(lambda key: isinstance(key, int), cache.iterkeys())
            for place in list(islice(places, skipped, skipped + count_max)):
                try:
                    found[place] = decode(cache.get(place))
                except (RecordError, PlantedError):
                    unreadable.append(place)
            if unreadable:
                self._give_up(unreadable)
            self._told |= {stored.report_id: place for place, stored in found.items()}
            for report_id in list(islice(self._told, max(len(self._told) - TOLD_MAX, 0))):
                del self._told[report_id]
            return tuple(found.values())

    def forget(self, report_ids: Iterable[str]) -> int:
        """Drop delivered reports, of those that `oldest` told; how many. Durable when it returns. Raises OutboxError."""
        return self._drop(report_ids, None)

    def reject(self, report_id: str, reason: str) -> int:
        """Put a report aside that the back office will never take. Durable when it returns. Raises OutboxError."""
        return self._drop([report_id], reason)

    def retry(self, count_max: int) -> int:
        """Let so many rejected reports wait again, each in its old place; how many. Durable when it returns. Raises OutboxError."""
        with self._asked() as cache:
            keys = [key for (key,) in cache._sql(_REJECTED_PLACES, (count_max,)).fetchall()]  # noqa: SLF001
            with cache.transact():
                for key in keys:
                    with suppress(PlantedError):
                        cache.set(int(key.removeprefix(REJECTED)), cache.get(key))
                    cache.delete(key)
            self.waiting += len(keys)
            self.rejected -= len(keys)
            return len(keys)

    def try_again(self) -> None:
        """See ports.Outbox."""
        if self._is_open() and self.trouble:
            self.prepare()
            self.trouble = self._room() if self._cache is not None else self.trouble

    def free_bytes(self) -> int | None:
        """See ports.Outbox."""
        with suppress(OSError):
            return self._folder.free_bytes()
        return None

    def close(self) -> None:
        """Give it up. Nothing is lost without, but how many were refused since the disk failed."""
        if self._cache is not None and self._head.refused_before:
            self._note_refused()
        self._leave()

    def _leave(self) -> None:
        """Have nothing open, the lock too: a disk on which nothing is open can be unmounted, mended and mounted again."""
        self._disconnect()
        self._folder.unlock()

    def _disconnect(self) -> None:
        cache, self._cache = self._cache, None
        if cache is not None:
            with suppress(sqlite3.Error, OSError):
                cache.close()

    # Opening

    def _open(self) -> None:
        self._told.clear()
        folder = self._folder
        folder.lock()
        if folder.is_collecting:
            self._rescue(DamagedError(f"{folder.path}: a rescue was cut short"))
            return
        if folder.is_new:
            self._begin(Head(secrets.token_hex(16), 1))
            return
        try:
            found = examine(folder.path, folder.outbox_id())
        except DamagedError as error:
            self._rescue(error)
            return
        if folder.is_collected:
            folder.put_away()
        if found.planted:
            self.news.append(f"{folder.path}: {found.planted} rows that no outbox wrote were removed")
        self._head = self._with_refused(found.head)
        self.waiting, self.rejected = found.waiting, found.rejected
        self._connect()
        # After a sync that failed, what the log says may be in memory alone: this writes it to the database, and syncs that.
        self._end_log()

    def _begin(self, head: Head, saved: Iterable[Saved] = ()) -> None:
        """Make a new outbox, with what was saved of an older one in its first places."""
        self._folder.make_empty()
        self._connect()
        self.waiting, self.rejected, self._doubted = 0, 0, None
        with self._cache.transact():
            for stored, is_rejected in saved:
                self.waiting += not is_rejected
                self.rejected += is_rejected
                place = self.waiting + self.rejected
                self._cache.set(f"{REJECTED}{place}" if is_rejected else place, encode(stored))
            self._head = msgspec.structs.replace(
                head, places_before=self.waiting + self.rejected, refused_before=self._head.refused_before
            )
            self._cache.set(HEAD, _encoded(self._head))
        self._folder.set_identity(head)

    def _rescue(self, damage: DamagedError) -> None:
        """Put a damaged outbox aside, and go on with a new one that has all that can be read of it."""
        folder, was_begun = self._folder, self._folder.has_identity
        folder.collect()
        keep_rotten_log(folder.collected)
        was_begun = was_begun or was_used(folder.collected)
        self._begin(Head(secrets.token_hex(16), 1), salvage(folder.collected))
        folder.put_away()
        self._end_log()  # it is as large as all that was saved, and would take the room that reports need
        saved = self.waiting + self.rejected
        if was_begun or saved:  # else a first start was cut short, and nothing was there yet
            self.news.append(f"{damage}; {saved} reports were saved from it, and a new outbox was begun")

    def _with_refused(self, head: Head) -> Head:
        """The head that was found, with what this process refused since it was written."""
        mine, doubted = self._head, self._doubted
        self._doubted = None
        refused = mine.refused_before
        if mine.outbox_id != head.outbox_id:  # the first one that this process could open
            refused += head.refused_before
        elif doubted is not None and head.next_seq > doubted.next_seq:  # it was kept after all
            refused -= doubted.refused_before + 1
            self.refused -= 1
        return msgspec.structs.replace(head, refused_before=refused)

    def _connect(self) -> None:
        self._cache = Cache(str(self._folder.path), timeout=LOCK_WAIT_S, disk=InlineTextDisk, **SETTINGS)
        self._cache._con.text_factory = readable  # noqa: SLF001 — diskcache has no word for it
        sql = self._cache._sql  # noqa: SLF001
        with self._cache.transact():
            for name in _UNASKED_TRIGGERS:
                sql(f"DROP TRIGGER {name}")
            made_as = sql("SELECT sql FROM sqlite_master WHERE name = ?", (_EXPIRING,)).fetchall()
            if made_as != [(_EXPIRING_INDEX,)]:
                sql(f"DROP INDEX {_EXPIRING}")
                sql(_EXPIRING_INDEX)

    def _end_log(self) -> None:
        """Write the log to the database, sync that, and begin the log anew."""
        self._cache._sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # noqa: SLF001 — nor for this

    def _is_open(self) -> bool:
        """Whether it can be used; a failed one is tried again when a second has gone by."""
        if self._cache is None and time.monotonic() >= self._retry_s:
            self.open()
        return self._cache is not None

    def _fail(self, error: Exception) -> None:
        self._leave()
        self._retry_s = time.monotonic() + REOPEN_S
        trouble = f"{self._folder.path}: {error}"
        if trouble != self.trouble:
            self.news.append(trouble)
        self.trouble = trouble

    # Appending

    def _room(self) -> str:
        """Why one more cannot be kept, or nothing."""
        if self.waiting + self.rejected >= self._limits.reports_max:
            return f"{self._folder.path}: {self.waiting} reports wait and {self.rejected} were rejected, and no more may"
        if self._disk_is_full:
            return f"{self._folder.path}: the disk is full"
        return self._unreadable

    def _look_for_room(self) -> None:
        self._disk_is_full = self._folder.free_bytes() < self._limits.reserve_bytes

    def _refuse(self, trouble: str) -> bool:
        self.refused += 1
        self._head = msgspec.structs.replace(self._head, refused_before=self._head.refused_before + 1)
        if trouble and trouble != self.trouble:
            self.news.append(trouble)
        self.trouble = trouble or self.trouble
        return False

    def _note_refused(self) -> None:
        """Write down how many were refused, so that a restart does not forget them."""
        try:
            self._cache.set(HEAD, _encoded(self._head))
        except (OSError, sqlite3.Error, Timeout) as error:
            if (
                getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_FULL
            ):  # which is told already, and harms nothing
                self._fail(error)

    def _rehearse(self) -> str:
        """Why a report could not be read again, or nothing: one is made that nobody keeps. What could not be read is not promised."""
        try:
            decode(encode(self._stored(_REHEARSED, "", "")))
        except RecordError as error:
            return f"{self._folder.path}: a report that nobody could read: {error}"
        return ""

    def _stored(self, report: Report, sealed: str, sealed_to: str) -> StoredReport:
        return StoredReport(
            report_id=uuid7(report.unix_s, self._draw),
            kind=report.kind,
            gate_id=self._origin.gate_id,
            lane=self._origin.lane,
            outbox_id=self._head.outbox_id,
            seq=self._head.next_seq,
            refused_before=self._head.refused_before,
            boot_id=self._origin.boot_id,
            boottime_ns=self._boottime_ns(),
            unix_s=report.unix_s,
            clock_synced=report.clock_synchronised,
            list_version=report.list_version,
            rule=report.rule,
            sealed=sealed,
            sealed_to=sealed_to,
        )

    # Delivering

    def _drop(self, report_ids: Iterable[str], reason: str | None) -> int:
        with self._asked() as cache:
            known = {report_id: self._told[report_id] for report_id in report_ids if report_id in self._told}
            if known:
                with cache.transact():
                    for place in known.values():
                        if reason is not None:
                            cache.set(f"{REJECTED}{place}", cache.get(place))
                        cache.delete(place)
                    cache.set(HEAD, _encoded(self._head))  # the newest may be among them
            for report_id in known:
                del self._told[report_id]
            self.waiting -= len(known)
            self.rejected += len(known) if reason is not None else 0
            return len(known)

    def _give_up(self, places: Sequence[int]) -> None:
        """Take records away that cannot be read: they would stand before all others for ever."""
        with self._cache.transact():
            for place in places:
                with suppress(PlantedError):
                    record = str(self._cache.get(place))[:RECORD_CHARACTERS_MAX]
                    self._cache.set(f"{REJECTED}unreadable-{place}", record)
                    self.rejected += 1
                self._cache.delete(place)
            self._cache.set(HEAD, _encoded(self._head))
        self.waiting = max(self.waiting - len(places), 0)  # one that was planted meanwhile was not counted
        self.news.append(
            f"{self._folder.path}: {len(places)} reports cannot be read any more and were put aside"
        )

    def _asked(self) -> "_Asked":
        if not self._is_open():
            raise OutboxError(self.trouble)
        return _Asked(self._cache, self._fail)


class _Asked:
    """A use of the database: what goes wrong closes the outbox, to be looked over and opened again, and is one error."""

    def __init__(self, cache: Any, fail: Callable[[Exception], None]) -> None:
        self._cache = cache
        self._fail = fail

    def __enter__(self) -> Any:
        return self._cache

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        del kind, trace
        if isinstance(error, OSError | sqlite3.Error | Timeout):
            self._fail(error)
            raise OutboxError(str(error)) from error


def _encoded(head: Head) -> str:
    return msgspec.json.encode(head).decode()
