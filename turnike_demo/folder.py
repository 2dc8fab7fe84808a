"""The demo's folder, removed with the demo; the next demo removes what a killed one left."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "turnike-demo-"
_LOCK = "held"  # a file in the folder, locked as long as its demo runs


@contextmanager
def folder() -> Iterator[Path]:
    """Make a folder for one demo, and remove it after the block.

    First removes the folders that this user's killed demos left.
    """
    _remove_left(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as made:
        path = Path(made)
        # Locked before it gets its name: a file of that name without a lock is a dead demo's.
        lock = os.open(path / ".new", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (path / ".new").rename(path / _LOCK)
            yield path
        finally:
            os.close(lock)


def _remove_left(under: Path) -> None:
    with suppress(OSError), os.scandir(under) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False):
                with suppress(OSError):
                    _remove_if_left(Path(entry.path))


def _remove_if_left(path: Path) -> None:
    if path.stat().st_uid != os.getuid():
        return
    lock = os.open(path / _LOCK, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)
