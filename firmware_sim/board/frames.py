"""The simulated board's codec: frames to bytes, any bytes to frames.

Written from docs/board-protocol.md alone, with a COBS and a CRC of its own. The gate has another
codec: if both used one library, or one of them the other's tables, a mistake could hide on both
sides. They meet only in tests/golden/board_frames.json. Sessions, acknowledgements and time are in
board/line.py.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import IntEnum

PROTOCOL = 2
PAYLOAD_MIN_BYTES, PAYLOAD_MAX_BYTES = 4, 64
ENCODED_MAX_BYTES = 65  # COBS makes a payload this short one byte longer
FIRMWARE_MAX_BYTES = 46
DEVICE_ID_BYTES = 8
HELLO_HEAD_BYTES = 13
CARD_HEAD_BYTES = 5
UID_BYTES = (4, 7, 10)
CRC_START, CRC_POLYNOMIAL = 0xFFFF, 0x1021
ONE_CARD, SEVERAL_CARDS = 1, 2
FROM_LANE, FROM_BOARD = 0x00, 0x80  # the seq of HELLO, ACK and HEARTBEAT names the sender


class FrameError(ValueError):
    """A value that does not fit its frame; bytes that are no frame raise nothing."""


class Picture(IntEnum):
    """What the board shows, by the outcome numbers of docs/board-protocol.md."""

    READY = 0
    ADMITTED = 1
    ADMITTED_WITH_NOTICE = 2
    DENIED = 3
    TRY_AGAIN = 4
    UNSUPPORTED = 5
    OUT_OF_SERVICE = 6
    EMERGENCY = 7


@dataclass(frozen=True, slots=True)
class Hello:
    """The sender and its session.

    Attributes:
        protocol: the version of the protocol.
        session: never 0.
        device_id: 8 bytes.
        firmware: at most 46 bytes in UTF-8.
    """

    protocol: int
    session: int
    device_id: bytes
    firmware: str


@dataclass(frozen=True, slots=True)
class Ack:
    """The frame with this seq has arrived."""

    acknowledged: int


@dataclass(frozen=True, slots=True)
class Open:
    """Release the arms for one passage. Direction 0 is entry, 1 exit."""

    tap: int
    direction: int
    hold_ms: int


@dataclass(frozen=True, slots=True)
class Show:
    """Show a `Picture`.

    Attributes:
        outcome: the Picture's number.
        hold_ms: for how long; 0 for the resting picture.
        date: in days since 2020-01-01; 0 for none.
    """

    outcome: int
    hold_ms: int
    date: int


@dataclass(frozen=True, slots=True)
class Read:
    """Send the card on the board's own reader once more."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A passenger went through, `after_ms` after the arms were released."""

    tap: int
    after_ms: int


@dataclass(frozen=True, slots=True)
class NotPassed:
    """The arms locked again before a passenger went through."""

    tap: int


@dataclass(frozen=True, slots=True)
class Forced:
    """The arms were turned while locked."""


@dataclass(frozen=True, slots=True)
class Emergency:
    """The emergency release went on or off."""

    on: bool


@dataclass(frozen=True, slots=True)
class Tamper:
    """The housing was opened or closed."""

    on: bool


