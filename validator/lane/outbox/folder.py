"""The folder of an outbox: who may use it, which outbox belongs in it, where a damaged one goes.

`database.py` uses the database in it. `rescue.py` reads what a damaged one still holds.
"""

import fcntl
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from validator.host.durable import replace_file, sync_folder
from validator.lane.outbox.head import Head
from validator.lane.outbox.rescue import DATABASE, LOG

IDENTITY = "outbox.json"
LOCK = "outbox.lock"
COLLECTING = "damaged.part"  # a damaged outbox while its files are moved here
COLLECTED = "damaged"  # all of its files, until a new outbox holds its reports
RESCUED = "damaged.kept"  # the last damaged outbox, for the operator
PAGE_BYTES = 1_024  # SQLite syncs whole pages, and a report touches two to four


class OutboxFolder:
    """One folder, for one thread. Every method may raise OSError."""

    def __init__(self, path: Path) -> None:
        """Touch nothing before `lock`."""
        self.path = path
        self.collected = path / COLLECTED
        self._collecting = path / COLLECTING
        self._lock_fd = -1
        self._files: tuple[object, ...] = ()

    def note_files(self) -> None:
        """Remember which files the open database and its log are."""
        self._files = self._found_files()

    @property
    def has_its_files(self) -> bool:
        """Whether the open files still have their names: SQLite also writes to removed files."""
        return self._found_files() == self._files

    def _found_files(self) -> tuple[object, ...]:
        return tuple(_identity(self.path / name) for name in (DATABASE, LOG))

    @property
    def is_new(self) -> bool:
        """Whether no outbox was ever begun here."""
        return not any(
            (self.path / name).exists() for name in (IDENTITY, DATABASE, COLLECTED, COLLECTING)
        )

    @property
    def is_collecting(self) -> bool:
        """Whether a rescue was cut short before all files of the damaged outbox were moved."""
        return self._collecting.exists()

    @property
    def is_collected(self) -> bool:
        """Whether a rescue was cut short after that."""
        return self.collected.exists()

    @property
    def has_identity(self) -> bool:
        """Whether an outbox was begun here, to its last step."""
        return (self.path / IDENTITY).exists()

    def lock(self) -> None:
        """Be the only process here until `unlock`: two writers of one WAL database lose commits.

        Raises:
            BlockingIOError: another process holds the lock.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._lock_fd >= 0:
            return
        fd = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise BlockingIOError(
                "another lane keeps its reports here; give each lane a folder of its own"
            ) from None
        self._lock_fd = fd

    def unlock(self) -> None:
        """Let another process use the folder."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def require_writable(self) -> None:
        """Raise the OSError that a write would raise, before a passenger waits for one."""
        os.close(os.open(self.path / LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def free_bytes(self) -> int:
        """Return the room that the disk has for users other than root, in bytes."""
        disk = os.statvfs(self.path)
        return disk.f_bavail * disk.f_frsize

    def outbox_id(self) -> str:
        """Return the id of the outbox that belongs here; empty if it is unknown."""
        with suppress(FileNotFoundError, msgspec.MsgspecError, UnicodeError):
            return msgspec.json.decode((self.path / IDENTITY).read_bytes(), type=Head).outbox_id
        return ""

    def make_empty(self) -> None:
        """Replace what is there by an empty database. Raises sqlite3.Error, too."""
        for path in self.path.glob(f"{DATABASE}*"):
            path.unlink()
        with closing(sqlite3.connect(self.path / DATABASE)) as database:
            database.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            database.execute("PRAGMA journal_mode = wal")

    def set_identity(self, head: Head) -> None:
        """Write down which outbox is here. From now on an empty database is a damaged one."""
        sync_folder(self.path)
        sync_folder(self.path.parent)
        replace_file(self.path / IDENTITY, msgspec.json.encode(head))

    def collect(self) -> None:
        """Move all files of a damaged outbox to `collected`.

        A run that is cut short goes on at the next start. Until all files are moved, the files in
        the folder belong to the damaged outbox. After that they belong to the new one, which is
        complete once its identity is written.
        """
        if self.is_collected:
            return
        self._collecting.mkdir(mode=0o700, exist_ok=True)
        # Sync first: without its log, a database may seem whole and be older.
        sync_folder(self.path)
        for path in self.path.glob(f"{DATABASE}*"):
            path.rename(self._collecting / path.name)
        sync_folder(self._collecting)
        self._collecting.rename(self.collected)
        sync_folder(self.path)

    def put_away(self) -> None:
        """End a rescue, before the new outbox takes a report: these files are not rescued again."""
        shutil.rmtree(self.path / RESCUED, ignore_errors=True)
        self.collected.rename(self.path / RESCUED)
        sync_folder(self.path)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return the device and inode of a file; None if there is none. Raises OSError."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
