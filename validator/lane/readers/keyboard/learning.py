"""Finds out how a reader types, from cards whose UIDs are known. Pure.

A person lays a card whose UID a phone or another reader has printed, and the program hears what
this reader types for it. `learn` says which lines to write under [reader.keyboard], which card to
lay next, or why this reader cannot serve a gate.

A card of seven bytes is always needed. Many of these readers type four of its bytes only. Such a
part looks like the UID of a card of four bytes, and may be one: the gate would take one card for
another.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from validator.domain.cards import CASCADE_TAG
from validator.lane.readers.keyboard.encoding import (
    DECIMAL_DIGITS,
    ENCODINGS,
    Encoding,
    is_whole,
)
from validator.lane.readers.keyboard.keys import NO_CHARACTER

LONG, SHORT = 7, 4
_PAIRS = re.compile(r"[0-9a-f]{2}(?:([:\- ]?)[0-9a-f]{2}(?:\1[0-9a-f]{2})*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Tried:
    """One card and what the reader typed for it.

    Attributes:
        uid: its whole UID, as `parse_uid` returns it.
        text: in lower case, as in lines.Line; empty if the reader typed nothing.
        ended: whether Enter or Tab came after it.
    """

    uid: bytes
    text: str
    ended: bool = True


@dataclass(frozen=True, slots=True)
class Learnt:
    """The reader can serve; `lines` are for the configuration."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NextCard:
    """Another card is needed; `reason` is one line with which card, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unfit:
    """The reader, as it is set, cannot serve; `reason` is one line with what to do."""

    reason: str


Finding = Learnt | NextCard | Unfit


def parse_uid(text: str) -> bytes:
    """Return the UID that a person typed as a phone or another reader prints it.

    Raises:
        ValueError: one line with what is wrong.
    """
    written = text.strip().lower()
    if _PAIRS.fullmatch(written) is None:
        raise ValueError("write the UID in hex as it is printed, such as 04a1b2c3d4e5f6")
    uid = bytes.fromhex(re.sub(r"[:\- ]", "", written))
    if len(uid) not in DECIMAL_DIGITS:
        raise ValueError(f"this UID has {len(uid)} bytes; a UID has 4, 7 or 10")
    if not is_whole(uid):
        raise ValueError("no card has this UID; read it again with a phone or another reader")
    return uid


def learn(tried: Sequence[Tried]) -> Finding:
    """Return what follows from all cards tried so far, at least one.

    Several cards of one length are welcome: all have to agree.
    """
    fitting = [each for each in ENCODINGS if _fits(each, tried)]
    if not fitting:
        typed = [card for card in tried if card.text]
        if not typed:
            return NextCard("the reader typed nothing; lay a card that it beeps for")
        return Unfit(next(filter(None, map(_why_unfit, typed)), _NOTHING_FITS))
    if len(fitting) > 1:
        return NextCard(
            "the bytes of this UID are the same from both ends, so their order stays open;"
            " lay another card"
        )
    return _learnt(fitting[0], tried)


def _fits(encoding: Encoding, tried: Sequence[Tried]) -> bool:
    """Whether a reader with this encoding types all of that, and something whole or marked."""
    return any(card.text for card in tried) and all(
        not card.text or card.text in _texts(encoding, card.uid) for card in tried
    )


def _texts(encoding: Encoding, uid: bytes) -> set[str]:
    texts = {encoding.text(uid)}
    if len(uid) == LONG:
        texts.add(encoding.text(_marked(uid)))
    return texts


def _marked(uid: bytes) -> bytes:
    """Return what a reader knows of a UID of 7 bytes after the first step of the anticollision."""
    return bytes((CASCADE_TAG,)) + uid[:3]


def _learnt(encoding: Encoding, tried: Sequence[Tried]) -> Finding:
    whole = {len(card.uid) for card in tried if card.text == encoding.text(card.uid)}
    marked = {encoding.text(_marked(card.uid)) for card in tried if len(card.uid) == LONG}
    if LONG in whole and any(card.text in marked for card in tried):
        return Unfit("the reader types some UIDs of 7 bytes whole and of others only a part")
    if LONG in whole:
        return _lines(encoding, whole, "whole", tried)
    of_long = [card.text for card in tried if len(card.uid) == LONG]
    if not of_long:
        return NextCard(
            "now lay a card of 7 bytes, such as a DESFire or an Ultralight, and write its UID:"
            " many of these readers type only 4 of its bytes, and a gate must know"
        )
    if not whole:
        return NextCard(
            "this reader cannot read a UID of 7 bytes; if the cards of this gate have 4 bytes, lay"
            " one of them, else take another reader"
        )
    return _lines(encoding, whole, "marked" if any(of_long) else "silent", tried)


def _lines(
    encoding: Encoding, whole: set[int], seven_byte_cards: str, tried: Sequence[Tried]
) -> Learnt:
    ended = all(card.ended for card in tried if card.text)
    lengths = sorted(whole) if ended else [max(whole)]
    lines = [
        "[reader.keyboard]",
        f'base = "{encoding.base}"',
        f'order = "{encoding.order}"',
        f"bytes = {lengths}",
    ]
    if encoding.separator:
        lines.append(f'separator = "{encoding.separator}"')
    if not ended:
        lines.append('ends_with = "pause"')
    if seven_byte_cards != "whole":
        lines.append(f'seven_byte_cards = "{seven_byte_cards}"')
    return Learnt(tuple(lines))


_NOTHING_FITS = (
    "what the reader types is not this UID in any way that Turnike knows: compare the UID with"
    " another reader's, and set the reader to hex without prefix, suffix and fixed digits"
)


def _why_unfit(card: Tried) -> str | None:
    """Return what is wrong with a reader that types this; None if nothing explains it."""
    if NO_CHARACTER in card.text:
        return (
            "the reader types other characters than a UID has; set it to the US layout, without"
            " prefix and suffix"
        )
    for length, part in _parts(card.uid):
        if any(card.text == _text_of_part(encoding, part) for encoding in ENCODINGS):
            return (
                f"the reader types only {length} of the {len(card.uid)} bytes of this UID, so it"
                " takes cards for each other; no setting of Turnike makes up for that. Take another"
                " reader, or set it to the whole UID"
            )
    padded = (each.text(card.uid) for each in ENCODINGS if each.base == "decimal")
    if card.text and card.text in {text.lstrip("0") for text in padded}:
        return (
            "the reader leaves zeros out at the start of a number, so a lost digit would make"
            " another card of it; set it to a fixed number of digits, or to hex"
        )
    return None


def _parts(uid: bytes) -> list[tuple[int, bytes]]:
    """Return the parts of a UID that readers are known to type, with their lengths."""
    lengths = [length for length in (3, SHORT, LONG) if length < len(uid)]
    return [(length, part) for length in lengths for part in (uid[:length], uid[-length:])]


def _text_of_part(encoding: Encoding, part: bytes) -> str:
    if len(part) in DECIMAL_DIGITS:
        return encoding.text(part)
    # Three bytes, as Wiegand carries them, in hex or in as many digits as four bytes have.
    zero = b"\0"
    padded = encoding.text(zero + part if encoding.order == "printed" else part + zero)
    return padded if encoding.base == "decimal" else padded[-2 * len(part) :]
