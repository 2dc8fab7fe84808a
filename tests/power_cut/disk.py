"""The states in which a power cut can leave a disk.

    disk = Disk()
    for operation in journal:
        disk.do(operation)
    disk.cut(luck, folder)        # one of the possible states, as plain files

The model is strict and simple: what was synced is there, and of the rest anything may be.

* A write that was not synced reached the disk whole, in some of its 512-byte sectors, as a longer
  file without its bytes, or not at all, whatever became of earlier and later writes.
* A name that was made, changed or removed did so or did not, until its folder was synced. A sync of
  the file is no sync of its name.

Two promises of every journalling file system are kept: entries of one folder that one call changes
change together, and a file that is moved to another folder keeps one of its names.
"""

from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import NamedTuple, assert_never

from tests.power_cut.journal import ROOT, Entry, Mark, Named, Operation, Sync, Truncate, Write

SECTOR_BYTES = 512


class Luck(NamedTuple):
    """Chances from 0 to 1, for each operation that was not synced, to survive.

    `is_torn` is the chance that a write that survives is torn.
    """

    random: Random
    survives: float
    is_torn: float = 0.0
    grows: float = 0.0
    """The chance that a lost write leaves the file's new size."""

    def has(self, chance: float) -> bool:
        """Draw True with that chance."""
        return self.random.random() < chance


def nothing_survives() -> Luck:
    """Return the luck with which the disk holds what was synced, and no more."""
    return Luck(Random(0), 0.0)


def any_luck(seed: str) -> Luck:
    """Return a luck drawn by `seed`, from nothing to everything."""
    random = Random(seed)
    survives = random.choice((0.0, 0.1, 0.5, 0.5, 0.9, 1.0))
    return Luck(random, survives, random.choice((0.0, 0.2, 0.7)), random.choice((0.0, 0.5)))


class Disk:
    """What is certain to be on a disk, and what is not."""

    def __init__(self) -> None:
        self._contents: dict[int, bytearray] = defaultdict(bytearray)
        self._unsynced: dict[int, list[Write | Truncate]] = defaultdict(list)
        self._names: dict[tuple[int, str], int] = {}
        self._unsynced_names: list[tuple[Entry, ...]] = []
        self._folders = {ROOT}

    def do(self, operation: Operation) -> None:
        """Take the next operation of a journal."""
        match operation:
            case Write() | Truncate():
                self._unsynced[operation.node].append(operation)
            case Named(entries, new_folder):
                self._unsynced_names.append(entries)
                if new_folder:
                    self._folders.update(entry.node for entry in entries if entry.node)
            case Sync(node) if node in self._folders:
                self._sync_folder(node)
            case Sync(node):
                for unsynced in self._unsynced.pop(node, ()):
                    _apply(self._contents[node], unsynced)
            case Mark():
                pass
            case _:
                assert_never(operation)

    def _sync_folder(self, folder: int) -> None:
        left: list[tuple[Entry, ...]] = []
        for entries in self._unsynced_names:
            last = max(
                (place for place, entry in enumerate(entries, 1) if entry.folder == folder),
                default=0,
            )
            for entry in entries[:last]:
                left = [
                    kept
                    for earlier in left
                    if (kept := tuple(one for one in earlier if one[:2] != entry[:2]))
                ]
                _name(self._names, entry)
            if entries[last:]:
                left.append(entries[last:])
        self._unsynced_names = left

    @property
    def unsynced(self) -> int:
        """How many operations are not certain to survive."""
        return sum(map(len, self._unsynced.values())) + len(self._unsynced_names)

    def cut(self, luck: Luck, folder: Path) -> None:
        """Make a folder with what is left after a power cut."""
        names = dict(self._names)
        for entries in self._unsynced_names:
            _survive_names(names, entries, luck)
        contents = {node: self._content(node, luck) for node in set(names.values()) - self._folders}
        self._put(ROOT, names, contents, folder)

    def _put(
        self,
        folder: int,
        names: dict[tuple[int, str], int],
        contents: dict[int, bytearray],
        path: Path,
    ) -> None:
        path.mkdir()
        for (parent, name), node in names.items():
            if parent == folder and node in self._folders:
                self._put(node, names, contents, path / name)
            elif parent == folder:
                (path / name).write_bytes(contents[node])

    def _content(self, node: int, luck: Luck) -> bytearray:
        certain = self._contents.get(node, bytearray())
        unsynced = self._unsynced.get(node)
        if not unsynced:
            return certain
        content = certain.copy()
        for operation in unsynced:
            _survive(content, operation, luck)
        return content


def _name(names: dict[tuple[int, str], int], entry: Entry) -> None:
    folder, name, node = entry
    if node is None:
        names.pop((folder, name), None)
    else:
        names[folder, name] = node


def _survive_names(
    names: dict[tuple[int, str], int], entries: tuple[Entry, ...], luck: Luck
) -> None:
    folder = None
    for entry in entries:
        if entry.folder != folder and not luck.has(luck.survives):
            return
        folder = entry.folder
        _name(names, entry)


def _apply(content: bytearray, operation: Write | Truncate) -> None:
    match operation:
        case Write(_, offset, written):
            _resize(content, max(offset, len(content)))
            content[offset : offset + len(written)] = written
        case Truncate(_, size):
            _resize(content, size)


def _resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))


def _survive(content: bytearray, operation: Write | Truncate, luck: Luck) -> None:
    survives = luck.has(luck.survives)
    if not isinstance(operation, Write):
        if survives:
            _apply(content, operation)
    elif not survives:
        if luck.has(luck.grows):
            _resize(content, max(len(content), operation.offset + len(operation.content)))
    elif luck.has(luck.is_torn):
        for sector in _sectors(operation):
            if luck.has(0.5):
                _apply(content, sector)
    else:
        _apply(content, operation)


def _sectors(write: Write) -> list[Write]:
    end = write.offset + len(write.content)
    edges = [
        write.offset,
        *range((write.offset // SECTOR_BYTES + 1) * SECTOR_BYTES, end, SECTOR_BYTES),
        end,
    ]
    return [
        Write(write.node, low, write.content[low - write.offset : high - write.offset])
        for low, high in pairwise(edges)
    ]
