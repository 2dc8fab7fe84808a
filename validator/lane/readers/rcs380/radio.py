"""What a Port-100 is told to do, step by step: set its radio, look for a card, select it.

The chip has no command that waits for a card or selects one. The host sends each frame of
ISO/IEC 14443-3 through it, and gets what the cards answer. A thing to do is a generator: it yields
a step, is resumed with the chip's answer, and returns what was found. It does no I/O and asks no
clock; `chip.py` carries the steps out, and the loop of the lane waits for nothing meanwhile.

Commands and their numbers are those that nfcpy (nfc.clf.rcs380) and Linux (port100.c) send; Sony
publishes no manual.
"""

from collections.abc import Generator
from functools import reduce
from operator import xor
from typing import NamedTuple, TypeVar

from nfc.clf import rcs380

from validator.domain.cards import CASCADE_TAG, Card, CardUid
from validator.lane.readers.findings import Found, NoCard

# A card has forgotten everything after 5.1 ms without a field (NFC Forum Digital 2.0, 5.3).
FIELD_OFF_NS = 6_000_000
ABORT_NS = 5_000_000  # for what the chip still sends after the host's ACK: it is dropped

_IN_SET_RF, _IN_SET_PROTOCOL, _IN_COMM_RF, _SWITCH_RF, _VERSION = 0x00, 0x02, 0x04, 0x06, 0x20
_TYPE_A_106 = bytes((2, 3, 15, 3))  # nfcpy's settings of "106A", to send and to receive
_OFF = b"\x00"
_GUARD_TIME, _ADD_CRC, _CHECK_CRC, _ADD_PARITY, _CHECK_PARITY, _LAST_BITS = 0, 1, 2, 4, 5, 7
# No CRC by the chip: anticollision frames have none and the next one has, which would cost a
# command each time. Behind a field that was off, cards need 5 ms; nfcpy waits 6.
_PROTOCOL = {
    **dict(
        zip(
            rcs380.Chipset.in_set_protocol_defaults[::2],
            rcs380.Chipset.in_set_protocol_defaults[1::2],
            strict=True,
        )
    ),
    _GUARD_TIME: 6,
    _ADD_CRC: 0,
    _CHECK_CRC: 0,
    _CHECK_PARITY: 1,
}
_SHORT = {_ADD_PARITY: 0, _LAST_BITS: 7}  # for REQA
_STANDARD = {_ADD_PARITY: 1, _LAST_BITS: 8}

# Time-outs of an exchange in 0.1 ms. Cards answer after 0.09 ms (6.2.1.1 of the standard); the rest
# is for the chip. One that is too long costs time only when a card has left.
_REQUEST_TENTHS, _SELECT_TENTHS = 20, 50
# A card answers RATS within 4.8 ms (ISO/IEC 14443-4, 5.2). A DESFire may take 77 ms for an APDU by
# its ATS; for what is read here it takes some ms, and a person waits for no other.
_ACTIVATION_TENTHS, _APDU_TENTHS = 60, 200
_HALT_TENTHS = 10  # a card that answers HLTA within 1 ms has not understood it (6.4.3)

_REQA = b"\x26"
_LEVELS = (0x93, 0x95, 0x97)
_ANTICOLLISION, _SELECT = 0x20, 0x70  # NVB: the two bytes of the command; all seven
_HLTA = b"\x50\x00"
_RATS = b"\xe0\x50"  # frames of 64 bytes, CID 0
_I_BLOCK, _DESELECT = 0x02, b"\xc2"  # without CID and NAD
_CRC_BYTES = 2
_MORE_LEVELS = 0x04  # in SAK
_ATQA_BYTES, _PART_BYTES, _SAK_BYTES = 2, 5, 3
_ANTICOLLISION_BITS = 0x1F  # of the first byte of ATQA; without any, a card of NFC Forum type 1

_STATUS_BYTES = 4
_COLLISION, _NO_ANSWER = 0x08, 0x80
# The chip could not send: too hot, foreign field, no field, blocked. No card is to blame.
_CANNOT_SEND = 0x40 | 0x200 | 0x400 | 0x800


class ChipError(Exception):
    """The chip refuses a command; the text is one line."""


class WrongAnswerError(Exception):
    """What the chip sends is no answer to the command."""


class Send(NamedTuple):
    """A command; its answer is what the generator is resumed with."""

    code: int
    body: bytes


class Pause(NamedTuple):
    """Wait so long, and drop what the chip sends."""

    ns: int
    aborts: bool = False
    """Whether to tell the chip before to drop the command that it works on."""


Result = TypeVar("Result")
Steps = Generator[Send | Pause, bytes, Result]


