"""[reader.keyboard] of a gate's configuration: what a reader that types types for a UID.

Nothing is guessed: the text that such a reader types has no mark of its own. What would make the
gate take one card for another is refused here.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from validator.formats.config_file import KeyFault
from validator.formats.shown import quoted

LONG = 7  # bytes of a UID of double size
LEARN = "`turnike check --readers` learns it from cards and prints the lines"


class KeyboardConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[reader.keyboard]: how the reader types a UID, and which UIDs it types whole.

    `seven_byte_cards` is what it types for a card of 7 bytes: the whole UID, the mark 88 and three
    bytes, nothing, or a piece. A piece looks like the UID of a card of 4 bytes, and may be one.
    """

    base: Literal["hex", "decimal"]
    order: Literal["printed", "reversed"]
    bytes: Annotated[tuple[Literal[4, 7, 10], ...], msgspec.Meta(min_length=1, max_length=3)]
    separator: Literal["", ":", "-", " "] = ""
    ends_with: Literal["enter", "pause"] = "enter"
    seven_byte_cards: Literal["whole", "marked", "silent", "piece"] = "whole"


def keyboard_faults(device: str, typed: KeyboardConfig | None) -> Iterator[KeyFault]:
    """Check the keys of the driver keyboard against each other.

    Args:
        device: reader.device.
        typed: its table, None if there is none.
    """
    if not device:
        told = "is missing; name the reader's link in /dev/input/by-id or /dev/input/by-path"
        yield KeyFault("reader.device", told)
    if re.fullmatch(r"/dev/input/event[0-9]+", device):
        told = "changes when devices are plugged in; name its link in /dev/input/by-id or by-path"
        yield KeyFault("reader.device", f"{quoted(device)} {told}")
    if typed is None:
        yield KeyFault("reader.keyboard", f"is missing: what the reader types for a UID; {LEARN}")
        return
    yield from _length_faults(typed)
    if typed.base == "decimal" and typed.separator:
        yield KeyFault("reader.keyboard.separator", "is set; only hex has one between its bytes")


def _length_faults(typed: KeyboardConfig) -> Iterator[KeyFault]:
    if len({*typed.bytes}) < len(typed.bytes):
        yield KeyFault("reader.keyboard.bytes", "has the same length twice")
    elif typed.ends_with == "pause" and len(typed.bytes) > 1:
        told = (
            'has two lengths, and ends_with is "pause": a reader that stops for a moment would make'
            " a short UID of a long one; keep one length, or set the reader to type Enter"
        )
        yield KeyFault("reader.keyboard.bytes", told)
    if typed.seven_byte_cards == "piece":
        told = (
            '"piece" cannot serve: 4 of 7 bytes may be the UID of another card; take a reader that'
            " types whole UIDs"
        )
        yield KeyFault("reader.keyboard.seven_byte_cards", told)
    elif (LONG in typed.bytes) != (typed.seven_byte_cards == "whole"):
        told = (
            f'"{typed.seven_byte_cards}" does not fit bytes = {[*typed.bytes]}: what does the'
            f" reader type for a card of 7 bytes? {LEARN}"
        )
        yield KeyFault("reader.keyboard.seven_byte_cards", told)
