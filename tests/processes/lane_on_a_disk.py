"""A lane whose reports are on a disk of its own, which fails on command.

    python -m tests.processes.lane_on_a_disk DISK MOUNT CONFIG      # DISK: small, faulty or ext4

Its standard input takes the disk's verbs, a line each, and "restart", which kills the lane first;
its standard output is the lane's log, and `{"event": "disk", "did": …}` after each verb. When its
input ends, so does the lane, and what was mounted with it: all of it lives in name spaces of its
own, which the kernel takes down with the first process.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from ctypes.util import find_library
from functools import cache
from pathlib import Path
from typing import Protocol

from tests.processes.disk_faults import FAULT, Fault

SMALL_BYTES = 2 << 20
EXT4_BYTES = 8 << 20
MOUNTED_S = 90.0
APART = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]


class Disk(Protocol):
    """A mounted disk."""

    def do(self, verb: str) -> None:
        """Do this verb. Raises KeyError for one that this disk does not have."""

    def close(self) -> None:
        """Unmount it."""


class Small:
    """A file system in memory that another user fills."""

    def __init__(self, mount: Path) -> None:
        self._mount = mount
        _run("mount", "-t", "tmpfs", "-o", f"size={SMALL_BYTES}", "reports", str(mount))

    def do(self, verb: str) -> None:
        {"fill": self._fill, "free": (self._mount / "somebody's").unlink}[verb]()

    def _fill(self) -> None:
        with (self._mount / "somebody's").open("wb", buffering=0) as out, suppress(OSError):
            while True:
                out.write(bytes(4_096))

    def close(self) -> None:
        _run("umount", str(self._mount))


class Faulty:
    """faulty_file_system.py."""

    def __init__(self, mount: Path) -> None:
        self._mount = mount
        self._journal = journal_of(mount)
        program = [
            sys.executable,
            "-m",
            "tests.processes.faulty_file_system",
            str(mount),
            str(self._journal),
        ]
        self._process = subprocess.Popen(program, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"mounted\n"

    def do(self, verb: str) -> None:
        os.setxattr(self._mount, FAULT, Fault(verb).encode())

    def close(self) -> None:
        _run("umount", str(self._mount))
        assert self._process.wait() == 0


class Ext4:
    """A real one, on a loop device, that makes itself read-only at an error."""

    def __init__(self, mount: Path, size_bytes: int = EXT4_BYTES) -> None:
        self._mount = mount
        self._image = mount.with_name("disk.img")
        with self._image.open("wb") as out:
            out.truncate(size_bytes)
        _run("mke2fs", "-q", "-t", "ext4", str(self._image))
        _run("mount", "-t", "tmpfs", "-o", "ro", "nothing", str(mount))
        self._attach()

    def do(self, verb: str) -> None:
        {"break": self._break, "mend": self._mend}[verb]()

    def _attach(self) -> None:
        _run("mount", "-o", "loop,errors=remount-ro", str(self._image), str(self._mount))

    def _break(self) -> None:
        found = subprocess.run(
            ["findmnt", "-n", "-o", "SOURCE", "--target", str(self._mount)],
            capture_output=True,
            text=True,
            check=True,
        )
        name = found.stdout.split()[-1].removeprefix("/dev/")
        Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("1")

    def _mend(self) -> None:
        """Unmount, check and mount it while the gate works: none of its files is open then."""
        self.close()
        checked = subprocess.run(
            ["e2fsck", "-fp", str(self._image)], stdout=subprocess.DEVNULL, check=False
        )
        assert checked.returncode <= 1, "it was clean, or it was repaired"
        self._attach()

    def close(self) -> None:
        until_s = time.monotonic() + MOUNTED_S
        while subprocess.run(
            ["umount", str(self._mount)], stderr=subprocess.DEVNULL, check=False
        ).returncode:
            assert time.monotonic() < until_s, "a process holds it open"
            time.sleep(0.05)


DISKS: Mapping[str, type[Small | Faulty | Ext4]] = {"small": Small, "faulty": Faulty, "ext4": Ext4}
_NEEDS = {
    "small": "true",
    "faulty": "test -w /dev/fuse",
    "ext4": "test -w /dev/loop-control && command -v mke2fs e2fsck findmnt",
}


def journal_of(mount: Path) -> Path:
    """Where the journal of the faulty disk is left when it was unmounted."""
    return mount.with_name("journal")


@cache
def missing(disk: str) -> str:
    """Why such a disk cannot be mounted here; empty if it can."""
    if not shutil.which("unshare") or (disk == "faulty" and not find_library("fuse3")):
        return "apt-get install util-linux fuse3"
    tried = f"mount -t tmpfs none /mnt && {_NEEDS[disk]}"
    told = subprocess.run([*APART, "sh", "-c", tried], check=False, capture_output=True)
    return (
        "a disk of our own can be mounted by root alone, where fuse and loop devices are"
        if told.returncode
        else ""
    )


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _tell(line: dict[str, object]) -> None:
    os.write(1, json.dumps(line).encode() + b"\n")


def main() -> None:
    """Mount, start the lane, obey, end the lane, unmount."""
    kind, mount, config, *inside = sys.argv[1:]
    if not inside:
        again = [sys.executable, "-m", "tests.processes.lane_on_a_disk", *sys.argv[1:], "inside"]
        os.execvp(APART[0], [*APART, *again])  # noqa: S606 — a list, and no shell
    disk: Disk = DISKS[kind](Path(mount))
    command = [sys.executable, "-m", "validator", "lane", "--config", config]
    lane = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    for line in sys.stdin:
        verb = line.strip()
        if verb == "restart":
            lane.kill()
            lane.wait()
            lane = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        else:
            disk.do(verb)
        _tell({"event": "disk", "did": verb})
    lane.terminate()
    code = lane.wait()
    disk.close()
    sys.exit(code)


if __name__ == "__main__":
    main()
