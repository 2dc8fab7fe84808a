"""The folders that the courier alone writes: made, locked, and checked for a failing disk.

    folders = CourierFolders(disk, recent)
    folders.take()           # BusyError if another courier writes there; a read-only disk is fine
    folders.problem()        # at each poll: why nothing can be stored, in one line, or ""

When an SD card fails, the kernel mostly makes it read-only. Nothing shows that until a write, and a
list may stay the same for hours. So `problem` opens the accepted store's files for writing: that
writes nothing, and is refused as a write would be.
"""

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path

from validator.errors import StartError
from validator.host.mounts import read_only
from validator.host.plain_files import make_folder
from validator.ipc.accepted import ACCEPTED_COPY_FILE, ACCEPTED_FILE

_WRITTEN = (ACCEPTED_FILE, ACCEPTED_COPY_FILE)


class BusyError(StartError):
    """Another courier writes here; the message is one clear line."""


class CourierFolders:
    """The folder on the disk and the memory-backed one. For one thread.

    The lock ends with the process.
    """

    def __init__(self, disk: Path, recent: Path | None) -> None:
        self._disk = disk
        self._recent = recent
        self._lock_fd = -1

    def take(self) -> None:
        """Make the folders and lock them for this courier. Raises BusyError."""
        with suppress(OSError):
            self._keep()

    def problem(self) -> str:
        """Make missing folders. Returns why nothing can be stored now, in one line, or ""."""
        try:
            self._keep()
            if self._recent is not None:
                _require_writable(self._recent)
        except BusyError as error:
            return str(error)
        except OSError as error:
            return (
                f"{error.filename}: {error.strerror}; nothing new can be kept: check the disk and"
                " its owner"
            )
        return ""

    def _keep(self) -> None:
        """Make the folders and hold the lock of the one on the disk. Raises OSError, BusyError."""
        if self._recent is not None:
            with suppress(OSError):  # `problem` reports it; the lock comes first
                make_folder(self._recent)
        make_folder(self._disk)
        self._hold()
        _require_writable(self._disk)
        if problem := read_only(self._disk, *_WRITTEN):
            raise OSError(errno.EROFS, problem.rpartition(": ")[2], str(self._disk))

    def _hold(self) -> None:
        """Lock the folder itself, again if another one has its name. Raises OSError, BusyError.

        A lock file could be removed under its holder, be a link or a pipe, or not be made on a
        read-only disk.
        """
        fd = os.open(self._disk, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if self._lock_fd >= 0 and os.path.sameopenfile(fd, self._lock_fd):
            os.close(fd)
            return
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise BusyError(
                f"{self._disk}: another courier writes here; one gate has one courier"
            ) from None
        self.close()
        self._lock_fd = fd

    def close(self) -> None:
        """Release the lock."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1


def _require_writable(folder: Path) -> None:
    """Raise the OSError that creating a file there would raise."""
    if not os.access(folder, os.W_OK | os.X_OK):
        is_read_only = bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
        code = errno.EROFS if is_read_only else errno.EACCES
        raise OSError(code, os.strerror(code), str(folder))
