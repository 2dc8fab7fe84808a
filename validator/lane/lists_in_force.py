"""The list folder as the lane reads it: the newest complete list, mapped and warm.

    folder = ListFolder(disk, keyring(keys), recent=memory)
    adopted = folder.scan()  # at start, then every second; None: no change, for two scandirs

Nothing here writes; courier/store/installer.py does.

A list is complete when each segment that its manifest names is in one of the two folders, whole,
and was made under a key that this gate holds. The newest complete one is used. What is wrong with
a newer one is reported in one line. A list in memory is never given up for an older one or for
none: its mapped files stay valid even when they are deleted.
"""

import mmap
import os
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from validator.domain.rules import Rule, RuleSet
from validator.lane.ports import Adopted, Scan
from validator.lists.files import (
    AGAIN,
    MovingError,
    NoKeyError,
    Seen,
    SeenFile,
    UnreadableError,
    UnusableError,
    body_crc32,
    opened,
)
from validator.lists.fingerprint_keys import FingerprintKeyError
from validator.lists.manifest import (
    INSTALLED_BYTES_MAX,
    InstalledManifest,
    ManifestError,
    RuleEntry,
    SegmentEntry,
    decode_installed,
)
from validator.lists.names import ListName
from validator.lists.segment import HEADER_BYTES, Header, MappedTable, Segment, SegmentError

PROBLEMS_MAX = 8  # lines of a scan; the newest lists come first
RETRY_SCANS = 30  # a disk that could not be read may be readable again
# An old list stays mapped this long, so that the clerk unmaps it and not a tap that still uses it.
RETIRED_SCANS = 10

_PUBLISHER = "tell the publisher of the list"


class _Loaded(NamedTuple):
    name: ListName
    content: bytes  # of the manifest
    path: str  # of the manifest
    rules: RuleSet
    segments: frozenset[SeenFile]  # as of their verification
    cards: int

    def damaged(self, seen: Seen) -> str | None:
        """Return the name of a mapped file that was written to in place, or None."""
        for file in self.segments:
            if any(file.was_written_to(now) for now in seen.copies(file.name)):
                return file.name
        return None

    def is_same(self, other: "_Loaded") -> bool:
        """Return whether the manifest and the files are the same."""
        return (self.content, self.segments) == (other.content, other.segments)


