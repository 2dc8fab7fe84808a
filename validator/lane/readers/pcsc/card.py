"""One read of the card in a slot: its UID, and its printed number if that is wanted.

The UID comes from the reader, which took it in the anticollision: GET DATA, FF CA 00 00 00 (PC/SC
part 3, section 3.2.2.1.3). An answer counts only if it is whole: pcscd returns success and no byte
for a card that left meanwhile.
"""

import time
from collections.abc import Callable
from enum import Enum

from validator.domain.cards import CASCADE_TAG, UID_LENGTHS, Card, CardUid
from validator.lane.readers.pcsc import library
from validator.lane.readers.pcsc.codes import READER_GONE, SERVICE_GONE, Code, PcscError, Protocols
from validator.lane.readers.printed_number import printed_number

_GET_UID = bytes.fromhex("ffca000000")
_OK = b"\x90\x00"
_CANNOT = b"\x6a\x81"  # the function is not supported, by this reader or for this card
_NUMBER_NS = 90_000_000  # after it, no further APDU is sent for a printed number

_PROTOCOLS = (Protocols.T0 | Protocols.T1, Protocols.RAW)  # the second for an odd ATR


class NoCard(Enum):
    """Why a read brought no card."""

    NO_ANSWER = "the card did not answer in full; it may have left"
    UNREADABLE = "a card without a UID that this reader can tell"
    HELD = "another program has the card for itself"


Reading = Card | NoCard


def read_card(
    context: library.Context, slot: str, with_card: Callable[[library.Card, Card], None]
) -> Reading:
    """Connect to the card in a slot, read its UID, and leave it as it is.

    Args:
        context: of the calling thread.
        slot: where pcscd says that a card is.
        with_card: is called with the connection and the card, before the connection ends.

    Raises:
        PcscError: the slot or pcscd is gone.
    """
    try:
        connection = _connect(context, slot)
        try:
            reading = _uid(connection.transmit(_GET_UID))
            if isinstance(reading, Card):
                with_card(connection, reading)
            return reading
        finally:
            connection.disconnect()
    except PcscError as error:
        if error.code in SERVICE_GONE | READER_GONE and not _is_the_cards(error):
            raise
        if error.code == Code.PROTO_MISMATCH:
            return NoCard.UNREADABLE
        return NoCard.HELD if error.code == Code.SHARING_VIOLATION else NoCard.NO_ANSWER


def read_number(connection: library.Card) -> str | None:
    """Return the printed number of the connected card, or None. Never raises."""
    give_up_ns = time.monotonic_ns() + _NUMBER_NS
    try:
        return printed_number(
            lambda apdu: connection.transmit(apdu) if time.monotonic_ns() < give_up_ns else b""
        )
    except PcscError:
        return None  # the next read meets it again


def _connect(context: library.Context, slot: str) -> library.Card:
    usual, raw = _PROTOCOLS
    try:
        return context.connect(slot, usual)
    except PcscError as error:
        if error.code != Code.PROTO_MISMATCH:
            raise
        return context.connect(slot, raw)


def _is_the_cards(error: PcscError) -> bool:
    # pcscd gives a transfer that went wrong this code too.
    return error.code == Code.COMM_ERROR and error.function == "SCardTransmit"


def _uid(answer: bytes) -> Reading:
    """Return the card of an answer to GET DATA. Any bytes give a reading, never an exception."""
    uid, status = answer[:-2], answer[-2:]
    if status == _CANNOT:
        return NoCard.UNREADABLE
    if status != _OK:
        return NoCard.NO_ANSWER  # no byte; or 63 00, for a card that left or has no UID
    if len(uid) not in UID_LENGTHS or (len(uid) == UID_LENGTHS[0] and uid[0] == CASCADE_TAG):
        return NoCard.UNREADABLE
    return Card(CardUid(uid), None, None)
