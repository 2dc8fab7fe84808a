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
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec
from diskcache import Timeout

from validator.domain.cards import CardUid
from validator.domain.report import Report, ReportKind
from validator.lane.outbox import rows as outbox_rows
from validator.lane.outbox.folder import OutboxFolder
from validator.lane.outbox.rescue import (
    DamagedError,
    Head,
    Saved,
    examine,
    is_damage,
    keep_rotten_log,
    salvage,
    was_used,
)
from validator.lane.outbox.view import OutboxView
from validator.lane.ports import OutboxError
from validator.reports.ids import uuid7
from validator.reports.stored_report import RecordError, StoredReport, decode, encode

REOPEN_S = 1.0
# What a disk, a database or a rotten word of SQLite's raises: the outbox is closed then, and opened anew.
_FAULTS = (OSError, sqlite3.Error, Timeout, UnicodeError)
TOLD_MAX = 1_000  # several may ask, and each for two hundred
_SEED_BITS = 256

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
        self.refused = 0
        """How many were refused since the start: no room, or a disk that failed."""
        self.trouble = ""
        """What is wrong with the disk, in one line; empty while reports are kept."""
        self.news: list[str] = []
        """What a person should hear of, a line each; whoever tells it empties it."""
        self._counted: outbox_rows.Counted | None = None  # not known before it was opened once
        self._folder = OutboxFolder(folder)
        self._origin = origin
        self._seal = seal
        self._boottime_ns = boottime_ns
        self._limits = limits
        self._cache: Any = None
        self._view: OutboxView | None = None  # while the disk takes nothing
        self._head = Head("", 1)
        self._doubted: Head | None = (
            None  # before a report whose commit failed, and may have been done all the same
        )
        # They must differ, not be secret; and the system is not asked while a passenger waits.
        self._draw = Random(secrets.randbits(_SEED_BITS)).getrandbits  # noqa: S311
        self._damage: DamagedError | None = None  # seen in use: the next opening rescues
        self._disk_is_full = False  # as seen last
        self._unreadable = ""  # why nobody could read a report of this gate
        self._told: dict[
            str, int
        ] = {}  # places of the reports that `oldest` told last, by their id
        self._retry_s = 0.0

    @property
    def waiting(self) -> int | None:
        """How many reports wait; None while nobody knows."""
        return self._counted.waiting if self._counted else None

    @property
    def rejected(self) -> int | None:
        """How many the back office did not take: kept beside the others, for a person to look at; None while nobody knows."""
        return self._counted.rejected if self._counted else None

    def _count(self, waiting: int = 0, rejected: int = 0) -> None:
        """So many more."""
        before = self._counted or outbox_rows.Counted(0, 0)
        self._counted = outbox_rows.Counted(before.waiting + waiting, before.rejected + rejected)

    def open(self) -> bool:
        """Look it over and open it; whether it is open. A damaged one is put aside, and what can be read of it goes into a new one."""
        self._disconnect()
        try:
            self._open()
            self._look_for_room()
        except (*_FAULTS, DamagedError) as error:
            self._fail(error)
        else:
            self.trouble, self._damage = "", None
            self._close_view()
            self._unreadable = self._rehearse()
        return self._cache is not None

    def prepare(self) -> None:
        """See ports.Outbox: whether its disk has room is asked now, and not while a passenger waits."""
        if self._cache is not None:
            try:
                self._look_for_room()
            except FileNotFoundError:
                self._look_for_files()
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
            outbox_rows.append(self._cache, self._head.next_place, record)
        except _FAULTS as error:
            self._doubted = self._head
            self._fail(error)
            return self._refuse(self.trouble)
        self._head = self._head.after(self._head.next_place)
        self._count(waiting=1)
        self.trouble = ""
        return True

    def oldest(self, count_max: int, skipped: int = 0) -> Sequence[StoredReport]:
        """The reports that have waited longest, after so many of them. Raises OutboxError."""
        found = self._oldest(count_max, skipped)
        is_whole = (
            len(found) == count_max
            or (skipped and not found)
            or skipped + len(found) == self.waiting
        )
        if self._cache is not None and not is_whole:
            # A row whose key has rotted stands elsewhere, or one was planted: to be looked over, and saved.
            self.open()
            found = self._oldest(count_max, skipped)
        return found

    def forget(self, report_ids: Iterable[str]) -> int:
        """Drop delivered reports, of those that `oldest` told; how many. Durable when it returns. Raises OutboxError."""
        return self._drop(report_ids, is_rejected=False)

    def reject(self, report_id: str, reason: str) -> int:
        """Put a report aside that the back office will never take. Durable when it returns. Raises OutboxError."""
        del reason  # the log has it
        return self._drop([report_id], is_rejected=True)

    def retry(self, count_max: int) -> int:
        """Let so many rejected reports wait again, each in its old place; how many. Durable when it returns. Raises OutboxError."""
        with self._asked() as cache:
            again = outbox_rows.retry(cache, count_max)
            self._count(waiting=again, rejected=-again)
            return again

    def try_again(self) -> None:
        """See ports.Outbox."""
        self._look_for_files()
        if not self._is_open() and self._view is None:
            self._look_at_what_can_be_read()
        if self._cache is not None and self.trouble:
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
        self._close_view()
        self._leave()

    def _leave(self) -> None:
        """Have nothing open, the lock too: a disk on which nothing is open can be unmounted, mended and mounted again."""
        self._disconnect()
        self._folder.unlock()

    def _disconnect(self) -> None:
        cache, self._cache = self._cache, None
        if cache is not None:
            with suppress(*_FAULTS):
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
        if self._damage is not None:
            self._rescue(self._damage)
            return
        try:
            found = examine(folder.path, folder.outbox_id())
        except DamagedError as error:
            self._rescue(error)
            return
        if folder.is_collected:
            folder.put_away()
        if found.planted:
            self.news.append(
                f"{folder.path}: {found.planted} rows that no outbox wrote were removed"
            )
        self._head = self._with_refused(found.head)
        self._counted = outbox_rows.Counted(found.waiting, found.rejected)
        self._cache = outbox_rows.connected(self._folder.path)
        self._folder.note_files()
        # After a sync that failed, what the log says may be in memory alone: this writes it to the database, and syncs that.
        outbox_rows.end_log(self._cache)

    def _begin(self, head: Head, saved: Iterable[Saved] = ()) -> None:
        """Make a new outbox, with what was saved of an older one in its first places."""
        self._folder.make_empty()
        self._cache = outbox_rows.connected(self._folder.path)
        self._counted, self._doubted = outbox_rows.Counted(0, 0), None
        place = 0
        with self._cache.transact():
            for place, (stored, is_rejected) in enumerate(saved, start=1):
                self._count(waiting=not is_rejected, rejected=is_rejected)
                outbox_rows.save(self._cache, place, encode(stored), is_rejected=is_rejected)
            self._head = msgspec.structs.replace(
                head, places_before=place, refused_before=self._head.refused_before
            )
            outbox_rows.set_head(self._cache, self._head)
        self._folder.note_files()
        self._folder.set_identity(head)

    def _rescue(self, damage: DamagedError) -> None:
        """Put a damaged outbox aside, and go on with a new one that has all that can be read of it."""
        folder, was_begun = self._folder, self._folder.has_identity
        folder.collect()
        keep_rotten_log(folder.collected)
        was_begun = was_begun or was_used(folder.collected)
        self._begin(Head(secrets.token_hex(16), 1), salvage(folder.collected))
        folder.put_away()
        outbox_rows.end_log(
            self._cache
        )  # it is as large as all that was saved, and would take the room that reports need
        saved = sum(self._counted or ())
        if was_begun or saved:  # else a first start was cut short, and nothing was there yet
            self.news.append(
                f"{damage}; {saved} reports were saved from it, and a new outbox was begun"
            )

    def _look_for_files(self) -> None:
        try:
            if self._cache is not None and not self._folder.has_its_files:
                self._move_on()
            if self._cache is not None:
                self._folder.require_writable()
        except (*_FAULTS, DamagedError) as error:
            self._fail(error)

    def _move_on(self) -> None:
        """The files were removed, or others stand in their place, while they are open here: what they hold is kept again."""
        folder, old = self._folder, self._cache
        with suppress(*_FAULTS):
            outbox_rows.end_log(old)  # if only the log was removed, the database has all of it then
        self._cache = None
        try:
            folder.unlock()
            folder.lock()
            if folder.is_new:
                self._begin(Head(secrets.token_hex(16), 1), outbox_rows.every(old))
                saved = f"{sum(self._counted or ())} reports were kept again in a new outbox"
            else:
                self._open()
                saved = f"the outbox that stands there now is used, and {self.waiting} reports wait in it"
        finally:
            with suppress(*_FAULTS):
                old.close()
        self.news.append(
            f"{folder.path}: files were removed or replaced while the lane ran; {saved}"
        )

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

    def _is_open(self) -> bool:
        """Whether it can be used; a failed one is tried again when a second has gone by."""
        if self._cache is None and time.monotonic() >= self._retry_s:
            self.open()
        return self._cache is not None

    def _fail(self, error: Exception) -> None:
        self._leave()
        if is_damage(error):  # to look it over would find nothing, and the next use the same again
            self._damage = DamagedError(f"{self._folder.path}: {error}")
        self._retry_s = time.monotonic() + REOPEN_S
        trouble = f"{self._folder.path}: {error}"
        if trouble != self.trouble:
            self.news.append(trouble)
        self.trouble = trouble

    # Appending

    def _room(self) -> str:
        """Why one more cannot be kept, or nothing."""
        if sum(self._counted or ()) >= self._limits.reports_max:
            return f"{self._folder.path}: {self.waiting} reports wait and {self.rejected} were rejected, and no more may"
        if self._disk_is_full:
            return f"{self._folder.path}: the disk is full"
        return self._unreadable

    def _look_for_room(self) -> None:
        self._disk_is_full = self._folder.free_bytes() < self._limits.reserve_bytes

    def _refuse(self, trouble: str) -> bool:
        self.refused += 1
        self._head = msgspec.structs.replace(
            self._head, refused_before=self._head.refused_before + 1
        )
        if trouble and trouble != self.trouble:
            self.news.append(trouble)
        self.trouble = trouble or self.trouble
        return False

    def _note_refused(self) -> None:
        """Write down how many were refused, so that a restart does not forget them."""
        try:
            outbox_rows.set_head(self._cache, self._head)
        except _FAULTS as error:
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

    def _oldest(self, count_max: int, skipped: int) -> Sequence[StoredReport]:
        with self._asked() as cache:
            rows = outbox_rows.oldest(cache, count_max, skipped)
            whole = [
                (row.report, row.place) for row in rows if row.report and row.place is not None
            ]
            if len(whole) < len(rows):
                self._give_up(
                    cache, [row for row in rows if row.report is None or row.place is None]
                )
            self._told |= {report.report_id: place for report, place in whole}
            for report_id in list(islice(self._told, max(len(self._told) - TOLD_MAX, 0))):
                del self._told[report_id]
            return tuple(report for report, _ in whole)

    def _drop(self, report_ids: Iterable[str], *, is_rejected: bool) -> int:
        with self._asked() as cache:
            known = {
                report_id: self._told[report_id]
                for report_id in report_ids
                if report_id in self._told
            }
            if not known:
                return 0
            take = outbox_rows.reject if is_rejected else outbox_rows.delete
            with cache.transact():
                gone = take(cache, known.values())
                outbox_rows.set_head(cache, self._head)  # the newest may be among them
            for report_id in known:
                del self._told[report_id]
            self._count(waiting=-gone, rejected=gone if is_rejected else 0)
            if gone != len(known):  # one has rotted away, or was planted twice
                self._counted = outbox_rows.counted(cache)
            return gone

    def _give_up(self, cache: Any, spoilt: Sequence[outbox_rows.Row]) -> None:
        """Take rows away that cannot be read: they would stand before all others for ever."""
        places = {row.place for row in spoilt}
        with cache.transact():
            outbox_rows.give_up(cache, spoilt)
            outbox_rows.set_head(cache, self._head)
        self._told = {
            report_id: place for report_id, place in self._told.items() if place not in places
        }
        # Counted anew: a row that was planted meanwhile was not among those that waited.
        self._counted = outbox_rows.counted(cache)
        self.news.append(
            f"{self._folder.path}: {len(spoilt)} reports cannot be read any more and were put aside"
        )

    def _asked(self) -> "_Asked":
        if self._is_open():
            return _Asked(self._cache, self._fail)
        if self._view is None:
            self._look_at_what_can_be_read()
        if self._view is None:
            raise OutboxError(self.trouble)
        return _Asked(self._view, lambda _: self._close_view())

    def _look_at_what_can_be_read(self) -> None:
        """On a disk that takes nothing: what waits is told from a copy in memory, and how many they are is known."""
        with suppress(*_FAULTS, DamagedError):
            view = OutboxView(self._folder.path)
            self._told.clear()
            self._counted = outbox_rows.counted(view)
            self._view = view

    def _close_view(self) -> None:
        if self._view is not None:
            self._view.close()
        self._view = None


class _Asked:
    """A use of the database: what goes wrong closes the outbox, to be looked over and opened again, and is one error."""

    def __init__(self, cache: Any, fail: Callable[[Exception], None]) -> None:
        self._cache = cache
        self._fail = fail

    def __enter__(self) -> Any:
        return self._cache

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        del kind, trace
        if isinstance(error, _FAULTS):
            self._fail(error)
            raise OutboxError(str(error)) from error
