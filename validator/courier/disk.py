"""Turns an error of the gate's own disk into a RemoteError of the state DISK."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from validator.errors import RemoteError, SourceState


def disk_error(error: OSError, path: Path | None = None) -> RemoteError:
    """The error as a RemoteError; `path` is named where the error names no file."""
    line = f"{error.filename or path}: {error.strerror}; check the disk"
    return RemoteError(SourceState.DISK, line)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Raise every OSError in the block as a RemoteError."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, path) from error
