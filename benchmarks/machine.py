"""The kind of machine on which the numbers were taken, and its load. It has no host names."""

import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from validator.host.process import run_in_real_time


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in {"model name", "Model"}:
            return value.strip()
    return platform.machine()


def real_time_permitted() -> bool:
    """True if a child process may enter a real-time class, as the lane does."""
    child = os.fork()
    if child == 0:
        os._exit(0 if run_in_real_time() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@dataclass
class Machine:
    """The head of the table. `load_after` is filled in when the run ends."""

    cpus: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    cpu: str = field(default_factory=_cpu_name)
    architecture: str = field(default_factory=platform.machine)
    kernel: str = field(default_factory=platform.release)
    python: str = field(
        default_factory=lambda: f"{platform.python_implementation()} {platform.python_version()}"
    )
    real_time: bool = field(default_factory=real_time_permitted)
    load_before: tuple[float, float, float] = field(default_factory=os.getloadavg)
    load_after: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def finish(self) -> None:
        """Record the load at the end."""
        self.load_after = os.getloadavg()

    def as_json(self) -> dict[str, Any]:
        """The fields for build/bench.json."""
        return asdict(self)

    def __str__(self) -> str:
        """Two lines for a person."""
        before, after = (
            " ".join(f"{load:.2f}" for load in loads)
            for loads in (self.load_before, self.load_after)
        )
        permitted = "permitted" if self.real_time else "not permitted"
        return (
            f"{self.cpus} CPUs ({self.cpu}), {self.architecture}, Linux {self.kernel}, "
            f"{self.python}, real-time class {permitted}\n"
            f"load average before {before}, after {after}; the simulated devices "
            "and the benchmark itself run on the same CPUs"
        )
