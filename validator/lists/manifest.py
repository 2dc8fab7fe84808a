"""The manifest: what one list version is made of, at most 2 KiB of JSON.

    manifest = decode(path.read_bytes())
    for rule in manifest.rules:
        names = [segment.file_name for segment in rule.segments]  # newest first

Signatures are verified before (courier/signed_metadata.py). Unknown fields beside `rules` are
ignored, so that a later back office can add what older gates may ignore. Unknown fields inside a
rule are refused, since one that this gate does not understand could turn a verdict; the gate then
keeps its list and reports why. `format` rises only for a list that an old gate must not read at
all.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta, Struct

from validator.domain.cards import UID_LENGTHS
from validator.domain.rules import Effect, Scope
from validator.errors import InvalidBytes, one_line
from validator.formats.checked import CHECKSUM_BYTES, ChecksumError, checked, stamped
from validator.lists.segment import HEADER_BYTES

MANIFEST_BYTES_MAX = 2048  # one small request, and a bound on what hostile bytes can cost
INSTALLED_BYTES_MAX = MANIFEST_BYTES_MAX + CHECKSUM_BYTES
EXPIRES_AFTER_S_MIN = 96 * 3600  # a gate must be able to serve this long without a network
RULES_MAX = 8
SEGMENTS_MAX = 3  # a rule's recent ones; the index has older ones
# Twice the table of every card issued; a Pi's SD card must hold three lists.
SEGMENT_BYTES_MAX = 1 << 29
INDEX_BYTES_MAX = 1 << 18  # 2,000 pieces: the schedule offers some 300
FORMAT = 1

Version = Annotated[int, Meta(ge=1, lt=1 << 53)]  # exact in every JSON reader
UnixSeconds = Annotated[int, Meta(ge=0, lt=1 << 40)]
# \Z, since $ would let a line end through.
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
X25519Hex = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
KeyIdHex = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
RuleName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}\Z")]


class ManifestError(InvalidBytes):
    """A manifest that cannot be used; the text is one line."""


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)  # msgspec makes a ValidationError of it, with the place


class _Span(
    Struct,
    frozen=True,
    forbid_unknown_fields=True,
    rename={"from_version": "from", "to_version": "to"},
):
    """A file of a rule's table: its versions (from, to], its size in bytes and its sha256."""

    from_version: Annotated[int, Meta(ge=0, lt=1 << 53)]
    to_version: Version
    bytes: Annotated[int, Meta(ge=HEADER_BYTES, le=SEGMENT_BYTES_MAX)]
    sha256: Sha256

    def __post_init__(self) -> None:
        _require(self.from_version < self.to_version, "a segment's `from` is not below its `to`")


class PieceEntry(_Span, frozen=True):
    """A piece in a published manifest or index: a file in wire form (wire.py)."""

    @property
    def file_name(self) -> str:
        """Its published name.

        The hash alone makes it, so no manifest can name a path outside the folder.
        """
        return f"{self.sha256}.wire"


class SegmentEntry(_Span, frozen=True):
    """A segment in an installed manifest: a file (segment.py) in a list folder."""

    @property
    def file_name(self) -> str:
        """Its name in a list folder, from the hash alone likewise."""
        return f"{self.sha256}.seg"


EntryT = TypeVar("EntryT", PieceEntry, SegmentEntry)
OtherT = TypeVar("OtherT", PieceEntry, SegmentEntry)


