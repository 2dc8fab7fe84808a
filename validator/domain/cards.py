"""What a card is to the gate: an identifier to look up, never a person.

A UID can be cloned, so matching one is a filter and not authentication. This file holds no list and decides nothing.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

UID_LENGTHS = (4, 7, 10)  # single, double and triple size, ISO/IEC 14443-3 section 6.5.4
RANDOM_UID_FIRST_BYTE = 0x08  # of a 4-byte UID: drawn anew at every tap, ISO/IEC 14443-3 section 6.5.4
FINGERPRINT_BITS = 56
FINGERPRINT_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class CardUid:
    """A whole UID of 4, 7 or 10 bytes, in the order of the anticollision. Raises ValueError for any other length."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) not in UID_LENGTHS:
            raise ValueError(f"a UID has 4, 7 or 10 bytes, not {len(self.raw)}")

    @property
    def is_random(self) -> bool:
        """Whether the card draws a new UID at every tap (phones, cards in random-ID mode): it is nobody's key."""
        return len(self.raw) == UID_LENGTHS[0] and self.raw[0] == RANDOM_UID_FIRST_BYTE

    def fingerprint(self, key: bytes) -> int:
        """The 56-bit fingerprint under the fleet's key of 32 bytes; docs/list-format.md, "Fingerprint"."""
        return int.from_bytes(blake2b(self.raw, digest_size=8, key=key).digest(), "big") >> 8

    def __repr__(self) -> str:
        """Hide the UID: a repr ends up in logs and tracebacks."""
        return f"CardUid({len(self.raw)} bytes)"


class Card(NamedTuple):
    """One card as the reader saw it: its UID, ATQA (SENS_RES as a number, 0x0344 for DESFire EV1) and SAK (SEL_RES)."""

    uid: CardUid
    atqa: int
    sak: int
