"""The newest signed time that the courier accepted, read from its file and the file's copy.

The clerk checks both every second; they are read when one has changed.
"""

from pathlib import Path

from validator.host.plain_files import NotRegularError, read_regular
from validator.ipc.signed_time import (
    SIGNED_TIME_BYTES_MAX,
    Order,
    SignedTime,
    SignedTimeError,
    decode,
    order,
)
from validator.lane.ports import FoundTime


class TimeFile:
    """The courier's `accepted.json`, and its copy. For one thread; it never writes."""

    def __init__(self, path: Path, copy: Path | None = None) -> None:
        """Nothing is read before the first `look`.

        Args:
            path: the file.
            copy: a file of the same content, which counts where `path` is damaged or older.
        """
        self._paths = (path,) if copy is None else (path, copy)
        self._read: tuple[object, ...] | None = None  # stat of both files before they were read
        self._found: FoundTime | None = None

    def look(self) -> FoundTime | None:
        """Return the signed time, or None if it has not changed since the last call.

        Missing files hold no time and are no problem. Never raises.
        """
        status = tuple(_state(path) for path in self._paths)
        if status == self._read:
            return None
        self._read = status
        found = self._read_both()
        if found is None or found == self._found:
            return None
        self._found = found
        return found

    def _read_both(self) -> FoundTime | None:
        found: list[tuple[Order, SignedTime]] = []
        problems = []
        for path in self._paths:
            try:
                content = read_regular(path, SIGNED_TIME_BYTES_MAX)
                signed = decode(content)
                found.append((order(content), signed))
            except FileNotFoundError:
                pass
            except NotRegularError as error:
                problems.append(f"{path}: {error.strerror}; the courier writes it again")
            except OSError as error:
                self._read = None  # the disk may answer next time
                problems.append(f"{path}: {error.strerror}; check the disk and the file's owner")
            except SignedTimeError as error:
                problems.append(f"{path}: {error}; the courier writes it again")
        if not found and not problems:
            return None
        newest = max(found, key=lambda each: each[0])[1] if found else None
        return FoundTime(newest, problems[0] if problems else "")


def _state(path: Path) -> tuple[int, ...] | None:
    """Return the parts of stat(2) that change with the content; None if there is no file."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
