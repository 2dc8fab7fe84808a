"""Which files of the working tree the tools read: the tracked ones, and new ones not yet added."""

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

WRITTEN_BY_OTHERS = ("tests/browser/axe-core-4.14.1.min.js", "tests/browser/axe-core-LICENSE.txt")


def files_of(root: Path) -> list[str]:
    """All files of the tree at `root`, as paths relative to it, sorted.

    Files that other people wrote (a licence, a minified library) are left out.

    Raises:
        subprocess.CalledProcessError: `root` is no git working tree.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    names = {name for name in listed.stdout.split("\0") if name}
    return sorted(
        name for name in names if name not in WRITTEN_BY_OTHERS and (root / name).is_file()
    )


def below(names: Iterable[str], paths: Iterable[str]) -> Iterator[str]:
    """Those of `names` that are one of `paths` or inside it; all of them when `paths` is empty.

    `paths` are relative to the root, as a shell completes them: `validator/lane/`, `./README.md`.
    """
    wanted = [path.removeprefix("./").rstrip("/") for path in paths]
    for name in names:
        if not wanted or any(name == each or name.startswith(each + "/") for each in wanted):
            yield name


def room_of(name: str) -> str:
    """The room that a file is reported under: its package and the folder inside it.

    `validator/lane/clerk.py` is in `validator/lane`, `docs/fleet.md` in `docs`.
    """
    folders = name.split("/")[:-1]
    if not folders:
        return "(root)"
    packages = ("validator", "backoffice", "firmware_sim", "turnike_demo", "tests")
    return "/".join(folders[: 2 if folders[0] in packages else 1])
