"""The manifest and the index of a list version, made from its rules and the pieces on offer.

pieces.py decides which pieces are due, and signing/roles.py signs.
"""

from collections.abc import Mapping, Sequence

from backoffice.home.config import RuleConfig
from backoffice.publishing.pieces import recent
from backoffice.registry.publications import Piece
from validator.errors import OperatorError
from validator.lists.manifest import (
    SEGMENTS_MAX,
    IndexEntry,
    Manifest,
    ManifestError,
    PieceEntry,
    PublishedManifest,
    RuleEntry,
    encode,
)
from validator.lists.piece_index import PieceIndex

Offered = Mapping[str, Sequence[Piece]]
"""The pieces on offer by rule, in the order of the index."""


def index_of(offered: Offered) -> PieceIndex:
    """The index of these pieces."""
    return PieceIndex({rule: tuple(map(_segment, pieces)) for rule, pieces in offered.items()})


def manifest_of(
    version: int,
    issued_unix_s: int,
    valid_s: int,
    rules: Sequence[RuleConfig],
    offered: Offered,
    index: IndexEntry,
    fingerprint_key: str,
    sealing_key: str | None = None,
) -> bytes:
    """Make the manifest, with as many recent pieces of each rule as fit; the index names the rest.

    Both keys are in hex. Without a sealing key, reports have no UID.

    Raises:
        OperatorError: Not even one piece of each rule fits.
    """
    refused = ""
    for count in range(SEGMENTS_MAX, 0, -1):
        entries = tuple(_entry(rule, recent(offered[rule.name], count)) for rule in rules)
        try:
            return encode(
                Manifest(
                    version,
                    issued_unix_s,
                    issued_unix_s + valid_s,
                    entries,
                    index=index,
                    fingerprint_key=fingerprint_key,
                    sealing_key=sealing_key,
                )
            )
        except ManifestError as error:
            refused = str(error)
    raise OperatorError(
        f"no manifest can be made: {refused}; give the rules shorter names, or make them fewer"
    )


def says(manifest: PublishedManifest, rules: Sequence[RuleConfig]) -> bool:
    """Whether a manifest describes its rules as the configuration does now."""
    return [_without_pieces(entry) for entry in manifest.rules] == [
        _entry(rule, ()) for rule in rules
    ]


def _entry(rule: RuleConfig, pieces: Sequence[Piece]) -> RuleEntry[PieceEntry]:
    return RuleEntry(
        rule.name,
        rule.effect,
        tuple(map(_segment, pieces)),
        rule.scope,
        rule.in_force_from_unix_s,
        rule.reports,
        rule.notice,
    )


def _without_pieces(entry: RuleEntry[PieceEntry]) -> RuleEntry[PieceEntry]:
    start_unix_s = entry.in_force_from_unix_s
    return RuleEntry(
        entry.name, entry.effect, (), entry.scope, start_unix_s, entry.reports, entry.notice
    )


def _segment(piece: Piece) -> PieceEntry:
    return PieceEntry(piece.from_version, piece.to_version, piece.bytes, piece.sha256)
