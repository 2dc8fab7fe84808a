"""The file in which the courier leaves the newest signed time that it accepted. Looked at every second, read when it is another."""

import os
import stat
from pathlib import Path
from typing import NamedTuple

from validator.formats.signed_time import SIGNED_TIME_BYTES_MAX, SignedTime, SignedTimeError, decode


class FoundTime(NamedTuple):
    """A signed time, or in one line why the file tells none."""

    signed: SignedTime | None
    problem: str = ""


class TimeFile:
    """One such file. For one thread; it never writes."""

    def __init__(self, path: Path) -> None:
        """Nothing is read before the first look."""
        self._path = path
        self._read: tuple[int, ...] | None = None  # what the file looked like when it was read
        self._found: FoundTime | None = None

    def look(self) -> FoundTime | None:
        """What the file tells, or None when that has not changed since the last look. A file that is not there tells nothing. Never raises."""
        try:
            if _looks(self._path.lstat()) == self._read:
                return None
            found = FoundTime(decode(self._content()))
        except FileNotFoundError:
            self._read = None
            return None
        except OSError as error:
            found = FoundTime(None, f"{self._path}: {error.strerror}; check the disk and the file's owner")
        except SignedTimeError as error:
            found = FoundTime(None, f"{self._path}: {error}; the courier writes it anew")
        if found == self._found:
            return None
        self._found = found
        return found

    def _content(self) -> bytes:
        fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise SignedTimeError("not a regular file")
            content = os.read(fd, SIGNED_TIME_BYTES_MAX + 1)
        finally:
            os.close(fd)
        self._read = _looks(status)
        return content


def _looks(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
