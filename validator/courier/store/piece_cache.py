"""The pieces that this gate has fetched, in a folder, and more from a web server.

    cache = PieceCache(folder, "https://lists.example.org/turnike/", web)
    path = cache.fetch(entry)    # <folder>/<sha256>.wire: whole and right

The name is the hash alone, so no manifest can name a path outside the folder; files of other names
are left alone. A piece is hashed again whenever it is used: SD cards forget. It stays until
`keep_only` deletes it: after a power cut the courier goes on from pieces, without a network.
"""

import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from validator.courier.disk import disk_errors
from validator.courier.web.client import PART, Web
from validator.errors import RemoteError, SourceState
from validator.host.durable import sync_folder
from validator.host.plain_files import make_folder, reader, remove
from validator.lists.manifest import INDEX_BYTES_MAX, PieceEntry
from validator.lists.segment import HEADER_BYTES, Header, SegmentError
from validator.lists.wire import WIRE_HEADER_AT

_SUFFIX = ".wire"
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NAME = re.compile(r"([0-9a-f]{64})\.wire(?:\.part)?", re.ASCII)
_STEP_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """What the folder of pieces may take from the SD card."""

    # A snapshot of all 34 million cards is 190 MB; there may be two and their successors.
    bytes_max: int = 1 << 30
    # Twice what half a day of changes leaves at one publication each 30 s (docs/fleet.md).
    files_max: int = 10_000
    # Left free on the disk: reports of refused passengers must always find room.
    reserve_bytes: int = 64 << 20
    # A piece asked for in this time is not deleted to make room; a slow line may take hours.
    wanted_s: float = 86_400.0


class _Kept(NamedTuple):
    path: Path
    sha256: str
    bytes: int
    modified_ns: int
    is_whole: bool


