"""What kind of storage a folder is on, by the kernel."""

import errno
import os
from pathlib import Path

# proc(5): the device as major:minor in field 3, the type after a lone dash.
_MOUNTS = Path("/proc/self/mountinfo")
_IN_MEMORY = ("tmpfs", "ramfs")


def is_in_memory(folder: Path) -> bool:
    """Whether the folder's files are gone after a power cut. Raises OSError."""
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in _MOUNTS.read_text().splitlines():
        mount, _, source = line.partition(" - ")
        if mount.split()[2] == number:
            return source.split()[0] in _IN_MEMORY
    return False  # btrfs and its like show another number here; none of them is in memory


def read_only(folder: Path, *files: str) -> str:
    """Why the disk under this folder refuses writes, in one line, or "". Nothing is written.

    A file system that has met an error refuses writes and may not call itself read-only (ext4, seen
    on Linux 6.18). So each of `files` that exists is opened for writing too. Raises OSError if the
    folder is not there.
    """
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return f"{folder}: {os.strerror(errno.EROFS)}"
    for name in files:
        try:
            fd = os.open(folder / name, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            if error.errno in (errno.EROFS, errno.EIO):
                return f"{folder}: {error.strerror}"
        else:
            os.close(fd)
    return ""
