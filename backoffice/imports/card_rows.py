"""One row of an import: its fields as text, and what they mean or why the row is refused.

    fields = Fields(uid="04:11:22:33:44:55:66", ends="2021-02-01T00:00+03:00")
    row = meant(7, fields, limits)  # raises Refused

Pure: no file, no clock. Anybody who reads a log may read a refusal, so it never holds what could be
a UID or a printed number.
"""

import math
import re
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from validator.domain.cards import RANDOM_UID_FIRST_BYTE, UID_LENGTHS

NUMBER_DIGITS = 16
CASCADE_TAG = 0x88  # precedes a part of a longer UID and is no part of it, ISO/IEC 14443-3 6.5.4
MAKER_MAX = 0x80  # UIDs of 7 and 10 bytes begin with their maker; 81 to FE are not allowed, 6.5.4
UNIX_S_MAX = (1 << 40) - 1  # the highest time that a manifest can hold
YEAR_2000_UNIX_S = 946_684_800  # older than any list of cards: a day number of a spreadsheet is

# Every pair of digits apart from the next by one and the same separator, or no pair. nfc-list
# prints two blanks, PostgreSQL \x and SQL Server 0x before the first pair, Arduino sketches 0x
# before each. Bytes in decimal match this only by chance: plausibility.py checks whole files.
_UID = re.compile(
    r"(?:0x|\\x)?(?P<plain>(?:[0-9a-f]{2})+)"
    r"|[0-9a-f]{2}(?P<apart>[:-]| +)[0-9a-f]{2}(?:(?P=apart)[0-9a-f]{2})*"
    r"|0x[0-9a-f]{2}(?P<each>[:-]| +)0x[0-9a-f]{2}(?:(?P=each)0x[0-9a-f]{2})*",
    re.ASCII | re.IGNORECASE,
)
_NOT_DIGITS = re.compile(r"0x|[\\x:\- ]", re.IGNORECASE)
_NUMBER = re.compile(
    r"[0-9]{16}|[0-9]{4}(?P<apart>[ -])[0-9]{4}(?:(?P=apart)[0-9]{4}){2}", re.ASCII
)
_EXPONENT = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]*)?E\+?[0-9]{1,3}", re.ASCII | re.IGNORECASE)
_DECIMALS = re.compile(r"[0-9][0-9 :;,./-]*", re.ASCII)
_GROUPED = re.compile(r"[0-9a-f]{1,2}(?:[ :;,./-]+[0-9a-f]{1,2}){3,}", re.ASCII | re.IGNORECASE)
# An odd number of digits, since an even number of them matches _UID.
_ODD = re.compile(r"(?:0x)?[0-9a-f]+", re.ASCII | re.IGNORECASE)
_UNIX_S = re.compile(r"[0-9]{1,15}\Z", re.ASCII)
# What a refusal may show of a field: a time, or a small number. More digits could be a card's, and
# words could be a person's.
_SHOWABLE = re.compile(
    r"(?:19|20|21)[0-9]{2}-[01]?[0-9]-[0-3]?[0-9]"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?\Z"
    r"|-?[0-9]{1,5}\Z",
    re.ASCII,
)


class Reason(StrEnum):
    """Why a row is refused."""

    TOO_LONG = "the line is too long"
    NOT_UTF8 = "the line is not UTF-8"
    ZERO_BYTE = "the line has a zero byte"
    NOT_CSV = "the line is not CSV (a quote that is not closed, or text after one)"
    NOT_JSON = "the line is not a JSON object of texts and numbers"
    WRONG_COLUMNS = "the line has another number of columns than the header"
    UNKNOWN_KEY = "the object has a key that is not known"
    NOT_TEXT = "not text"
    NO_CARD = "no card is named"
    UID_NOT_HEX = "not hex"
    UID_GROUPS = (
        "not in pairs of hex digits, all apart by the same colon, dash or blank, or by nothing"
    )
    UID_DECIMAL = (
        "bytes in decimal, or a zero lost in front;"
        " export the column as text, two hex digits a byte"
    )
    UID_IS_NUMBER = "16 digits, which is a printed number; call the column number"
    UID_LENGTH = "not 4, 7 or 10 bytes, that is 8, 14 or 20 hex digits; a zero in front may be lost"
    UID_RANDOM = "a random UID: 4 bytes that begin with 08 are another card at every tap"
    UID_PARTIAL = "a part of a UID: 88 goes before a part, and no UID begins with it"
    UID_IMPOSSIBLE = "no UID: none begins with 00 or FF"
    UID_MAKER = "no UID: 7 or 10 bytes begin with their maker's number, which is 80 at most"
    EXPONENT = "a number that a spreadsheet has rounded (E+); export the column as text"
    BAD_NUMBER = "not 16 digits"
    NUMBER_SHORT = "under 16 digits: a spreadsheet drops zeros in front; export the column as text"
    NUMBER_ZERO = "16 zeros, which no card has"
    NUMBER_TAKEN = "the number of another card"
    NOT_ITS_NUMBER = "not the number of this card"
    UNKNOWN_CARD = "no such card is issued"
    BAD_END = "no time: give ISO 8601 with its offset from UTC, or Unix seconds"
    NO_OFFSET = "a time without its offset from UTC"
    ENDED = "in the past"
    BEFORE_2000 = (
        "before the year 2000: Unix seconds have ten digits, a spreadsheet's days have five"
    )
    TOO_FAR = "further away than this rule's steps reach"
    SHORTER = "earlier than the end that it has; --shorten takes it"
    BAD_STATE = "neither in nor out"
    TWICE = "the card is earlier in the file, with another state or number"


