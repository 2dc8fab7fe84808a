"""Follow what a city has published, from timestamp.json through every name to its file."""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tuf.api.metadata import (  # type: ignore[attr-defined]  # no __all__ there
    Metadata,
    Snapshot,
    Targets,
    Timestamp,
)

from validator.lists.manifest import PublishedManifest, decode
from validator.lists.piece_index import PieceIndex
from validator.lists.piece_index import decode as decode_index


@dataclass(frozen=True)
class View:
    """What the public sees, followed from timestamp.json through every name to its file."""

    manifest: PublishedManifest
    manifest_bytes: bytes
    index: PieceIndex
    index_bytes: int
    timestamp_expires_unix_s: int


def view(published: Path) -> View | None:
    """What is public; None if nothing is.

    Raises:
        AssertionError: a file that is named is missing or is another one.
    """
    metadata = published / "metadata"
    try:
        content = (metadata / "timestamp.json").read_bytes()
    except FileNotFoundError:
        return None
    timestamp = Metadata[Timestamp].from_bytes(content).signed
    named = timestamp.snapshot_meta
    content = _there(metadata / f"{named.version}.snapshot.json")
    named.verify_length_and_hashes(content)
    named = Metadata[Snapshot].from_bytes(content).signed.meta["targets.json"]
    content = _there(metadata / f"{named.version}.targets.json")
    named.verify_length_and_hashes(content)
    [target] = Metadata[Targets].from_bytes(content).signed.targets.values()
    manifest_bytes = _named(published / "targets", target.hashes["sha256"], ".manifest.json")
    manifest = decode(manifest_bytes)
    assert manifest.index is not None
    index_bytes = _named(published / "indexes", manifest.index.sha256, ".json")
    index = decode_index(index_bytes)
    for entries in index.rules.values():
        for entry in entries:
            assert len(_named(published / "segments", entry.sha256, ".wire")) == entry.bytes
    assert all(set(rule.segments) <= set(index.rules[rule.name]) for rule in manifest.rules)
    expires_unix_s = int(timestamp.expires.timestamp())
    return View(manifest, manifest_bytes, index, len(index_bytes), expires_unix_s)


def is_whole(published: Path) -> bool:
    """True if something is published and all that it names is there."""
    try:
        return view(published) is not None
    except AssertionError:
        return False


def named_files(published: Path) -> list[Path]:
    """Every file that is named from timestamp.json on, but for roots and timestamp.json itself."""
    metadata = published / "metadata"
    found: list[Path] = []
    with suppress(FileNotFoundError):
        timestamp = (
            Metadata[Timestamp].from_bytes((metadata / "timestamp.json").read_bytes()).signed
        )
        found.append(metadata / f"{timestamp.snapshot_meta.version}.snapshot.json")
        snapshot = Metadata[Snapshot].from_bytes(found[-1].read_bytes()).signed
        found.append(metadata / f"{snapshot.meta['targets.json'].version}.targets.json")
        [target] = Metadata[Targets].from_bytes(found[-1].read_bytes()).signed.targets.values()
        found.append(published / "targets" / f"{target.hashes['sha256']}.manifest.json")
        index = decode(found[-1].read_bytes()).index
        assert index is not None
        found.append(published / "indexes" / f"{index.sha256}.json")
        rules = decode_index(found[-1].read_bytes()).rules
        found += [
            published / "segments" / f"{entry.sha256}.wire"
            for entries in rules.values()
            for entry in entries
        ]
    return found


def _there(path: Path) -> bytes:
    assert path.is_file(), f"{path.name} is named and not there"
    return path.read_bytes()


def _named(folder: Path, sha256: str, suffix: str) -> bytes:
    content = _there(folder / f"{sha256}{suffix}")
    assert hashlib.sha256(content).hexdigest() == sha256
    return content
