"""Runs a program with the priorities that its systemd unit gives it, and then is that program.

    python -m benchmarks.as_unit turnike-courier MODULE ARGUMENT …

Memory is not limited here; what a unit allows is told by `memory_max_mb`, for whoever measures it.
"""

import os
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

UNITS = Path(__file__).parent.parent / "deploy" / "systemd"
SCHEDULERS = {"other": os.SCHED_OTHER, "batch": os.SCHED_BATCH, "idle": os.SCHED_IDLE}
IO_CLASSES = {"best-effort": "2", "idle": "3"}
MIB = 1 << 20
MB = 1e6


def service(unit: str) -> dict[str, str]:
    """The [Service] part of a unit of ours, by its name."""
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # names as they stand: configparser's own recipe
    parser.read_string((UNITS / f"{unit}.service").read_text("utf-8"))
    return dict(parser["Service"])


def memory_max_mb(unit: str) -> float:
    """What the unit may have, in MB."""
    found = re.fullmatch(r"(\d+)M", service(unit)["MemoryMax"])
    if found is None:
        raise ValueError(f"{unit}: MemoryMax is not in M")
    return int(found[1]) * MIB / MB


def main() -> None:
    """Take the priorities, then run."""
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
