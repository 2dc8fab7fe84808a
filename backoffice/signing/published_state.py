"""The public signed metadata, read back from the published folder, and its old files.

The published folder is open to a web server, so nothing in it is believed without a signature by a
key of an accepted root.
"""

import re
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Annotated, NamedTuple, TypeVar

import msgspec
from tuf.api.metadata import (  # type: ignore[attr-defined]  # not re-exported
    LengthOrHashMismatchError,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    Targets,
    Timestamp,
)
from tuf.api.serialization import DeserializationError

from backoffice.home.folder import DAY_S, Home
from backoffice.signing.roots import accepted_versions, read_root, required_root
from validator.errors import OperatorError
from validator.host.durable import TEMPORARY

MANIFEST = "manifest.json"  # the one target
SIGNED_AT = "signed_unix_s"  # in timestamp: when it was signed, the gates' time floor
KEPT_S = DAY_S  # a gate, or a cache on the way, may still ask for what an older timestamp names

_Version = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
_METADATA_BYTES_MAX = 1 << 16
_NUMBERED = re.compile(r"[1-9][0-9]{0,15}\.(?:targets|snapshot)\.json")
_MANIFEST_NAME = re.compile(r"[0-9a-f]{64}\.manifest\.json")

_RoleT = TypeVar("_RoleT", Targets, Snapshot, Timestamp)


class Standing(NamedTuple):
    """What is public, as far as it is whole and ours.

    None stands for metadata that is not, and for what it names.
    """

    timestamp: Metadata[Timestamp] | None = None
    snapshot: Metadata[Snapshot] | None = None
    targets: Metadata[Targets] | None = None


class Used(msgspec.Struct, frozen=True):
    """The highest version of each role that was ever used: versions.json in the home."""

    timestamp: _Version = 0
    snapshot: _Version = 0
    targets: _Version = 0


def standing(home: Home) -> Standing:
    """What is public now, under any accepted root. Raises RootError."""
    timestamp = _read(home.metadata / "timestamp.json", Timestamp)
    if timestamp is None or not _is_ours(home, timestamp):
        return Standing()
    named = timestamp.signed.snapshot_meta
    snapshot = _read(home.metadata / f"{named.version}.snapshot.json", Snapshot, named)
    if snapshot is None:
        return Standing(timestamp)
    named = snapshot.signed.meta["targets.json"]
    return Standing(
        timestamp,
        snapshot,
        _read(home.metadata / f"{named.version}.targets.json", Targets, named),
    )


def is_signed(root: Root, role: Metadata[_RoleT]) -> bool:
    """Whether metadata is signed as the root requires of its role."""
    return bool(root.get_verification_result(role.signed.type, role.signed_bytes, role.signatures))


def used_versions(home: Home, seen: Standing) -> Used:
    """The versions that must not be used again: the home's record, or what is public if higher.

    Raises OperatorError.
    """
    path = home.folder / "versions.json"
    remembered = Used()
    try:
        remembered = msgspec.json.decode(path.read_bytes(), type=Used)
    except FileNotFoundError:
        if seen.timestamp is None and any(
            _NUMBERED.fullmatch(name.name) for name in home.metadata.iterdir()
        ):
            raise OperatorError(
                f"{path} is gone, and so is timestamp.json in {home.metadata}: versions would"
                " fall, and no gate would follow; put one of them back from a backup or from the"
                " web server"
            ) from None
    except (OSError, msgspec.MsgspecError) as error:
        raise OperatorError(
            f"{path}: cannot be read; put it back from a backup, or remove it if timestamp.json is"
            " whole"
        ) from error
    if seen.timestamp is None:
        return remembered
    snapshot = seen.timestamp.signed.snapshot_meta.version
    targets = seen.snapshot.signed.meta["targets.json"].version if seen.snapshot else 0
    return Used(
        max(remembered.timestamp, seen.timestamp.signed.version),
        max(remembered.snapshot, snapshot),
        max(remembered.targets, targets),
    )


def published_manifest(home: Home, seen: Standing | None = None) -> bytes | None:
    """The public manifest; None before the first publication, or if the folder is damaged.

    Raises RootError.
    """
    targets = (seen or standing(home)).targets
    if targets is None:
        return None
    digest = targets.signed.targets[MANIFEST].hashes["sha256"]
    content = _content(home.targets / f"{digest}.{MANIFEST}")
    return content if content is not None and sha256(content).hexdigest() == digest else None


def prune(home: Home, now_unix_s: int) -> list[str]:
    """Remove metadata and manifests that were not named for a day. Returns their names.

    Also what a crash left half written: the caller holds the home, so no program is writing it.
    Roots stay for ever. Raises RootError, OSError.
    """
    seen = standing(home)
    if seen.snapshot is None or seen.targets is None:
        return []  # what is public is unknown, so nothing is removed
    kept = {
        f"{seen.snapshot.signed.version}.snapshot.json",
        f"{seen.targets.signed.version}.targets.json",
        f"{seen.targets.signed.targets[MANIFEST].hashes['sha256']}.{MANIFEST}",
    }
    places = ((home.metadata, _NUMBERED), (home.targets, _MANIFEST_NAME))
    old = [
        path
        for folder, ours in places
        for path in folder.iterdir()
        if path.name not in kept and (ours.fullmatch(path.name) or path.name.startswith(TEMPORARY))
    ]
    return [path.name for path in sorted(old) if _removed(path, now_unix_s - KEPT_S)]


def _removed(path: Path, older_than_unix_s: int) -> bool:
    if not path.name.startswith(TEMPORARY) and path.stat().st_mtime >= older_than_unix_s:
        return False
    path.unlink()
    return True


def _is_ours(home: Home, timestamp: Metadata[Timestamp]) -> bool:
    """Whether a key of any accepted root signed it: the newest may have been accepted just now."""
    required_root(home)
    roots = (
        read_root(home.roots / f"{version}.root.json")
        for version in reversed(accepted_versions(home))
    )
    return any(is_signed(root.signed, timestamp) for root in roots)


def _read(path: Path, role: type[_RoleT], named: MetaFile | None = None) -> Metadata[_RoleT] | None:
    """The metadata in a file, if it is of that role and matches `named`, where that is given."""
    content = _content(path)
    with suppress(DeserializationError, LengthOrHashMismatchError):
        if content is not None:
            if named is not None:
                named.verify_length_and_hashes(content)
            metadata = Metadata[_RoleT].from_bytes(content)
            if metadata.signed.type == role.type and _is_whole(metadata.signed):
                return metadata
    return None


def _is_whole(signed: Signed) -> bool:
    """Whether metadata names what this back office lets it name."""
    match signed:
        case Snapshot():
            return "targets.json" in signed.meta
        case Targets():
            return MANIFEST in signed.targets and "sha256" in signed.targets[MANIFEST].hashes
        case _:
            return True


def _content(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            content = file.read(_METADATA_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    return content if len(content) <= _METADATA_BYTES_MAX else None
