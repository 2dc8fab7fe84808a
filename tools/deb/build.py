"""Builds packages for one target: its libraries once, then the folder and file of each."""

import os
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution
from pathlib import Path

from tools.deb.contents import Package
from tools.deb.libraries import closure, install
from tools.deb.systems import Target
from tools.deb.tree import REPOSITORY, Project, debian_version, lay_out


class Builder:
    """The packages of one target."""

    def __init__(self, target: Target, work: Path) -> None:
        """Install all of the lock into a new folder below `work`.

        Raises:
            LibraryError: uv refused.
        """
        self.target = target
        self._libraries, own = work / "libraries", work / "own"
        self._work = work
        install(REPOSITORY / "requirements" / "run.lock", target, self._libraries)
        self._project = Project(_version(), _own_metadata(own), committed_unix_s())
        self._own = own

    def tree(self, package: Package) -> Path:
        """Lay the package out; the folder that will be `/` of the machine, with DEBIAN/ in it.

        Raises:
            LibraryError: It needs what is not in the lock.
        """
        needed = closure([self._libraries, self._own], package.needs, self.target)
        libraries = [each for each in needed if each.name != self._project.metadata.name]
        root = self._work / package.name
        lay_out(package, self.target, self._project, libraries, root)
        return root

    def deb(self, package: Package, out: Path) -> Path:
        """Build the package into the folder `out`, the same bytes each time."""
        version = debian_version(self._project.version, self.target)
        path = out / f"{package.name}_{version}_{self.target.architecture.name}.deb"
        settings = {
            "SOURCE_DATE_EPOCH": str(self._project.committed_unix_s),
            "DPKG_DEB_THREADS_MAX": "1",  # else the bytes depend on the number of processors
        }
        subprocess.run(
            [
                *("dpkg-deb", "--root-owner-group", "-Zxz", "--build"),
                *(str(self.tree(package)), str(path)),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, **settings},
        )
        return path


def committed_unix_s() -> int:
    """The time that packages bear: SOURCE_DATE_EPOCH, or that of the last commit."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return int(os.environ["SOURCE_DATE_EPOCH"])
    ended = subprocess.run(
        ["git", "-C", str(REPOSITORY), "log", "-1", "--format=%ct"],
        check=True,
        capture_output=True,
        text=True,
    )
    return int(ended.stdout)


def _version() -> str:
    text = (REPOSITORY / "pyproject.toml").read_text()
    version: str = tomllib.loads(text)["project"]["version"]
    return version


def _own_metadata(folder: Path) -> Distribution:
    """The project's metadata, as an installer writes it."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
            *("--no-build-isolation", "--no-compile", "--no-index"),
            *("--target", str(folder), str(REPOSITORY)),
        ],
        check=True,
    )
    (own,) = Distribution.discover(name="turnike", path=[str(folder)])
    return own
