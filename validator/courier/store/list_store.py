"""The lists that a gate holds: applies pieces to them and installs the result. The lane only reads.

A table is at most three segments, so that the lane never searches more:

    top      memory-backed folder   every change since the middle; folded by each poll that adds one
    middle   SD card                every change since the base; folded when the top has grown large
    base     SD card                the whole table; folded when the middle is an eighth of it

So the SD card is written rarely. What is in memory alone comes back after a power cut from the
pieces, which the courier keeps until the middle has them. Without a memory-backed folder everything
goes to the SD card at once.
"""

import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from validator.courier.ports import Fetched
from validator.courier.store.installer import InstallError, ListInstaller
from validator.courier.store.segments import SegmentFiles, cards_of, mode_of, names_in
from validator.errors import RemoteError, SourceState
from validator.formats.checked import CHECKSUM_BYTES
from validator.host.plain_files import read_regular, remove
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
from validator.lists.segment import SegmentError
from validator.lists.wire import WireError

TOP_CARDS_MAX = 65_535  # 0.6 MB in memory, folded in 20 ms; some ten hours of changes
BASE_SHARE = 8  # the middle is folded into the base at an eighth of it

Chains = Mapping[str, Sequence[Fetched]]


class _Held(NamedTuple):
    """An installed list: its era, its manifest, and the folder that has the manifest."""

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
        """Find the newest complete list, and delete damaged files so that they are fetched again.

        Args:
            folder: The folder on the SD card; it need not be writable.
            recent: The memory-backed folder, which is made if it is missing; None if there is none.
        """
        if recent is not None:
            with suppress(OSError):
                recent.mkdir(parents=True, exist_ok=True)
        self._files = SegmentFiles(folder, recent)
        self._list: _Held | None = None
        self.damaged: list[str] = []
        """Names of files that were damaged at the start. They are deleted where the disk allows."""
        with suppress(OSError):  # `mend` reports a disk that does not answer
            self.damaged += self._delete_damaged(everything=True)
        self._list = self._newest()

    @property
    def disk(self) -> Path:
        """The folder on the SD card."""
        return self._files.disk

    @property
    def disk_bytes(self) -> int:
        """The bytes of files that were written to the SD card since the start."""
        return self._files.disk_bytes

    @property
    def held(self) -> tuple[int, int]:
        """See courier.ports.ListStore.

        Each call checks that the files are there: one that was deleted by hand is fetched again.
        """
        if self._list is not None and not self._is_complete(self._list):
            self._list = self._newest()
        return (self._list.era, self._list.manifest.list_version) if self._list else (0, 0)

    def mend(self, *, suspect: bool = False) -> tuple[str, ...]:
        """See courier.ports.ListStore."""
        if suspect:
            self._files.scrub.distrust()
        damaged = tuple(self._delete_damaged())
        held = self._list
        if held is not None and self._is_complete(held):
            if mode_of(held.folder / held.name) == 0:
                self._restore(held)
            if self._newest([self.disk]) is None:
                self._restore(held._replace(folder=self.disk))
            if suspect and not damaged:
                self._touch(held)
        return damaged

    def _is_complete(self, held: _Held) -> bool:
        return all(map(self._files.path, held.manifest.segments()))

    def _restore(self, held: _Held) -> None:
        """Write the manifest again, and the segments that its folder lacks.

        A power cut must not find a disk without a list. Raises RemoteError.
        """
        try:
            self._install(held)
        except InstallError as error:
            raise RemoteError(SourceState.DISK, str(error)) from error

    def _delete_damaged(self, *, everything: bool = False) -> Iterator[str]:
        """Delete damaged files of the held list, and yield their names. Raises OSError.

        `everything` includes every other list. That is right at the start only: later a person may
        be copying a list into the folder, which is half there. No courier's list is ever half
        there.
        """
        entries = self._list.manifest.segments() if self._list else ()
        ours = {entry.file_name for entry in entries}
        for folder in self._files.folders():
            for path in sorted(names_in(folder)):
                listed = ListName.of(path.name)
                if path.name in ours or (everything and is_segment(path.name)):
                    is_whole = self._files.scrub.header(path) is not None
                elif listed is not None and (everything or listed.era):
                    is_whole = self._files.scrub.is_manifest(path)
                else:
                    continue
                if not is_whole:
                    try:
                        remove(path)
                    except OSError:
                        self._files.spoilt.add(path.name)
                        if not everything:
                            raise
                    yield path.name

    def _touch(self, held: _Held) -> None:
        """Change the status of the list's files, and nothing else.

        A lane that misread a file reads it again only when its status has changed.
        """
        for entry in held.manifest.segments():
            if (path := self._files.path(entry)) is not None:
                path.chmod(stat.S_IMODE(mode_of(path)))

    def standing(self, rule: str, fingerprint_key: str | None, era: int) -> int:
        """See courier.ports.ListStore."""
        segments = self._segments(rule)
        if not segments or self._list is None or self._list.era != era:
            return 0
        if fingerprint_key is not None:
            made_under = self._files.header(segments[0]).key_id.hex()
            if made_under != fingerprint_key:
                return 0
        return self._list.manifest.list_version

    def kept(self, rule: str) -> int:
        """See courier.ports.ListStore."""
        on_disk = filter(self._files.on_disk, self._segments(rule))
        return max((entry.to_version for entry in on_disk), default=0)

    def install(self, manifest: PublishedManifest, era: int, chains: Chains) -> None:
        """See courier.ports.ListStore.

        A list that begins at a snapshot or has changed much goes to the SD card, others to memory.
        """
        try:
            memory = None if self._is_large(era, chains) else self._files.memory
            rules = tuple(
                self._rule(rule, chains[rule.name], manifest, memory) for rule in manifest.rules
            )
            self._put(manifest.with_rules(rules), era, memory)
        except (WireError, SegmentError, InstallError, ManifestError) as error:
            raise RemoteError(
                SourceState.REFUSED, f"list {manifest.list_version}: {error}"
            ) from error
        except OSError as error:
            what = f"{error.filename or self.disk}: {error.strerror or error}"
            text = f"{what}; list {manifest.list_version} is not installed"
            raise RemoteError(SourceState.DISK, text) from error

    def _is_large(self, era: int, chains: Chains) -> bool:
        """Whether the list must go to the SD card.

        A table begins at a snapshot, or the changes would be too many for the top.
        """
        if self._list is None or self._list.era != era:
            return True
        for rule, chain in chains.items():
            if chain and chain[0].entry.from_version == 0:
                return True
            top = [entry for entry in self._segments(rule) if not self._files.on_disk(entry)]
            cards = sum(self._files.header(entry).count for entry in top)
            if cards + sum(map(cards_of, chain)) > TOP_CARDS_MAX:
                return True
        return False

    def _rule(
        self,
        rule: RuleEntry[PieceEntry],
        chain: Sequence[Fetched],
        of: PublishedManifest,
        memory: Path | None,
    ) -> RuleEntry[SegmentEntry]:
        """The rule as it is installed: the new pieces and the held segments, folded by level."""
        files = self._files
        new = [
            files.decoded(rule.name, fetched, of.fingerprint_key, memory or self.disk)
            for fetched in reversed(chain)
        ]
        is_snapshot = bool(chain) and chain[0].entry.from_version == 0
        *changes, base = [*new, *(() if is_snapshot else self._segments(rule.name))]
        if memory is not None:
            on_disk = [entry for entry in changes if files.on_disk(entry)]
            top = [entry for entry in changes if not files.on_disk(entry)]
            return rule.with_files((*files.folded(top, memory), *on_disk, base))
        segments = (*files.folded(changes, self.disk), base)
        if len(segments) > 1 and segments[0].bytes * BASE_SHARE > base.bytes:
            segments = files.folded(segments, self.disk)
        return rule.with_files(segments)

    def _put(self, manifest: InstalledManifest, era: int, memory: Path | None) -> None:
        """Write the manifest last, then remove what neither folder needs any more."""
        held = _Held(era, manifest, memory or self.disk)
        self._install(held)
        for folder in self._files.folders():
            if folder != held.folder:  # the same list of other segments, from before some damage
                remove(folder / held.name)
        self._list = held
        if memory is None:
            ListInstaller(self.disk).prune()
        if self._files.memory is not None:
            ListInstaller(self._files.memory, also=self.disk).prune()

    def _install(self, held: _Held) -> None:
        """Write the manifest into its folder. Raises InstallError."""
        content, files = encode(held.manifest), self._files
        if held.folder != self.disk:
            ListInstaller(held.folder, also=self.disk).install(content, {}, era=held.era)
            return
        entries = [entry for entry in held.manifest.segments() if not files.on_disk(entry)]
        there = {entry.file_name: path for entry in entries if (path := files.path(entry))}
        ListInstaller(self.disk).install(content, there, era=held.era)
        files.disk_bytes += sum(entry.bytes for entry in entries) + len(content) + CHECKSUM_BYTES

    def _newest(self, folders: Sequence[Path] | None = None) -> _Held | None:
        """The newest list that is complete in these folders; in both if none are named."""
        folders = folders or self._files.folders()
        found = sorted(
            (
                (name, path)
                for folder in folders
                for path in names_in(folder)
                if (name := ListName.of(path.name)) is not None
            ),
            reverse=True,
        )
        for name, path in found:
            with suppress(ManifestError, OSError):
                manifest = decode_installed(read_regular(path, INSTALLED_BYTES_MAX), path.name)
                if all(self._files.path(entry, folders) for entry in manifest.segments()):
                    return _Held(name.era, manifest, path.parent)
        return None

    def _segments(self, rule: str) -> tuple[SegmentEntry, ...]:
        """The segments of the held list's table of this rule, newest first; empty without one."""
        rules = self._list.manifest.rules if self._list else ()
        return next((entry.segments for entry in rules if entry.name == rule), ())
