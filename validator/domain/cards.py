"""A card as the gate knows it: an identifier to look up, never a person.

A UID can be cloned, so matching one is a filter and not authentication.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

UID_LENGTHS = (4, 7, 10)  # single, double and triple size, ISO/IEC 14443-3 section 6.5.4
CASCADE_TAG = 0x88  # "the UID goes on"; it begins no UID of 4 bytes (section 6.5.4)
RANDOM_UID_FIRST_BYTE = 0x08  # of a 4-byte UID, ISO/IEC 14443-3 section 6.5.4
FINGERPRINT_BITS = 56
FINGERPRINT_DIGEST_BYTES = 8  # of which the top 56 bits are used
FINGERPRINT_KEY_BYTES = 32


def fingerprinter(key: bytes) -> Callable[[bytes], int]:
    """Return the function from a UID to its 56-bit fingerprint (docs/list-format.md).

    Args:
        key: the fleet's key, 32 bytes.
    """
    # The hash takes in the key once. A copy of it saves 0.2 µs a card over keying a new one.
    keyed = blake2b(digest_size=FINGERPRINT_DIGEST_BYTES, key=key)

    def fingerprint(uid: bytes) -> int:
        state = keyed.copy()
        state.update(uid)
        return int.from_bytes(state.digest(), "big") >> 8

    return fingerprint


@dataclass(frozen=True, slots=True)
class CardUid:
    """A whole UID of 4, 7 or 10 bytes, in the order of the anticollision.

    Raises ValueError for any other length.
    """

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) not in UID_LENGTHS:
            raise ValueError(f"a UID has 4, 7 or 10 bytes, not {len(self.raw)}")

    @property
    def is_random(self) -> bool:
        """True for a random UID (phones; ISO/IEC 14443-3, 6.5.4): it changes at every tap.

        Such a UID identifies no card.
        """
        return len(self.raw) == UID_LENGTHS[0] and self.raw[0] == RANDOM_UID_FIRST_BYTE

    def fingerprint(self, key: bytes) -> int:
        """Return the 56-bit fingerprint under a key of 32 bytes; `fingerprinter` is for many."""
        return fingerprinter(key)(self.raw)

    def __repr__(self) -> str:
        """Return a text without the UID: a repr ends up in logs and tracebacks."""
        return f"CardUid({len(self.raw)} bytes)"


class Card(NamedTuple):
    """One card as the reader read it.

    `atqa` is SENS_RES as a number, 0x0344 for DESFire EV1. `sak` is SEL_RES. A reader that tells
    only the UID leaves them None.
    """

    uid: CardUid
    atqa: int | None
    sak: int | None
