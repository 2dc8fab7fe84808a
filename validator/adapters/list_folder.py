"""The list folder, as the lane reads it: the newest complete list, mapped and warm. Nothing here writes; that is list_installer.py.

    folder = ListFolder(Path("/var/lib/turnike/lists"), keyring(keys))
    adopted = folder.look()  # at start, then every second: None when nothing has changed, which costs one scandir

The folder holds `<version>.manifest.json` and `<sha256>.seg`. A list is complete when each segment that its manifest names is there,
whole, and made under a key that this gate holds. The newest complete one is used; what is wrong with a newer one is told in one line.
A list in memory is never given up for an older one or for none: its mapped files stay valid even when they are deleted.
"""

import mmap
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from validator.domain.rules import Rule, RuleSet
from validator.formats.fingerprint_keys import (
    KEY_FILE_BYTES_MAX,
    FingerprintKeyError,
    keyring,
    parse_key_file,
)
from validator.formats.manifest import (
    MANIFEST_BYTES_MAX,
    ManifestError,
    RuleEntry,
    SegmentEntry,
    decode,
)
from validator.formats.segment import HEADER_BYTES, Header, MappedTable, Segment, SegmentError

ENTRIES_MAX = 1_000  # three lists of three rules are 30 files; a folder of more is not ours
PROBLEMS_MAX = 8  # lines a look tells; the newest lists come first
RETRY_LOOKS = 30  # a disk that could not be read may be readable again
RETIRED_LOOKS = 10  # so long an old list stays mapped: unmapping is the clerk's work, not that of a tap which still pins it
_STEP_BYTES = 1 << 20  # each step gives the interpreter away twice; docs/list-format.md, "Warm"

_MANIFEST_NAME = re.compile(r"([1-9][0-9]{0,15})\.manifest\.json")
_KEY_NAME = re.compile(r"[^.].*\.key", re.DOTALL)  # an editor's lock begins with a dot
_SEGMENT_NAME = re.compile(r"[0-9a-f]{64}\.seg")
_AGAIN = "delete the file, and the courier fetches it again"
_PUBLISHER = "tell the publisher of the list"


@dataclass(frozen=True, slots=True)
class Adopted:
    """What a look found: the rules in force from now on, or None if there is no usable list, and one clear line for each thing wrong."""

    rules: RuleSet | None
    problems: tuple[str, ...] = ()


class _File(NamedTuple):
    """A file as a scan sees it; as long as this is the same, so is what stands in it."""

    name: str
    mode: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, name: str, status: os.stat_result) -> "_File":
        return cls(
            name, status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )


_Files = dict[str, _File]


class _UnusableError(Exception):
    """Why a list cannot be used: one clear line."""


class _UnreadableError(_UnusableError):
    """The same, when the disk did not answer: worth another try."""


class _Loaded(NamedTuple):
    content: bytes
    rules: RuleSet
    segments: frozenset[_File]  # as they were when they were verified

    def damaged(self, scanned: _Files) -> str | None:
        """The name of a mapped file that was written to in place, or None. One deleted or renamed over stays good in memory."""
        for file in self.segments:
            now = scanned.get(file.name)
            if now is not None and now.inode == file.inode and now[3:5] != file[3:5]:
                return file.name
        return None


