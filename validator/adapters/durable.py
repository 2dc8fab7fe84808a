"""Files that are replaced and never rewritten: temporary name in the same folder, fsync, rename, fsync of the folder (style rule 9)."""

import os
from pathlib import Path

TEMPORARY = ".new-"  # what a name begins with while its file is being written
SECRET_MODE = 0o600


def replace_file(path: Path, content: bytes) -> None:
    """Put these bytes at `path`: after any crash the old file stands there or the new one. Raises OSError, and leaves nothing behind then."""
    temporary = path.with_name(f"{TEMPORARY}{path.name}")
    try:
        with temporary.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def put_secret(path: Path, content: bytes) -> None:
    """The same for what nobody else may read: mode 0600 from the first byte on. Raises OSError."""
    temporary = path.with_name(f"{TEMPORARY}{path.name}")
    temporary.unlink(missing_ok=True)  # of a run that was killed, with whatever mode it has
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(temporary, flags, SECRET_MODE), "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names in the folder durable. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
