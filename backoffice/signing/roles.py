"""Signs what is published: targets names the manifest, snapshot names targets, timestamp snapshot.

    with home.hold():
        # First put all that the manifest names into the published folder.
        finished(publication_steps(home, encode(manifest), now_unix_s))
        sign_timestamp(home, now_unix_s)  # when nothing changed: signs what is due

roots.py makes roots. `timestamp.json` decides what is public, and it is put last, by rename: after
a kill before that, gates see what they saw. Every other file is named by its version or its hash
and never changes. A used version is recorded in the home and not used again, so versions rise even
if the published folder is lost. Only keys that the newest root names sign.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from hashlib import sha256
from typing import NamedTuple, TypeVar

import msgspec
from tuf.api.metadata import (  # type: ignore[attr-defined]  # not re-exported
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from backoffice.home.folder import Home, put_steps
from backoffice.home.steps import finished
from backoffice.signing.clock import time_to_sign
from backoffice.signing.keys import ONLINE_ROLES, online_signer, settle_steps
from backoffice.signing.published_state import (
    MANIFEST,
    SIGNED_AT,
    Standing,
    Used,
    is_signed,
    published_manifest,
    standing,
    used_versions,
)
from backoffice.signing.roots import publish_steps, required_root
from validator.domain.floor import RoleVersions
from validator.errors import OperatorError
from validator.lists.manifest import ManifestError, decode

VERSION_END = 1 << 53  # exact in every JSON reader; a gate refuses what is not below
HALF = Fraction(1, 2)
TWO_THIRDS = Fraction(2, 3)

_RoleT = TypeVar("_RoleT", Targets, Snapshot, Timestamp)


class RoleError(OperatorError):
    """Nothing was signed, and what is public has not changed. The message is one line."""


class Publication(NamedTuple):
    """What is public now, and the size in bytes of each file that was written."""

    versions: RoleVersions
    files: Mapping[str, int]


def publication_steps(
    home: Home, manifest: bytes, now_unix_s: int
) -> Generator[str, None, Publication]:
    """Publish this manifest, and sign again whatever is due, step by step.

    Done again after a kill, it finishes. The caller holds the home. Raises OperatorError, OSError.
    """
    return _steps(home, manifest, now_unix_s)


def sign_timestamp(home: Home, now_unix_s: int) -> Publication:
    """Sign again whatever is due, by its age or because the root names another key.

    Timestamp is due after a third of its validity, snapshot and targets after half. Before the
    first publication nothing is due, and the versions are 0. The caller holds the home.

    Raises:
        RoleError: The published metadata is damaged; the next publication repairs it.
        OperatorError, OSError: Nothing was signed.
    """
    return finished(timestamp_steps(home, now_unix_s))


def timestamp_steps(home: Home, now_unix_s: int) -> Generator[str, None, Publication]:
    """`sign_timestamp` in steps."""
    return _steps(home, None, now_unix_s)


def _steps(
    home: Home, manifest: bytes | None, now_unix_s: int
) -> Generator[str, None, Publication]:
    root = required_root(home).signed
    if root.expires <= _moment(now_unix_s):
        raise RoleError(
            f"root {root.version} expired on {root.expires:%Y-%m-%d}: renew it with rotate root;"
            " if that day has not come yet, this clock is wrong"
        )
    yield from publish_steps(home)
    yield from settle_steps(home, {role: root.roles[role].keyids for role in ONLINE_ROLES})
    # Check the clock after the keys are settled: a rotated key is then in its place even if this
    # clock may not sign yet. Else another rotation would make another key.
    signing_unix_s = time_to_sign(home, now_unix_s)
    seen = standing(home)
    if manifest is None and seen.timestamp is None:
        return Publication(RoleVersions(root.version, 0, 0, 0), {})
    signing = _Signing(home, root, seen, used_versions(home, seen), signing_unix_s)
    versions = signing.renew(manifest)
    if manifest is not None:
        yield from _manifest_steps(home, seen, manifest, signing.now_unix_s)
    if signing.files:  # record the versions as used before they are public
        yield from put_steps(home.folder / "versions.json", msgspec.json.encode(signing.used))
    for name, content in signing.files.items():
        yield from put_steps(home.metadata / name, content)
    return Publication(versions, {name: len(content) for name, content in signing.files.items()})


def _manifest_steps(
    home: Home, seen: Standing, manifest: bytes, now_unix_s: int
) -> Generator[str, None, None]:
    """Put the manifest where targets will name it, unless it is there.

    Raises RoleError for a manifest that gates would refuse.
    """
    before = published_manifest(home, seen)
    if before == manifest:
        return
    try:
        coming, newest = decode(manifest), decode(before).list_version if before else 0
    except ManifestError as error:
        raise RoleError(str(error)) from error
    if coming.list_version <= newest:
        raise RoleError(
            f"list {coming.list_version} would follow list {newest}, which is public already;"
            " list versions always rise"
        )
    if coming.issued_unix_s > now_unix_s:
        raise RoleError(
            f"list {coming.list_version} is issued later than it is signed, which every gate"
            " refuses"
        )
    yield from put_steps(home.targets / f"{sha256(manifest).hexdigest()}.{MANIFEST}", manifest)


@dataclass(slots=True)
class _Signing:
    """One round of signing: what is public, the used versions, and the new files in order.

    Each role returns how the next is to name it: as before if nothing is due, else as the new file.
    """

    home: Home
    root: Root
    seen: Standing
    used: Used
    now_unix_s: int
    files: dict[str, bytes] = field(default_factory=dict)

    def renew(self, manifest: bytes | None) -> RoleVersions:
        """Make what is due. Returns the versions that are public once the files are in place.

        Raises RoleError, KeyFileError.
        """
        targets = self._targets(manifest)
        snapshot = self._snapshot(targets)
        return RoleVersions(
            self.root.version, self._timestamp(snapshot), snapshot.version, targets.version
        )

    def _targets(self, manifest: bytes | None) -> MetaFile:
        seen, snapshot = self.seen.targets, self.seen.snapshot
        if manifest is not None:
            wanted = {MANIFEST: TargetFile.from_data(MANIFEST, manifest)}
        elif seen is not None:
            wanted = seen.signed.targets
        else:
            raise RoleError(
                f"{self.home.metadata}: what timestamp.json names is gone or damaged; publish again"
            )
        if seen and snapshot and seen.signed.targets == wanted and not self._is_due(seen, HALF):
            return snapshot.signed.meta["targets.json"]
        return self._make(Targets(*self._common(Targets.type), targets=wanted))

    def _snapshot(self, targets: MetaFile) -> MetaFile:
        seen, timestamp = self.seen.snapshot, self.seen.timestamp
        meta = {"targets.json": targets}
        if seen and timestamp and seen.signed.meta == meta and not self._is_due(seen, HALF):
            return timestamp.signed.snapshot_meta
        return self._make(Snapshot(*self._common(Snapshot.type), meta=meta))

    def _timestamp(self, snapshot: MetaFile) -> int:
        seen = self.seen.timestamp
        if seen and seen.signed.snapshot_meta == snapshot and not self._is_due(seen, TWO_THIRDS):
            return seen.signed.version
        fields = {SIGNED_AT: self.now_unix_s}
        common = self._common(Timestamp.type)
        return self._make(
            Timestamp(*common, snapshot_meta=snapshot, unrecognized_fields=fields)
        ).version

    def _is_due(self, role: Metadata[_RoleT], share: Fraction) -> bool:
        """Whether metadata is to be signed again.

        It is if at most `share` of its validity is left, or more than all of it, as another clock
        signs; or if the root names another key.
        """
        validity_s = self._validity_s(role.signed.type)
        left_s = int(role.signed.expires.timestamp()) - self.now_unix_s
        return not is_signed(self.root, role) or not validity_s * share < left_s <= validity_s

    def _common(self, role: str) -> tuple[int, None, datetime]:
        """The next version of a role, which is used up with this, and when it expires."""
        version = getattr(self.used, role) + 1
        if version >= VERSION_END:
            raise RoleError(
                f"{role} has reached the highest version; docs/runbook.md says what to do about a"
                " stolen key"
            )
        self.used = msgspec.structs.replace(self.used, **{role: version})
        return version, None, _moment(self.now_unix_s + self._validity_s(role))

    def _make(self, signed: _RoleT) -> MetaFile:
        role = signed.type
        signer = online_signer(self.home, role, self.root.roles[role].keyids, self.root.version)
        metadata = Metadata(signed)
        metadata.sign(signer)
        content = metadata.to_bytes()
        name = f"{role}.json" if role == Timestamp.type else f"{signed.version}.{role}.json"
        self.files[name] = content
        return MetaFile.from_data(signed.version, content, ["sha256"])

    def _validity_s(self, role: str) -> int:
        validity_s: int = getattr(self.home.expiries, f"{role}_s")
        return validity_s


def _moment(unix_s: int) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)