class ListFolder:
    """One folder and the keys held, by id. For one thread; what `look` returns may be used by any."""

    def __init__(self, path: Path, keys: Mapping[bytes, bytes]) -> None:
        """Nothing is read before the first `look`."""
        self._path = path
        self._keys = dict(keys)
        self._scanned: _Files | str | None = None
        self._current: _Loaded | None = None
        self._told: Adopted | None = None
        self._segments: dict[_File, Segment] = {}  # mapped and verified
        self._refused: dict[_File, str] = {}  # verified, and why it did not pass
        self._retired: list[tuple[int, object]] = []  # until which look, what
        self._looks = self._retry_at = 0

    def look(self) -> Adopted | None:
        """The list to use and what is wrong, or None when neither has changed since the last look. Never raises for what it finds."""
        self._looks += 1
        self._retired = [kept for kept in self._retired if kept[0] > self._looks]
        scanned = self._scan()
        if scanned == self._scanned and self._looks != self._retry_at:
            return None
        self._scanned = scanned
        adopted = self._adopt(scanned)
        if adopted == self._told:
            return None
        self._told = adopted
        return adopted

    def _scan(self) -> _Files | str:
        """The files that matter, or in one line why they cannot be seen."""
        try:
            with os.scandir(self._path) as entries:
                files: _Files = {}
                for entry in entries:
                    if len(files) >= ENTRIES_MAX:
                        return f"{self._path}: more than {ENTRIES_MAX} lists and segments; is this a list folder? Check list.folder"
                    if _MANIFEST_NAME.fullmatch(entry.name) or _SEGMENT_NAME.fullmatch(entry.name):
                        with suppress(FileNotFoundError):  # gone since it was listed
                            files[entry.name] = _File.of(entry.name, entry.stat(follow_symlinks=False))
                return files
        except OSError as error:
            return f"{self._path}: {_reason(error)}; the folder must be there, and this service may read it"

    def _adopt(self, scanned: _Files | str) -> Adopted:
        problems: list[str] = []
        loaded = None
        if isinstance(scanned, str):
            problems.append(scanned)
            self._retry_at = self._looks + RETRY_LOOKS
        else:
            if self._current is not None and (name := self._current.damaged(scanned)) is not None:
                problems.append(
                    f"{name}: written to in place while in use; list version {self._current.rules.version} is given up"
                )
                self._put_in_force(None)
            loaded = self._newest_complete(scanned, problems)
            self._forget(set(scanned.values()))
        del problems[PROBLEMS_MAX:]
        current = self._current
        if current is None or (loaded is not None and loaded.rules.version >= current.rules.version):
            self._put_in_force(loaded)
        else:
            problems.append(
                f"list version {current.rules.version} stays in force, from memory, until a restart"
            )
        rules = self._current.rules if self._current else None
        if rules is not None and problems:
            rules = replace(rules, is_fallback=True)
        return Adopted(rules, tuple(problems))

    def _put_in_force(self, loaded: _Loaded | None) -> None:
        if (
            self._current and loaded and loaded[::2] == self._current[::2]
        ):  # the same manifest and the same files
            return
        if self._current:
            self._retired.append((self._looks + RETIRED_LOOKS, self._current))
        self._current = loaded

    def _forget(self, seen: set[_File]) -> None:
        """Let go of what stands in the folder no more."""
        self._refused = {file: why for file, why in self._refused.items() if file in seen}
        if gone := [self._segments.pop(file) for file in set(self._segments) - seen]:
            self._retired.append((self._looks + RETIRED_LOOKS, gone))

    def _newest_complete(self, files: _Files, problems: list[str]) -> _Loaded | None:
        versions = [int(match[1]) for match in map(_MANIFEST_NAME.fullmatch, files) if match]
        if not versions:
            problems.append(f"{self._path}: no list; it comes with the courier, or is installed by hand")
        for version in sorted(versions, reverse=True):
            try:
                return self._load(version, files)
            except _UnusableError as error:
                problems.append(f"list version {version} is not used: {error}")
                if isinstance(error, _UnreadableError):
                    self._retry_at = self._looks + RETRY_LOOKS
        return None

    def _load(self, version: int, files: _Files) -> _Loaded:
        name = f"{version}.manifest.json"
        with _opened(self._path, files[name]) as fd:
            content = os.read(fd, MANIFEST_BYTES_MAX + 1)
        try:
            manifest = decode(content)
        except ManifestError as error:
            raise _UnusableError(f"{name}: {error}; {_AGAIN}") from None
        if manifest.list_version != version:
            raise _UnusableError(f"{name}: it says version {manifest.list_version}; {_AGAIN}")
        rules = tuple(self._rule(entry, files) for entry in manifest.rules)
        segments = frozenset(files[entry.file_name] for entry in manifest.segments())
        return _Loaded(
            content, RuleSet(version, manifest.issued_unix_s, manifest.expires_unix_s, rules), segments
        )

    def _rule(self, entry: RuleEntry, files: _Files) -> Rule:
        return Rule(
            name=entry.name,
            effect=entry.effect,
            table=self._table(entry, files),
            scope=entry.scope.scope(),
            in_force_from_unix_s=entry.in_force_from_unix_s,
            reports=entry.reports,
            notice=entry.notice,
        )

    def _table(self, entry: RuleEntry, files: _Files) -> MappedTable:
        if entry.segments[-1].from_version or any(
            newer.from_version > older.to_version for newer, older in pairwise(entry.segments)
        ):
            raise _UnusableError(f"rule {entry.name}: its segments do not join from version 0 on; {_AGAIN}")
        segments = [self._segment(entry.name, segment, files) for segment in entry.segments]
        try:
            return MappedTable(self._keys[segments[0].header.key_id], segments)
        except SegmentError as error:
            raise _UnusableError(f"rule {entry.name}: {error}; {_PUBLISHER}") from None

    def _segment(self, rule: str, entry: SegmentEntry, files: _Files) -> Segment:
        file = files.get(entry.file_name)
        if file is None:
            raise _UnusableError(f"{entry.file_name}: missing; the courier fetches it")
        if file in self._refused:
            raise _UnusableError(self._refused[file])
        if file not in self._segments:
            try:
                self._segments[file] = self._mapped(file, entry)
            except _UnreadableError:
                raise
            except _UnusableError as error:
                self._refused[file] = str(error)
                raise
        header = self._segments[file].header
        if (header.rule, header.from_version, header.to_version) != (
            rule,
            entry.from_version,
            entry.to_version,
        ):
            raise _UnusableError(f"{file.name}: not the segment that the manifest describes; {_PUBLISHER}")
        return self._segments[file]

    def _mapped(self, file: _File, entry: SegmentEntry) -> Segment:
        """Cheap checks first, then one pass that verifies the body and warms the page cache, then the map."""
        with _opened(self._path, file) as fd:
            if file.size != entry.bytes:
                raise _UnusableError(
                    f"{file.name}: {file.size} bytes, its manifest says {entry.bytes}; {_AGAIN}"
                )
            try:
                header = Header.parse(os.pread(fd, HEADER_BYTES, 0))
                if header.key_id not in self._keys:
                    raise _UnusableError(
                        f"{file.name}: made under fingerprint key {header.key_id.hex()}, which this gate does not hold; "
                        "put that key into list.keys and restart, or check that the list is this fleet's"
                    )
                if _body_crc32(fd) != header.body_crc32:
                    raise _UnusableError(f"{file.name}: body checksum does not match; {_AGAIN}")
                return Segment(mmap.mmap(fd, file.size, access=mmap.ACCESS_READ))
            except SegmentError as error:
                raise _UnusableError(f"{file.name}: {error}; {_AGAIN}") from None


