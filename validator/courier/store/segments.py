"""The segments in a gate's two list folders: find, verify, decode and fold them.

What is in memory alone is gone after a power cut; list_store.py decides what goes where.
"""

import errno
import mmap
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

from validator.courier.ports import Fetched
from validator.courier.store.scrub import ListScrub
from validator.host.durable import replacing
from validator.host.plain_files import reader, remove
from validator.lists.manifest import SegmentEntry
from validator.lists.segment import HEADER_BYTES, Header, SegmentError
from validator.lists.segment_builder import Built
from validator.lists.segment_fold import fold_into
from validator.lists.wire import WIRE_HEADER_AT
from validator.lists.wire import decode as decode_wire

# Each part is open twice during a fold, and a service may hold 1,024 files; a day of minute pieces
# is 2,500.
FOLD_PARTS_MAX = 128
_STEP_BYTES = 1 << 20


class SegmentFiles:
    """The segments of one gate. For one thread of one process."""

    def __init__(self, disk: Path, memory: Path | None) -> None:
        self.disk = disk
        """The folder on the SD card."""
        self.memory = memory
        """The memory-backed folder, if there is one."""
        self.disk_bytes = 0
        """The bytes that were written to the SD card since the start."""
        self.scrub = ListScrub()
        self.spoilt: set[str] = set()
        """Names of damaged files that cannot be deleted; they do not count as present."""

    def folders(self) -> list[Path]:
        """Both folders, the one on the disk first."""
        return [self.disk, *([self.memory] if self.memory is not None else [])]

    def path(self, entry: SegmentEntry, folders: Sequence[Path] | None = None) -> Path | None:
        """Where the segment is in its full size, in these folders or in both; None if nowhere."""
        if entry.file_name in self.spoilt:
            return None
        for folder in folders or self.folders():
            path = folder / entry.file_name
            with suppress(OSError):
                status = path.lstat()
                if stat.S_ISREG(status.st_mode) and status.st_size == entry.bytes:
                    return path
        return None

    def on_disk(self, entry: SegmentEntry) -> bool:
        """Whether the SD card has this segment. Raises OSError."""
        return stat.S_ISREG(mode_of(self.disk / entry.file_name))

    def header(self, entry: SegmentEntry) -> Header:
        """The header of a whole segment. Raises OSError for one that is gone or damaged."""
        path = self.path(entry)
        header = self.scrub.header(path) if path is not None else None
        if header is None:
            raise OSError(errno.EIO, "gone or damaged, and fetched again", entry.file_name)
        return header

    def decoded(self, rule: str, fetched: Fetched, key: str | None, folder: Path) -> SegmentEntry:
        """Write a piece as a segment into this folder.

        Args:
            rule: The rule whose table the piece must be of.
            fetched: The piece.
            key: The id (hex) of the fingerprint key under which it must be made, if any is named.
            folder: One of the two folders.

        Raises:
            WireError: The file is not the wire form of a segment.
            SegmentError: It is another piece than the manifest names.
            OSError: The disk refused.
        """
        with reader(fetched.path) as source:

            def fill(out: BinaryIO) -> Built:
                return decode_wire(source, out)

            entry, header = self._written(folder, fill)
        wanted = (rule, fetched.entry.from_version, fetched.entry.to_version)
        if (header.rule, header.from_version, header.to_version) != wanted:
            raise SegmentError(f"{fetched.path.name}: another piece than the manifest names")
        if key is not None and header.key_id.hex() != key:
            raise SegmentError(
                f"{fetched.path.name}: made under another fingerprint key than the manifest names"
            )
        return entry

    def folded(self, entries: Sequence[SegmentEntry], folder: Path) -> tuple[SegmentEntry, ...]:
        """Fold these segments, newest first, into at most one in this folder. Raises OSError."""
        if not entries:
            return ()
        if len(entries) == 1 and stat.S_ISREG(mode_of(folder / entries[0].file_name)):
            return (entries[0],)
        while len(entries) > FOLD_PARTS_MAX:
            groups = [
                entries[at : at + FOLD_PARTS_MAX] for at in range(0, len(entries), FOLD_PARTS_MAX)
            ]
            entries = [folded for group in groups for folded in self.folded(group, folder)]
        with ExitStack() as stack:
            parts = [stack.enter_context(self._verified(entry)) for entry in entries]
            epoch_unix_s = max(Header.parse(part[:HEADER_BYTES]).epoch_unix_s for part in parts)
            return (self._written(folder, lambda out: fold_into(out, parts, epoch_unix_s))[0],)

    @contextmanager
    def _verified(self, entry: SegmentEntry) -> Iterator[mmap.mmap]:
        """Map a segment after its checksum was verified.

        A damaged one is deleted, so that it is fetched again. Raises OSError.
        """
        path = self.path(entry)
        if path is None:
            raise FileNotFoundError(errno.ENOENT, "gone", entry.file_name)
        if not _is_whole(path):
            remove(path)
            raise OSError(errno.EIO, "damaged on the disk, and fetched again", entry.file_name)
        with reader(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            yield mapped

    def _written(
        self, folder: Path, fill: Callable[[BinaryIO], Built]
    ) -> tuple[SegmentEntry, Header]:
        """Write a new segment, durably, under its name.

        Raises what `fill` raises, and OSError; then no file is left of it.
        """
        with replacing(folder / "segment", clears_folder=True) as new:
            built = fill(new.file)
            entry = SegmentEntry(
                built.header.from_version, built.header.to_version, built.size, built.sha256
            )
            new.path = folder / entry.file_name
        self.spoilt.discard(entry.file_name)
        self.scrub.trust(folder / entry.file_name, built.header)
        if folder == self.disk:
            self.disk_bytes += entry.bytes
        return entry, built.header


def cards_of(fetched: Fetched) -> int:
    """How many cards a piece has, by its own header. Raises OSError, SegmentError."""
    with reader(fetched.path) as file:
        file.seek(WIRE_HEADER_AT)
        return Header.parse(file.read(HEADER_BYTES)).count


def names_in(folder: Path) -> list[Path]:
    """The files in a folder; none if it is gone or cannot be read, which `mend` reports."""
    with suppress(OSError):
        return list(folder.iterdir())
    return []


def mode_of(path: Path) -> int:
    """The mode of a file, links not followed; 0 if it is not there. Raises OSError."""
    with suppress(FileNotFoundError):
        return path.lstat().st_mode
    return 0


def _is_whole(path: Path) -> bool:
    """Whether this is a segment whose body has the checksum in its header.

    Raises OSError if the disk does not answer.
    """
    if not stat.S_ISREG(mode_of(path)):
        return False
    with reader(path) as file:
        try:
            header = Header.parse(file.read(HEADER_BYTES))
        except SegmentError:
            return False
        checksum = 0
        while step := file.read(_STEP_BYTES):
            checksum = crc32(step, checksum)
        return checksum == header.body_crc32
