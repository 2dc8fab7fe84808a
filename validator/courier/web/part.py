"""The file of a download that is not complete."""

import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path

from validator.host.plain_files import remove

_STEP_BYTES = 1 << 20


class Part:
    """A file that grows with its running hash. For one thread. Every method raises OSError."""

    def __init__(self, path: Path, bytes_max: int) -> None:
        """Resume the file at `path`, if it has at most `bytes_max` bytes."""
        self.bytes_max = bytes_max
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(path.lstat().st_mode):
                remove(path)  # a link, a pipe or a folder is the beginning of nothing
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o644)
        self.length = 0
        self._hash = hashlib.sha256()
        try:
            self._take_up()
        except BaseException:
            os.close(self._fd)
            raise

    def _take_up(self) -> None:
        if os.fstat(self._fd).st_size > self.bytes_max:
            self.empty()
        while step := os.read(self._fd, _STEP_BYTES):
            self._hash.update(step)
            self.length += len(step)

    def empty(self) -> None:
        """Begin again with no bytes."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._hash = hashlib.sha256()
        self.length = 0

    def append(self, step: bytes) -> None:
        """Write the bytes up to `bytes_max`; drop the rest."""
        left = memoryview(step)[: self.bytes_max - self.length]
        while left:
            count = os.write(self._fd, left)
            self._hash.update(left[:count])
            self.length += count
            left = left[count:]

    def sha256(self) -> str:
        """The sha256 of the bytes so far, in hex."""
        return self._hash.hexdigest()

    def sync(self) -> None:
        """Make the bytes durable."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Close the file; it stays as it is."""
        os.close(self._fd)
