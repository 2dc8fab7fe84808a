"""The Python packages of the lock file, for one target, and which of them a package needs.

uv installs them for another architecture without running anything of it, and refuses a wheel that
is for the wrong one. The hashes of the lock decide what is accepted.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.deb.systems import Target

# These have no wheel. They are pure Python, so the one built here is right everywhere.
_BUILT_HERE = ("pydes",)
# What says how an installer went to work is of no use to the gate, and differs from run to run.
_INSTALLERS_OWN = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json"}
_LEFT_OUT = {"tests", "__pycache__", "bin", "include"}
_SOURCES = {".pyi", ".pyx", ".pxd", ".c", ".h", ".exe"}


class LibraryError(Exception):
    """The packages could not be installed; the text is one line."""


def install(lock: Path, target: Target, folder: Path) -> None:
    """Install every package of the lock that this target can need into a new folder.

    Raises:
        LibraryError: uv refused: no wheel for the target, a wrong hash, no network.
    """
    shutil.rmtree(folder, ignore_errors=True)
    without_wheel = [f"--no-binary={name}" for name in _BUILT_HERE]
    isolated = [f"--no-build-isolation-package={name}" for name in _BUILT_HERE]
    ended = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet"),
            *("--python", sys.executable, "--target", str(folder)),
            *("--python-platform", target.architecture.platform),
            *("--python-version", target.suite.python),
            *("--require-hashes", "--no-deps", "--only-binary=:all:", *without_wheel, *isolated),
            *("--link-mode=copy", "--requirements", str(lock)),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    if ended.returncode:
        raise LibraryError(f"{lock.name} for {target}: {' '.join(ended.stderr.split())}")


def closure(folders: Sequence[Path], roots: Sequence[str], target: Target) -> list[Distribution]:
    """The installed distributions that these requirements lead to, by name.

    Raises:
        LibraryError: One is not in the lock.
    """
    installed = {
        canonicalize_name(each.name): each for each in distributions(path=[*map(str, folders)])
    }
    found: dict[str, Distribution] = {}
    waiting = [Requirement(root) for root in roots]
    seen = set()
    while waiting:
        requirement = waiting.pop()
        key = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if key in seen:
            continue
        seen.add(key)
        if key[0] not in installed:
            raise LibraryError(f"{requirement}: not in the lock file; run: make lock")
        found[key[0]] = installed[key[0]]
        waiting += _needed(installed[key[0]], requirement.extras, target)
    return [found[name] for name in sorted(found)]


def _needed(of: Distribution, extras: set[str], target: Target) -> Iterator[Requirement]:
    for text in of.requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(
            marker.evaluate({**target.markers, "extra": extra}) for extra in ("", *extras)
        ):
            yield requirement


def copy(distribution: Distribution, into: Path) -> None:
    """Copy what runs of a distribution, its licence and its metadata; not its tests and sources."""
    for file in distribution.files or ():
        is_metadata = file.parts[0].endswith(".dist-info")
        if file.parts[0] == ".." or (is_metadata and file.name in _INSTALLERS_OWN):
            continue
        if not is_metadata and (_LEFT_OUT.intersection(file.parts) or file.suffix in _SOURCES):
            continue
        path = into / file
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(distribution.locate_file(file), path)  # type: ignore[arg-type]
