"""What packages are built for: Debian's suites and architectures."""

import platform
import sys
from dataclasses import dataclass
from typing import NamedTuple


class Suite(NamedTuple):
    """A release of Debian, or of Raspberry Pi OS of the same name."""

    name: str
    debian: int
    python: str
    """Its Python, as `3.11`. What is built for it runs with no other."""

    @property
    def next_python(self) -> str:
        """The Python that is too new."""
        major, minor = self.python.split(".")
        return f"{major}.{int(minor) + 1}"


class Architecture(NamedTuple):
    """A processor, by Debian's word and by those of Python's wheels."""

    name: str
    machine: str

    @property
    def platform(self) -> str:
        """What uv calls it."""
        return f"{self.machine}-unknown-linux-gnu"


SUITES = {
    suite.name: suite for suite in (Suite("bookworm", 12, "3.11"), Suite("trixie", 13, "3.13"))
}
ARCHITECTURES = {
    each.name: each for each in (Architecture("amd64", "x86_64"), Architecture("arm64", "aarch64"))
}


@dataclass(frozen=True)
class Target:
    """One suite on one architecture."""

    suite: Suite
    architecture: Architecture

    def __str__(self) -> str:
        """A name for folders."""
        return f"{self.suite.name}-{self.architecture.name}"

    @property
    def is_here(self) -> bool:
        """Whether the Python that runs this runs what is built for the target."""
        python = ".".join(map(str, sys.version_info[:2]))
        return python == self.suite.python and platform.machine() == self.architecture.machine

    @property
    def markers(self) -> dict[str, str]:
        """The environment of PEP 508, by which a requirement counts or not."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.suite.python}.0",
            "os_name": "posix",
            "platform_machine": self.architecture.machine,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": f"{self.suite.python}.0",
            "python_version": self.suite.python,
            "sys_platform": "linux",
        }
