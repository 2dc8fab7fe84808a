"""The frames of the board's protocol as values: encode them, and decode any stream of bytes.

The protocol is docs/board-protocol.md. `link.py` holds sessions, acknowledgements and time. One
table, `_FIXED`, holds the layout of each body of fixed length.
"""

import binascii
import struct
from dataclasses import dataclass, field
from typing import ClassVar

from cobs import cobs
from msgspec import Struct
from msgspec.structs import astuple

from validator.domain.cards import UID_LENGTHS

PROTOCOL = 2
# The seq of HELLO, ACK and HEARTBEAT, which both sides send: it names the sender.
LANE_SEQ, BOARD_SEQ = 0x00, 0x80
PAYLOAD_BYTES_MAX = 64
ENCODED_BYTES_MAX = 65  # COBS adds one byte to so short a payload
FIRMWARE_BYTES_MAX = 46
CRC_BYTES = 2
HEAD_BYTES = 2
DIRECTION_MAX = 1
OUTCOME_MAX = 7
CARDS_ONE = 1
CARDS_SEVERAL = 2


@dataclass(frozen=True, slots=True)
class Hello:
    """The sender and its session. `device_id` has 8 bytes.

    Raises ValueError if `firmware` has more than 46 bytes in UTF-8.
    """

    TYPE: ClassVar[int] = 0x01
    protocol: int
    session: int
    device_id: bytes
    firmware: str

    def __post_init__(self) -> None:
        if len(self.firmware.encode()) > FIRMWARE_BYTES_MAX:
            raise ValueError(f"the firmware text of a HELLO has at most {FIRMWARE_BYTES_MAX} bytes")


class Ack(Struct, frozen=True):
    """The receipt of the command or event whose seq is `acknowledged`."""

    TYPE: ClassVar[int] = 0x02
    acknowledged: int


class OpenFrame(Struct, frozen=True):
    """The command to release the arms for one passage, at most `hold_ms`; idempotent by tap."""

    TYPE: ClassVar[int] = 0x10
    tap: int
    direction: int
    hold_ms: int


class ShowFrame(Struct, frozen=True):
    """The command to show an outcome; `date` in days since 2020-01-01, 0 for none."""

    TYPE: ClassVar[int] = 0x11
    outcome: int
    hold_ms: int
    date: int


class ReadFrame(Struct, frozen=True):
    """The command to report again the card that lies on the board's own reader, if any."""

    TYPE: ClassVar[int] = 0x12


class PassedFrame(Struct, frozen=True):
    """The passenger of `tap` went through, `after_ms` after the release of the arms."""

    TYPE: ClassVar[int] = 0x20
    tap: int
    after_ms: int


class NotPassedFrame(Struct, frozen=True):
    """The arms locked again before the passenger of `tap` went through."""

    TYPE: ClassVar[int] = 0x21
    tap: int


class ForcedFrame(Struct, frozen=True):
    """Someone turned the locked arms."""

    TYPE: ClassVar[int] = 0x22


class EmergencyFrame(Struct, frozen=True):
    """The emergency release was switched on or off."""

    TYPE: ClassVar[int] = 0x23
    on: bool


class TamperFrame(Struct, frozen=True):
    """The housing was opened (`on`) or closed."""

    TYPE: ClassVar[int] = 0x24
    on: bool


@dataclass(frozen=True, slots=True)
class CardFrame:
    """A card that the board itself has read; with `count` 2 several cards, and no UID.

    `lay` is set if a lane of an earlier session acknowledged the card or opened after it, or if the
    card lay there when the board started.
    """

    TYPE: ClassVar[int] = 0x25
    count: int
    lay: bool
    sak: int
    atqa: int
    uid: bytes = field(repr=False)  # a repr ends up in logs and tracebacks


class Heartbeat(Struct, frozen=True):
    """A sign of life, with the bits of the state that must not get lost (link.py)."""

    TYPE: ClassVar[int] = 0x2F
    uptime_ms: int
    state: int


Frame = (
    Hello
    | Ack
    | OpenFrame
    | ShowFrame
    | ReadFrame
    | PassedFrame
    | NotPassedFrame
    | ForcedFrame
    | EmergencyFrame
    | TamperFrame
    | CardFrame
    | Heartbeat
)

