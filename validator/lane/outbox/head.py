"""The head of an outbox: which one it is, the next `seq`, and how many reports were refused since.

It is a row of the database, with a checksum of its own, and a part of `outbox.json`.
"""

from typing import Annotated
from zlib import crc32

import msgspec

from validator.reports.stored_report import Refused

HEAD = "head"  # the key of its row
HEAD_CHARACTERS_MAX = 512
_CRC_DIGITS = 8

_Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]


class Head(msgspec.Struct, frozen=True):
    """The id of the outbox, the next `seq`, and how many places came before the first.

    It is written when reports are deleted, rejected or refused. In between, the next `seq`
    follows from the newest place.
    """

    outbox_id: str
    next_seq: Annotated[int, msgspec.Meta(ge=1, lt=1 << 53)]
    places_before: _Count = 0
    refused_before: Refused = 0
    """How many reports were refused since the last one that was kept."""

    @property
    def next_place(self) -> int:
        """The key of the next report. It only rises, also past what an older outbox held."""
        return self.places_before + self.next_seq

    def after(self, place: int) -> "Head":
        """Return the head once `place` is taken."""
        next_seq = place - self.places_before + 1
        return (
            self
            if next_seq <= self.next_seq
            else msgspec.structs.replace(self, next_seq=next_seq, refused_before=0)
        )


def encode_head(head: Head) -> str:
    """Return the text of the head's row: a CRC-32, then JSON.

    Without the CRC a rotten number would let the outbox use a `seq` twice.
    """
    content = msgspec.json.encode(head)
    return f"{crc32(content):0{_CRC_DIGITS}x} {content.decode()}"


def decode_head(text: str) -> Head:
    """Parse the text of a head's row, also one without a CRC, as older versions wrote it.

    Raises:
        ValueError: the checksum is wrong, or the content is no head.
    """
    crc, _, content = ("", "", text) if text.startswith("{") else text.partition(" ")
    if crc and crc != f"{crc32(content.encode()):0{_CRC_DIGITS}x}":
        raise ValueError("its checksum is wrong")
    return msgspec.json.decode(content, type=Head)
