"""Frames between a reader's antenna and the cards in its field (ISO/IEC 14443-3 and -4, type A).

For a reader whose host sends every frame itself, such as the Port-100. A reader that selects cards
by itself, such as the PN532, uses `Field`'s methods. The cards and their states are the same.
"""

from firmware_sim.cards import CASCADE_TAG
from firmware_sim.radio.field import Field, Presence, Stage, State

__all__ = ["COLLISION", "SILENCE", "Air", "crc_a"]

REQA, WUPA = b"\x26", b"\x52"
SHORT_FRAME_BITS = 7
LEVELS = (0x93, 0x95, 0x97)
MORE_LEVELS = 0x04  # SAK: the UID is not complete
WHOLE_LEVEL, NO_BITS = 0x70, 0x20  # NVB: all seven bytes; the two of the command alone
HLTA, RATS, PPS, DESELECT = b"\x50\x00", 0xE0, 0xD0, 0xC2


class Silence:
    """No card answers."""


class Collision:
    """Cards answer differently at the same time: no reader can tell what they say."""


SILENCE, COLLISION = Silence(), Collision()


def crc_a(data: bytes) -> bytes:
    """Return the two bytes of CRC_A (ISO/IEC 14443-3, annex B)."""
    crc = 0x6363
    for byte in data:
        mixed = byte ^ crc & 0xFF
        mixed = (mixed ^ mixed << 4) & 0xFF
        crc = crc >> 8 ^ mixed << 8 ^ mixed << 3 ^ mixed >> 4
    return (crc & 0xFFFF).to_bytes(2, "little")


