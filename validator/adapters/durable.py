"""Files that are replaced and never rewritten: temporary name in the same folder, fsync, rename, fsync of the folder (style rule 9)."""

import os
from pathlib import Path

TEMPORARY = ".new-"  # what a name begins with while its file is being written


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


def sync_folder(folder: Path) -> None:
    """Make names in the folder durable. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