class Radio:
    """Knows how the chip's radio is set, and what to send next.

    Only one generator runs at a time. One that was given up leaves the radio unknown: `restart` or
    `reset_field` is next then.
    """

    def __init__(self) -> None:
        self._frames: dict[int, int] | None = None
        self._block_number = 0  # of the next block of ISO/IEC 14443-4
        self.has_selected = False
        """Whether the card found last was selected: `ask` puts it to sleep first."""

    def reset_field(self) -> Steps[None]:
        """Switch the field off and on: every card in it begins again. About 12 ms."""
        yield from self._set(_SWITCH_RF, _OFF)
        yield Pause(FIELD_OFF_NS)
        self.has_selected = False
        yield from self._set(_IN_SET_RF, _TYPE_A_106)
        yield from self._set(_IN_SET_PROTOCOL, _pairs({**_PROTOCOL, **_SHORT}))
        self._frames = _SHORT

    def restart(self) -> Steps[None]:
        """Do the same after an answer that was wrong or did not come."""
        yield Pause(ABORT_NS, aborts=True)
        yield from self.reset_field()

    def switch_off(self) -> Steps[None]:
        """Leave the chip as a fresh program expects it."""
        yield Pause(0, aborts=True)
        yield from self._set(_SWITCH_RF, _OFF)

    def check(self) -> Steps[None]:
        """Prove that an idle chip is alive."""
        yield Send(_VERSION, b"")

    def ask(self) -> Steps[Found]:
        """Put the card found last to sleep, and look for another one.

        A sleeping card is silent until it leaves the field, or the field is reset.
        """
        if self.has_selected:
            self.has_selected = False
            yield from self._exchange(_with_crc(_HLTA), _HALT_TENTHS)
        yield from self._set_frames(_SHORT)
        status, atqa = yield from self._exchange(_REQA, _REQUEST_TENTHS)
        if status & _NO_ANSWER:
            return NoCard.NONE
        # Two cards may garble each other here. Anticollision shows whether there are two.
        is_clear = status == 0 and len(atqa) == _ATQA_BYTES
        if is_clear and not atqa[0] & _ANTICOLLISION_BITS:
            return NoCard.UNREADABLE
        yield from self._set_frames(_STANDARD)
        found = yield from self._select(int.from_bytes(atqa, "little") if is_clear else None)
        # Noise, if nothing that answered was clear.
        return NoCard.NONE if found is NoCard.INCOMPLETE and not is_clear else found

    def _select(self, atqa: int | None) -> Steps[Found]:
        uid = b""
        for level in _LEVELS:
            status, part = yield from self._exchange(bytes((level, _ANTICOLLISION)), _SELECT_TENTHS)
            if status & _COLLISION:
                return NoCard.SEVERAL
            if status or len(part) != _PART_BYTES or reduce(xor, part):
                return NoCard.INCOMPLETE
            status, answer = yield from self._exchange(
                _with_crc(bytes((level, _SELECT)) + part), _SELECT_TENTHS
            )
            if status & _COLLISION:
                return NoCard.SEVERAL
            if status or len(answer) != _SAK_BYTES or answer != _with_crc(answer[:1]):
                return NoCard.INCOMPLETE
            has_more = part[0] == CASCADE_TAG and level != _LEVELS[-1]
            if answer[0] & _MORE_LEVELS:
                if not has_more:
                    return NoCard.UNREADABLE
                uid += part[1:4]
                continue
            self.has_selected = True
            if part[0] == CASCADE_TAG and not uid:
                return NoCard.UNREADABLE
            return Card(CardUid(uid + part[:4]), atqa=atqa, sak=answer[0])
        return NoCard.UNREADABLE

    def activate(self) -> Steps[bool]:
        """Begin ISO/IEC 14443-4 with the selected card; return whether it answers.

        Then `apdu`, and `deselect` to put it to sleep.
        """
        ats = yield from self._block(_RATS, _ACTIVATION_TENTHS)
        return bool(ats) and ats[0] == len(ats)

    def apdu(self, command: bytes) -> Steps[bytes]:
        """Send a command of one block to the activated card; return its answer, b"" for none.

        A card that wants more time, or more than one block, gives none: no command here needs it.
        """
        head = bytes((_I_BLOCK | self._block_number,))
        answer = yield from self._block(head + command, _APDU_TENTHS)
        self._block_number ^= 1
        return answer[1:] if answer[:1] == head else b""

    def deselect(self) -> Steps[bool]:
        """Put the activated card to sleep; return whether it has said so."""
        answer = yield from self._block(_DESELECT, _SELECT_TENTHS)
        self.has_selected = False
        return answer == _DESELECT

    def _block(self, block: bytes, tenths: int) -> Steps[bytes]:
        """Send a block of ISO/IEC 14443-4; return the whole one that answers, b"" for none."""
        if block == _RATS:
            self._block_number = 0
        status, answer = yield from self._exchange(_with_crc(block), tenths)
        is_whole = not status and len(answer) > _CRC_BYTES
        body = answer[:-_CRC_BYTES] if is_whole else b""
        return body if answer == _with_crc(body) else b""

    def _exchange(self, frame: bytes, tenths: int) -> Steps[tuple[int, bytes]]:
        """Send a frame to the cards; return the chip's status, and what they answer."""
        answer = yield Send(_IN_COMM_RF, tenths.to_bytes(2, "little") + frame)
        if len(answer) < _STATUS_BYTES:
            raise WrongAnswerError
        status = int.from_bytes(answer[:_STATUS_BYTES], "little")
        if status & _CANNOT_SEND:
            raise ChipError(str(rcs380.CommunicationError(answer[:_STATUS_BYTES])))
        return status, answer[_STATUS_BYTES + 1 :]  # between them: the bits of the last byte

    def _set_frames(self, frames: dict[int, int]) -> Steps[None]:
        if self._frames is not frames:
            yield from self._set(_IN_SET_PROTOCOL, _pairs(frames))
            self._frames = frames

    def _set(self, code: int, body: bytes) -> Steps[None]:
        answer = yield Send(code, body)
        if len(answer) != 1:
            raise WrongAnswerError
        if answer[0]:
            raise ChipError(str(rcs380.StatusError(answer[0])))


def _pairs(settings: dict[int, int]) -> bytes:
    return bytes(each for pair in settings.items() for each in pair)


def _with_crc(frame: bytes) -> bytes:
    """Return the frame with its CRC_A (ISO/IEC 14443-3, annex B)."""
    crc = 0x6363
    for byte in frame:
        mixed = byte ^ crc & 0xFF
        mixed = (mixed ^ mixed << 4) & 0xFF
        crc = crc >> 8 ^ mixed << 8 ^ mixed << 3 ^ mixed >> 4
    return frame + (crc & 0xFFFF).to_bytes(2, "little")