class Air:
    """Sends frames to the cards of a field, and returns what comes back."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self._happened: list[tuple[str, Presence]] = []

    def take_happened(self) -> list[tuple[str, Presence]]:
        """Return which cards were `selected` or `released` since the last call, in order."""
        happened, self._happened = self._happened, []
        return happened

    def send(self, frame: bytes, bits: int, now_ns: int) -> bytes | Silence | Collision:
        """Send a frame.

        Args:
            frame: the bytes, with their CRC if the command has one.
            bits: how many bits of the last byte are sent.
            now_ns: the time; a card that has no power yet does not receive it.

        Returns:
            What the cards answer, with its CRC.
        """
        answers = set()
        for there in list(self._field.present):
            if there.gone or now_ns < there.awake_ns or not self._field.on:
                continue
            answer = self._at_card(there, frame, bits)
            if answer is not None:
                answers.add(answer)
        if len(answers) > 1:
            return COLLISION
        return answers.pop() if answers else SILENCE

    def _at_card(self, there: Presence, frame: bytes, bits: int) -> bytes | None:
        if bits == SHORT_FRAME_BITS and len(frame) == 1:
            return self._requested(there, wakes=frame == WUPA, known=frame in {REQA, WUPA})
        if there.state is State.PROTOCOL:
            return self._block(there, frame)
        if there.state is State.READY and frame[:1] and frame[0] == LEVELS[there.level]:
            return self._select(there, frame, bits)
        if there.state is State.ACTIVE and _is_whole(frame):
            return self._active(there, frame[:-2])
        there.fall_back()
        return None

    def _requested(self, there: Presence, *, wakes: bool, known: bool) -> bytes | None:
        """Take REQA or WUPA (6.4.1)."""
        if there.state is State.PROTOCOL:
            return None
        if known and (there.state is State.IDLE or (wakes and there.state is State.HALT)):
            there.ready()
            if there.leaves is Stage.BEFORE_ANTICOLLISION:
                self._field.leave(there, there.leaves)
            return there.card.sens_res[::-1]  # low byte first on the air
        there.fall_back()
        return None

    def _select(self, there: Presence, frame: bytes, bits: int) -> bytes | None:
        """Take ANTICOLLISION or SELECT of the card's level (6.5.3)."""
        part = _parts(there.shown_uid)[there.level]
        valid = frame[1] if len(frame) > 1 else 0
        if valid == WHOLE_LEVEL:
            return self._selected(there, frame, part)
        if there.leaves is Stage.IN_ANTICOLLISION:
            self._field.leave(there, there.leaves)
            return None
        if not _begins(part, frame[2:], valid, bits):
            there.fall_back()
            return None
        return part[max(0, (valid >> 4) - 2) :]

    def _selected(self, there: Presence, frame: bytes, part: bytes) -> bytes | None:
        if there.leaves is Stage.BEFORE_SELECT:
            self._field.leave(there, there.leaves)
            return None
        if not _is_whole(frame) or frame[2:-2] != part:
            there.fall_back()
            return None
        sak = there.card.sel_res
        if there.level + 1 < len(_parts(there.shown_uid)):
            there.level += 1
            sak = MORE_LEVELS
        else:
            there.state = State.ACTIVE
            self._happened.append(("selected", there))
            if there.leaves is Stage.BEFORE_RATS:
                self._field.leave(there, there.leaves)
        return _with_crc(bytes((sak,)))

    def _active(self, there: Presence, body: bytes) -> bytes | None:
        if body == HLTA:
            if there.leaves in {Stage.BEFORE_REPLY, Stage.BEFORE_RELEASE}:
                self._field.leave(there, there.leaves)
            self._halt(there)
            return None
        if len(body) == 2 and body[0] == RATS and there.card.ats:  # noqa: PLR2004
            ats = there.activate()
            if there.leaves is Stage.BEFORE_REPLY:
                self._field.leave(there, there.leaves)
            return _with_crc(bytes((len(ats) + 1,)) + ats)
        there.fall_back()  # a Classic meets a wrong key with silence as well
        return None

    def _block(self, there: Presence, frame: bytes) -> bytes | None:
        """Take a block of ISO/IEC 14443-4; what has no valid CRC is not for this card."""
        if not _is_whole(frame) or there.session is None:
            return None
        body = frame[:-2]
        if body[0] == DESELECT:
            if there.leaves is Stage.BEFORE_RELEASE:
                self._field.leave(there, there.leaves)
                return None
            self._halt(there)
            return _with_crc(body[:1])
        if body[0] & 0xF0 == PPS:
            return _with_crc(body[:1])
        answer = there.session.block(body)
        return None if answer is None else _with_crc(answer)

    def _halt(self, there: Presence) -> None:
        there.halt()
        if not there.gone:
            self._happened.append(("released", there))


def _parts(uid: bytes) -> list[bytes]:
    """Return what a card sends at each cascade level: four bytes and their check byte (6.5.4)."""
    parts = []
    while len(uid) > 4:  # noqa: PLR2004
        parts.append(bytes((CASCADE_TAG,)) + uid[:3])
        uid = uid[3:]
    return [part + bytes((part[0] ^ part[1] ^ part[2] ^ part[3],)) for part in [*parts, uid]]


def _begins(part: bytes, known: bytes, valid: int, bits: int) -> bool:
    """Return whether a level's bytes begin with what the reader knows of them.

    Args:
        part: the five bytes of the level.
        known: the reader's bytes; of the last, only `bits` count, the lowest.
        valid: NVB: whole bytes of the command in the high half, further bits in the low half.
        bits: how many bits of the last byte were sent.
    """
    whole, more = (valid >> 4) - 2, valid & 0x0F
    if not 0 <= whole < len(part) or more > 7 or len(known) != whole + bool(more):  # noqa: PLR2004
        return False
    if more and bits != more:
        return False
    mask = (1 << more) - 1
    last = (not more) or (known[-1] & mask) == (part[whole] & mask)
    return part.startswith(known[:whole]) and last


def _is_whole(frame: bytes) -> bool:
    return len(frame) > 2 and crc_a(frame[:-2]) == frame[-2:]  # noqa: PLR2004


def _with_crc(body: bytes) -> bytes:
    return body + crc_a(body)
