"""Records a life on the file system of file_system.py.

    recorded = record("days_of_a_lane", start=folder)

The mount and every process that uses it have name spaces of their own (`unshare`). The kernel
removes these when their first process ends, so nothing stays mounted, whatever fails, hangs or is
killed. As a program this module is that first process:
`python -m tests.power_cut.record LIFE PLANT MOUNT START JOURNAL`.
"""

import os
import shutil
import subprocess
import sys
from ctypes.util import find_library
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from tests.power_cut import journal
from tests.power_cut.journal import Operation

REPOSITORY = Path(__file__).parents[2]
OUTBOX = "outbox"
LIMIT_S = 120  # a recording takes some seconds


def _apart() -> list[str]:
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *as_root, "--mount", "--pid", "--fork", "--kill-child"]


@cache
def is_possible() -> bool:
    """Whether this user may mount a FUSE file system on this machine."""
    if not (
        os.access("/dev/fuse", os.R_OK | os.W_OK)
        and find_library("fuse3")
        and shutil.which("unshare")
    ):
        return False
    return (
        subprocess.run([*_apart(), "true"], check=False, stderr=subprocess.DEVNULL).returncode == 0
    )


def record(life: str, start: Path | None = None, plant: str = "") -> list[Operation]:
    """Run a life and return its journal.

    Args:
        life: a key of lives.LIVES.
        start: the folder whose copy the life begins with; empty without one.
        plant: a key of lives.PLANTS: the mistake to make.
    """
    with TemporaryDirectory(prefix="power-cut-") as name:
        mount, kept, nothing = (Path(name) / part for part in ("mount", "journal", "nothing"))
        mount.mkdir()
        nothing.mkdir()
        program = [sys.executable, "-m", "tests.power_cut.record"]
        arguments = [life, plant, str(mount), str(start or nothing), str(kept)]
        subprocess.run(
            [*_apart(), *program, *arguments], check=True, timeout=LIMIT_S, cwd=REPOSITORY
        )
        return journal.load(kept)


def main() -> None:
    """Mount the file system, run the life, unmount."""
    # Not at the top: the process that only calls `is_possible` needs none of it.
    from tests.power_cut.lives import LIVES, PLANTS  # noqa: PLC0415
    from tests.power_cut.truth import StepMark  # noqa: PLC0415

    life, plant, mount, start, kept = sys.argv[1:]

    def witness(mark: StepMark) -> None:
        os.setxattr(mount, "user.mark", msgspec.msgpack.encode(mark))

    system = [sys.executable, "-m", "tests.power_cut.file_system", mount, start, kept]
    # If something fails, no one waits for it: the kernel ends it with this process.
    process = subprocess.Popen(system, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "mounted\n"
    with PLANTS[plant]():
        LIVES[life](Path(mount) / OUTBOX, witness)
    subprocess.run(["umount", mount], check=True)
    assert process.wait() == 0


if __name__ == "__main__":
    main()