class PieceCache:
    """One folder of pieces. For one thread of one process."""

    def __init__(
        self,
        folder: Path,
        base_url: str,
        web: Web,
        limits: CacheLimits = CacheLimits(),
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """The folder is made if it is missing, and again before each download."""
        with suppress(OSError):
            make_folder(folder)
        self._folder = folder
        self._base_url = base_url if base_url.endswith("/") else f"{base_url}/"
        self._web = web
        self._limits = limits
        self._monotonic_s = monotonic_s
        self._asked_s: dict[str, float] = {}

    def fetch(self, entry: PieceEntry) -> Path:
        """See courier.ports.Pieces."""
        _require_hash(entry.sha256)
        path = self._folder / entry.file_name
        with disk_errors(path):
            self._asked_s[entry.sha256] = self._monotonic_s()
            if not _is_right(path, entry):
                make_folder(self._folder)
                self._make_room(entry)
                url = f"{self._base_url}segments/{entry.file_name}"
                self._web.download(url, path, entry.bytes, entry.sha256)
        return path

    def index(self, bytes_: int, sha256: str) -> bytes:
        """See courier.ports.Pieces. It is not stored."""
        _require_hash(sha256)
        if bytes_ > INDEX_BYTES_MAX:
            raise RemoteError(
                SourceState.REFUSED,
                f"an index of {bytes_} bytes is signed, {INDEX_BYTES_MAX} are the most",
            )
        answer = self._web.get(f"{self._base_url}indexes/{sha256}.json", bytes_)
        if (
            answer is None
            or len(answer.content) != bytes_
            or hashlib.sha256(answer.content).hexdigest() != sha256
        ):
            raise RemoteError(
                SourceState.REFUSED, f"index {sha256[:8]}: not the bytes whose sha256 is signed"
            )
        return answer.content

    def held(self) -> Mapping[str, Sequence[PieceEntry]]:
        """See courier.ports.Pieces.

        By the rules and versions in their own headers; `fetch` checks the rest. Raises RemoteError.
        """
        found: dict[str, list[PieceEntry]] = {}
        with disk_errors(self._folder):
            for kept in self._kept():
                if kept.is_whole and (header := _header(kept.path)) is not None:
                    entry = PieceEntry(
                        header.from_version, header.to_version, kept.bytes, kept.sha256
                    )
                    found.setdefault(header.rule, []).append(entry)
        return {
            rule: sorted(entries, key=lambda entry: (entry.to_version, entry.from_version))
            for rule, entries in found.items()
        }

    def keep_only(self, sha256s: Collection[str]) -> None:
        """See courier.ports.Pieces. Begun downloads go too."""
        with disk_errors(self._folder):
            gone = [kept for kept in self._kept() if kept.sha256 not in sha256s]
            self._delete(gone)
            self._asked_s.clear()

    def _kept(self) -> list[_Kept]:
        kept: list[_Kept] = []
        try:
            entries = os.scandir(self._folder)
        except FileNotFoundError:
            return kept
        with entries:
            for entry in entries:
                if match := _NAME.fullmatch(entry.name):
                    status = entry.stat(follow_symlinks=False)
                    is_whole = stat.S_ISREG(status.st_mode) and entry.name.endswith(_SUFFIX)
                    path = Path(entry.path)
                    kept.append(_Kept(path, match[1], status.st_size, status.st_mtime_ns, is_whole))
        return kept

    def _make_room(self, entry: PieceEntry) -> None:
        """Delete the oldest pieces that were not asked for lately until this one fits.

        Raises RemoteError if it does not fit.
        """
        kept = [each for each in self._kept() if each.sha256 != entry.sha256]
        long_ago_s = self._monotonic_s() - self._limits.wanted_s
        idle = [each for each in kept if self._asked_s.get(each.sha256, long_ago_s) <= long_ago_s]
        idle.sort(key=lambda each: (each.is_whole, each.modified_ns), reverse=True)
        while problem := self._lack(entry, kept):
            if not idle:
                raise RemoteError(SourceState.DISK, f"{self._folder}: {problem}")
            self._delete([idle[-1]])
            kept.remove(idle.pop())

    def _lack(self, entry: PieceEntry, kept: Sequence[_Kept]) -> str:
        """Why this piece does not fit beside those, or ""."""
        limits = self._limits
        if len(kept) >= limits.files_max:
            return f"{len(kept)} pieces are kept here, {limits.files_max} are the most"
        if (total := sum(each.bytes for each in kept) + entry.bytes) > limits.bytes_max:
            return f"the pieces needed have {total} bytes, {limits.bytes_max} are the most"
        disk = os.statvfs(self._folder)
        free = disk.f_bavail * disk.f_frsize + self._begun_bytes(entry)
        if free < entry.bytes + limits.reserve_bytes:
            needed = entry.bytes + limits.reserve_bytes
            return f"{free} bytes are free, {needed} are needed; make room on the disk"
        return ""

    def _begun_bytes(self, entry: PieceEntry) -> int:
        try:
            return (self._folder / f"{entry.file_name}{PART}").lstat().st_size
        except FileNotFoundError:
            return 0

    def _delete(self, gone: Sequence[_Kept]) -> None:
        for kept in gone:
            remove(kept.path)
            self._asked_s.pop(kept.sha256, None)
        if gone:
            sync_folder(self._folder)


def _require_hash(sha256: str) -> None:
    """Refuse a name that is no hash, where it becomes a path, though manifests are checked."""
    if not _HASH.fullmatch(sha256):
        raise RemoteError(SourceState.REFUSED, "a piece is named by something that is not a sha256")


def _is_right(path: Path, entry: PieceEntry) -> bool:
    """Whether the right file is there. Any other file of that name, a link too, is removed.

    Raises OSError.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    if (
        stat.S_ISREG(status.st_mode)
        and status.st_size == entry.bytes
        and _sha256(path) == entry.sha256
    ):
        return True
    remove(path)
    return False


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with reader(path) as file:
        while step := file.read(_STEP_BYTES):
            digest.update(step)
    return digest.hexdigest()


def _header(path: Path) -> Header | None:
    """The header of a piece; None if the file is no piece."""
    with reader(path) as file:
        head = file.read(WIRE_HEADER_AT + HEADER_BYTES)
    try:
        return Header.parse(head[WIRE_HEADER_AT:])
    except SegmentError:
        return None
