"""What kind of storage a folder stands on, as the kernel says."""

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
