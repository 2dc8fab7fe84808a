"""What a program did to a disk, in order: written by file_system.py, read by disk.py.

Nodes are numbered; the root folder is node 1. A name is an entry of a folder: `Named` sets or removes entries, and creating, linking, renaming and removing
are all of them that. A `Mark` is no change: it is what the program says of itself in between, such as "this report is acknowledged".
"""

from pathlib import Path
from typing import NamedTuple

from msgspec import Struct, msgpack

ROOT = 1
BEGIN = b"begin"
"""The mark after the operations that made the copy of the folder that a recording begins with; they are certain."""


class Entry(NamedTuple):
    """A folder's entry from now on: the node of this name, or none."""

    folder: int
    name: str
    node: int | None


class Write(Struct, frozen=True, tag=True):
    """Bytes written to a file."""

    node: int
    offset: int
    content: bytes


class Truncate(Struct, frozen=True, tag=True):
    """A file's size set."""

    node: int
    size: int


class Named(Struct, frozen=True, tag=True):
    """Entries changed in one call. Those of one folder change together; over two folders the new name comes before the removal of the old."""

    entries: tuple[Entry, ...]
    new_folder: bool = False


class Sync(Struct, frozen=True, tag=True):
    """fsync or fdatasync of a file, or fsync of a folder, has come back."""

    node: int


class Mark(Struct, frozen=True, tag=True):
    """What the program says."""

    content: bytes


Operation = Write | Truncate | Named | Sync | Mark

_decoder = msgpack.Decoder(list[Operation])


def save(operations: list[Operation], path: Path) -> None:
    """Write a journal."""
    path.write_bytes(msgpack.encode(operations))


def load(path: Path) -> list[Operation]:
    """Read a journal."""
    return _decoder.decode(path.read_bytes())