@dataclass(frozen=True, slots=True)
class Card:
    """A card that the board itself has read.

    Attributes:
        count: 1, or 2 for several cards, which come without a UID.
        lay: the card lay there before: in an earlier session a lane acknowledged it or opened
            after it, or it was there when the board started.
        sak: SEL_RES.
        atqa: SENS_RES.
        uid: 4, 7 or 10 bytes; empty for several cards.
    """

    count: int
    lay: bool
    sak: int
    atqa: int
    uid: bytes


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A sign of life, with the state bits; `uptime_ms` wraps after 49 days."""

    uptime_ms: int
    state: int


Frame = (
    Hello
    | Ack
    | Open
    | Show
    | Read
    | Passed
    | NotPassed
    | Forced
    | Emergency
    | Tamper
    | Card
    | Heartbeat
)

_TYPES: dict[type[Frame], int] = {
    Hello: 0x01,
    Ack: 0x02,
    Open: 0x10,
    Show: 0x11,
    Read: 0x12,
    Passed: 0x20,
    NotPassed: 0x21,
    Forced: 0x22,
    Emergency: 0x23,
    Tamper: 0x24,
    Card: 0x25,
    Heartbeat: 0x2F,
}
_BY_TYPE = {number: kind for kind, number in _TYPES.items()}

# Bodies of numbers only: the size in bytes and the highest value of each field, in the class's
# order.
_U8, _U16, _U32 = (1, 0xFF), (2, 0xFFFF), (4, 0xFFFF_FFFF)
_BIT = (1, 1)
_NUMBERS: dict[type[Frame], tuple[tuple[int, int], ...]] = {
    Ack: (_U8,),
    Open: (_U32, _BIT, _U16),
    Show: ((1, max(Picture)), _U16, _U16),
    Passed: (_U32, _U16),
    NotPassed: (_U32,),
    Forced: (),
    Read: (),
    Emergency: (_BIT,),
    Tamper: (_BIT,),
    Heartbeat: (_U32, _U8),
}
_ON_OFF = (Emergency, Tamper)


def _crc_of_byte(high: int) -> int:
    crc = high << 8
    for _ in range(8):
        crc = (crc << 1) ^ (CRC_POLYNOMIAL if crc & 0x8000 else 0)
    return crc & 0xFFFF


# Bit by bit, the CRC would take longer than the rest of a tap.
_CRC_TABLE = tuple(map(_crc_of_byte, range(256)))


def crc16(data: bytes) -> int:
    """Return CRC-16/CCITT as docs/board-protocol.md has it.

    Polynomial 1021, start FFFF, not reflected, no final XOR.
    """
    crc = CRC_START
    for byte in data:
        crc = (crc << 8 & 0xFFFF) ^ _CRC_TABLE[crc >> 8 ^ byte]
    return crc


def stuff(payload: bytes) -> bytes:
    """Encode by COBS, without the delimiter.

    `payload` has fewer than 254 bytes, so that each run without a zero fits one code byte.
    """
    return b"".join(bytes((len(run) + 1,)) + run for run in payload.split(b"\x00"))


def unstuff(encoded: bytes) -> bytes | None:
    """Decode COBS; None when a run reaches past the end. Never raises."""
    runs = []
    at = 0
    while at < len(encoded):
        code = encoded[at]
        if code == 0 or at + code > len(encoded):
            return None
        runs.append(encoded[at + 1 : at + code])
        at += code
    return b"\x00".join(runs)


def encode(frame: Frame, seq: int) -> bytes:
    """Return one frame with its delimiter.

    Raises:
        FrameError: a field does not fit.
    """
    try:
        payload = bytes((_TYPES[type(frame)], seq)) + _body(frame)
    except (OverflowError, ValueError) as error:
        raise FrameError(f"{frame} does not fit a frame: {error}") from error
    return stuff(payload + crc16(payload).to_bytes(2, "big")) + b"\x00"


def _body(frame: Frame) -> bytes:
    match frame:
        case Hello(protocol, session, device_id, firmware):
            text = firmware.encode()
            if not session or len(device_id) != DEVICE_ID_BYTES or len(text) > FIRMWARE_MAX_BYTES:
                raise FrameError(
                    "a session is not 0, a device id has 8 bytes, a firmware text at most 46"
                )
            return bytes((protocol,)) + session.to_bytes(4, "big") + device_id + text
        case Card(count, lay, sak, atqa, uid):
            if not _is_card(count, uid):
                raise FrameError("one card has a UID of 4, 7 or 10 bytes; several have none")
            return bytes((count, lay, sak)) + atqa.to_bytes(2, "big") + uid
        case _:
            return _numbers(frame)


def _numbers(frame: Frame) -> bytes:
    body = b""
    for name, (size, highest) in zip(fields(frame), _NUMBERS[type(frame)], strict=True):
        value = int(getattr(frame, name.name))
        if value > highest:
            raise FrameError(f"{name.name} is at most {highest}")
        body += value.to_bytes(size, "big")
    return body


def decode(encoded: bytes) -> tuple[int, Frame] | None:
    """Return seq and frame of the bytes between two delimiters; None for no frame. Never raises."""
    payload = unstuff(encoded)
    if payload is None or not PAYLOAD_MIN_BYTES <= len(payload) <= PAYLOAD_MAX_BYTES:
        return None
    if crc16(payload[:-2]) != int.from_bytes(payload[-2:], "big"):
        return None
    kind = _BY_TYPE.get(payload[0])
    if kind is None:
        return None
    read = _READERS.get(kind)
    body = payload[2:-2]
    frame = read(body) if read else _read_numbers(kind, body)
    return None if frame is None else (payload[1], frame)


def _read_numbers(kind: type[Frame], body: bytes) -> Frame | None:
    layout = _NUMBERS[kind]
    if len(body) != sum(size for size, _ in layout):
        return None
    values: list[int] = []
    at = 0
    for size, highest in layout:
        values.append(int.from_bytes(body[at : at + size], "big"))
        at += size
        if values[-1] > highest:
            return None
    make: Callable[..., Frame] = kind
    return make(*map(bool, values)) if kind in _ON_OFF else make(*values)


def _read_hello(body: bytes) -> Frame | None:
    session = int.from_bytes(body[1:5], "big")
    if not HELLO_HEAD_BYTES <= len(body) <= HELLO_HEAD_BYTES + FIRMWARE_MAX_BYTES or not session:
        return None
    try:
        return Hello(body[0], session, body[5:HELLO_HEAD_BYTES], body[HELLO_HEAD_BYTES:].decode())
    except UnicodeDecodeError:
        return None


def _read_card(body: bytes) -> Frame | None:
    if len(body) < CARD_HEAD_BYTES or not _is_card(body[0], body[CARD_HEAD_BYTES:]):
        return None
    count, lay, sak = body[:3]
    atqa = int.from_bytes(body[3:CARD_HEAD_BYTES], "big")
    return Card(count, bool(lay), sak, atqa, body[CARD_HEAD_BYTES:]) if lay <= 1 else None


def _is_card(count: int, uid: bytes) -> bool:
    return (count == ONE_CARD and len(uid) in UID_BYTES) or (count == SEVERAL_CARDS and not uid)


_READERS: dict[type[Frame], Callable[[bytes], Frame | None]] = {
    Hello: _read_hello,
    Card: _read_card,
}


class FrameStream:
    """Bytes in pieces of any size to pairs of seq and frame.

    Holds at most 65 bytes; `errors` counts pieces that were no frame.
    """

    def __init__(self) -> None:
        self.errors = 0
        self._held = bytearray()
        self._skips_until_zero = False

    @property
    def held_bytes(self) -> int:
        """How many bytes of an unfinished frame are held."""
        return len(self._held)

    def feed(self, data: bytes) -> list[tuple[int, Frame]]:
        """Take bytes; return the frames that they complete. Never raises."""
        found = []
        for at, piece in enumerate(data.split(b"\x00")):
            if at:  # a zero came before this piece
                found += self._finish()
            self._hold(piece)
        return found

    def _hold(self, piece: bytes) -> None:
        if self._skips_until_zero:
            return
        if len(self._held) + len(piece) > ENCODED_MAX_BYTES:
            self._held.clear()
            self._skips_until_zero = True
            self.errors += 1
            return
        self._held += piece

    def _finish(self) -> list[tuple[int, Frame]]:
        encoded = bytes(self._held)
        self._held.clear()
        if self._skips_until_zero or not encoded:
            self._skips_until_zero = False
            return []
        found = decode(encoded)
        self.errors += found is None
        return [] if found is None else [found]
