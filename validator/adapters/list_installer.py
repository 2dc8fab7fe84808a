"""Puts lists into the list folder, and takes old ones out. For its one writing process (the courier; the demo); the lane only reads.

    installer = ListInstaller(folder)
    installer.install(encode(manifest), {entry.file_name: path_or_bytes, ...})  # all or nothing, whatever happens in between
    installer.prune()  # keeps the newest two complete lists

Every file: temporary name in the same folder, fsync, rename, fsync of the folder; segments first, the manifest last. So the folder
shows the old list or the new one at any instant, also after a power cut. A file in place is never written to and never truncated:
the lane has it mapped.
"""

import hashlib
import io
import os
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from validator.formats.manifest import Manifest, ManifestError, SegmentEntry, decode, encode

KEPT_LISTS = 2  # the newest, and one to fall back to
_STEP_BYTES = 1 << 20
_TEMPORARY = ".new-"
_MANIFEST_NAME = re.compile(r"([1-9][0-9]{0,15})\.manifest\.json")
_SEGMENT_NAME = re.compile(r"[0-9a-f]{64}\.seg")

Sources = Mapping[str, Path | bytes]
"""Where each segment comes from, by its file name in the folder."""

Progress = Callable[[int, int], None]
"""Called now and then with (bytes done, bytes in all)."""


class InstallError(Exception):
    """A list that was not installed; the folder is as it was. The message is one clear line."""


def _silent(_done: int, _total: int) -> None:
    """Show no progress."""


def install(folder: Path, manifest: Manifest, sources: Sources) -> None:
    """Install one list. Raises InstallError, and ManifestError for a manifest that no gate would take."""
    ListInstaller(folder).install(encode(manifest), sources)


class ListInstaller:
    """The writing side of one list folder."""

    def __init__(self, folder: Path) -> None:
        """The folder must be there."""
        self._folder = folder

    def install(self, manifest: bytes, sources: Sources, progress: Progress = _silent) -> None:
        """Install a list whole: its manifest, and from `sources` the segments that are not in the folder yet.

        Raises InstallError for a manifest or a segment that is not what it should be, or that the disk would not take.
        """
        try:
            for _ in self.steps(manifest, sources, progress):
                pass
        except OSError as error:
            raise InstallError(f"{error.filename or self._folder}: {error.strerror or error}") from error

    def steps(
        self, manifest: bytes, sources: Sources, progress: Progress = _silent
    ) -> Generator[str, None, None]:
        """The same, step by step, so that a test can cut the power between any two. Raises OSError as well."""
        described = _decoded(manifest)
        total = sum(entry.bytes for entry in described.segments())
        done = 0
        for entry in described.segments():
            if not self._has(entry):
                source = sources.get(entry.file_name)
                if source is None:
                    raise InstallError(f"{entry.file_name}: neither in the folder nor given")
                yield from self._put(entry.file_name, _copy(source, entry))
            done += entry.bytes
            progress(done, total)
        yield from self._put(f"{described.list_version}.manifest.json", lambda out: _write(out, manifest))

    def prune(self) -> None:
        """Remove what is not part of the newest two complete lists, nor newer than them, and what an earlier crash left behind.

        An incomplete list that is newer stays: its segments may still be on their way. Raises InstallError if the disk refuses.
        """
        try:
            for _ in self.prune_steps():
                pass
        except OSError as error:
            raise InstallError(f"{error.filename or self._folder}: {error.strerror or error}") from error

    def prune_steps(self) -> Generator[str, None, None]:
        """The same, step by step: manifests go before the segments they name. Raises OSError."""
        names = sorted(path.name for path in self._folder.iterdir())
        kept: set[str] = set()
        complete = 0
        for version in sorted(_versions(names), reverse=True):
            if complete == KEPT_LISTS:
                break
            name = f"{version}.manifest.json"
            described = self._read(name)
            if described is not None:
                kept |= {name, *(entry.file_name for entry in described.segments())}
                complete += all(map(self._has, described.segments()))
        ours = [name for name in names if _ours(name) and name not in kept]
        for name in sorted(ours, key=lambda name: bool(_SEGMENT_NAME.fullmatch(name))):
            with suppress(FileNotFoundError):
                (self._folder / name).unlink()
            yield f"removed {name}"
        self._sync_folder()

    def _has(self, entry: SegmentEntry) -> bool:
        """Whether the segment is in place, by name and size; the lane verifies it before use."""
        path = self._folder / entry.file_name
        return path.is_file() and not path.is_symlink() and path.stat().st_size == entry.bytes

    def _read(self, name: str) -> Manifest | None:
        try:
            return decode((self._folder / name).read_bytes())
        except ManifestError:
            return None

    def _put(self, name: str, fill: Callable[[BinaryIO], None]) -> Generator[str, None, None]:
        temporary = self._folder / f"{_TEMPORARY}{name}"
        try:
            with temporary.open("wb") as out:
                yield f"created {temporary.name}"
                fill(out)
                out.flush()
                yield f"written {temporary.name}"
                os.fsync(out.fileno())
            yield f"synced {temporary.name}"
        except (OSError, InstallError):
            temporary.unlink(missing_ok=True)
            raise
        temporary.rename(self._folder / name)
        yield f"renamed {name}"
        self._sync_folder()
        yield f"folder synced after {name}"

    def _sync_folder(self) -> None:
        fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _decoded(manifest: bytes) -> Manifest:
    try:
        return decode(manifest)
    except ManifestError as error:
        raise InstallError(str(error)) from None


def _versions(names: list[str]) -> list[int]:
    return [int(match[1]) for match in map(_MANIFEST_NAME.fullmatch, names) if match]


def _ours(name: str) -> bool:
    return bool(
        name.startswith(_TEMPORARY) or _MANIFEST_NAME.fullmatch(name) or _SEGMENT_NAME.fullmatch(name)
    )


def _write(out: BinaryIO, content: bytes) -> None:
    out.write(content)


def _copy(source: Path | bytes, entry: SegmentEntry) -> Callable[[BinaryIO], None]:
    """Something that copies a segment and refuses it if its size or sha256 is not the one in the manifest."""

    def copy(out: BinaryIO) -> None:
        digest = hashlib.sha256()
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
            while step := file.read(_STEP_BYTES):
                digest.update(step)
                out.write(step)
        if out.tell() != entry.bytes or digest.hexdigest() != entry.sha256:
            raise InstallError(
                f"{entry.file_name}: what was given is not the segment that the manifest describes"
            )

    return copy
