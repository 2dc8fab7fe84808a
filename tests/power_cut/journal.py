"""What a program did to a disk, in order. file_system.py writes it, disk.py reads it.

Nodes are numbered; the root folder is node 1. A name is an entry of a folder. `Named` sets and
removes entries: for a file that is created, linked, renamed or removed. A `Mark` changes nothing.
With it the program notes its own state, such as "this report is acknowledged".
"""

from pathlib import Path
from typing import NamedTuple

from msgspec import Struct, msgpack

ROOT = 1
BEGIN = b"begin"
"""The mark after the copy of the start folder, which is certain to be on the disk."""


class Entry(NamedTuple):
    """A folder's entry from now on: the node of this name, or None."""

    folder: int
    name: str
    node: int | None


class Write(Struct, frozen=True, tag=True):
    """A write to a file."""

    node: int
    offset: int
    content: bytes


class Truncate(Struct, frozen=True, tag=True):
    """A change of a file's size."""

    node: int
    size: int


class Named(Struct, frozen=True, tag=True):
    """Entries that one call changes.

    Those of one folder change together. Over two folders, the new name comes before the removal.
    """

    entries: tuple[Entry, ...]
    new_folder: bool = False


class Sync(Struct, frozen=True, tag=True):
    """The return of fsync or fdatasync of a file, or of fsync of a folder."""

    node: int


class Mark(Struct, frozen=True, tag=True):
    """A note of the program."""

    content: bytes


Operation = Write | Truncate | Named | Sync | Mark

_decoder = msgpack.Decoder(list[Operation])


def save(operations: list[Operation], path: Path) -> None:
    """Write a journal."""
    path.write_bytes(msgpack.encode(operations))


def load(path: Path) -> list[Operation]:
    """Read a journal."""
    return _decoder.decode(path.read_bytes())
