"""The shelf: applies pieces to the lists that this gate holds, and installs what comes of it. The courier's; the lane only reads.

A table stands in at most three segments, so that the lane never looks through more:

    top      memory-backed folder   every change since the middle, folded anew at each poll that brings one
    middle   SD card                every change since the base, folded when the top has grown large
    base     SD card                the whole table, folded when the middle has grown to an eighth of it

So the SD card is written rarely, and what is in memory alone comes back after a power cut from the pieces, which the courier keeps until
the middle has them. Without a memory-backed folder everything is written to the SD card at once.
"""

import errno
import mmap
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple
from zlib import crc32

from validator.courier.ports import Fetched
from validator.courier.store.installer import InstallError, ListInstaller
from validator.courier.store.scrub import ListScrub
from validator.errors import RemoteError, SourceState
from validator.formats.checked import CHECKSUM_BYTES
from validator.host.durable import replacing
from validator.host.plain_files import read_regular, reader, remove
from validator.lists.manifest import (
    INSTALLED_BYTES_MAX,
    InstalledManifest,
    ManifestError,
    PieceEntry,
    PublishedManifest,
    RuleEntry,
    SegmentEntry,
    decode_installed,
    encode,
)
from validator.lists.names import ListName, is_segment
from validator.lists.segment import HEADER_BYTES, Header, SegmentError
from validator.lists.segment_builder import Built
from validator.lists.segment_fold import fold_into
from validator.lists.wire import WIRE_HEADER_AT, WireError
from validator.lists.wire import decode as decode_wire

TOP_CARDS_MAX = 65_535  # 0.6 MB in memory, folded in 20 ms; some ten hours of changes
BASE_SHARE = 8  # the middle is folded into the base at an eighth of it
FOLD_PARTS_MAX = 128  # each is held open twice meanwhile, and a service may hold 1,024 files; a day of minute pieces is 2,500
_STEP_BYTES = 1 << 20

Chains = Mapping[str, Sequence[Fetched]]


class _Held(NamedTuple):
    """A list that is installed here, as its manifest in the folder says."""

    era: int
    manifest: InstalledManifest
    folder: Path

    @property
    def name(self) -> str:
        """The file name of the manifest."""
        return ListName(self.era, self.manifest.list_version).file_name


