"""The file in which the courier leaves the newest signed time that it accepted, and its copy.

Checked every second, read when it changed.
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
    """One such file. For one thread; it never writes."""

    def __init__(self, path: Path, copy: Path | None = None) -> None:
        """`copy` has the same content.

        It counts where the file is damaged, or older. Nothing is read before the first look.
        """
        self._paths = (path,) if copy is None else (path, copy)
        self._read: tuple[object, ...] | None = (
            None  # what the files looked like before they were read
        )
        self._found: FoundTime | None = None

    def look(self) -> FoundTime | None:
        """What the file tells, or None when that has not changed since the last look. A file that is not there tells nothing. Never raises."""
        status = tuple(_looks(path) for path in self._paths)
        if status == self._read:
            return None
        self._read = status
        found = self._look()
        if found is None or found == self._found:
            return None
        self._found = found
        return found

    def _look(self) -> FoundTime | None:
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


def _looks(path: Path) -> tuple[int, ...] | None:
    """What tells one state of the file from another; None if it is not there."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