class Refused(Exception):  # noqa: N818 the row is refused; the program has no error
    """A refused row: the field, the reason, and the field's text if it can name no card."""

    def __init__(self, field: str, reason: Reason, text: str = "") -> None:
        super().__init__(f"{field}: {reason}" if field else str(reason))
        self.field = field
        self.reason = reason
        self.text = text if _SHOWABLE.match(text) else ""


class Fields(NamedTuple):
    """A row as text. An empty field is one that the row does not have."""

    uid: str = ""
    number: str = ""
    ends: str = ""
    state: str = ""


class Row(NamedTuple):
    """What a row means: a card, by UID or printed number or both, and its state.

    In a list of cards the number is the card's own.
    """

    line: int
    uid: bytes | None
    number: int | None
    ends_unix_s: int | None
    is_in: bool

    def __repr__(self) -> str:
        """Hide the card."""
        return f"Row(line={self.line}, ends_unix_s={self.ends_unix_s}, is_in={self.is_in})"


class Limits(NamedTuple):
    """The times in which an end may lie, in Unix seconds: after the first, up to the second."""

    after_unix_s: int
    up_to_unix_s: int = UNIX_S_MAX


def meant(line: int, fields: Fields, limits: Limits) -> Row:
    """The row that these fields mean.

    Raises Refused. The end of a card that is out is not checked.
    """
    uid = read_uid(fields.uid) if fields.uid else None
    number = read_number(fields.number) if fields.number else None
    if uid is None and number is None:
        raise Refused("uid", Reason.NO_CARD)
    is_in = read_state(fields.state)
    ends_unix_s = read_end(fields.ends, limits) if fields.ends and is_in else None
    return Row(line, uid, number, ends_unix_s, is_in)


def read_uid(text: str) -> bytes:
    r"""Read a UID in hex: pairs of digits, with a separator or without.

    The pairs are apart by the same colon, dash or blanks everywhere. 0x and \x in front are taken
    too. Raises Refused, also for a UID that no card can have.
    """
    uid = spelt_uid(text)
    if uid is None:
        raise Refused("uid", _why_no_uid(text))
    if len(uid) not in UID_LENGTHS:
        raise Refused("uid", _why_no_length(text))
    reason = _impossible(uid)
    if reason is not None:
        raise Refused("uid", reason)
    return uid


def spelt_uid(text: str) -> bytes | None:
    """The bytes of a text that is spelt as a UID, of any length; None for any other text."""
    found = _UID.fullmatch(text)
    return None if found is None else bytes.fromhex(found["plain"] or _NOT_DIGITS.sub("", text))


def _why_no_uid(text: str) -> Reason:
    if _EXPONENT.fullmatch(text):
        return Reason.EXPONENT
    if _DECIMALS.fullmatch(text.strip("[]{}() ")):
        return Reason.UID_DECIMAL
    if _ODD.fullmatch(text):
        return Reason.UID_LENGTH
    return Reason.UID_GROUPS if _GROUPED.fullmatch(text) else Reason.UID_NOT_HEX


def _why_no_length(text: str) -> Reason:
    if not (text.isascii() and text.isdecimal()):
        return Reason.UID_LENGTH
    return Reason.UID_IS_NUMBER if len(text) == NUMBER_DIGITS else Reason.UID_DECIMAL


def _impossible(uid: bytes) -> Reason | None:
    """Why no card has this UID, ISO/IEC 14443-3 6.5.4; None if one may have it."""
    first, is_single = uid[0], len(uid) == UID_LENGTHS[0]
    if first == CASCADE_TAG:
        return Reason.UID_PARTIAL
    # The standard would let 4 bytes begin with 00 or FF. Both are what an unread buffer and a
    # padded number look like, and FF is of the class that is not unique, so no list may hold one.
    if first in {0x00, 0xFF}:
        return Reason.UID_IMPOSSIBLE
    if is_single:
        return Reason.UID_RANDOM if first == RANDOM_UID_FIRST_BYTE else None
    return Reason.UID_MAKER if first > MAKER_MAX else None


def read_number(text: str) -> int:
    """Read a printed number of 16 digits, in four groups or in none. Raises Refused."""
    if _NUMBER.fullmatch(text) is None:
        if _EXPONENT.fullmatch(text):
            raise Refused("number", Reason.EXPONENT)
        is_short = text.isascii() and text.isdecimal() and len(text) < NUMBER_DIGITS
        raise Refused("number", Reason.NUMBER_SHORT if is_short else Reason.BAD_NUMBER)
    number = int(text.replace(" ", "").replace("-", ""))
    if number == 0:  # a card's number file before it is written
        raise Refused("number", Reason.NUMBER_ZERO)
    return number


def read_state(text: str) -> bool:
    """Whether the card is in: True for "in" or an empty text, False for "out". Raises Refused."""
    match text.lower():
        case "" | "in":
            return True
        case "out":
            return False
        case _:
            raise Refused("state", Reason.BAD_STATE, text)


def read_end(text: str, limits: Limits) -> int:
    """Read an end in Unix seconds, a part of a second rounded up. Raises Refused."""
    ends_unix_s = _unix_s(text)
    if ends_unix_s <= limits.after_unix_s:
        is_day = ends_unix_s < YEAR_2000_UNIX_S
        raise Refused("ends", Reason.BEFORE_2000 if is_day else Reason.ENDED, text)
    if ends_unix_s > limits.up_to_unix_s:
        raise Refused("ends", Reason.TOO_FAR, text)
    return ends_unix_s


@lru_cache(maxsize=4_096)  # the ends of one day's file are few
def _unix_s(text: str) -> int:
    if _UNIX_S.match(text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused("ends", Reason.BAD_END, text) from None
    if moment.tzinfo is None:
        raise Refused("ends", Reason.NO_OFFSET, text)
    return math.ceil(moment.timestamp())
