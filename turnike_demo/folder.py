"""The demo's folder: it goes with the demo, and what a demo that was killed has left goes with the next one."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "turnike-demo-"
_HELD = "held"  # a file that a running demo holds, in its folder


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for one demo, removed after the block. Nothing is left of demos that died before."""
    _remove_left(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as made:
        path = Path(made)
        # Held before it has its name: one that has it, and is not held, is nobody's any more.
        held = os.open(path / ".new", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            (path / ".new").rename(path / _HELD)
            yield path
        finally:
            os.close(held)


def _remove_left(under: Path) -> None:
    """Remove the folders of this user's demos that run no more."""
    with suppress(OSError), os.scandir(under) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False):
                with suppress(OSError):
                    _remove_if_left(Path(entry.path))


def _remove_if_left(path: Path) -> None:
    if path.stat().st_uid != os.getuid():
        return
    held = os.open(path / _HELD, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(held)
