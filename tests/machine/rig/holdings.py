"""What a process holds of its machine, and what must not grow with each replug."""

from pathlib import Path
from typing import NamedTuple


class Holdings(NamedTuple):
    """Open descriptors and threads of a process."""

    descriptors: int
    threads: int


def of(pid: int) -> Holdings:
    """Count what a process of this machine holds."""
    process = Path("/proc") / str(pid)
    return Holdings(len(list((process / "fd").iterdir())), len(list((process / "task").iterdir())))


def memory_kb(pid: int) -> int:
    """Return how much memory is the process's own, in kB."""
    told = (Path("/proc") / str(pid) / "smaps_rollup").read_text()
    (line,) = (line for line in told.splitlines() if line.startswith("Private_Dirty:"))
    return int(line.split()[1])
