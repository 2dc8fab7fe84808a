"""The file system of tests/power_cut, with faults.

    python -m tests.processes.faulty_file_system MOUNT JOURNAL

`os.setxattr(MOUNT, "user.fault", b"unsynced")` sets one, from then on, and `b"none"` ends it.
What a sync that failed should have made durable never is: the
kernel forgets that it was to be written (fsync(2), "EIO"), so the journal does too, though it can
be read as long as the system runs.
"""

import errno
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import mfusepy

from tests.power_cut import journal
from tests.power_cut.file_system import RecordingFileSystem
from tests.power_cut.journal import Operation, Sync, Write
from tests.processes.disk_faults import FAULT, SLOW_S, Fault

_ERRORS = {Fault.READ_ONLY: errno.EROFS, Fault.GONE: errno.EIO}


class FaultyFileSystem(RecordingFileSystem):
    """Fails as its `user.fault` says."""

    def __init__(self, start: Path) -> None:
        self._fault = Fault.NONE
        super().__init__(start)

    def setxattr(self, path: str, name: str, value: bytes, options: int, position: int = 0) -> int:
        if name != FAULT:
            return super().setxattr(path, name, value, options, position)
        self._fault = Fault(value.decode())
        return 0

    def _fail_if(self, *faults: Fault) -> None:
        if self._fault in faults:
            raise mfusepy.FuseOSError(_ERRORS[self._fault])

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        self._fail_if(Fault.GONE, Fault.READ_ONLY)
        if self._fault is Fault.SLOW:
            time.sleep(SLOW_S)
        if self._fault is Fault.UNSYNCED:
            self.journal = _without_unsynced(self.journal, fh)
            raise mfusepy.FuseOSError(errno.EIO)
        return super().fsync(path, datasync, fh)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        self._fail_if(Fault.GONE)
        return super().read(path, size, offset, fh)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        self._fail_if(Fault.GONE, Fault.READ_ONLY)
        return super().write(path, data, offset, fh)

    def create(self, path: str, mode: int, flags: int) -> int:
        self._fail_if(Fault.GONE, Fault.READ_ONLY)
        return super().create(path, mode, flags)

    def mkdir(self, path: str, mode: int) -> int:
        self._fail_if(Fault.GONE, Fault.READ_ONLY)
        return super().mkdir(path, mode)

    def unlink(self, path: str) -> int:
        self._fail_if(Fault.GONE, Fault.READ_ONLY)
        return super().unlink(path)

    def rename(self, old: str, new: str) -> int:
        self._fail_if(Fault.GONE, Fault.READ_ONLY)
        return super().rename(old, new)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        self._fail_if(Fault.GONE, Fault.READ_ONLY)
        return super().truncate(path, length, fh)


def _without_unsynced(recorded: list[Operation], node: int) -> list[Operation]:
    """The journal without what was written to this file since it was synced."""
    synced = max((place for place, each in enumerate(recorded) if each == Sync(node)), default=0)
    return [
        each
        for place, each in enumerate(recorded)
        if place < synced or not (isinstance(each, Write) and each.node == node)
    ]


def main() -> None:
    """Be mounted, until it is unmounted."""
    mount, kept = sys.argv[1:]
    with TemporaryDirectory() as nothing:
        system = FaultyFileSystem(Path(nothing))
    mfusepy.FUSE(system, mount, foreground=True, nothreads=True, hard_remove=True)
    journal.save(system.journal, Path(kept))


if __name__ == "__main__":
    main()
