"""What readers that type make of a UID: every way that they are sold with."""

from dataclasses import dataclass

__all__ = ["BASES", "ENDS", "LONG_UIDS", "ORDERS", "Way"]

BASES = ("hex", "decimal")
ORDERS = ("printed", "reversed")
ENDS = {"enter": "\n", "tab": "\t", "none": ""}
LONG_UIDS = ("whole", "first4", "last4", "marked", "silent")

SINGLE = 4  # bytes of the shortest UID
_DIGITS = {4: 10, 7: 17, 10: 25}


@dataclass(frozen=True, slots=True)
class Way:
    """How a reader types.

    Attributes:
        base: one of BASES.
        order: `printed` as the anticollision gives the bytes, `reversed` from the last one.
        separator: between two bytes in hex.
        upper: whether letters are typed with Shift.
        padded: whether a decimal number has its leading zeros.
        end: a key of ENDS.
        long_uids: what it types for a UID of more than four bytes; one of LONG_UIDS.
    """

    base: str = "hex"
    order: str = "printed"
    separator: str = ""
    upper: bool = False
    padded: bool = True
    end: str = "enter"
    long_uids: str = "whole"

    def digits(self, uid: bytes) -> str:
        """Return what is typed for a card before the end; empty for nothing."""
        part = self._part(uid)
        if not part:
            return ""
        if self.order == "reversed":
            part = part[::-1]
        if self.base == "decimal":
            number = str(int.from_bytes(part))
            return number.zfill(_DIGITS[len(part)]) if self.padded else number
        pairs = self.separator.join(f"{byte:02x}" for byte in part)
        return pairs.upper() if self.upper else pairs

    def _part(self, uid: bytes) -> bytes:
        if len(uid) == SINGLE:
            return uid
        match self.long_uids:
            case "whole":
                return uid
            case "first4":
                return uid[:SINGLE]
            case "last4":
                return uid[-SINGLE:]
            case "marked":
                return b"\x88" + uid[:3]
            case _:
                return b""
