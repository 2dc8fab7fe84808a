"""The index: every piece that the city offers, by rule. The manifest names the newest few alone.

    index = decode(content)  # the manifest has its size and sha256
    index.rules["suspended"]  # PieceEntry by rising `to`

A piece is a segment in wire form (wire.py). It brings a table from any version v with
from <= v < to up to `to`; one with `from` 0 is a snapshot.
"""

from itertools import pairwise
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from validator.errors import one_line
from validator.lists.manifest import INDEX_BYTES_MAX, ManifestError, PieceEntry, RuleName

FORMAT = 1
# Of one rule: minutes of two hours, hours of two days, days of two months, with room.
PIECES_MAX = 1_000


class PieceIndex(Struct, frozen=True):
    """The pieces on offer by rule, each rule's by rising `to`, then by rising `from`."""

    rules: dict[RuleName, Annotated[tuple[PieceEntry, ...], Meta(max_length=PIECES_MAX)]]
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(f"its format is {self.format}, this program reads {FORMAT}")
        for rule, pieces in self.rules.items():
            spans = [(piece.to_version, piece.from_version) for piece in pieces]
            if any(later <= earlier for earlier, later in pairwise(spans)):
                raise ValueError(f"the pieces of rule {rule} are not in order")


_decoder = msgspec.json.Decoder(PieceIndex, strict=True)


def decode(content: bytes) -> PieceIndex:
    """The index in these bytes. Raises ManifestError, and no other error for any bytes."""
    if len(content) > INDEX_BYTES_MAX:
        raise ManifestError(f"an index has at most {INDEX_BYTES_MAX} bytes, not {len(content)}")
    try:
        return _decoder.decode(content)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ManifestError(f"not an index: {one_line(error)}") from None


def encode(index: PieceIndex) -> bytes:
    """The index as bytes. Raises ManifestError for what `decode` would refuse."""
    content = msgspec.json.encode(index)
    decode(content)
    return content
