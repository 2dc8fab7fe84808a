"""A FUSE file system in memory that records each operation on it.

    python -m tests.power_cut.file_system MOUNT START JOURNAL

It begins with a copy of the folder START, and prints "mounted" when it can be used.
`os.setxattr(MOUNT, "user.mark", …)` puts a mark between the operations. Both come through one
thread, so their order is the true one. The journal is written at the unmount.
"""

import errno
import os
import stat
import sys
from pathlib import Path
from typing import Any

import mfusepy

from tests.power_cut import journal
from tests.power_cut.journal import (
    BEGIN,
    ROOT,
    Entry,
    Mark,
    Named,
    Operation,
    Sync,
    Truncate,
    Write,
)


class _Node:
    """A file or a folder: one of the two is used."""

    def __init__(self, *, is_folder: bool) -> None:
        self.is_folder = is_folder
        self.content = bytearray()
        self.names: dict[str, int] = {}


class RecordingFileSystem(mfusepy.Operations):  # type: ignore[misc]  # mfusepy is untyped
    """The operations that SQLite and Python use. File handles are node numbers."""

    use_ns = True

    def __init__(self, start: Path) -> None:
        self.journal: list[Operation] = []
        self._nodes = [_Node(is_folder=True) for _ in range(ROOT + 1)]
        self._copy(start, "")
        self.journal.append(Mark(BEGIN))

    def _copy(self, source: Path, path: str) -> None:
        for child in sorted(source.iterdir()):
            name = f"{path}/{child.name}"
            if child.is_dir():
                self.mkdir(name, 0)
                self._copy(child, name)
            else:
                node = self.create(name, 0, 0)
                self.write(name, child.read_bytes(), 0, node)
                self.journal.append(Sync(node))
        self.journal.append(Sync(self._number(path)))

    def _number(self, path: str) -> int:
        number = ROOT
        for name in path.split("/"):
            if name:
                if name not in self._nodes[number].names:
                    raise mfusepy.FuseOSError(errno.ENOENT)
                number = self._nodes[number].names[name]
        return number

    def _place(self, path: str) -> tuple[int, str]:
        folder, _, name = path.rpartition("/")
        return self._number(folder), name

    def _name(self, *entries: Entry, new_folder: bool = False) -> None:
        for folder, name, node in entries:
            if node is None:
                del self._nodes[folder].names[name]
            else:
                self._nodes[folder].names[name] = node
        self.journal.append(Named(entries, new_folder))

    def _make(self, path: str, *, is_folder: bool) -> int:
        folder, name = self._place(path)
        self._nodes.append(_Node(is_folder=is_folder))
        self._name(Entry(folder, name, len(self._nodes) - 1), new_folder=is_folder)
        return len(self._nodes) - 1

    # Names

    def create(self, path: str, mode: int, flags: int) -> int:
        del mode, flags
        return self._make(path, is_folder=False)

    def mkdir(self, path: str, mode: int) -> int:
        del mode
        self._make(path, is_folder=True)
        return 0

    def unlink(self, path: str) -> int:
        folder, name = self._place(path)
        self._name(Entry(folder, name, None))
        return 0

    def rmdir(self, path: str) -> int:
        if self._nodes[self._number(path)].names:
            raise mfusepy.FuseOSError(errno.ENOTEMPTY)
        return self.unlink(path)

    def rename(self, old: str, new: str) -> int:
        new_folder, new_name = self._place(new)
        if new_name in self._nodes[new_folder].names and self._nodes[self._number(new)].names:
            raise mfusepy.FuseOSError(errno.ENOTEMPTY)
        self._name(Entry(new_folder, new_name, self._number(old)), Entry(*self._place(old), None))
        return 0

    def readdir(self, path: str, fh: int) -> list[str]:
        del path
        return [".", "..", *self._nodes[fh].names]

    # Contents

    def open(self, path: str, flags: int) -> int:
        del flags
        return self._number(path)

    def opendir(self, path: str) -> int:
        return self._number(path)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        del path
        return bytes(self._nodes[fh].content[offset : offset + size])

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        del path
        content = self._nodes[fh].content
        content.extend(bytes(max(offset - len(content), 0)))
        content[offset : offset + len(data)] = data
        self.journal.append(Write(fh, offset, data))
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        number = self._number(path) if fh is None else fh
        content = self._nodes[number].content
        del content[length:]
        content.extend(bytes(length - len(content)))
        self.journal.append(Truncate(number, length))
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        del path, datasync
        self.journal.append(Sync(fh))
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        return self.fsync(path, datasync, fh)

    # The rest

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        node = self._nodes[self._number(path) if fh is None else fh]
        kind = stat.S_IFDIR | 0o700 if node.is_folder else stat.S_IFREG | 0o600
        return {
            "st_mode": kind,
            "st_nlink": 1,
            "st_size": len(node.content),
            "st_uid": os.geteuid(),
            "st_gid": os.getegid(),
        }

    def chmod(self, path: str, mode: int) -> int:
        del path, mode
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        del path, uid, gid
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        del path, times
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        del path
        free = {"f_bfree": 1 << 20, "f_bavail": 1 << 20, "f_blocks": 1 << 21}
        return {"f_bsize": 4_096, "f_frsize": 4_096, "f_namemax": 255, **free}

    def setxattr(self, path: str, name: str, value: bytes, options: int, position: int = 0) -> int:
        del path, name, options, position
        self.journal.append(Mark(value))
        return 0

    def init(self, path: str) -> None:
        del path
        print("mounted", flush=True)  # noqa: T201 — the parent process waits for this line


def main() -> None:
    mount, start, kept = sys.argv[1:]
    system = RecordingFileSystem(Path(start))
    # nothreads: with several the order would be unknown. hard_remove: else libfuse renames an open
    # file in place of removing it.
    mfusepy.FUSE(system, mount, foreground=True, nothreads=True, hard_remove=True)
    journal.save(system.journal, Path(kept))


if __name__ == "__main__":
    main()
