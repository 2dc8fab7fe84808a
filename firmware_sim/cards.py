"""Virtual cards: what a card shows during anticollision, and what it answers afterwards.

Modelled: DESFire EV1 with the one application of a transit card (from the public command set), a
phone with a random UID, and a MIFARE Classic that rejects every authentication. Not modelled: any
cryptography. Radio states are in radio/field.py.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from random import Random

__all__ = ["CASCADE_TAG", "Card", "Kind", "Session", "card_of", "parse_uid"]

CASCADE_TAG = 0x88  # ISO/IEC 14443-3, 6.5.4: no card can be selected by such a UID
APPLICATION = bytes.fromhex("422201")  # in the byte order of the SELECT command
NUMBER_FILE = 2
FILE_BYTES = 32
NUMBER_DIGITS = 16

OK, MORE = 0x00, 0xAF
ILLEGAL_COMMAND, LENGTH_ERROR, PERMISSION_DENIED = 0x1C, 0x7E, 0x9D
NO_APPLICATION, OUT_OF_FILE, NO_FILE = 0xA0, 0xBE, 0xF0


class Kind(Enum):
    """The kind of a card."""

    DESFIRE = "desfire"
    CLASSIC = "classic"
    PHONE = "phone"


# Kind -> (SENS_RES with the high byte first, SEL_RES, ATS without its length byte)
_ANSWERS = {
    Kind.DESFIRE: (bytes.fromhex("0344"), 0x20, bytes.fromhex("7577810280")),
    Kind.CLASSIC: (bytes.fromhex("0004"), 0x08, b""),
    Kind.PHONE: (bytes.fromhex("0004"), 0x20, bytes.fromhex("78807002")),
}
_LONG_SENS_RES = bytes.fromhex("0384")  # the two bits that announce a UID of triple size


@dataclass(frozen=True, slots=True)
class Card:
    """One card.

    Attributes:
        uid: 4, 7 or 10 bytes, in a reader's order; a phone's names it here alone, and is never
            shown to the field.
        kind: decides what it answers.
        given_number: the 16 digits printed on it, if they were given.
    """

    uid: bytes
    kind: Kind
    given_number: str | None = None

    @property
    def number(self) -> str:
        """The 16 digits printed on it.

        Without a given number: the same in every run, and not visible in the UID.
        """
        if self.given_number is not None:
            return self.given_number
        digest = blake2b(self.uid, digest_size=8, person=b"printed-number").digest()
        return f"{int.from_bytes(digest) % 10**NUMBER_DIGITS:0{NUMBER_DIGITS}d}"

    @property
    def sens_res(self) -> bytes:
        """SENS_RES (ATQA), high byte first, as a PN532 reports it."""
        return _LONG_SENS_RES if len(self.uid) == 10 else _ANSWERS[self.kind][0]  # noqa: PLR2004

    @property
    def sel_res(self) -> int:
        """SEL_RES (SAK)."""
        return _ANSWERS[self.kind][1]

    @property
    def ats(self) -> bytes:
        """The answer to RATS without its length byte; empty for a card without ISO 14443-4."""
        return _ANSWERS[self.kind][2]

    def shown_uid(self, random: Random) -> bytes:
        """Return the UID for one stay in a field; a phone draws a new one each time."""
        return b"\x08" + random.randbytes(3) if self.kind is Kind.PHONE else self.uid


# Pairs of hex digits, all apart by the same colon, dash or blank, or by nothing. Anything looser
# takes bytes in decimal, which many readers print (4-17-34-51-68-85-102), for another card.
_UID = re.compile(
    r"(?:0x|\\x)?(?:[0-9a-f]{2})+"
    r"|[0-9a-f]{2}(?P<apart>[:-]| +)[0-9a-f]{2}(?:(?P=apart)[0-9a-f]{2})*",
    re.ASCII | re.IGNORECASE,
)
_NOT_DIGITS = re.compile(r"0x|[\\x:\- ]", re.IGNORECASE)


def parse_uid(text: str) -> bytes:
    """Parse a UID in hex: 4, 7 or 10 pairs of digits.

    Pairs are separated by the same colon, dash or blank throughout, or by nothing.

    Raises:
        ValueError: another spelling, another length, or the cascade tag as first byte.
    """
    if _UID.fullmatch(text.strip()) is None:
        raise ValueError(f"{text!r} is not a UID: write it in hex, such as 04a1b2c3d4e5f6")
    uid = bytes.fromhex(_NOT_DIGITS.sub("", text))
    if len(uid) not in {4, 7, 10}:
        raise ValueError(f"{text!r} has {len(uid)} bytes; a UID has 4, 7 or 10")
    if uid[0] == CASCADE_TAG:
        raise ValueError(
            f"{text!r} begins with 88, which goes before a part of a UID and begins none"
        )
    return uid


def card_of(uid: bytes, number: str | None = None) -> Card:
    """Return the kind of card to which a UID of this shape most likely belongs.

    Without a `number`, `Card.number` makes one up.

    Raises:
        ValueError: the number does not have 16 digits.
    """
    if number is not None and not (
        len(number) == NUMBER_DIGITS and number.isascii() and number.isdigit()
    ):
        raise ValueError(f"{number!r} is not a printed number: it has {NUMBER_DIGITS} digits")
    kind = Kind.DESFIRE
    if len(uid) == 4:  # noqa: PLR2004
        # 08 begins a random UID (ISO/IEC 14443-3).
        kind = Kind.PHONE if uid[0] == 0x08 else Kind.CLASSIC  # noqa: PLR2004
    return Card(uid, kind, number)


class Session:
    """One activation of a card at ISO 14443-4.

    The selected application lasts until the card is deselected or loses the field.
    """

    def __init__(self, card: Card, shown_uid: bytes) -> None:
        self._card = card
        self._uid = shown_uid
        self._application = b"\x00\x00\x00"
        self._frames: Iterator[bytes] = iter(())
        self._chained = bytearray()

    def apdu(self, data: bytes) -> bytes:
        """Answer one command APDU, any bytes, with at least the two status bytes."""
        if self._card.kind is not Kind.DESFIRE:
            return bytes.fromhex("6a82")  # no such application: the phone carries none of ours
        if data[:2] == b"\x00\xa4":
            return bytes.fromhex("6a82")
        if not data or data[0] != 0x90:  # noqa: PLR2004
            return bytes.fromhex("6e00")
        status, answer = self._native(data)
        return answer + bytes((0x91, status))

    def block(self, data: bytes) -> bytes | None:
        """Answer one raw ISO 14443-4 block without CID and NAD; None is silence."""
        match data[0] & 0xE2 if data else 0:
            case 0x02 if data[0] & 0x10:
                self._chained = (self._chained + data[1:])[-4096:]
                return bytes((0xA2 | data[0] & 1,))
            case 0x02:
                answer = self.apdu(bytes(self._chained) + data[1:])
                self._chained.clear()
                return bytes((0x02 | data[0] & 1,)) + answer
            case 0xA2:
                # A reader's R(NAK) is its presence check; the answer is R(ACK) with the other
                # number (7.5.4.3, rule 11).
                return bytes((0xA2 | (data[0] & 1) ^ 1,)) if data[0] & 0x10 else None
            case _:
                return None

    def _native(self, data: bytes) -> tuple[int, bytes]:
        """Run a DESFire command wrapped as `90 INS 00 00 [Lc data] Le`; return status and data."""
        body = b""
        if len(data) > 5:  # noqa: PLR2004
            body = data[5:-1]
            if data[4] != len(body):
                return LENGTH_ERROR, b""
        match data[1] if len(data) > 1 else 0:
            case 0x5A:
                return self._select(body)
            case 0xBD:
                return self._read(body)
            case 0x60:
                self._frames = self._version()
                return self._next_frame()
            case 0xAF:
                return self._next_frame()
            case 0x6A if not any(self._application):
                return OK, APPLICATION
            case 0x6F if any(self._application):
                return OK, bytes((NUMBER_FILE,))
            case 0x6A | 0x6F:
                return PERMISSION_DENIED, b""
            case _:
                return ILLEGAL_COMMAND, b""

    def _select(self, body: bytes) -> tuple[int, bytes]:
        if len(body) != len(APPLICATION):
            return LENGTH_ERROR, b""
        if any(body) and body != APPLICATION:
            return NO_APPLICATION, b""
        self._application = body
        return OK, b""

    def _read(self, body: bytes) -> tuple[int, bytes]:
        if len(body) != 7:  # noqa: PLR2004  (file, offset and length of three bytes each)
            return LENGTH_ERROR, b""
        if not any(self._application):
            return PERMISSION_DENIED, b""
        if body[0] != NUMBER_FILE:
            return NO_FILE, b""
        offset, length = int.from_bytes(body[1:4], "little"), int.from_bytes(body[4:7], "little")
        end = offset + length if length else FILE_BYTES
        if offset >= FILE_BYTES or end > FILE_BYTES:
            return OUT_OF_FILE, b""
        return OK, bytes.fromhex(self._card.number).ljust(FILE_BYTES, b"\x00")[offset:end]

    def _version(self) -> Iterator[bytes]:
        """Yield GetVersion's frames: hardware 1.0, software 1.4, 4 KB; UID and production data."""
        yield bytes.fromhex("04010101001805")
        yield bytes.fromhex("04010101041805")
        yield self._uid[:7].ljust(7, b"\x00") + bytes.fromhex("ba654321002520")

    def _next_frame(self) -> tuple[int, bytes]:
        frame = next(self._frames, None)
        if frame is None:
            return ILLEGAL_COMMAND, b""
        last = len(frame) == 14  # noqa: PLR2004  (the third frame is the long one)
        return OK if last else MORE, frame
