"""The answer of a PN532 to InListPassiveTarget (106 kbit/s, type A) as a value: a card or why none.

It parses and judges nothing else. Any bytes give a card or one of the reasons, never an exception,
and never a card with a part of its UID. Layout: PN532 user manual (UM0701-02), section 7.3.5.
"""

from validator.domain.cards import CASCADE_TAG, UID_LENGTHS, Card, CardUid
from validator.lane.readers.findings import NoCard

# The number of targets, then of the first one: its number, SENS_RES (2), SEL_RES, UID length.
_HEAD_LENGTH = 6
_SAK_UID_INCOMPLETE = 0x04  # ISO/IEC 14443-3 section 6.5.3.4: a cascade level is still to come
_SAK_ANSWERS_RATS = 0x20  # the card speaks ISO/IEC 14443-4, so its ATS has to be there


def parse_targets(answer: bytes | bytearray) -> Card | NoCard:
    """Parse the bytes that follow the response code D5 4B. Raises nothing.

    Automatic RATS is on. So a card whose SAK promises ISO/IEC 14443-4 has answered in full only if
    its ATS is there.
    """
    if not answer or answer[0] == 0:
        return NoCard.INCOMPLETE
    if answer[0] > 1:
        return NoCard.SEVERAL
    if len(answer) < _HEAD_LENGTH:
        return NoCard.UNREADABLE
    sak, end = answer[4], _HEAD_LENGTH + answer[5]
    uid = bytes(answer[_HEAD_LENGTH:end])
    if len(uid) != answer[5] or len(uid) not in UID_LENGTHS:
        return NoCard.UNREADABLE
    if sak & _SAK_UID_INCOMPLETE or _is_cut_off(uid):
        return NoCard.INCOMPLETE
    if sak & _SAK_ANSWERS_RATS and not _has_ats(answer, end):
        return NoCard.INCOMPLETE
    return Card(CardUid(uid), atqa=answer[2] << 8 | answer[3], sak=sak)


def _is_cut_off(uid: bytes) -> bool:
    return len(uid) == UID_LENGTHS[0] and uid[0] == CASCADE_TAG


def _has_ats(answer: bytes | bytearray, start: int) -> bool:
    """Whether a whole ATS begins at `start`; its first byte is its length and counts itself."""
    return len(answer) > start and 0 < answer[start] <= len(answer) - start
