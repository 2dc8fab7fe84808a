"""Signed metadata for tests, made with python-tuf's own metadata API: keys and a published folder.

    city = TufRepository(tmp_path / "published")    # root 1, threshold 2 of 3, list 1 published
    city.root                                       # the bytes that a gate is given at first
    city.publish(b"{...}")                          # each role one version higher
    city.replace_keys("timestamp")                  # a new root with another key for the role

Before `publish` a test may change `versions` (of the roles, before they rise), `expires_s`,
`signed_unix_s`, `now_unix_s`, `signers`, and through `edit` any field just before it is signed.
`metadata(name)` is the path of a file, to tamper with it or bring back an older one.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from securesystemslib.signer import (  # type: ignore[attr-defined]  # no __all__ there
    CryptoSigner,
    Signer,
)
from tuf.api.metadata import (  # type: ignore[attr-defined]  # likewise
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

NOW_UNIX_S = 1_900_000_000  # 2030, so that what is judged by the system's clock is judged wrongly
HOUR_S = 3_600
DAY_S = 24 * HOUR_S
ONLINE = ("timestamp", "snapshot", "targets")
MANIFEST = b'{"list_version": 1}'

Edit = Callable[[Signed], None]


def new_signer() -> Signer:
    """A new signing key."""
    return CryptoSigner.generate_ed25519()


def _unchanged(_signed: Signed) -> None:
    """Change nothing before signing."""


@dataclass
class TufRepository:
    """A city that signs and publishes. `signers` has the signing keys by role, three for root."""

    folder: Path
    now_unix_s: int = NOW_UNIX_S
    versions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("root", *ONLINE), 0))
    expires_s: dict[str, int] = field(
        default_factory=lambda: {
            "timestamp": 6 * HOUR_S,
            "snapshot": 14 * DAY_S,
            "targets": 14 * DAY_S,
            "root": 365 * DAY_S,
        }
    )
    signed_unix_s: object = "now"  # or the value of the field in timestamp.json; None: no field
    edit: Edit = _unchanged

    def __post_init__(self) -> None:
        for part in ("metadata", "targets", "indexes", "segments"):
            (self.folder / part).mkdir(parents=True)
        self.signers = {role: [new_signer()] for role in ONLINE}
        self.signers["root"] = [new_signer() for _ in range(3)]
        self.publish_root()
        self.root = self.metadata("1.root.json").read_bytes()
        self.publish(MANIFEST)

    def metadata(self, name: str) -> Path:
        """The path of a metadata file."""
        return self.folder / "metadata" / name

    def publish(self, manifest: bytes) -> None:
        """Sign this manifest as the newest, and every role above it again."""
        sha256 = hashlib.sha256(manifest).hexdigest()
        (self.folder / "targets" / f"{sha256}.manifest.json").write_bytes(manifest)
        target = TargetFile.from_data("manifest.json", manifest, ["sha256"])
        targets = Targets(expires=self._expires("targets"), targets={"manifest.json": target})
        described = self._write("targets", targets)
        self._write(
            "snapshot",
            Snapshot(expires=self._expires("snapshot"), meta={"targets.json": described}),
        )
        self.renew()

    def renew(self) -> None:
        """Sign the newest snapshot again, in a new timestamp."""
        content = self.metadata(f"{self.versions['snapshot']}.snapshot.json").read_bytes()
        meta = _described(self.versions["snapshot"], content)
        signed = self.now_unix_s if self.signed_unix_s == "now" else self.signed_unix_s
        extra = {} if signed is None else {"signed_unix_s": signed}
        timestamp = Timestamp(
            expires=self._expires("timestamp"), snapshot_meta=meta, unrecognized_fields=extra
        )
        self._write("timestamp", timestamp)

    def replace_keys(self, *roles: str) -> None:
        """Give each of these roles another key, and publish the root; signed files stay."""
        before = self.signers["root"]
        for role in roles:
            self.signers[role] = [new_signer() for _ in self.signers[role]]
        both = [*before, *self.signers["root"]] if "root" in roles else before
        self.publish_root(both)

    def publish_root(self, signers: Iterable[Signer] | None = None) -> None:
        """Sign and publish the next root, by these keys or else the first two of root's."""
        root = Root(expires=self._expires("root"), consistent_snapshot=True)
        for role, keys in self.signers.items():
            for signer in keys:
                root.add_key(signer.public_key, role)
        root.roles["root"].threshold = 2
        self._write("root", root, signers or self.signers["root"][:2])

    def _write(self, role: str, signed: Any, signers: Iterable[Signer] | None = None) -> MetaFile:
        self.versions[role] += 1
        signed.version = self.versions[role]
        self.edit(signed)
        metadata = Metadata(signed)
        for signer in signers or self.signers[role]:
            metadata.sign(signer, append=True)
        content = metadata.to_bytes(JSONSerializer(compact=True))
        name = "timestamp.json" if role == "timestamp" else f"{self.versions[role]}.{role}.json"
        self.metadata(name).write_bytes(content)
        return _described(signed.version, content)

    def _expires(self, role: str) -> datetime:
        return datetime.fromtimestamp(self.now_unix_s + self.expires_s[role], UTC)


def _described(version: int, content: bytes) -> MetaFile:
    return MetaFile(version, len(content), {"sha256": hashlib.sha256(content).hexdigest()})
