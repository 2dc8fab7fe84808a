"""The outbox: reports on the disk until the back office has them. ports.Outbox on diskcache, hardened; docs/reports.md says what it promises.

    outbox = DiskOutbox(folder, origin, seal, boottime_ns, limits)
    outbox.open()                        # in the thread that will own it; looks the database over first
    outbox.append(report)                # True: it is on the disk, and outlives a power cut
    for stored in outbox.oldest(20): ...
    outbox.forget(["<report id>", ...])  # delivered; only what `oldest` told

One transaction, so one sync, a report: the record and the number after it are committed together, so no `seq` is used twice and none left out. A
disk that fails is told in `trouble` and tried again every second; what could not be kept meanwhile is counted in `refused`, and
the next report that is kept says how many there were.
"""

import fcntl
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from diskcache import Cache, Timeout

from validator.adapters.durable import replace_file, sync_folder
from validator.adapters.inline_disk import InlineTextDisk, PlantedError
from validator.adapters.outbox_rescue import (
    DATABASE,
    HEAD,
    REJECTED,
    DamagedError,
    Head,
    Saved,
    examine,
    salvage,
)
from validator.domain.report import Report
from validator.formats.stored_report import RecordError, StoredReport, decode, encode
from validator.ports import OutboxError

IDENTITY = "outbox.json"
COLLECTING = "damaged.part"  # a damaged outbox while its files are put together here
COLLECTED = "damaged"  # all of it, until what it held is in a new one
RESCUED = "damaged.kept"  # the last one, for a person to look at
REOPEN_S = 1.0
LOCK_WAIT_S = 1.0  # nobody else should have the database at all
TOLD_MAX = 1_000  # several may ask, and each for two hundred
REJECTED_MAX = 10_000  # reports that the back office did not take; past it the newest is only counted
_CACHE_PAGES = 256  # 1 MiB: it is asked for the oldest and the newest only
_UUID7_VERSION = 0x7000
_UUID_VARIANT = 1 << 63

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