class DiskListStore:
    """courier.ports.ListStore on two folders. For one thread of one process."""

    def __init__(self, folder: Path, recent: Path | None) -> None:
        """`recent` is made; neither need be writable.

        Files that are damaged are deleted, so that they are fetched again.
        """
        self.disk_bytes = 0
        """How many bytes of files were written to the SD card since the start."""
        self.disk = folder
        """The folder on the SD card."""
        self._memory = recent
        if recent is not None:
            with suppress(OSError):
                recent.mkdir(parents=True, exist_ok=True)
        self._scrub = ListScrub()
        self._list: _Held | None = None
        self._spoilt: set[str] = (
            set()
        )  # names of what is damaged and cannot be deleted: it does not count
        self.damaged: list[str] = []
        """Names of the files that were found damaged at the start, and deleted where the disk lets it."""
        with suppress(OSError):  # a disk that does not answer: `mend` says so
            self.damaged += self._delete_damaged(everything=True)
        self._list = self._newest()

    @property
    def held(self) -> tuple[int, int]:
        """See courier.ports.ListStore. Files are looked for each time: one that was deleted by hand is fetched again."""
        if self._list is not None and not all(map(self._path, self._list.manifest.segments())):
            self._list = self._newest()
        return (self._list.era, self._list.manifest.list_version) if self._list else (0, 0)

    def mend(self, *, suspect: bool = False) -> tuple[str, ...]:
        """See courier.ports.ListStore."""
        if suspect:
            self._scrub.doubt()
        damaged = tuple(self._delete_damaged())
        held = self._list
        if held is not None and all(map(self._path, held.manifest.segments())):
            if _mode(held.folder / held.name) == 0:
                self._restore(held)
            if self._newest([self.disk]) is None:
                self._restore(held._replace(folder=self.disk))
            if suspect and not damaged:
                self._show_again(held)
        return damaged

    def _restore(self, held: _Held) -> None:
        """Write its manifest again, which is known, and what else this folder lacks of it.

        A power cut must not find a disk without a list.
        """
        try:
            self._install(held)
        except InstallError as error:
            raise RemoteError(SourceState.DISK, str(error)) from error

    def _delete_damaged(self, *, everything: bool = False) -> Iterator[str]:
        """Delete what is damaged of the held list, at the start of every list; the names.

        Raises OSError.

        Later not of every: a person may be copying one into the folder, which is half there. No
        courier's list is ever half there.
        """
        held = self._list.manifest.segments() if self._list else ()
        ours = {entry.file_name for entry in held}
        for folder in self._folders():
            for path in sorted(_names(folder)):
                listed = ListName.of(path.name)
                if path.name in ours or (everything and is_segment(path.name)):
                    is_whole = self._scrub.header(path) is not None
                elif listed is not None and (everything or listed.era):
                    is_whole = self._scrub.is_manifest(path)
                else:
                    continue
                if not is_whole:
                    try:
                        remove(path)
                    except OSError:
                        self._spoilt.add(path.name)
                        if not everything:
                            raise
                    yield path.name

    def _show_again(self, held: _Held) -> None:
        """Change the status of its files and nothing else.

        A lane that has misread one reads it again only when it looks like another.
        """
        for entry in held.manifest.segments():
            if (path := self._path(entry)) is not None:
                path.chmod(stat.S_IMODE(_mode(path)))

    def standing(self, rule: str, fingerprint_key: str | None, era: int) -> int:
        """See courier.ports.ListStore."""
        segments = self._segments(rule)
        if not segments or self._list is None or self._list.era != era:
            return 0
        if (
            fingerprint_key is not None
            and self._header(segments[0]).key_id.hex() != fingerprint_key
        ):
            return 0
        return self._list.manifest.list_version

    def kept(self, rule: str) -> int:
        """See courier.ports.ListStore."""
        return max(
            (entry.to_version for entry in self._segments(rule) if self._on_disk(entry)), default=0
        )

    def install(self, manifest: PublishedManifest, era: int, chains: Chains) -> None:
        """See courier.ports.ListStore. A list that begins anew or has changed much goes to the SD card, any other to memory."""
        try:
            memory = None if self._is_large(era, chains) else self._memory
            rules = tuple(
                self._rule(rule, chains[rule.name], manifest, memory) for rule in manifest.rules
            )
            self._put(manifest.with_rules(rules), era, memory)
        except (WireError, SegmentError, InstallError, ManifestError) as error:
            raise RemoteError(
                SourceState.REFUSED, f"list {manifest.list_version}: {error}"
            ) from error
        except OSError as error:
            text = f"{error.filename or self.disk}: {error.strerror or error}; list {manifest.list_version} is not installed"
            raise RemoteError(SourceState.DISK, text) from error

    def _is_large(self, era: int, chains: Chains) -> bool:
        """Whether it must go to the SD card: a table begins anew, or the changes would be too many for the top."""
        if self._list is None or self._list.era != era:
            return True
        for rule, chain in chains.items():
            if chain and chain[0].entry.from_version == 0:
                return True
            top = [entry for entry in self._segments(rule) if not self._on_disk(entry)]
            cards = sum(self._header(entry).count for entry in top) + sum(map(_cards, chain))
            if cards > TOP_CARDS_MAX:
                return True
        return False

    def _rule(
        self,
        rule: RuleEntry[PieceEntry],
        chain: Sequence[Fetched],
        of: PublishedManifest,
        memory: Path | None,
    ) -> RuleEntry[SegmentEntry]:
        """The rule as it will stand here: the pieces and what is held already, folded level by level."""
        new = [
            self._decoded(rule.name, fetched, of.fingerprint_key, memory)
            for fetched in reversed(chain)
        ]
        begins_anew = bool(chain) and chain[0].entry.from_version == 0
        *changes, base = [*new, *(() if begins_anew else self._segments(rule.name))]
        if memory is not None:
            on_disk = [entry for entry in changes if self._on_disk(entry)]
            top = [entry for entry in changes if not self._on_disk(entry)]
            return rule.with_files((*self._folded(top, memory), *on_disk, base))
        segments = (*self._folded(changes, self.disk), base)
        if len(segments) > 1 and segments[0].bytes * BASE_SHARE > base.bytes:
            segments = self._folded(segments, self.disk)
        return rule.with_files(segments)

    def _decoded(
        self, rule: str, fetched: Fetched, key: str | None, memory: Path | None
    ) -> SegmentEntry:
        """The piece as a segment in one of the folders. Raises WireError, and SegmentError if it is not what the manifest says."""
        with reader(fetched.path) as source:

            def fill(out: BinaryIO) -> Built:
                return decode_wire(source, out)

            entry, header = self._written(memory or self.disk, fill)
        wanted = (rule, fetched.entry.from_version, fetched.entry.to_version)
        if (header.rule, header.from_version, header.to_version) != wanted:
            raise SegmentError(f"{fetched.path.name}: another piece than the manifest says")
        if key is not None and header.key_id.hex() != key:
            raise SegmentError(
                f"{fetched.path.name}: made under another fingerprint key than the manifest says"
            )
        return entry

    def _folded(self, entries: Sequence[SegmentEntry], folder: Path) -> tuple[SegmentEntry, ...]:
        """At most one segment, in this folder, that says the same as these, newest first."""
        if not entries:
            return ()
        if len(entries) == 1 and stat.S_ISREG(_mode(folder / entries[0].file_name)):
            return (entries[0],)
        while len(entries) > FOLD_PARTS_MAX:
            groups = [
                entries[at : at + FOLD_PARTS_MAX] for at in range(0, len(entries), FOLD_PARTS_MAX)
            ]
            entries = [folded for group in groups for folded in self._folded(group, folder)]
        with ExitStack() as stack:
            parts = [stack.enter_context(self._verified(entry)) for entry in entries]
            epoch_unix_s = max(Header.parse(part[:HEADER_BYTES]).epoch_unix_s for part in parts)
            return (self._written(folder, lambda out: fold_into(out, parts, epoch_unix_s))[0],)

    @contextmanager
    def _verified(self, entry: SegmentEntry) -> Iterator[mmap.mmap]:
        """A segment that stands here, mapped. One that the card has spoiled is deleted, for it to be fetched again. Raises OSError."""
        path = self._path(entry)
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
        """A new segment, durable, under its name. Raises what `fill` raises, and OSError; then nothing of it is left."""
        with replacing(folder / "segment", clears_folder=True) as new:
            built = fill(new.file)
            entry = SegmentEntry(
                built.header.from_version, built.header.to_version, built.size, built.sha256
            )
            new.path = folder / entry.file_name
        self._spoilt.discard(entry.file_name)
        self._scrub.trust(folder / entry.file_name, built.header)
        if folder == self.disk:
            self.disk_bytes += entry.bytes
        return entry, built.header

    def _put(self, manifest: InstalledManifest, era: int, memory: Path | None) -> None:
        """The manifest last; then what neither folder needs any more goes."""
        held = _Held(era, manifest, memory or self.disk)
        self._install(held)
        for folder in self._folders():
            if (
                folder != held.folder
            ):  # the same list of other segments, from before something was damaged
                remove(folder / held.name)
        self._list = held
        if memory is None:
            ListInstaller(self.disk).prune()
        if self._memory is not None:
            ListInstaller(self._memory, also=self.disk).prune()

    def _install(self, held: _Held) -> None:
        """Put the manifest there. Raises InstallError."""
        content = encode(held.manifest)
        if held.folder == self.disk:
            entries = [entry for entry in held.manifest.segments() if not self._on_disk(entry)]
            there = {entry.file_name: path for entry in entries if (path := self._path(entry))}
            ListInstaller(self.disk).install(content, there, era=held.era)
            self.disk_bytes += sum(entry.bytes for entry in entries) + len(content) + CHECKSUM_BYTES
        else:
            ListInstaller(held.folder, also=self.disk).install(content, {}, era=held.era)

    def _newest(self, folders: Sequence[Path] | None = None) -> _Held | None:
        """The newest list that is complete in these folders; in both if none are named."""
        folders = folders or self._folders()
        found = sorted(
            (
                (name, path)
                for folder in folders
                for path in _names(folder)
                if (name := ListName.of(path.name)) is not None
            ),
            reverse=True,
        )
        for name, path in found:
            with suppress(ManifestError, OSError):
                manifest = decode_installed(read_regular(path, INSTALLED_BYTES_MAX), path.name)
                if all(self._path(entry, folders) for entry in manifest.segments()):
                    return _Held(name.era, manifest, path.parent)
        return None

    def _folders(self) -> list[Path]:
        return [self.disk, *([self._memory] if self._memory is not None else [])]

    def _segments(self, rule: str) -> tuple[SegmentEntry, ...]:
        """What the held list's table of this rule is made of, newest first; empty if there is none."""
        rules = self._list.manifest.rules if self._list else ()
        return next((entry.segments for entry in rules if entry.name == rule), ())

    def _path(self, entry: SegmentEntry, folders: Sequence[Path] | None = None) -> Path | None:
        """Where the segment stands, if it does, in its full size."""
        if entry.file_name in self._spoilt:
            return None
        for folder in folders or self._folders():
            path = folder / entry.file_name
            with suppress(OSError):
                status = path.lstat()
                if stat.S_ISREG(status.st_mode) and status.st_size == entry.bytes:
                    return path
        return None

    def _on_disk(self, entry: SegmentEntry) -> bool:
        return stat.S_ISREG(_mode(self.disk / entry.file_name))

    def _header(self, entry: SegmentEntry) -> Header:
        """Raises OSError for a segment that is gone, or was damaged since the last `mend`."""
        path = self._path(entry)
        header = self._scrub.header(path) if path is not None else None
        if header is None:
            raise OSError(errno.EIO, "gone or damaged, and fetched again", entry.file_name)
        return header


def _cards(fetched: Fetched) -> int:
    with reader(fetched.path) as file:
        file.seek(WIRE_HEADER_AT)
        return Header.parse(file.read(HEADER_BYTES)).count


def _is_whole(path: Path) -> bool:
    """Whether it is a segment whose body has the checksum that its header says.

    Raises OSError if the disk does not answer.
    """
    if not stat.S_ISREG(_mode(path)):
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


def _names(folder: Path) -> list[Path]:
    """What is in it.

    Nothing where the folder is gone or the disk does not answer, which `mend` says.
    """
    with suppress(OSError):
        return list(folder.iterdir())
    return []


def _mode(path: Path) -> int:
    """What it is, links not followed; 0 if it is not there."""
    with suppress(FileNotFoundError):
        return path.lstat().st_mode
    return 0
