"""Installs lists in a list folder and removes old ones, for the one process that writes there.

    installer = ListInstaller(folder)
    installer.install(encode(manifest), {entry.file_name: path_or_bytes, ...})
    installer.prune()  # keeps the newest two complete lists of the newest era

`ListInstaller(recent, also=folder)` writes a memory-backed folder: files on the disk count as
present. Never the other way round: a list on the disk must be whole after a power cut.

Segments come first and the manifest last, each replaced as host/durable.py does it. So the folder
has the old list or the new one at any instant, also after a power cut. A file in place is never
written to and never truncated: the lane has it mapped.
"""

import hashlib
import io
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from validator.host.durable import TEMPORARY, replacing, sync_folder
from validator.host.plain_files import read_regular, reader, remove
from validator.lists.manifest import (
    INSTALLED_BYTES_MAX,
    InstalledManifest,
    ManifestError,
    SegmentEntry,
    decode_installed,
    decode_segments,
    installed,
)
from validator.lists.names import ListName, is_segment

KEPT_LISTS = 2  # the newest, and one to fall back to
_STEP_BYTES = 1 << 20

Sources = Mapping[str, Path | bytes]
"""Where each segment comes from, by its file name in the folder."""

Progress = Callable[[int, int], None]
"""Called now and then with (bytes done, bytes in all)."""


class InstallError(Exception):
    """A list that was not installed; the folder is as it was. The message is one clear line."""


def _silent(_done: int, _total: int) -> None:
    """Show no progress."""


class ListInstaller:
    """The writing side of one list folder."""

    def __init__(self, folder: Path, also: Path | None = None) -> None:
        """Both folders must exist.

        Nothing is written to `also`. Its segments count as present, and its lists when pruning.
        """
        self._folder = folder
        self._folders = (folder,) if also is None else (folder, also)

    def install(
        self, manifest: bytes, sources: Sources, progress: Progress = _silent, *, era: int = 0
    ) -> None:
        """Install a list, all or nothing.

        Args:
            manifest: The manifest of segments, encoded.
            sources: The segments that are not in the folder yet, by file name.
            progress: Called with the bytes done and the bytes in all.
            era: The era of the list; 0 for one that a person installs by hand.

        Raises:
            InstallError: The manifest or a segment is not valid, or the disk refused.
        """
        try:
            for _ in self.steps(manifest, sources, progress, era=era):
                pass
        except OSError as error:
            raise InstallError(
                f"{error.filename or self._folder}: {error.strerror or error}"
            ) from error

    def steps(
        self, manifest: bytes, sources: Sources, progress: Progress = _silent, *, era: int = 0
    ) -> Generator[str, None, None]:
        """As `install`, in steps: a test can cut the power between any two. Raises OSError too."""
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
        name = ListName(era, described.list_version).file_name
        yield from self._put(name, lambda out: _write(out, installed(manifest, name)))

    def prune(self) -> None:
        """Remove what a crash left behind, and each list but the newest two complete ones.

        A newer incomplete list stays: its segments may still be on their way. Lists of an older era
        go as soon as one of a newer era is complete, since an attacker may have made them. Raises
        InstallError if the disk refuses.
        """
        try:
            for _ in self.prune_steps():
                pass
        except OSError as error:
            raise InstallError(
                f"{error.filename or self._folder}: {error.strerror or error}"
            ) from error

    def prune_steps(self) -> Generator[str, None, None]:
        """As `prune`, in steps: manifests go before the segments that they name. Raises OSError."""
        kept = self._kept()
        ours = {path.name for path in self._folder.iterdir() if _ours(path.name)} - kept
        for name in sorted(ours, key=lambda name: (is_segment(name), name)):
            remove(self._folder / name)
            yield f"removed {name}"
        sync_folder(self._folder)

    def _kept(self) -> set[str]:
        """The names of the files that must stay. A list that is in both folders counts once."""
        names = {path.name for folder in self._folders for path in folder.iterdir()}
        kept: set[str] = set()
        complete: list[ListName] = []
        for name in sorted(filter(None, map(ListName.of, names)), reverse=True):
            if len(complete) == KEPT_LISTS or (complete and name.era < complete[0].era):
                break
            standing = list(self._read(name.file_name))
            is_complete = any(all(map(self._has, described.segments())) for described in standing)
            if is_complete or not complete:
                kept |= {
                    entry.file_name for described in standing for entry in described.segments()
                }
                kept |= {name.file_name} if standing else set()
            complete += [name] if is_complete else []
        return kept

    def _has(self, entry: SegmentEntry) -> bool:
        """Whether the segment is in place, by name and size; the lane verifies it before use."""
        paths = [folder / entry.file_name for folder in self._folders]
        return any(
            path.is_file() and not path.is_symlink() and path.stat().st_size == entry.bytes
            for path in paths
        )

    def _read(self, name: str) -> Iterator[InstalledManifest]:
        """The valid manifests of this name, at most one of each folder."""
        for folder in self._folders:
            with suppress(ManifestError, OSError):
                yield decode_installed(read_regular(folder / name, INSTALLED_BYTES_MAX), name)

    def _put(self, name: str, fill: Callable[[BinaryIO], None]) -> Generator[str, None, None]:
        with replacing(self._folder / name, clears_folder=True) as new:
            yield f"created {new.temporary.name}"
            fill(new.file)
            new.file.flush()
            yield f"written {new.temporary.name}"
            new.sync()
            yield f"synced {new.temporary.name}"
            new.rename()
            yield f"renamed {name}"
            new.sync_folder()
            yield f"folder synced after {name}"


def _decoded(manifest: bytes) -> InstalledManifest:
    try:
        return decode_segments(manifest)
    except ManifestError as error:
        raise InstallError(str(error)) from None


def _ours(name: str) -> bool:
    return name.startswith(TEMPORARY) or is_segment(name) or ListName.of(name) is not None


def _write(out: BinaryIO, content: bytes) -> None:
    out.write(content)


def _copy(source: Path | bytes, entry: SegmentEntry) -> Callable[[BinaryIO], None]:
    """A function that copies a segment, and refuses one of another size or sha256."""

    def copy(out: BinaryIO) -> None:
        digest = hashlib.sha256()
        with io.BytesIO(source) if isinstance(source, bytes) else reader(source) as file:
            while step := file.read(_STEP_BYTES):
                digest.update(step)
                out.write(step)
        if out.tell() != entry.bytes or digest.hexdigest() != entry.sha256:
            raise InstallError(
                f"{entry.file_name}: what was given is not the segment that the manifest describes"
            )

    return copy
