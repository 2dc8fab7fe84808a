"""Opens, creates and removes regular files in the gate's own folders, and nothing else.

A symbolic link leads elsewhere, opening a pipe waits for its other end, and opening a device may do
anything. None of them belongs in a folder that one process of ours writes, so each counts as
damage: it is reported, and what should be there replaces it.
"""

import errno
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

SECRET_MODE = 0o600
_MODE = 0o666  # what open(2) is asked for; the umask takes from it


class NotRegularError(OSError):
    """The name belongs to a link, pipe, device or folder, not to a regular file."""

    def __init__(self, path: Path, mode: int) -> None:
        """`mode` is the st_mode of its `lstat`."""
        is_link = stat.S_ISLNK(mode)
        super().__init__(
            errno.ELOOP if is_link else errno.EINVAL,
            "symbolic links are not followed" if is_link else "not a regular file",
            str(path),
        )


def open_regular(path: Path) -> int:
    """A descriptor to read the regular file at `path`.

    Raises OSError; NotRegularError for a link, pipe, device or folder, which is not opened.
    """
    mode = path.lstat().st_mode
    if not stat.S_ISREG(mode):  # asked first: opening a device may have effects
        raise NotRegularError(path, mode)
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    fd = os.open(path, flags)
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):  # replaced in between
        os.close(fd)
        raise NotRegularError(path, mode)
    return fd


def reader(path: Path) -> BinaryIO:
    """The regular file at `path`, opened to be read. Raises OSError."""
    return os.fdopen(open_regular(path), "rb")


def read_regular(path: Path, bytes_max: int) -> bytes:
    """The content of the regular file at `path`.

    One byte more than `bytes_max` if it is longer. Raises OSError.
    """
    with reader(path) as file:
        return file.read(bytes_max + 1)


def read_given(path: Path, bytes_max: int) -> bytes:
    """The same of a file that an operator names, which may be a link. Raises OSError."""
    return read_regular(path.resolve(), bytes_max)


def create(path: Path, mode: int | None = None) -> BinaryIO:
    """Create a file at `path`, open for writing and for reading back.

    Whatever has that name is removed first. `mode` sets the permission bits whatever the umask is;
    None leaves them to the umask. Raises OSError.
    """
    remove(path)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags, _MODE if mode is None else mode)
    if mode is not None:
        with suppress(PermissionError):  # a FAT stick, on which a draft travels, has no modes
            os.fchmod(fd, mode)
    return os.fdopen(fd, "w+b")


def remove(path: Path) -> None:
    """Remove what has this name, if anything has.

    A link and not its target, a folder with all that is in it. Raises OSError.
    """
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(path.lstat().st_mode):
            shutil.rmtree(path)
        else:
            path.unlink()


def make_folder(path: Path) -> None:
    """Make the folder if it is not there.

    A link, pipe or file in its place is removed. Raises OSError.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISDIR(path.lstat().st_mode):
            path.unlink()
    path.mkdir(parents=True, exist_ok=True)
