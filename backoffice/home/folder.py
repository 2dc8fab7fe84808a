"""The home of a back office: its folders, its lock, and durable files.

    home = Home(folder, published)
    with home.hold():  # one command at a time writes
        put(home.metadata / "2.root.json", content)

A home holds:

    keys/online         targets.pem, snapshot.pem, timestamp.pem
    keys/fingerprint    <key id>.key, current, next
    keys/retired
    root                N.root.json, and drafts
    versions.json       the highest version of each role that was ever used
"""

import fcntl
import os
import stat
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from validator.errors import OperatorError
from validator.host.durable import TEMPORARY, replacing, sync_folder
from validator.host.plain_files import SECRET_MODE

PUBLIC_MODE = 0o644  # whatever the operator's umask: the web server must read the file
_READABLE = 0o444  # the bits of a published file
_ENTERABLE = 0o555  # the bits of a published folder

DAY_S = 86_400
CLOCK_UNIX_S_MIN = 1_767_225_600  # 2026: a clock before this program was written was never set


class Expiries(NamedTuple):
    """How long each role's metadata is valid, in seconds."""

    root_s: int = 365 * DAY_S
    targets_s: int = 14 * DAY_S
    snapshot_s: int = 14 * DAY_S
    timestamp_s: int = 6 * 3600


@dataclass(frozen=True, slots=True)
class Home:
    """One back office: its home, its published folder, and the validity of what it signs."""

    folder: Path
    published: Path
    expiries: Expiries = field(default=Expiries())

    @property
    def online_keys(self) -> Path:
        """The folder of the keys that sign without a person."""
        return self.folder / "keys" / "online"

    @property
    def fingerprint_keys(self) -> Path:
        """The folder of the keys that make fingerprints."""
        return self.folder / "keys" / "fingerprint"

    @property
    def retired_keys(self) -> Path:
        """The folder of keys that are no longer used."""
        return self.folder / "keys" / "retired"

    @property
    def roots(self) -> Path:
        """The folder of roots: N.root.json was accepted, N.root.draft.json waits for signatures."""
        return self.folder / "root"

    @property
    def metadata(self) -> Path:
        """The published folder of metadata."""
        return self.published / "metadata"

    @property
    def targets(self) -> Path:
        """The published folder of manifests."""
        return self.published / "targets"

    @contextmanager
    def hold(self, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hold the home's lock for a block: one command at a time writes.

        Calls `waiting` before it waits for another command. The lock ends with the process, however
        it dies. One process must not hold it twice.

        Raises:
            OperatorError: The folder is no home.
        """
        try:
            fd = os.open(self.folder / ".hold", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, SECRET_MODE)
        except OSError as error:
            raise OperatorError(
                f"{self.folder}: is no home of a back office ({error.strerror})"
            ) from error
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


def make_public_folder(folder: Path) -> None:
    """Make a folder that the web server serves, and its missing parents. Raises OSError.

    Whatever the umask is, everybody may read it and others may not write to it; an existing folder
    is changed so too. Whether the group may write is left as it is.
    """
    missing = [each for each in folder.parents if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in (folder, *missing):
        _open_to_all(each, _ENTERABLE)


def open_public_files(folder: Path) -> None:
    """Let everybody read the files of a published folder, also those put there by hand.

    Raises OSError.
    """
    for path in folder.iterdir():
        if stat.S_ISREG(path.lstat().st_mode) and not path.name.startswith(TEMPORARY):
            _open_to_all(path, _READABLE)


def _open_to_all(path: Path, bits: int) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    wanted = (mode | bits) & ~stat.S_IWOTH
    if mode != wanted:
        with suppress(PermissionError):  # another user's, or a memory stick without modes
            path.chmod(wanted)


def put_steps(path: Path, content: bytes) -> Generator[str, None, None]:
    """`put` in steps: after each, `path` holds the old file or the new one. Raises OSError."""
    with replacing(path, PUBLIC_MODE) as new:
        new.file.write(content)
        new.file.flush()
        _date_after(path, new.file.fileno())
        yield f"written {path.name}"
        new.sync()
        yield f"synced {path.name}"
        new.rename()
        yield f"renamed {path.name}"
        new.sync_folder()
        yield f"folder synced after {path.name}"


def _date_after(before: Path, fd: int) -> None:
    """Date a file at least a second after the one that it replaces.

    nginx makes an ETag of the second and the size. With equal ones a gate that asks for a changed
    timestamp.json would get "not modified".
    """
    with suppress(FileNotFoundError):
        second = int(before.stat().st_mtime) + 1
        if os.fstat(fd).st_mtime < second:
            os.utime(fd, (second, second))


def put(path: Path, content: bytes) -> None:
    """Write a file that is no secret, durably. Raises OSError, and leaves the old file then."""
    for _ in put_steps(path, content):
        pass


def secret_mode(folder: Path) -> int:
    """The mode for a secret file in this folder: 0600, unless the folder is shared with a group.

    A shared folder has the set-group-ID bit, by which its files get its group: the owner decided
    so. The group may then do to a file what it may do to the folder, and others nothing. Raises
    OSError.
    """
    mode = folder.stat().st_mode
    if not mode & stat.S_ISGID:
        return SECRET_MODE
    return SECRET_MODE | (mode & (stat.S_IRGRP | stat.S_IWGRP))


def make_file(path: Path, content: bytes, mode: int) -> None:
    """Make a new file, durably. Raises OperatorError if it exists, OSError if it cannot be made.

    Leaves no file when it fails.
    """
    try:
        fd = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode
        )
    except FileExistsError:
        raise OperatorError(f"{path}: is there already, and a key is never overwritten") from None
    try:
        with os.fdopen(fd, "wb") as out:
            if mode & 0o070:  # the umask must not take the group's bits away
                os.fchmod(fd, mode)
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        sync_folder(path.parent)
    except BaseException:  # Ctrl-C too
        path.unlink(missing_ok=True)
        raise


def move_steps(path: Path, to: Path) -> Generator[str, None, None]:
    """Rename a file, durably. Raises OSError."""
    path.rename(to)
    yield f"moved {path.name} to {to.parent.name}/{to.name}"
    sync_folder(to.parent)
    sync_folder(path.parent)
    yield f"folders synced after {to.name}"
