"""Take the priorities that a systemd unit gives its program, then become that program.

    python -m benchmarks.as_unit turnike-courier MODULE ARGUMENT …

Memory is not limited here; `memory_max_mb` returns what a unit allows.
"""

import os
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path
from typing import Any

UNITS = Path(__file__).parent.parent / "deploy" / "systemd"
SCHEDULERS = {"other": os.SCHED_OTHER, "batch": os.SCHED_BATCH, "idle": os.SCHED_IDLE}
IO_CLASSES = {"best-effort": "2", "idle": "3"}
MIB = 1 << 20
MB = 1e6


def service(unit: str) -> dict[str, str]:
    """The [Service] section of a unit in deploy/systemd, by its name."""
    parser = ConfigParser(strict=False, interpolation=None)
    keeps_case: Any = parser  # configparser's own recipe for names as they are written
    keeps_case.optionxform = str
    parser.read_string((UNITS / f"{unit}.service").read_text("utf-8"))
    return dict(parser["Service"])


def memory_max_mb(unit: str) -> float:
    """The unit's MemoryMax in MB. Raises ValueError if it is not given in M."""
    found = re.fullmatch(r"(\d+)M", service(unit)["MemoryMax"])
    if found is None:
        raise ValueError(f"{unit}: MemoryMax is not in M")
    return int(found[1]) * MIB / MB


def main() -> None:
    """Take the priorities, then run the program."""
    unit, *rest = sys.argv[1:]
    options = service(unit)
    os.sched_setscheduler(
        0, SCHEDULERS[options.get("CPUSchedulingPolicy", "other")], os.sched_param(0)
    )
    os.nice(int(options.get("Nice", "0")))
    io_class = options.get("IOSchedulingClass")
    if io_class is not None:
        subprocess.run(["ionice", "-c", IO_CLASSES[io_class], "-p", str(os.getpid())], check=True)
    os.execv(sys.executable, [sys.executable, "-m", *rest])  # noqa: S606  no shell is wanted


if __name__ == "__main__":
    main()
