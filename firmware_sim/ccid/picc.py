"""What a contactless reader answers in a card's place (PC/SC part 3): its ATR and its data.

A card in the field has no ATR: the reader makes one from the ATS, or from the card's type.
"""

from functools import reduce
from operator import xor

from firmware_sim.cards import Card, Kind

__all__ = ["atr", "pseudo_apdu"]

GET_DATA = b"\xff\xca"
OK, FAILED, NOT_SUPPORTED = b"\x90\x00", b"\x63\x00", b"\x6a\x81"
WRONG_LENGTH, LE_IS = b"\x67\x00", 0x6C
ATS_INTERFACE_BYTES = (0x10, 0x20, 0x40)  # bits of T0: TA, TB, TC follow
# Section 3.1.3.2.3: the application identifier of PC/SC, the standard (ISO 14443 A, part 3), the
# name of a MIFARE Classic 1K.
MEMORY_CARD = bytes.fromhex("804f0ca000000306030001") + bytes(4)


def atr(card: Card) -> bytes:
    """Return the ATR that a reader makes for a card (3.1.3.2.3)."""
    history = _historical_bytes(card.ats) if card.ats else MEMORY_CARD
    body = bytes((0x80 | len(history), 0x80, 0x01)) + history
    return b"\x3b" + body + bytes((reduce(xor, body),))


def pseudo_apdu(card: Card, shown_uid: bytes, apdu: bytes) -> bytes:
    """Answer an APDU of class FF, which is for the reader and reaches no card."""
    if apdu[:2] != GET_DATA or len(apdu) < 4:  # noqa: PLR2004  (the head of an APDU)
        return FAILED if card.kind is Kind.CLASSIC else NOT_SUPPORTED
    match apdu[2], apdu[3]:
        case 0, 0:
            data = shown_uid
        case 1, 0 if card.ats:
            data = _historical_bytes(card.ats)
        case _:
            return NOT_SUPPORTED
    wanted = apdu[4] if len(apdu) > 4 else 0  # noqa: PLR2004
    if wanted and wanted < len(data):
        return bytes((LE_IS, len(data)))
    return data + OK


def _historical_bytes(ats: bytes) -> bytes:
    """Return the historical bytes of an ATS without its length byte (ISO 14443-4, 5.2)."""
    announced = sum(1 for bit in ATS_INTERFACE_BYTES if ats[0] & bit)
    return ats[1 + announced :]


def is_for_the_reader(apdu: bytes) -> bool:
    """Whether the reader answers an APDU itself."""
    return apdu[:1] == b"\xff"