@contextmanager
def _opened(folder: Path, file: _File) -> Iterator[int]:
    """A regular file, opened for reading: exactly the one that the scan saw. Whatever the system says is translated here."""
    try:
        if not stat.S_ISREG(file.mode):
            raise _UnusableError(f"{file.name}: not a regular file; {_AGAIN}")
        fd = os.open(folder / file.name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if _File.of(file.name, os.fstat(fd)) != file:
                raise _UnreadableError(
                    f"{file.name}: it changes while it is read; only the courier may write here"
                )
            yield fd
        finally:
            os.close(fd)
    except (OSError, ValueError) as error:  # ValueError: mmap of a file that became shorter
        raise _UnreadableError(
            f"{file.name}: {_reason(error)}; check the disk and the file's owner"
        ) from error


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _body_crc32(fd: int) -> int:
    checksum = 0
    step = bytearray(_STEP_BYTES)
    view = memoryview(step)
    os.lseek(fd, HEADER_BYTES, os.SEEK_SET)
    with open(fd, "rb", buffering=0, closefd=False) as file:
        while size := file.readinto(step):
            checksum = crc32(view[:size], checksum)
    return checksum


def held_keys(folder: Path) -> dict[bytes, bytes]:
    """The fingerprint keys in a folder's `*.key` files, by id. Raises FingerprintKeyError naming the file, never the key."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if _KEY_NAME.fullmatch(entry.name))
        keys = [_key(folder / name) for name in names]
    except OSError as error:
        raise FingerprintKeyError(
            f"{error.filename or folder}: {_reason(error)}; list.keys must be readable"
        ) from error
    if not keys:
        raise FingerprintKeyError(f"{folder}: no *.key file; put the fleet's fingerprint key there")
    return keyring(keys)


def _key(path: Path) -> bytes:
    fd = os.open(
        path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    )  # a pipe here must not hang the start
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise FingerprintKeyError(f"{path}: not a regular file; put the fleet's fingerprint key there")
        content = os.read(fd, KEY_FILE_BYTES_MAX + 1)
    finally:
        os.close(fd)
    try:
        return parse_key_file(content)
    except FingerprintKeyError as error:
        raise FingerprintKeyError(f"{path}: {error}") from None
