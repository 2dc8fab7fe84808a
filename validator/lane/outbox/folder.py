"""The folder of an outbox, but for the rows of its database: who may be in it, which outbox should be there, and where a damaged one is put.

What the database holds is lane/outbox/outbox.py's affair; what can be read of a damaged one lane/outbox/rescue.py's.
"""

import fcntl
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from validator.host.durable import replace_file, sync_folder
from validator.lane.outbox.rescue import DATABASE, LOG, Head

IDENTITY = "outbox.json"
LOCK = "outbox.lock"
COLLECTING = "damaged.part"  # a damaged outbox while its files are put together here
COLLECTED = "damaged"  # all of it, until what it held is in a new one
RESCUED = "damaged.kept"  # the last one, for a person to look at
PAGE_BYTES = 1_024  # SQLite syncs whole pages, and a report touches two to four


class OutboxFolder:
    """One folder, for one thread. Every method may raise OSError."""

    def __init__(self, path: Path) -> None:
        """Nothing is touched before `lock`."""
        self.path = path
        self.collected = path / COLLECTED
        self._collecting = path / COLLECTING
        self._lock_fd = -1
        self._files: tuple[object, ...] = ()

    def note_files(self) -> None:
        """Remember which files the database and its log are, now that they are open."""
        self._files = self._found_files()

    @property
    def has_its_files(self) -> bool:
        """Whether those files are still the ones of these names: SQLite goes on in files that were removed, and tells nobody."""
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
        """Whether a rescue was cut short before the damaged outbox was all together."""
        return self._collecting.exists()

    @property
    def is_collected(self) -> bool:
        """Whether a rescue was cut short after that."""
        return self.collected.exists()

    @property
    def has_identity(self) -> bool:
        """Whether an outbox was begun here to the end."""
        return (self.path / IDENTITY).exists()

    def lock(self) -> None:
        """Be the only process here, until `unlock` or its end: two that write one WAL database can lose commits."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._lock_fd >= 0:
            return
        fd = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise BlockingIOError("another lane keeps its reports here") from None
        self._lock_fd = fd

    def unlock(self) -> None:
        """Let others in."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def require_writable(self) -> None:
        """Raise the OSError that a write would, without one: a disk that has become read-only is told before a passenger meets it."""
        os.close(os.open(self.path / LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def free_bytes(self) -> int:
        """How much room the disk has for whoever is not root."""
        disk = os.statvfs(self.path)
        return disk.f_bavail * disk.f_frsize

    def outbox_id(self) -> str:
        """The id of the outbox that should be here; empty if nobody knows."""
        with suppress(FileNotFoundError, msgspec.MsgspecError, UnicodeError):
            return msgspec.json.decode((self.path / IDENTITY).read_bytes(), type=Head).outbox_id
        return ""

    def make_empty(self) -> None:
        """Make an empty database in place of whatever is there. Raises sqlite3.Error too."""
        for path in self.path.glob(f"{DATABASE}*"):
            path.unlink()
        with closing(sqlite3.connect(self.path / DATABASE)) as database:
            database.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            database.execute("PRAGMA journal_mode = wal")

    def set_identity(self, head: Head) -> None:
        """Say which outbox is here, once its database is. From now on an empty database is a damaged one."""
        sync_folder(self.path)
        sync_folder(self.path.parent)
        replace_file(self.path / IDENTITY, msgspec.json.encode(head))

    def collect(self) -> None:
        """Put a damaged outbox together in `collected`.

        Cut short anywhere, it goes on at the next start: until the damaged one is collected, what lies in the folder belongs to it; from then on, to a
        new one that is not done before its identity is written.
        """
        if self.is_collected:
            return
        self._collecting.mkdir(mode=0o700, exist_ok=True)
        # Before a log is away from its database: without it that may look whole, and is older.
        sync_folder(self.path)
        for path in self.path.glob(f"{DATABASE}*"):
            path.rename(self._collecting / path.name)
        sync_folder(self._collecting)
        self._collecting.rename(self.collected)
        sync_folder(self.path)

    def put_away(self) -> None:
        """End a rescue, before the new outbox takes a report: what was collected is never rescued again."""
        shutil.rmtree(self.path / RESCUED, ignore_errors=True)
        self.collected.rename(self.path / RESCUED)
        sync_folder(self.path)


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file it is; None if there is none. Raises OSError."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