class _Wrong:
    """What a scan finds wrong: each line, with the error behind it if there is one."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        self.lines: dict[str, Exception | None] = dict.fromkeys(lines)
        self.refused: dict[str, ListName] = {}

    def add(self, line: str, error: Exception | None = None) -> None:
        self.lines.setdefault(line, error)

    def refuse(self, name: ListName, why: UnusableError) -> None:
        line = f"list version {name} is not used: {why}"
        self.refused[line] = name
        self.add(line, why)

    def of(self, kind: type[Exception]) -> set[str]:
        """Return the lines of this kind of error."""
        return {line for line, error in self.lines.items() if isinstance(error, kind)}


class ListFolder:
    """A folder on the disk, and a memory-backed one if there is one.

    For one thread. Any thread may use what a scan returns.
    """

    def __init__(
        self,
        path: Path,
        keys: Mapping[bytes, bytes],
        recent: Path | None = None,
        *,
        read_keys: Callable[[], Mapping[bytes, bytes]] | None = None,
    ) -> None:
        """Nothing is read before the first scan.

        Args:
            path: the folder on the disk.
            keys: the fingerprint keys held, by key id.
            recent: the memory-backed folder, which need not exist.
            read_keys: returns all keys held now; called when one is missing. May raise
                FingerprintKeyError.
        """
        self._path = path
        self._recent = recent
        self._keys = dict(keys)
        self._read_keys = read_keys
        self._keys_problem = ""
        self._missed: set[bytes] = set()  # ids of keys that the last scan lacked
        self._seen: Seen | None = None
        self._current: _Loaded | None = None
        self._last: Adopted | None = None  # returned by the last scan
        self._last_name: ListName | None = None
        self._moving: set[str] = set()  # lines of the last scan that the courier's work may explain
        self._segments: dict[SeenFile, Segment] = {}  # mapped and verified
        self._refused: dict[SeenFile, str] = {}  # verified, and why it did not pass
        self._retired: list[tuple[int, object]] = []  # until which scan, what
        self._scans = self._retry_at = self._keys_read_at = 0

    def scan(self) -> Adopted | None:
        """Return the list to use and what is wrong, or None when neither has changed.

        Never raises for what it finds.
        """
        steps = self.scan_in_steps()
        while True:
            try:
                next(steps)
            except StopIteration as ended:
                found: Adopted | None = ended.value
                return found

    def settled(self) -> Adopted:
        """Return the list to use and what is wrong, for a program that scans once.

        Scans twice if the courier at work may explain what is wrong.
        """
        found = self.scan()
        if self._retry_at == self._scans + 1:
            found = self.scan() or found
        return found or self._last or Adopted(None)

    def scan_in_steps(self) -> Scan:
        """Do as `scan` does, in steps of at most 1 MiB read, for a thread with other work.

        One scan at a time. A scan that is closed before its end has adopted nothing.
        """
        self._scans += 1
        self._retired = [kept for kept in self._retired if kept[0] > self._scans]
        seen = Seen.of(self._path, self._recent)
        if seen == self._seen and self._scans != self._retry_at and not self._keys_changed():
            return None
        self._seen = None  # until this scan has ended
        adopted = yield from self._adopt(seen)
        self._seen = seen
        if adopted == self._last:
            return None
        self._last = adopted
        return adopted

    def _adopt(self, seen: Seen) -> Generator[None, None, Adopted]:
        wrong = _Wrong(seen.problems)
        self._missed.clear()
        if self._current is not None and (name := self._current.damaged(seen)) is not None:
            given_up = f"list version {self._current.name} is given up"
            wrong.add(f"{name}: written to in place while in use; {given_up}")
            self._put_in_force(None)
        loaded = yield from self._newest_complete(seen, wrong)
        self._forget(seen.files())
        if not self._keys:
            self._read_keys_again()
        if self._keys_problem and (self._missed or not self._keys):
            wrong.add(self._keys_problem)
        current = self._current
        if current is None or (loaded is not None and loaded.name >= current.name):
            self._put_in_force(loaded)
        else:
            wrong.add(
                f"list version {current.name} stays in force, from memory, until a restart",
                MovingError(),
            )
        return self._found(self._lasting(wrong), wrong)

    def _found(self, problems: tuple[str, ...], wrong: _Wrong) -> Adopted:
        current, before = self._current, self._last
        rules, name = (current.rules, current.name) if current else (None, None)
        if rules is not None and problems:
            rules = replace(rules, is_fallback=True)
        is_clean = before is not None and problems == before.problems == ()
        is_same = is_clean and name == self._last_name
        self._last_name = name
        named = (wrong.refused[line] for line in problems if line in wrong.refused)
        refused = tuple(dict.fromkeys(named))
        cards = current.cards if current else 0
        return Adopted(rules, problems, cards, is_news=not is_same, refused=refused)

    def _lasting(self, wrong: _Wrong) -> tuple[str, ...]:
        """Return the lines to report. One that the courier's work may explain must come twice."""
        moving = wrong.of(MovingError)
        passing, self._moving = moving - self._moving, moving
        if passing:
            self._retry_at = self._scans + 1
        elif wrong.of(UnreadableError):
            self._retry_at = self._scans + RETRY_SCANS
        *lines, last = [line for line in wrong.lines if line not in passing] or [""]
        return (*lines[: PROBLEMS_MAX - 1], *filter(None, [last]))  # the last names the result

    def _put_in_force(self, loaded: _Loaded | None) -> None:
        if self._current and loaded and loaded.is_same(self._current):
            return
        if self._current:
            self._retired.append((self._scans + RETIRED_SCANS, self._current))
        self._current = loaded

    def _forget(self, seen: set[SeenFile]) -> None:
        """Retire segments whose files were removed."""
        self._refused = {file: why for file, why in self._refused.items() if file in seen}
        if gone := [self._segments.pop(file) for file in set(self._segments) - seen]:
            self._retired.append((self._scans + RETIRED_SCANS, gone))

    def _newest_complete(self, seen: Seen, wrong: _Wrong) -> Generator[None, None, _Loaded | None]:
        lists = seen.lists()
        if not lists and not seen.problems:
            wrong.add(f"{self._path}: no list; it comes with the courier, or is installed by hand")
        for name in sorted(lists, reverse=True):
            errors: list[UnusableError] = []
            for file in sorted(lists[name], key=self._is_not_in_force):
                try:
                    return (yield from self._load(name, file, seen))
                except UnusableError as error:
                    errors.append(error)
            for why in errors:
                wrong.refuse(name, why)
        return None

    def _is_not_in_force(self, file: SeenFile) -> bool:
        """Sort key of a list's equal manifests: the one in force first, to map nothing again."""
        return self._current is None or self._current.path != file.path

    def _load(self, name: ListName, file: SeenFile, seen: Seen) -> Generator[None, None, _Loaded]:
        with opened(file) as fd:
            content = os.read(fd, INSTALLED_BYTES_MAX + 1)
        manifest = _decoded(file.name, content)
        if manifest.list_version != name.version:
            raise UnusableError(
                f"{file.name}: its content is version {manifest.list_version}; {AGAIN}"
            )
        used: set[SeenFile] = set()
        rules, cards = [], 0
        for entry in manifest.rules:
            table = yield from self._table(entry, seen, used)
            rules.append(_rule(entry, table))
            cards += sum(header.count for header in table.headers)
        rule_set = RuleSet(
            name.version,
            manifest.issued_unix_s,
            manifest.expires_unix_s,
            tuple(rules),
            sealing_key=bytes.fromhex(manifest.sealing_key) if manifest.sealing_key else None,
        )
        return _Loaded(name, content, file.path, rule_set, frozenset(used), cards)

    def _table(
        self, entry: RuleEntry[SegmentEntry], seen: Seen, used: set[SeenFile]
    ) -> Generator[None, None, MappedTable]:
        if entry.segments[-1].from_version or any(
            newer.from_version > older.to_version for newer, older in pairwise(entry.segments)
        ):
            gap = "its segments do not join from version 0 on"
            raise UnusableError(f"rule {entry.name}: {gap}; {AGAIN}")
        segments = []
        for part in entry.segments:
            file, segment = yield from self._segment(entry.name, part, seen)
            used.add(file)
            segments.append(segment)
        try:
            return MappedTable(self._keys[segments[0].header.key_id], segments)
        except SegmentError as error:
            raise UnusableError(f"rule {entry.name}: {error}; {_PUBLISHER}") from None

    def _segment(
        self, rule: str, entry: SegmentEntry, seen: Seen
    ) -> Generator[None, None, tuple[SeenFile, Segment]]:
        """Return a whole copy of the segment from either folder, preferably one mapped already."""
        errors: list[UnusableError] = []
        for file in sorted(
            seen.copies(entry.file_name), key=lambda file: file not in self._segments
        ):
            try:
                yield from self._verify(file, entry)
                return file, _described(self._segments[file], rule, entry)
            except UnusableError as error:
                errors.append(error)
        missing = MovingError(f"{entry.file_name}: missing; the courier fetches it")
        raise next(
            (error for error in errors if isinstance(error, MovingError)), (*errors, missing)[0]
        )

    def _verify(self, file: SeenFile, entry: SegmentEntry) -> Generator[None, None, None]:
        """Map the segment unless it is. A refused file stays refused until it changes."""
        if file in self._refused:
            raise UnusableError(self._refused[file])
        if file in self._segments:
            return
        try:
            self._segments[file] = yield from self._mapped(file, entry)
        except (UnreadableError, NoKeyError):
            raise
        except UnusableError as error:
            self._refused[file] = str(error)
            raise

    def _mapped(self, file: SeenFile, entry: SegmentEntry) -> Generator[None, None, Segment]:
        """Check size and header, read the body once to verify and warm it, then map it."""
        with opened(file) as fd:
            if file.size != entry.bytes:
                raise UnusableError(
                    f"{file.name}: {file.size} bytes, and {entry.bytes} by its manifest; {AGAIN}"
                )
            try:
                header = Header.parse(os.pread(fd, HEADER_BYTES, 0))
                self._require_key(file, header.key_id)
                if (yield from body_crc32(fd)) != header.body_crc32:
                    raise UnusableError(f"{file.name}: body checksum does not match; {AGAIN}")
                return Segment(mmap.mmap(fd, file.size, access=mmap.ACCESS_READ))
            except SegmentError as error:
                raise UnusableError(f"{file.name}: {error}; {AGAIN}") from None

    def _require_key(self, file: SeenFile, key_id: bytes) -> None:
        if key_id not in self._keys:
            self._read_keys_again()
        if key_id not in self._keys:
            self._missed.add(key_id)
            raise NoKeyError(
                f"{file.name}: made under fingerprint key {key_id.hex()}, which this gate does not"
                " hold; put that key into list.keys, or check that the list is this fleet's"
            )

    def _keys_changed(self) -> bool:
        """Return whether a missing key is held now, or the problem with the keys changed."""
        if self._keys and not self._missed:
            return False
        before = self._keys_problem
        self._read_keys_again()
        return self._keys_problem != before or not self._missed.isdisjoint(self._keys)

    def _read_keys_again(self) -> None:
        """Read the keys, at most once a scan. Held keys stay: the list in force may need one."""
        if self._read_keys is None or self._keys_read_at == self._scans:
            return
        self._keys_read_at = self._scans
        try:
            self._keys |= self._read_keys()
            self._keys_problem = ""
        except FingerprintKeyError as error:
            self._keys_problem = str(error)


def _described(segment: Segment, rule: str, entry: SegmentEntry) -> Segment:
    header = segment.header
    described = (rule, entry.from_version, entry.to_version)
    if (header.rule, header.from_version, header.to_version) != described:
        raise UnusableError(
            f"{entry.file_name}: not the segment that the manifest describes; {_PUBLISHER}"
        )
    return segment


def _decoded(name: str, content: bytes) -> InstalledManifest:
    try:
        return decode_installed(content, name)
    except ManifestError as error:
        raise UnusableError(f"{name}: {error}; {AGAIN}") from None


def _rule(entry: RuleEntry[SegmentEntry], table: MappedTable) -> Rule:
    return Rule(
        name=entry.name,
        effect=entry.effect,
        table=table,
        scope=entry.scope.scope(),
        in_force_from_unix_s=entry.in_force_from_unix_s,
        reports=entry.reports,
        notice=entry.notice,
    )
