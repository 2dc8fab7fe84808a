"""Scans a list folder and opens exactly the files that the scan saw.

Errors of the system become four kinds of refusal, by what helps against them.
lane/lists_in_force.py reads the content.
"""

import os
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from validator.lists.names import ListName, is_segment
from validator.lists.segment import HEADER_BYTES

ENTRIES_MAX = 1_000  # three lists of three rules are 30 files; a folder of more is not ours
AGAIN = "delete the file, and the courier fetches it again"
_STEP_BYTES = 1 << 20  # each step gives the interpreter away twice; docs/list-format.md, "Warm"


class UnusableError(Exception):
    """A list cannot be used; the text is one line with the reason."""


class UnreadableError(UnusableError):
    """The disk did not answer: worth another attempt."""


class MovingError(UnreadableError):
    """The courier may be writing here now: report it only if the next scan finds the same."""


class NoKeyError(UnusableError):
    """A fingerprint key is missing; the courier may bring it."""


class SeenFile(NamedTuple):
    """A file as a scan sees it. While this stays the same, so does the content."""

    path: str
    mode: int
    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, path: str, status: os.stat_result) -> "SeenFile":
        """Build it from a path and the result of stat."""
        of = status
        return cls(
            path, of.st_mode, of.st_dev, of.st_ino, of.st_size, of.st_mtime_ns, of.st_ctime_ns
        )

    @property
    def name(self) -> str:
        """Its name in the folder."""
        return os.path.basename(self.path)  # noqa: PTH119 — a thousand Path objects cost too much

    def was_written_to(self, now: "SeenFile") -> bool:
        """Whether the same file has other content.

        A file that was replaced or deleted stays good in memory.
        """
        return now[2:4] == self[2:4] and now[4:6] != self[4:6]


Files = dict[str, SeenFile]
"""The manifests and segments of one folder, by name."""


def scan(folder: Path) -> Files:
    """The manifests and segments of a folder.

    Raises:
        FileNotFoundError: There is no such folder.
        UnusableError: It cannot be read, or has too many files.
    """
    files: Files = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if len(files) >= ENTRIES_MAX:
                    raise UnusableError(f"{folder}: more than {ENTRIES_MAX} lists and segments")
                if is_segment(entry.name) or ListName.of(entry.name) is not None:
                    with suppress(FileNotFoundError):  # gone since it was listed
                        files[entry.name] = SeenFile.of(
                            entry.path, entry.stat(follow_symlinks=False)
                        )
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnusableError(f"{folder}: {reason(error)}") from error
    return files


class Seen(NamedTuple):
    """One scan of both folders, and one line for each folder that cannot be read."""

    folders: tuple[Files, ...]
    problems: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path, recent: Path | None) -> "Seen":
        """Scan both. The memory-backed folder need not exist: the courier makes it."""
        found: dict[str, Files] = {}
        problems = []
        # Memory first: a list that moves from there to the disk meanwhile is then seen twice, not
        # never.
        for key, path in (("recent", recent), ("folder", folder)):
            try:
                found[key] = scan(path) if path else {}
            except FileNotFoundError as error:
                if key == "folder":
                    problems.append(f"{path}: {reason(error)}; list.folder must be there")
            except UnusableError as error:
                problems.append(
                    f"{error}; check list.{key}, which this service must be able to read"
                )
        return cls((found.get("folder", {}), found.get("recent", {})), tuple(problems))

    def copies(self, name: str) -> list[SeenFile]:
        """The files of this name: none, one, or the same in both folders, the disk's first."""
        return [files[name] for files in self.folders if name in files]

    def lists(self) -> dict[ListName, list[SeenFile]]:
        """The manifests of each list."""
        names = {name for files in self.folders for name in files}
        found = ((ListName.of(name), name) for name in names)
        return {listed: self.copies(name) for listed, name in found if listed is not None}

    def files(self) -> set[SeenFile]:
        """The files of both folders."""
        return {file for files in self.folders for file in files.values()}


@contextmanager
def opened(file: SeenFile) -> Iterator[int]:
    """Open exactly the regular file that the scan saw, for reading.

    Raises:
        MovingError: The file is gone, or has changed since the scan.
        UnreadableError: The disk did not answer.
        UnusableError: It is no regular file.
    """
    try:
        if not stat.S_ISREG(file.mode):
            raise UnusableError(f"{file.name}: not a regular file; {AGAIN}")
        fd = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if SeenFile.of(file.path, os.fstat(fd)) != file:
                raise MovingError(
                    f"{file.name}: it changes while it is read; only the courier may write here"
                )
            yield fd
        finally:
            os.close(fd)
    except FileNotFoundError as error:
        raise MovingError(f"{file.name}: {reason(error)}; the courier fetches it") from error
    except (OSError, ValueError) as error:  # ValueError: mmap of a file that became shorter
        raise UnreadableError(
            f"{file.name}: {reason(error)}; check the disk and the file's owner"
        ) from error


def body_crc32(fd: int) -> Generator[None, None, int]:
    """Compute the CRC-32 of a segment's body in steps, which also warms it. Raises OSError."""
    checksum = 0
    step = bytearray(_STEP_BYTES)
    view = memoryview(step)
    os.lseek(fd, HEADER_BYTES, os.SEEK_SET)
    with open(fd, "rb", buffering=0, closefd=False) as file:
        while size := file.readinto(step):
            checksum = crc32(view[:size], checksum)
            yield
    return checksum


def reason(error: Exception) -> str:
    """The text of an error, without numbers and paths."""
    return (isinstance(error, OSError) and error.strerror) or str(error)
