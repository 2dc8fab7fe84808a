"""Lays out one package in a folder: everything as it will lie on the machine, and DEBIAN/."""

import gzip
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from importlib.metadata import Distribution
from pathlib import Path
from typing import NamedTuple

from tools.deb.contents import DOCS, Package
from tools.deb.libraries import copy
from tools.deb.systems import Target

REPOSITORY = Path(__file__).parents[2]
_TEMPLATES = REPOSITORY / "deploy" / "debian"
_IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc")

_CHANGELOG = """\
{package} ({version}) {suite}; urgency=medium

  * The changes are in CHANGELOG.md beside this file.

 -- Turnike maintainers <maintainers@turnike.example>  {time}
"""
_COMMAND = """\
#!/usr/bin/python{python} -I
import sys

sys.path.insert(0, "{library}")
from {module} import main

sys.exit(main())
"""
_COMMAND_THAT_CALLS_ITSELF = """\
#!/usr/bin/python{python}
import os
import sys

os.environ["PYTHONPATH"] = "{library}"
sys.path[0] = "{library}"
from {module} import main

sys.exit(main())
"""


class Project(NamedTuple):
    """What a package says about the project."""

    version: str
    metadata: Distribution
    """The project's own, for the entry points of its commands."""
    committed_unix_s: int
    """The time that the package bears."""


def lay_out(
    package: Package, target: Target, project: Project, libraries: list[Distribution], root: Path
) -> None:
    """Lay the package out in a new folder.

    Args:
        package: which.
        target: for which system.
        project: the state of the repository.
        libraries: what it needs besides the repository's code.
        root: the folder, which is removed first.
    """
    shutil.rmtree(root, ignore_errors=True)
    library = root / "usr" / "lib" / package.name
    for each in libraries:
        copy(each, library)
    for code in package.code:
        shutil.copytree(REPOSITORY / code, library / code, ignore=_IGNORED)
    for file in project.metadata.files or ():
        if file.name in {"METADATA", "entry_points.txt"}:
            _copy_file(Path(str(project.metadata.locate_file(file))), library / file)
    _commands(package, target, root)
    for source, folder in package.files.items():
        _copy_file(REPOSITORY / source, root / folder / Path(source).name)
    _documents(package, target, project, libraries, root)
    _set_modes(root)
    _control(package, debian_version(project.version, target), target, root)


def _copy_file(source: Path, path: Path) -> None:
    """Copy a file, and make the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, path)


def debian_version(version: str, target: Target) -> str:
    """The version of a package: a newer suite's is above an older one's, so that apt upgrades."""
    return f"{version}+deb{target.suite.debian}"


def _commands(package: Package, target: Target, root: Path) -> None:
    text = _COMMAND_THAT_CALLS_ITSELF if package.calls_itself else _COMMAND
    for name, module in package.commands.items():
        path = root / "usr" / "bin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        library = f"/usr/lib/{package.name}"
        path.write_text(text.format(python=target.suite.python, library=library, module=module))


def _set_modes(root: Path) -> None:
    for path in (root, *root.rglob("*")):
        is_run = path.is_dir() or path.parent == root / "usr" / "bin"
        path.chmod(0o755 if is_run else 0o644)


def _documents(
    package: Package, target: Target, project: Project, libraries: list[Distribution], root: Path
) -> None:
    folder = root / DOCS / package.name
    folder.mkdir(parents=True, exist_ok=True)
    licence = (REPOSITORY / "LICENSE").read_text().splitlines()
    told = {
        "LIBRARY": f"/usr/lib/{package.name}",
        "LIBRARIES": "\n".join(f" {each.name} {each.version}" for each in libraries),
        "LICENCE": "\n".join(f" {line.strip() or '.'}" for line in licence),
    }
    (folder / "copyright").write_text(_filled((_TEMPLATES / "copyright").read_text(), told))
    changelog = _CHANGELOG.format(
        package=package.name,
        version=debian_version(project.version, target),
        suite=target.suite.name,
        time=format_datetime(datetime.fromtimestamp(project.committed_unix_s, UTC)),
    )
    content = gzip.compress(changelog.encode(), mtime=0)
    (folder / "changelog.gz").write_bytes(content)
    _copy_file(REPOSITORY / "CHANGELOG.md", folder / "CHANGELOG.md")


def _control(package: Package, version: str, target: Target, root: Path) -> None:
    told = {
        "VERSION": version,
        "ARCHITECTURE": target.architecture.name,
        "PYTHON": target.suite.python,
        "NEXT_PYTHON": target.suite.next_python,
        "SIZE": str(sum(map(_kib, _files(root)))),
    }
    folder = root / "DEBIAN"
    folder.mkdir()
    folder.chmod(0o755)
    for template in (_TEMPLATES / package.name).iterdir():
        path = folder / template.name
        path.write_text(_filled(template.read_text(), told))
        path.chmod(0o644 if template.name == "control" else 0o755)


def _filled(text: str, told: dict[str, str]) -> str:
    for key, value in told.items():
        text = text.replace(f"@{key}@", value)
    return text


def _files(root: Path) -> Iterator[Path]:
    return (path for path in root.rglob("*") if path.is_file())


def _kib(path: Path) -> int:
    return -(-path.stat().st_size // 1024)
