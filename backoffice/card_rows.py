"""One row of an import: its fields as text, the card and state that they mean, or why it is refused. Pure: no file, no clock.

    row = meant(7, Fields(uid="04:11:22:33:44:55:66", ends="2021-02-01T00:00+03:00"), limits)  # raises Refused

A refusal may be read by anybody who reads a log, so it never holds what could be a UID or a printed number.
"""

import math
import re
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from validator.domain.cards import RANDOM_UID_FIRST_BYTE, UID_LENGTHS

NUMBER_DIGITS = 16
CASCADE_TAG = 0x88  # of a 4-byte UID: the rest of a longer one is missing, ISO/IEC 14443-3 section 6.5.4
UNIX_S_MAX = (1 << 40) - 1  # as far as a manifest goes

_SEPARATORS = str.maketrans("", "", ": -")
_GROUPS = str.maketrans("", "", " -")
_UNIX_S = re.compile(r"[0-9]{1,15}\Z", re.ASCII)
# What may be told of a field: a time, or a small number. No more digits than that, which could be a card's; and no words, which could be a person's.
_TELLABLE = re.compile(
    r"(?:19|20|21)[0-9]{2}-[01]?[0-9]-[0-3]?[0-9](?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?\Z|-?[0-9]{1,5}\Z",
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
    UID_LENGTH = "not 4, 7 or 10 bytes"
    UID_RANDOM = "a random UID: 4 bytes that begin with 08 are another card at every tap"
    UID_PARTIAL = "a part of a UID: 4 bytes that begin with 88 want their rest"
    BAD_NUMBER = "not 16 digits"
    NUMBER_TAKEN = "the number of another card"
    NOT_ITS_NUMBER = "not the number of this card"
    UNKNOWN_CARD = "no such card is issued"
    BAD_END = "no time: give ISO 8601 with its offset from UTC, or Unix seconds"
    NO_OFFSET = "a time without its offset from UTC"
    ENDED = "in the past"
    TOO_FAR = "further away than this rule's steps reach"
    BAD_STATE = "neither in nor out"
    TWICE = "the card stands earlier in the file, otherwise"


class Refused(Exception):  # noqa: N818 as one says it
    """A row that is not taken: which field, why, and its text as far as that names no card."""

    def __init__(self, field: str, reason: Reason, text: str = "") -> None:
        super().__init__(f"{field}: {reason}" if field else str(reason))
        self.field = field
        self.reason = reason
        self.text = text if _TELLABLE.match(text) else ""


class Fields(NamedTuple):
    """A row as text. An empty field says nothing."""

    uid: str = ""
    number: str = ""
    ends: str = ""
    state: str = ""


class Row(NamedTuple):
    """What a row means: a card by UID or printed number or both, and its state. For a list of cards the number is theirs."""

    line: int
    uid: bytes | None
    number: int | None
    ends_unix_s: int | None
    is_in: bool

    def __repr__(self) -> str:
        """Hide the card."""
        return f"Row(line={self.line}, ends_unix_s={self.ends_unix_s}, is_in={self.is_in})"


class Limits(NamedTuple):
    """Between which times an end may lie, in Unix seconds: after the first, and up to the second."""

    after_unix_s: int
    up_to_unix_s: int = UNIX_S_MAX


def meant(line: int, fields: Fields, limits: Limits) -> Row:
    """The row that these fields mean. Raises Refused. The end of a card that is out is not looked at."""
    uid = read_uid(fields.uid) if fields.uid else None
    number = read_number(fields.number) if fields.number else None
    if uid is None and number is None:
        raise Refused("uid", Reason.NO_CARD)
    is_in = read_state(fields.state)
    ends_unix_s = read_end(fields.ends, limits) if fields.ends and is_in else None
    return Row(line, uid, number, ends_unix_s, is_in)


def read_uid(text: str) -> bytes:
    """A UID in hex, its bytes apart by nothing, colons, dashes or spaces. Raises Refused."""
    try:
        uid = bytes.fromhex(text.translate(_SEPARATORS))
    except ValueError:
        raise Refused("uid", Reason.UID_NOT_HEX) from None
    if len(uid) not in UID_LENGTHS:
        raise Refused("uid", Reason.UID_LENGTH)
    if len(uid) == UID_LENGTHS[0]:
        if uid[0] == RANDOM_UID_FIRST_BYTE:
            raise Refused("uid", Reason.UID_RANDOM)
        if uid[0] == CASCADE_TAG:
            raise Refused("uid", Reason.UID_PARTIAL)
    return uid


def read_number(text: str) -> int:
    """A printed number of 16 digits, in groups or not. Raises Refused."""
    digits = text.translate(_GROUPS)
    if len(digits) != NUMBER_DIGITS or not (digits.isascii() and digits.isdecimal()):
        raise Refused("number", Reason.BAD_NUMBER)
    return int(digits)


def read_state(text: str) -> bool:
    """Whether the card is in: "in", or nothing; "out" otherwise. Raises Refused."""
    match text.lower():
        case "" | "in":
            return True
        case "out":
            return False
        case _:
            raise Refused("state", Reason.BAD_STATE, text)


def read_end(text: str, limits: Limits) -> int:
    """An end in Unix seconds, a part of a second rounded up. Raises Refused."""
    ends_unix_s = _unix_s(text)
    if ends_unix_s <= limits.after_unix_s:
        raise Refused("ends", Reason.ENDED, text)
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