class ScopeEntry(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The cards that a rule applies to: UID lengths in bytes, SAK values; empty means all."""

    uid_lengths: tuple[Annotated[int, Meta(ge=0, le=255)], ...] = ()
    saks: tuple[Annotated[int, Meta(ge=0, le=255)], ...] = ()

    def __post_init__(self) -> None:
        _require(
            set(self.uid_lengths) <= set(UID_LENGTHS), "a UID length in a scope is not 4, 7 or 10"
        )

    def scope(self) -> Scope:
        """The scope as domain.rules has it."""
        return Scope(frozenset(self.uid_lengths), frozenset(self.saks))


class RuleEntry(
    Struct, Generic[EntryT], frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One rule: the fields of domain.rules.Rule, and the files of its table, newest first."""

    name: RuleName
    effect: Effect
    segments: Annotated[tuple[EntryT, ...], Meta(min_length=1, max_length=SEGMENTS_MAX)]
    scope: ScopeEntry = ScopeEntry()
    in_force_from_unix_s: UnixSeconds = 0
    reports: bool = False
    notice: bool = False

    def __post_init__(self) -> None:
        falls = all(newer.to_version > older.to_version for newer, older in pairwise(self.segments))
        _require(falls, f"the segments of rule {self.name} are not newest first")
        plain = not self.notice and self.scope == ScopeEntry()
        _require(
            plain or self.effect is Effect.REQUIRE,
            f"rule {self.name} has a scope or a notice and is no require rule",
        )

    def with_files(self, files: tuple[OtherT, ...]) -> "RuleEntry[OtherT]":
        """The same rule with a table of these files, newest first."""
        return RuleEntry(
            self.name,
            self.effect,
            files,
            self.scope,
            self.in_force_from_unix_s,
            self.reports,
            self.notice,
        )


class IndexEntry(Struct, frozen=True):
    """The size in bytes and the sha256 of the index (piece_index.py)."""

    bytes: Annotated[int, Meta(ge=2, le=INDEX_BYTES_MAX)]
    sha256: Sha256


class Manifest(Struct, Generic[EntryT], frozen=True, omit_defaults=True):
    """One list version: its number, which always rises, its times in Unix seconds, its rules.

    A published one is a `Manifest[PieceEntry]`: it also names its index, and the id (hex) of the
    fingerprint key under which all of its pieces were made. An installed one is a
    `Manifest[SegmentEntry]`. `sealing_key` is the key to which reports are sealed.
    """

    list_version: Version
    issued_unix_s: UnixSeconds
    expires_unix_s: UnixSeconds
    rules: Annotated[tuple[RuleEntry[EntryT], ...], Meta(max_length=RULES_MAX)]
    format: int = FORMAT
    index: IndexEntry | None = None
    fingerprint_key: KeyIdHex | None = None
    sealing_key: X25519Hex | None = None

    def __post_init__(self) -> None:
        _require(self.format == FORMAT, f"its format is {self.format}, this program reads {FORMAT}")
        _require(
            self.expires_unix_s - self.issued_unix_s >= EXPIRES_AFTER_S_MIN,
            f"it expires less than {EXPIRES_AFTER_S_MIN // 3600} hours after it was issued",
        )
        names = [rule.name for rule in self.rules]
        _require(len(set(names)) == len(names), "two rules have the same name")
        newest = max((segment.to_version for segment in self.segments()), default=0)
        _require(newest <= self.list_version, "a segment is newer than the list version")

    def segments(self) -> Iterable[EntryT]:
        """Every file that is named, rule by rule."""
        return (segment for rule in self.rules for segment in rule.segments)

    def with_rules(self, rules: tuple[RuleEntry[OtherT], ...]) -> "Manifest[OtherT]":
        """The same list with these rules, and without an index: as it is installed."""
        return Manifest(
            self.list_version,
            self.issued_unix_s,
            self.expires_unix_s,
            rules,
            self.format,
            None,
            self.fingerprint_key,
            self.sealing_key,
        )


PublishedManifest = Manifest[PieceEntry]
InstalledManifest = Manifest[SegmentEntry]

_published = msgspec.json.Decoder(PublishedManifest, strict=True)
_installed = msgspec.json.Decoder(InstalledManifest, strict=True)


def decode(content: bytes) -> PublishedManifest:
    """The published manifest in these bytes. Raises ManifestError, and no other error."""
    return _decoded(_published, content)


def decode_segments(content: bytes) -> InstalledManifest:
    """The manifest of segments in these bytes, which carry no checksum. Raises ManifestError."""
    return _decoded(_installed, content)


def _decoded(decoder: msgspec.json.Decoder[Manifest[EntryT]], content: bytes) -> Manifest[EntryT]:
    if len(content) > MANIFEST_BYTES_MAX:
        raise ManifestError(
            f"a manifest has at most {MANIFEST_BYTES_MAX} bytes, not {len(content)}"
        )
    try:
        return decoder.decode(content)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ManifestError(f"not a manifest: {one_line(error)}") from None


def encode(manifest: PublishedManifest | InstalledManifest) -> bytes:
    """The manifest as bytes, always the same for the same manifest.

    Raises ManifestError for one that `decode` would refuse.
    """
    content = msgspec.json.encode(manifest)
    decode(content)
    return content


def decode_installed(content: bytes, file_name: str) -> InstalledManifest:
    """The manifest in a file of this name in a list folder.

    The checksum covers the name too, since that has the era. Raises ManifestError if the bytes are
    no manifest, or not those that were written.
    """
    try:
        body = checked(content, file_name, Manifest.__struct_fields__)
    except ChecksumError as error:
        raise ManifestError(f"not a manifest: {error}") from None
    return decode_segments(body)


def installed(content: bytes, file_name: str) -> bytes:
    """The bytes of an encoded manifest for a file of this name in a list folder."""
    return stamped(content, file_name)
