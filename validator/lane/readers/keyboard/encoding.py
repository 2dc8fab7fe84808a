"""What a reader types for a UID, and the UID back from it. Pure.

Every reader that types has its own way: in hex or decimal, the bytes as other readers print them or
reversed, in hex with a character between the bytes or none. Nothing in the text says which, and
most texts are a UID in several ways. So the configuration says it, and learning.py finds it out.

The number of characters is part of the way: two a byte in hex, 10, 17 or 25 in decimal, leading
zeros included. A text of another length is no UID. Without this rule, a digit that is lost on the
way would make a UID of another card.
"""

from dataclasses import dataclass
from typing import Literal

from validator.domain.cards import CASCADE_TAG

Base = Literal["hex", "decimal"]
Order = Literal["printed", "reversed"]
Separator = Literal["", ":", "-", " "]

# The longest number of so many bytes: 2^32, 2^56 and 2^80 have so many decimal digits.
DECIMAL_DIGITS = {4: 10, 7: 17, 10: 25}


@dataclass(frozen=True, slots=True)
class Encoding:
    """One way to type a UID.

    Attributes:
        base: `hex` or `decimal`.
        order: `printed` as a phone or another reader prints the UID, `reversed` from its last byte.
        separator: between two bytes in hex; empty in decimal.
    """

    base: Base
    order: Order
    separator: Separator = ""

    def text(self, uid: bytes) -> str:
        """Return what a reader types for a UID of 4, 7 or 10 bytes, in lower case."""
        ordered = uid if self.order == "printed" else uid[::-1]
        if self.base == "hex":
            return ordered.hex(self.separator) if self.separator else ordered.hex()
        return f"{int.from_bytes(ordered, 'big'):0{DECIMAL_DIGITS[len(uid)]}d}"

    def uid(self, text: str) -> bytes | None:
        """Return the UID for which a reader types `text`; None if there is none.

        Args:
            text: in lower case.
        """
        for length in DECIMAL_DIGITS:
            if len(text) == self.width(length):
                ordered = self._bytes(text, length)
                if ordered is None:
                    return None
                uid = ordered if self.order == "printed" else ordered[::-1]
                return uid if self.text(uid) == text else None
        return None

    def width(self, length: int) -> int:
        """Return how many characters a reader types for a UID of 4, 7 or 10 bytes."""
        if self.base == "decimal":
            return DECIMAL_DIGITS[length]
        return 2 * length + len(self.separator) * (length - 1)

    def _bytes(self, text: str, length: int) -> bytes | None:
        try:
            if self.base == "hex":
                return bytes.fromhex(text.replace(self.separator, "") if self.separator else text)
            return int(text).to_bytes(length, "big")
        except (ValueError, OverflowError):
            return None


_ORDERS: tuple[Order, ...] = ("printed", "reversed")
_SEPARATORS: tuple[Separator, ...] = ("", ":", "-", " ")
ENCODINGS = (
    *(Encoding("hex", order, separator) for order in _ORDERS for separator in _SEPARATORS),
    *(Encoding("decimal", order) for order in _ORDERS),
)


def is_whole(uid: bytes) -> bool:
    """Whether a card can have this UID.

    False for the cascade tag and a part of a longer UID, which some readers type, and for zeros,
    which some type when they could not read the card.
    """
    return uid[0] != CASCADE_TAG and any(uid)
