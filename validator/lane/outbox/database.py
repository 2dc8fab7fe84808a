"""The database of an outbox while it is open, and how it comes to be open: found, begun or rescued.

    database = OutboxDatabase(folder)
    database.open()                          # checks it; a damaged one is quarantined and rescued
    rows.append(database.cache, ...)
    database.kept()                          # the next report takes the next place

It keeps in memory what each report needs: the head, and how many reports wait. It does not decide
what becomes of an error: that is `outbox.py`.
"""

import secrets
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from diskcache import Timeout

from validator.lane.outbox import rows as outbox_rows
from validator.lane.outbox.folder import OutboxFolder
from validator.lane.outbox.head import Head
from validator.lane.outbox.rescue import (
    DamagedError,
    Saved,
    examine,
    is_damage,
    keep_rotten_log,
    salvage,
    was_used,
)
from validator.reports.stored_report import encode

# What a disk, a database or a rotten text of SQLite's raises. The outbox closes then, and reopens.
FAULTS = (OSError, sqlite3.Error, Timeout, UnicodeError)


class OutboxDatabase:
    """The database in one folder. For one thread. Methods that use the disk raise FAULTS."""

    def __init__(self, path: Path) -> None:
        """Touch nothing before `open`."""
        self.folder = OutboxFolder(path)
        self.cache: Any = None
        """The open database, for the functions of `rows.py`; None while it is closed."""
        self.head = Head("", 1)
        self.counted: outbox_rows.Counted | None = None
        """How many reports wait and how many were rejected; None before the first `open`."""
        self.refused = 0
        """How many reports were refused since the start."""
        self.news: list[str] = []
        """What the operator should read, a line each; the reader of it removes the lines."""
        # The head before a report whose commit failed: the disk may have the report all the same.
        self._suspect_head: Head | None = None
        self._damage: DamagedError | None = None  # met in use: the next `open` rescues

    def open(self) -> None:
        """Open what is in the folder. A damaged outbox is quarantined and a new one begun.

        The new one holds all reports of the old one that can still be read.

        Raises:
            DamagedError: a new outbox cannot be begun, and the old one cannot be used.
        """
        folder = self.folder
        folder.lock()
        if folder.is_collecting:
            self._rescue(DamagedError(f"{folder.path}: a rescue was cut short"))
        elif folder.is_new:
            self._begin(Head(secrets.token_hex(16), 1))
        elif self._damage is not None:
            self._rescue(self._damage)
        else:
            try:
                found = examine(folder.path, folder.outbox_id())
            except DamagedError as error:
                self._rescue(error)
            else:
                if folder.is_collected:
                    folder.put_away()
                if found.planted:
                    self.news.append(
                        f"{folder.path}: {found.planted} rows that no outbox wrote were removed"
                    )
                self.head = self._with_refused(found.head)
                self.counted = outbox_rows.Counted(found.waiting, found.rejected)
                self.cache = outbox_rows.connected(folder.path)
                folder.note_files()
                # After a failed sync, the log may be in memory alone. This writes it to the
                # database and syncs that.
                outbox_rows.end_log(self.cache)
        self._damage = None

    def check_files(self) -> None:
        """Check that the open files are still in the folder, and that the disk can be written.

        If the files were removed or replaced, all that they hold is kept again. Raises as `open`.
        """
        if self.cache is not None and not self.folder.has_its_files:
            self._replace_removed_files()
        if self.cache is not None:
            self.folder.require_writable()

    def note_error(self, error: Exception) -> None:
        """Let the next `open` rescue, if `error` means damage: a check would find nothing."""
        if is_damage(error):
            self._damage = DamagedError(f"{self.folder.path}: {error}")

    def disconnect(self) -> None:
        """Close the database and keep the lock. Never raises."""
        cache, self.cache = self.cache, None
        if cache is not None:
            with suppress(*FAULTS):
                cache.close()

    def release(self) -> None:
        """Close the database and the lock, so that the operator can unmount and repair the disk."""
        self.disconnect()
        self.folder.unlock()

    # Counting, in memory

    def kept(self) -> None:
        """Note that the next place was taken."""
        before = self.counted or outbox_rows.Counted(0, 0)
        self.counted = outbox_rows.Counted(before.waiting + 1, before.rejected)
        self.head = self.head.after(self.head.next_place)

    def commit_failed(self) -> None:
        """Note that a commit failed; the next `open` finds out whether it was done all the same."""
        self._suspect_head = self.head

    def refuse(self) -> None:
        """Count one more report as refused."""
        self.refused += 1
        self.head = msgspec.structs.replace(self.head, refused_before=self.head.refused_before + 1)

    def count(self, waiting: int = 0, rejected: int = 0) -> None:
        """Add to the counts."""
        before = self.counted or outbox_rows.Counted(0, 0)
        self.counted = outbox_rows.Counted(before.waiting + waiting, before.rejected + rejected)

    def recount(self, cache: Any) -> None:
        """Count the rows of `cache`."""
        self.counted = outbox_rows.counted(cache)

    # Opening

    def _begin(self, head: Head, saved: Iterable[Saved] = ()) -> None:
        """Make a new outbox, with what was saved of an older one in its first places."""
        self.folder.make_empty()
        self.cache = outbox_rows.connected(self.folder.path)
        self.counted, self._suspect_head = outbox_rows.Counted(0, 0), None
        place = 0
        with self.cache.transact():
            for place, (stored, is_rejected) in enumerate(saved, start=1):
                self.count(waiting=not is_rejected, rejected=is_rejected)
                outbox_rows.save(self.cache, place, encode(stored), is_rejected=is_rejected)
            self.head = msgspec.structs.replace(
                head, places_before=place, refused_before=self.head.refused_before
            )
            outbox_rows.set_head(self.cache, self.head)
        self.folder.note_files()
        self.folder.set_identity(head)

    def _rescue(self, damage: DamagedError) -> None:
        """Quarantine a damaged outbox, and begin a new one with all that can be read of it."""
        folder, was_begun = self.folder, self.folder.has_identity
        folder.collect()
        keep_rotten_log(folder.collected)
        was_begun = was_begun or was_used(folder.collected)
        self._begin(Head(secrets.token_hex(16), 1), salvage(folder.collected))
        folder.put_away()
        # The log is as large as all that was saved, and would take the room that reports need.
        outbox_rows.end_log(self.cache)
        saved = sum(self.counted or ())
        if was_begun or saved:  # else a first start was cut short, and nothing was lost
            self.news.append(
                f"{damage}; {saved} reports were saved from it, and a new outbox was begun"
            )

    def _replace_removed_files(self) -> None:
        """Keep again what the open files hold: they were removed, or others took their names."""
        folder, old = self.folder, self.cache
        with suppress(*FAULTS):
            outbox_rows.end_log(old)  # if only the log was removed, the database has all of it then
        self.cache = None
        try:
            folder.unlock()
            folder.lock()
            if folder.is_new:
                self._begin(Head(secrets.token_hex(16), 1), outbox_rows.every(old))
                saved = f"{sum(self.counted or ())} reports were kept again in a new outbox"
            else:
                self.open()
                waiting = self.counted.waiting if self.counted else None
                saved = f"the outbox that is there now is used, and {waiting} reports wait in it"
        finally:
            with suppress(*FAULTS):
                old.close()
        self.news.append(
            f"{folder.path}: files were removed or replaced while the lane ran; {saved}"
        )

    def _with_refused(self, found: Head) -> Head:
        """Return the found head with what this process refused since it was written."""
        mine, suspect = self.head, self._suspect_head
        self._suspect_head = None
        refused = mine.refused_before
        if mine.outbox_id != found.outbox_id:  # the first one that this process could open
            refused += found.refused_before
        elif suspect is not None and found.next_seq > suspect.next_seq:
            # The commit that failed was done all the same.
            refused -= suspect.refused_before + 1
            self.refused -= 1
        return msgspec.structs.replace(found, refused_before=refused)