# The layout of each body of fixed length, in the order of its class's fields. These classes are
# msgspec structs for speed: every passenger waits for one.
_FIXED: dict[type[Frame], struct.Struct] = {
    Ack: struct.Struct(">B"),
    OpenFrame: struct.Struct(">IBH"),
    ShowFrame: struct.Struct(">BHH"),
    ReadFrame: struct.Struct(">"),
    PassedFrame: struct.Struct(">IH"),
    NotPassedFrame: struct.Struct(">I"),
    ForcedFrame: struct.Struct(">"),
    EmergencyFrame: struct.Struct(">B"),
    TamperFrame: struct.Struct(">B"),
    Heartbeat: struct.Struct(">IB"),
}
_BY_TYPE: dict[int, type[Frame]] = {frame.TYPE: frame for frame in _FIXED}
_HELLO = struct.Struct(">BI8s")
_CARD = struct.Struct(">BBBH")
_BOOLEANS = (0, 1)


def encode(frame: Frame, seq: int) -> bytes:
    """Return one frame with its delimiter. Raises struct.error if a field is out of range."""
    payload = bytes((frame.TYPE, seq)) + _body(frame)
    framed = payload + binascii.crc_hqx(payload, 0xFFFF).to_bytes(CRC_BYTES, "big")
    return bytes(cobs.encode(framed)) + b"\x00"


def _body(frame: Frame) -> bytes:
    if isinstance(frame, Hello):
        return _HELLO.pack(frame.protocol, frame.session, frame.device_id) + frame.firmware.encode()
    if isinstance(frame, CardFrame):
        return _CARD.pack(frame.count, frame.lay, frame.sak, frame.atqa) + frame.uid
    return _FIXED[type(frame)].pack(*astuple(frame))


def decode(encoded: bytes) -> tuple[int, Frame] | None:
    """Return the seq and the frame between two delimiters; None for any other bytes.

    Never raises.
    """
    try:
        payload = cobs.decode(encoded)
    except cobs.DecodeError:
        return None
    if not HEAD_BYTES + CRC_BYTES <= len(payload) <= PAYLOAD_BYTES_MAX:
        return None
    if binascii.crc_hqx(payload, 0xFFFF):  # over data and CRC, which is 0 for a good frame
        return None
    frame = _frame(payload[0], payload[HEAD_BYTES:-CRC_BYTES])
    return None if frame is None else (payload[1], frame)


def _frame(kind: int, body: bytes) -> Frame | None:
    if kind == Hello.TYPE:
        return _hello(body)
    if kind == CardFrame.TYPE:
        return _card(body)
    frame = _BY_TYPE.get(kind)
    if frame is None or len(body) != _FIXED[frame].size:
        return None
    fields = _FIXED[frame].unpack(body)
    if frame is EmergencyFrame or frame is TamperFrame:
        return frame(fields[0] == 1) if fields[0] in _BOOLEANS else None
    if (frame is OpenFrame and fields[1] > DIRECTION_MAX) or (
        frame is ShowFrame and fields[0] > OUTCOME_MAX
    ):
        return None
    return frame(*fields)


def _hello(body: bytes) -> Hello | None:
    if not _HELLO.size <= len(body) <= _HELLO.size + FIRMWARE_BYTES_MAX:
        return None
    protocol, session, device_id = _HELLO.unpack_from(body)
    try:
        firmware = body[_HELLO.size :].decode()
    except UnicodeDecodeError:
        return None
    return Hello(protocol, session, device_id, firmware) if session else None


def _card(body: bytes) -> CardFrame | None:
    if len(body) < _CARD.size:
        return None
    count, lay, sak, atqa = _CARD.unpack_from(body)
    uid = body[_CARD.size :]
    whole = (count == CARDS_ONE and len(uid) in UID_LENGTHS) or (count == CARDS_SEVERAL and not uid)
    return CardFrame(count, lay == 1, sak, atqa, uid) if whole and lay in _BOOLEANS else None


class FrameDecoder:
    """Decodes a stream that comes in pieces of any size.

    Holds at most 65 bytes. `errors` counts the byte runs between two delimiters that are no frame.
    """

    def __init__(self) -> None:
        self.errors = 0
        self._buffer = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[tuple[int, Frame]]:
        """Take a piece and return the (seq, frame) pairs that it completes. Never raises."""
        frames = []
        *ended, rest = data.split(b"\x00")
        for piece in ended:
            self._keep(piece)
            found = self._end()
            if found is not None:
                frames.append(found)
        self._keep(rest)
        return frames

    def _keep(self, piece: bytes) -> None:
        if self._skipping:
            return
        self._buffer += piece
        if len(self._buffer) > ENCODED_BYTES_MAX:
            self._buffer.clear()
            self._skipping = True
            self.errors += 1

    def _end(self) -> tuple[int, Frame] | None:
        encoded = bytes(self._buffer)
        self._buffer.clear()
        if self._skipping or not encoded:
            self._skipping = False
            return None
        found = decode(encoded)
        self.errors += found is None
        return found
