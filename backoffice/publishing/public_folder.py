"""The published folder's pieces in `segments/` and indexes in `indexes/`.

signing/roles.py puts manifests and metadata. Each file is named by its sha256 and never changes; it
is durable before anything names it. One process writes here, under the lock of publisher.py, so a
temporary file without a writer was left by a crash.
"""

import hashlib
import os
import re
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from backoffice.home.folder import (
    PUBLIC_MODE,
    Home,
    make_public_folder,
    open_public_files,
)
from backoffice.publishing.pieces import DAY_S
from backoffice.registry.publications import Piece
from validator.host.durable import TEMPORARY, NewFile, replacing, sync_folder
from validator.lists.manifest import IndexEntry, ManifestError
from validator.lists.piece_index import PieceIndex, decode, encode
from validator.lists.segment import HEADER_BYTES, Header, SegmentError
from validator.lists.wire import WIRE_HEADER_AT, WireBuilt

KEPT_S = DAY_S  # a gate may still be fetching what is no longer on offer

_PIECE_NAME = re.compile(r"([0-9a-f]{64})\.wire")
_INDEX_NAME = re.compile(r"([0-9a-f]{64})\.json")

Fill = Callable[[BinaryIO], WireBuilt]
"""Writes a piece into an open file, and returns what it wrote."""


class PublicFolder:
    """The pieces and indexes of one back office. Every method raises OSError."""

    def __init__(self, home: Home) -> None:
        self.segments = home.published / "segments"
        self.indexes = home.published / "indexes"
        self._folders = (
            home.published,
            home.metadata,
            home.targets,
            self.segments,
            self.indexes,
        )

    def prepare(self) -> None:
        """Prepare the folder for a publication.

        Makes missing folders, lets the web server read all files, and removes what a crash left
        half written.
        """
        for folder in self._folders:
            make_public_folder(folder)
            open_public_files(folder)
        for folder in (self.segments, self.indexes):
            for path in folder.iterdir():
                if path.name.startswith(TEMPORARY):
                    path.unlink()

    def has(self, piece: Piece) -> bool:
        """Whether the piece's file is there, by name and size."""
        try:
            found = self._path(piece).lstat()
        except FileNotFoundError:
            return False
        return found.st_size == piece.bytes

    def header(self, piece: Piece) -> Header | None:
        """The header of a piece; None if it cannot be read."""
        try:
            with self._path(piece).open("rb") as file:
                return Header.parse(file.read(WIRE_HEADER_AT + HEADER_BYTES)[WIRE_HEADER_AT:])
        except (FileNotFoundError, SegmentError):
            return None

    def index(self, entry: IndexEntry | None) -> PieceIndex | None:
        """The index that a manifest names; None if it is missing or another one."""
        if entry is None:
            return None
        try:
            with (self.indexes / f"{entry.sha256}.json").open("rb") as file:
                content = file.read(entry.bytes + 1)
            if hashlib.sha256(content).hexdigest() == entry.sha256:
                return decode(content)
        except (FileNotFoundError, ManifestError):
            pass
        return None

    def put_piece(self, name: str, fill: Fill, now_unix_s: int) -> Generator[str, None, WireBuilt]:
        """Put a piece, step by step. It is durable after `sync`; the steps are named by `name`."""
        with replacing(self.segments / name, PUBLIC_MODE, syncs_folder=False) as new:
            built = fill(new.file)
            yield from _finish(new, now_unix_s)
            new.path = self.segments / f"{built.sha256}.wire"
            new.rename()
            yield f"renamed {name}"
        return built

    def put_index(self, index: PieceIndex, now_unix_s: int) -> Generator[str, None, IndexEntry]:
        """Put an index, step by step. Raises ManifestError for one that gates would refuse."""
        content = encode(index)
        entry = IndexEntry(len(content), hashlib.sha256(content).hexdigest())
        path = self.indexes / f"{entry.sha256}.json"
        with replacing(path, PUBLIC_MODE, syncs_folder=False) as new:
            new.file.write(content)
            yield from _finish(new, now_unix_s)
            new.rename()
            yield "renamed index"
        return entry

    def date(self, index: PieceIndex | None, now_unix_s: int) -> None:
        """Date the pieces of this index now.

        The registry does not know that they were on offer until now.
        """
        for entries in index.rules.values() if index else ():
            for entry in entries:
                with suppress(FileNotFoundError):
                    os.utime(self.segments / f"{entry.sha256}.wire", (now_unix_s, now_unix_s))

    def date_all(self, now_unix_s: int) -> None:
        """Date every file now: another clock dated them."""
        for path in (path for folder in self._folders for path in folder.iterdir()):
            os.utime(path, (now_unix_s, now_unix_s))

    def sync(self) -> None:
        """Make the names of new pieces and indexes durable."""
        sync_folder(self.segments)
        sync_folder(self.indexes)

    def prune(
        self,
        offered: Collection[str],
        retired: Mapping[str, int],
        index_sha256: str,
        now_unix_s: int,
    ) -> Generator[str, None, None]:
        """Remove, step by step, what was not on offer for a day.

        Pieces go a day after they were retired, or made if that is unknown; an index a day after
        its successor was made.

        Args:
            offered: The hashes of the pieces on offer; they stay.
            retired: When pieces were retired, in Unix seconds, by hash.
            index_sha256: The index on offer.
            now_unix_s: The time now.
        """
        before_unix_s = now_unix_s - KEPT_S
        for path, sha256 in _named(self.segments, _PIECE_NAME):
            if sha256 not in offered and retired.get(sha256, _made_unix_s(path)) < before_unix_s:
                yield from _remove(path)
        indexes = sorted(
            _named(self.indexes, _INDEX_NAME), key=lambda found: _made_unix_s(found[0])
        )
        successors = [_made_unix_s(path) for path, _ in indexes[1:]]
        for (path, sha256), superseded_unix_s in zip(indexes, successors, strict=False):
            if sha256 != index_sha256 and superseded_unix_s < before_unix_s:
                yield from _remove(path)

    def _path(self, piece: Piece) -> Path:
        return self.segments / f"{piece.sha256}.wire"


def _finish(new: NewFile, now_unix_s: int) -> Generator[str, None, None]:
    new.file.flush()
    # The publisher's time and not the system's: ages are counted by it.
    os.utime(new.file.fileno(), (now_unix_s, now_unix_s))
    yield f"written {new.temporary.name}"
    new.sync()
    yield f"synced {new.temporary.name}"


def _named(folder: Path, pattern: re.Pattern[str]) -> list[tuple[Path, str]]:
    """The files whose names match, and the hash in each name."""
    found = ((path, pattern.fullmatch(path.name)) for path in folder.iterdir())
    return [(path, match[1]) for path, match in found if match]


def _made_unix_s(path: Path) -> int:
    return int(path.stat().st_mtime)


def _remove(path: Path) -> Generator[str, None, None]:
    with suppress(FileNotFoundError):
        path.unlink()
    yield f"removed {path.name}"
