"""The number printed on a card, read from its chip: for a person, never for a decision.

    number = printed_number(exchange)   # "1234567890123456", or None

İstanbulkart is a MIFARE DESFire. The first 8 bytes of file 2 of its application 422201 are the 16
printed digits, and they are read without a key. The commands are DESFire's native ones, each
wrapped in an APDU of ISO/IEC 7816-4 with the class byte 90.

A reader that passes APDUs is a `ReadsNumbers`, and gives `printed_number` a function of its own.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from validator.domain.events import CardSeen, ReaderEvent

_SELECT_APPLICATION = bytes.fromhex("905a000003 422201 00")
_READ_NUMBER = bytes.fromhex("90bd000007 02 000000 080000 00")  # file 2, from 0, these 8 bytes only
_NUMBER_BYTES = 8
_SAK_ISO_14443_4 = 0x20
_DONE = b"\x91\x00"

Exchange = Callable[[bytes], bytes]
"""Sends one APDU to the card that was reported last. Returns its answer with both status bytes.

Returns no bytes if the card does not answer in time. A number takes two exchanges, and the loop
waits for both: 100 ms at most.
"""


@runtime_checkable
class ReadsNumbers(Protocol):
    """A reader that can read printed numbers."""

    def read_number(self) -> str | None:
        """Return the number of the card that `take` has just returned; 100 ms at most.

        Call it before `arm`. None for a card without one, and for a card that has left or does
        not answer. Never raises.
        """


def may_have_number(event: ReaderEvent | None) -> bool:
    """Whether `event` is of a card that takes APDUs, as its SAK says."""
    return isinstance(event, CardSeen) and bool((event.card.sak or 0) & _SAK_ISO_14443_4)


def printed_number(exchange: Exchange) -> str | None:
    """Return the 16 digits, or None if the card has none that can be read.

    Any answers give digits or None. Raises only what `exchange` raises.
    """
    if exchange(_SELECT_APPLICATION) != _DONE:
        return None
    answer = exchange(_READ_NUMBER)
    digits = answer[:_NUMBER_BYTES].hex()
    if len(answer) != _NUMBER_BYTES + len(_DONE) or answer[_NUMBER_BYTES:] != _DONE:
        return None
    return digits if digits.isdecimal() else None
