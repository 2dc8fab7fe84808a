"""What kind of storage a folder stands on, as the kernel says."""

import errno
import os
from pathlib import Path

_MOUNTS = Path(
    "/proc/self/mountinfo"
)  # proc(5): device as major:minor in field 3, the type after a lone dash
_IN_MEMORY = ("tmpfs", "ramfs")


def is_in_memory(folder: Path) -> bool:
    """Whether what stands there is gone after a power cut. Raises OSError."""
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in _MOUNTS.read_text().splitlines():
        mount, _, source = line.partition(" - ")
        if mount.split()[2] == number:
            return source.split()[0] in _IN_MEMORY
    return False  # btrfs and its like show another number here; none of them is in memory


def read_only(folder: Path, *files: str) -> str:
    """Why the disk under this folder takes nothing, or nothing; writes nothing. Raises OSError if the folder is not there.

    A file system that has met an error refuses writes and may not call itself read-only (ext4, seen on Linux 6.18): so the first of `files`
    that is there is opened for writing too.
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
