"""The outbox of a lane, ports.Outbox, on diskcache; docs/reports.md says what it promises.

    outbox = DiskOutbox(folder, origin, seal, boottime_ns, limits)
    outbox.open()                        # in the thread that will own it; checks the database first
    outbox.prepare()                     # now and then, while no passenger waits
    outbox.append(report)                # True: it is on the disk and outlives a power cut
    for stored in outbox.oldest(20): ...
    outbox.forget(["<report id>", ...])  # delivered; only ids that `oldest` returned

A report costs one transaction of one row, so one sync. The `seq` of the newest report follows from
its place, so none is used twice and none is left out. Whatever removes reports writes the next
number down first.

A disk that fails is in `trouble` and tried again every second. Reports that cannot be kept
meanwhile are counted in `refused`, and the next report that is kept carries their number.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from validator.domain.report import Report
from validator.lane.outbox import rows as outbox_rows
from validator.lane.outbox.database import FAULTS, OutboxDatabase
from validator.lane.outbox.recording import Origin, Recorder
from validator.lane.outbox.rescue import DamagedError
from validator.lane.outbox.view import OutboxView
from validator.lane.ports import OutboxError
from validator.reports.stored_report import StoredReport

REOPEN_S = 1.0
HANDED_OUT_MAX = 1_000  # several clients may ask `oldest`, and each for two hundred


Seal = Callable[[bytes], tuple[str, str]]
"""Seals a UID: base64, and the id of the key that opens it; both empty while there is no key."""


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """What the outbox may take."""

    # 96 hours of a gate that refuses one and a half passengers a second; rejected reports count.
    reports_max: int = 500_000
    reserve_bytes: int = 32 << 20  # left free: a full disk can neither append nor delete


class DiskOutbox:
    """One outbox in one folder. For one thread, which opens it: a diskcache connection has one."""

    def __init__(
        self,
        folder: Path,
        origin: Origin,
        seal: Seal,
        boottime_ns: Callable[[], int],
        limits: OutboxLimits = OutboxLimits(),
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Touch nothing before `open`.

        Args:
            folder: of this lane alone; it is made if there is none.
            origin: the gate, lane and boot that every report names.
            seal: seals each UID.
            boottime_ns: the time since the machine started, in nanoseconds.
            limits: how many reports, and how much room on the disk.
            monotonic_s: the clock of the retries, in seconds.
        """
        self.trouble = ""
        """What is wrong with the disk, in one line; empty while reports are kept."""
        self._database = OutboxDatabase(folder)
        self._recorder = Recorder(origin, boottime_ns)
        self._seal = seal
        self._limits = limits
        self._monotonic_s = monotonic_s
        self._view: OutboxView | None = None  # a copy to read, while the disk cannot be written
        self._disk_is_full = False  # at the last check
        self._unreadable = ""  # why no report of this gate could be read again
        # The places of the reports that `oldest` returned last, by report id.
        self._handed_out: dict[str, int] = {}
        self._retry_s = 0.0

    @property
    def waiting(self) -> int | None:
        """How many reports wait; None before the outbox was first opened."""
        counted = self._database.counted
        return counted.waiting if counted else None

    @property
    def rejected(self) -> int | None:
        """How many the back office rejected: kept for the operator; None as for `waiting`."""
        counted = self._database.counted
        return counted.rejected if counted else None

    @property
    def refused(self) -> int:
        """How many reports were refused since the start: no room, or a disk that failed."""
        return self._database.refused

    @property
    def news(self) -> list[str]:
        """What the operator should read, a line each; the reader of it removes the lines."""
        return self._database.news

    def open(self) -> bool:
        """See ports.Outbox. A damaged outbox is quarantined; a new one gets what it still holds."""
        database = self._database
        database.disconnect()
        self._handed_out.clear()
        try:
            database.open()
            self._check_room()
        except (*FAULTS, DamagedError) as error:
            self._fail(error)
        else:
            self.trouble = ""
            self._close_view()
            unreadable = self._recorder.why_unreadable(database.head)
            self._unreadable = unreadable and (
                f"{database.folder.path}: a report of this gate could not be read again:"
                f" {unreadable}"
            )
        return database.cache is not None

    def prepare(self) -> None:
        """See ports.Outbox: check the room on the disk now, not while a passenger waits."""
        if self._database.cache is not None:
            try:
                self._check_room()
            except FileNotFoundError:
                self._check_files()
            except OSError as error:
                self._fail(error)

    def append(self, report: Report) -> bool:
        """See ports.Outbox."""
        if self._disk_is_full:  # it may have room again
            self.prepare()
        if not self._is_open():
            return self._refuse("")
        if no_room := self._why_no_room():
            self._refuse(no_room)
            self._save_refused()
            return False
        database = self._database
        record = self._recorder.record(report, database.head, *self._seal(report.uid.raw))
        try:
            outbox_rows.append(database.cache, database.head.next_place, record)
        except FAULTS as error:
            database.commit_failed()
            self._fail(error)
            return self._refuse(self.trouble)
        database.kept()
        self.trouble = ""
        return True

    def oldest(self, count_max: int, skipped: int = 0) -> Sequence[StoredReport]:
        """See ports.Outbox."""
        found = self._oldest(count_max, skipped)
        is_whole = (
            len(found) == count_max
            or (skipped and not found)
            or skipped + len(found) == self.waiting
        )
        if self._database.cache is not None and not is_whole:
            # The key of a row has rotted, or a row was planted: `open` checks and rescues.
            self.open()
            found = self._oldest(count_max, skipped)
        return found

    def forget(self, report_ids: Iterable[str]) -> int:
        """See ports.Outbox. Only ids that `oldest` returned are known."""
        return self._remove(report_ids, is_rejected=False)

    def reject(self, report_id: str, reason: str) -> int:
        """See ports.Outbox. The report stays on the disk, for the operator."""
        del reason  # the log has it
        return self._remove([report_id], is_rejected=True)

    def retry(self, count_max: int) -> int:
        """See ports.Outbox. Each report waits in its old place again."""
        with self._in_use() as cache:
            again = outbox_rows.retry(cache, count_max)
            self._database.count(waiting=again, rejected=-again)
            return again

    def try_again(self) -> None:
        """See ports.Outbox."""
        database = self._database
        self._check_files()
        if not self._is_open() and self._view is None:
            self._open_view()
        if database.cache is not None and self.trouble:
            self.prepare()
            self.trouble = self._why_no_room() if database.cache is not None else self.trouble

    def free_bytes(self) -> int | None:
        """See ports.Outbox."""
        with suppress(OSError):
            return self._database.folder.free_bytes()
        return None

    def close(self) -> None:
        """See ports.Outbox. Without it, only the number of those refused since a fault is lost."""
        if self._database.cache is not None and self._database.head.refused_before:
            self._save_refused()
        self._close_view()
        self._database.release()

    # The disk

    def _is_open(self) -> bool:
        """Whether the outbox can be used; REOPEN_S after a fault it is opened again."""
        if self._database.cache is None and self._monotonic_s() >= self._retry_s:
            self.open()
        return self._database.cache is not None

    def _fail(self, error: Exception) -> None:
        """Close the outbox until the next try, and report the error once."""
        self._database.release()
        self._database.note_error(error)
        self._retry_s = self._monotonic_s() + REOPEN_S
        trouble = f"{self._database.folder.path}: {error}"
        if trouble != self.trouble:
            self.news.append(trouble)
        self.trouble = trouble

    def _check_files(self) -> None:
        cache = self._database.cache
        try:
            self._database.check_files()
        except (*FAULTS, DamagedError) as error:
            self._fail(error)
        if self._database.cache is not cache:
            self._handed_out.clear()

    def _check_room(self) -> None:
        self._disk_is_full = self._database.folder.free_bytes() < self._limits.reserve_bytes

    # Appending

    def _why_no_room(self) -> str:
        """Return why no further report can be kept, or an empty text."""
        path = self._database.folder.path
        if sum(self._database.counted or ()) >= self._limits.reports_max:
            return (
                f"{path}: {self.waiting} reports wait and {self.rejected} were rejected, which is"
                " all that reports.reports_max allows"
            )
        return (
            f"{path}: the disk is full; make room on it" if self._disk_is_full else self._unreadable
        )

    def _refuse(self, trouble: str) -> bool:
        self._database.refuse()
        if trouble and trouble != self.trouble:
            self.news.append(trouble)
        self.trouble = trouble or self.trouble
        return False

    def _save_refused(self) -> None:
        """Write down how many were refused, so that a restart does not lose the number."""
        try:
            outbox_rows.set_head(self._database.cache, self._database.head)
        except FAULTS as error:
            # A full disk is reported already, and does no harm here.
            if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_FULL:
                self._fail(error)

    # Delivering

    def _oldest(self, count_max: int, skipped: int) -> Sequence[StoredReport]:
        with self._in_use() as cache:
            rows = outbox_rows.oldest(cache, count_max, skipped)
            whole = [
                (row.report, row.place) for row in rows if row.report and row.place is not None
            ]
            if len(whole) < len(rows):
                self._quarantine(
                    cache, [row for row in rows if row.report is None or row.place is None]
                )
            handed_out = self._handed_out
            handed_out |= {report.report_id: place for report, place in whole}
            for report_id in list(islice(handed_out, max(len(handed_out) - HANDED_OUT_MAX, 0))):
                del handed_out[report_id]
            return tuple(report for report, _ in whole)

    def _remove(self, report_ids: Iterable[str], *, is_rejected: bool) -> int:
        with self._in_use() as cache:
            handed_out, database = self._handed_out, self._database
            known = {one: handed_out[one] for one in report_ids if one in handed_out}
            if not known:
                return 0
            remove = outbox_rows.reject if is_rejected else outbox_rows.delete
            with cache.transact():
                gone = remove(cache, known.values())
                outbox_rows.set_head(cache, database.head)  # the newest may be among them
            for report_id in known:
                del handed_out[report_id]
            database.count(waiting=-gone, rejected=gone if is_rejected else 0)
            if gone != len(known):  # one has rotted away, or was planted twice
                database.recount(cache)
            return gone

    def _quarantine(self, cache: Any, unreadable: Sequence[outbox_rows.Row]) -> None:
        """Take rows that cannot be read out of the queue, whose first places they would hold."""
        places = {row.place for row in unreadable}
        with cache.transact():
            outbox_rows.quarantine(cache, unreadable)
            outbox_rows.set_head(cache, self._database.head)
        self._handed_out = {
            report_id: place for report_id, place in self._handed_out.items() if place not in places
        }
        # A row that was planted meanwhile was not among those that waited.
        self._database.recount(cache)
        self.news.append(
            f"{self._database.folder.path}: {len(unreadable)} reports cannot be read any more and"
            " were quarantined"
        )

    def _in_use(self) -> "_InUse":
        """Return the database for one use, or the copy of a disk that can only be read."""
        if self._is_open():
            return _InUse(self._database.cache, self._fail)
        if self._view is None:
            self._open_view()
        if self._view is None:
            raise OutboxError(self.trouble)
        return _InUse(self._view, lambda _: self._close_view())

    def _open_view(self) -> None:
        """Copy a database whose disk cannot be written into memory, to deliver and count it."""
        with suppress(*FAULTS, DamagedError):
            view = OutboxView(self._database.folder.path)
            self._handed_out.clear()
            self._database.recount(view)
            self._view = view

    def _close_view(self) -> None:
        if self._view is not None:
            self._view.close()
        self._view = None


class _InUse:
    """One use of the database. A fault closes the outbox and leaves as OutboxError."""

    def __init__(self, cache: Any, fail: Callable[[Exception], None]) -> None:
        self._cache = cache
        self._fail = fail

    def __enter__(self) -> Any:
        return self._cache

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        del kind, trace
        if isinstance(error, FAULTS):
            self._fail(error)
            raise OutboxError(str(error)) from error
