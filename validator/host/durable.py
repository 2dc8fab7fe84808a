"""Files that are replaced and never rewritten: temporary name in the same folder, fsync, rename, fsync of the folder (style rule 9)."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from validator.host.plain_files import create, create_secret, remove

TEMPORARY = ".new-"  # what a name begins with while its file is being written


def replace_file(path: Path, content: bytes) -> None:
    """Put these bytes at `path`: after any crash the old file stands there or the new one.

    Raises OSError, and leaves nothing behind then.

    What has the temporary name or this one and is no file, such as a planted link, is replaced and
    never followed.
    """
    _replace(path, content, create)


def put_secret(path: Path, content: bytes) -> None:
    """The same for what nobody else may read: mode 0600 from the first byte on. Raises OSError."""
    _replace(path, content, create_secret)


def _replace(path: Path, content: bytes, created: Callable[[Path], BinaryIO]) -> None:
    temporary = path.with_name(f"{TEMPORARY}{path.name}")
    try:
        with created(temporary) as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        rename_over(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def rename_over(temporary: Path, path: Path) -> None:
    """Give the finished file its name.

    A folder in the way, which a rename does not replace, is removed. Raises OSError.
    """
    try:
        temporary.rename(path)
    except IsADirectoryError:
        remove(path)
        temporary.rename(path)


def sync_folder(folder: Path) -> None:
    """Make names in the folder durable. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