class Origin(NamedTuple):
    """Whose reports these are."""

    gate_id: str
    lane: int
    boot_id: str


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """What the outbox may take."""

    reports_max: int = 500_000  # 96 hours of a gate that refuses one and a half passengers a second
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
        self._folder = folder
        self._origin = origin
        self._seal = seal
        self._boottime_ns = boottime_ns
        self._limits = limits
        self._cache: Any = None
        self._head = Head("", 1)
        self._refused_before = 0  # since the last report that was kept
        self._in_doubt = 0  # the `seq` of a report whose commit failed, and may have been done all the same
        self._told: dict[str, int] = {}  # places of the reports that `oldest` told last, by their id
        self._retry_s = 0.0
        self._lock_fd = -1

    def open(self) -> bool:
        """Look it over and open it; whether it is open. A damaged one is put aside, and what can be read of it goes into a new one."""
        self._disconnect()
        try:
            self._open()
        except (OSError, sqlite3.Error, Timeout, DamagedError) as error:
            self._fail(error)
        return self._cache is not None

    def append(self, report: Report) -> bool:
        """See ports.Outbox."""
        if not self._is_open():
            return self._refuse("")
        try:
            room = self._room()
            if room:
                return self._refuse(room)
            head = msgspec.structs.replace(self._head, next_seq=self._head.next_seq + 1)
            with self._cache.transact():
                self._cache.set(self._head.next_place, encode(self._stored(report)))
                self._cache.set(HEAD, _encoded(head))
        except (OSError, sqlite3.Error, Timeout) as error:
            self._in_doubt = self._head.next_seq
            self._fail(error)
            return self._refuse(self.trouble)
        self._head = head
        self.waiting += 1
        self._refused_before = 0
        self.trouble = ""
        return True

    def oldest(self, count_max: int, skipped: int = 0) -> Sequence[StoredReport]:
        """The reports that have waited longest, after so many of them. Raises OutboxError."""
        with self._asked() as cache:
            found = dict(self._read(cache, count_max, skipped))
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

    def try_again(self) -> None:
        """See ports.Outbox."""
        if self._is_open() and self.trouble:
            with suppress(OSError):
                self.trouble = self._room()

    def free_bytes(self) -> int | None:
        """See ports.Outbox."""
        with suppress(OSError):
            return self._free_bytes()
        return None

    def _free_bytes(self) -> int:
        disk = os.statvfs(self._folder)
        return disk.f_bavail * disk.f_frsize

    def close(self) -> None:
        """Give it up. Nothing is lost without."""
        self._disconnect()
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def _disconnect(self) -> None:
        cache, self._cache = self._cache, None
        if cache is not None:
            with suppress(sqlite3.Error, OSError):
                cache.close()

    # Opening

    def _open(self) -> None:
        self._told.clear()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock()
        outbox_id = self._identity()
        is_collected = (self._folder / COLLECTED).exists()
        if (self._folder / COLLECTING).exists():
            self._rescue(DamagedError(f"{self._folder}: a rescue was cut short"))
            return
        if not outbox_id and not is_collected and not (self._folder / DATABASE).exists():
            self._begin(Head(secrets.token_hex(16), 1))
            return
        try:
            found = examine(self._folder, outbox_id)
        except DamagedError as error:
            self._rescue(error)
            return
        if is_collected:
            self._put_away()
        if found.planted:
            self.news.append(f"{self._folder}: {found.planted} rows that no outbox wrote were removed")
        if self._in_doubt and found.head.next_seq > self._in_doubt:
            self.refused -= 1  # it was kept after all
            self._refused_before = max(self._refused_before - 1, 0)
        self._in_doubt = 0
        self._head, self.waiting, self.rejected = found.head, found.waiting, found.rejected
        self._connect()
        # After a sync that failed, what the log says may be in memory alone: this writes it to the database, and syncs that.
        self._cache._sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # noqa: SLF001 — diskcache has no word for it
        self.trouble = ""

    def _lock(self) -> None:
        """Be the only process here, until it ends: two that write one WAL database can lose commits."""
        if self._lock_fd >= 0:
            return
        fd = os.open(self._folder / "outbox.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise BlockingIOError("another lane keeps its reports here") from None
        self._lock_fd = fd

    def _identity(self) -> str:
        """The id of the outbox that should be here; empty if nobody knows."""
        with suppress(FileNotFoundError, msgspec.MsgspecError, UnicodeError):
            return msgspec.json.decode((self._folder / IDENTITY).read_bytes(), type=Head).outbox_id
        return ""

    def _begin(self, head: Head, saved: Iterable[Saved] = ()) -> None:
        """Make a new outbox, with what was saved of an older one in its first places."""
        for path in self._folder.glob(f"{DATABASE}*"):
            path.unlink()
        self._connect()
        self.waiting = self.rejected = self._in_doubt = 0
        with self._cache.transact():
            for stored, is_rejected in saved:
                self.waiting += not is_rejected
                self.rejected += is_rejected
                self._cache.set(
                    f"{REJECTED}{stored.report_id}" if is_rejected else self.waiting, encode(stored)
                )
            self._head = msgspec.structs.replace(head, places_before=self.waiting)
            self._cache.set(HEAD, _encoded(self._head))
        sync_folder(self._folder)
        sync_folder(self._folder.parent)
        # Last: from now on an empty database is a damaged one.
        replace_file(self._folder / IDENTITY, msgspec.json.encode(head))
        self.trouble = ""

    def _rescue(self, damage: DamagedError) -> None:
        """Put a damaged outbox aside, and go on with a new one that has all that can be read of it.

        Cut short anywhere, it goes on at the next start: until the damaged one is collected, what lies in the folder belongs to it; from then on, to a
        new one that is not done before its identity is written.
        """
        collecting, collected = self._folder / COLLECTING, self._folder / COLLECTED
        if not collected.exists():
            collecting.mkdir(mode=0o700, exist_ok=True)
            sync_folder(
                self._folder
            )  # before a log is away from its database: without it that may look whole, and is older
            for path in self._folder.glob(f"{DATABASE}*"):
                path.rename(collecting / path.name)
            sync_folder(collecting)
            collecting.rename(collected)
            sync_folder(self._folder)
        saved = {one.report.report_id: one for one in salvage(collected)}
        self._begin(Head(secrets.token_hex(16), 1), saved.values())
        self._put_away()
        self.news.append(f"{damage}; {len(saved)} reports were saved from it, and a new outbox was begun")

    def _put_away(self) -> None:
        """End a rescue, before the new outbox takes a report: what was collected is never rescued again."""
        shutil.rmtree(self._folder / RESCUED, ignore_errors=True)
        (self._folder / COLLECTED).rename(self._folder / RESCUED)
        sync_folder(self._folder)

    def _connect(self) -> None:
        self._cache = Cache(str(self._folder), timeout=LOCK_WAIT_S, disk=InlineTextDisk, **SETTINGS)

    def _is_open(self) -> bool:
        """Whether it can be used; a failed one is tried again when a second has gone by."""
        if self._cache is None and time.monotonic() >= self._retry_s:
            self.open()
        return self._cache is not None

    def _fail(self, error: Exception) -> None:
        self.close()  # the lock too: a disk on which nothing is open can be unmounted, mended and mounted again
        self._retry_s = time.monotonic() + REOPEN_S
        trouble = f"{self._folder}: {error}"
        if trouble != self.trouble:
            self.news.append(trouble)
        self.trouble = trouble

    # Appending

    def _room(self) -> str:
        """Why there is no room for one more, or nothing."""
        if self.waiting >= self._limits.reports_max:
            return f"{self._folder}: {self.waiting} reports wait, and no more may"
        if self._free_bytes() < self._limits.reserve_bytes:
            return f"{self._folder}: the disk is full"
        return ""

    def _refuse(self, trouble: str) -> bool:
        self.refused += 1
        self._refused_before += 1
        if trouble and trouble != self.trouble:
            self.news.append(trouble)
        self.trouble = trouble or self.trouble
        return False

    def _stored(self, report: Report) -> StoredReport:
        sealed, sealed_to = self._seal(report.uid.raw)
        return StoredReport(
            report_id=uuid7(report.unix_s),
            kind=report.kind,
            gate_id=self._origin.gate_id,
            lane=self._origin.lane,
            outbox_id=self._head.outbox_id,
            seq=self._head.next_seq,
            refused_before=self._refused_before,
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

    def _read(self, cache: Any, count_max: int, skipped: int) -> Iterator[tuple[int, StoredReport]]:
        places = (key for key in cache.iterkeys() if isinstance(key, int))
        for place in islice(places, skipped, skipped + count_max):
            yield place, decode(cache.get(place))

    def _drop(self, report_ids: Iterable[str], reason: str | None) -> int:
        with self._asked() as cache:
            known = {report_id: self._told[report_id] for report_id in report_ids if report_id in self._told}
            keeps = reason is not None and self.rejected < REJECTED_MAX
            with cache.transact():
                for report_id, place in known.items():
                    if keeps:
                        cache.set(f"{REJECTED}{report_id}", cache.get(place))
                    cache.delete(place)
            for report_id in known:
                del self._told[report_id]
            self.waiting -= len(known)
            self.rejected += len(known) if keeps else 0
            return len(known)

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
        if isinstance(error, OSError | sqlite3.Error | Timeout | PlantedError | RecordError):
            self._fail(error)
            raise OutboxError(str(error)) from error


def uuid7(unix_s: int) -> str:
    """A UUID that sorts by time, RFC 9562 section 5.7; the milliseconds are random too, since the tap's second is enough."""
    unix_ms = unix_s * 1_000 + secrets.randbelow(1_000)
    high = unix_ms << 16 | _UUID7_VERSION | secrets.randbits(12)
    low = _UUID_VARIANT | secrets.randbits(62)
    text = f"{high:016x}{low:016x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _encoded(head: Head) -> str:
    return msgspec.json.encode(head).decode()
