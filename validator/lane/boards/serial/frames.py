"""The board's frames: values to bytes, and a stream of bytes, hostile ones included, to values. docs/board-protocol.md is the source.

Only the frames themselves: sessions, acknowledgements and time are lane/boards/serial/link.py's. One table says how each body is laid out.
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
LANE_SEQ, BOARD_SEQ = 0x00, 0x80  # of HELLO, ACK and HEARTBEAT, which both sides send: who it was
PAYLOAD_BYTES_MAX = 64
ENCODED_BYTES_MAX = 65  # COBS adds one byte to so short a payload
FIRMWARE_BYTES_MAX = 46
DEVICE_ID_BYTES = 8
CRC_BYTES = 2
HEAD_BYTES = 2
DIRECTION_MAX = 1
OUTCOME_MAX = 7
CARDS_ONE = 1
CARDS_SEVERAL = 2


@dataclass(frozen=True, slots=True)
class Hello:
    """Who speaks, in which session; `device_id` has 8 bytes, `firmware` at most 46 in UTF-8."""

    TYPE: ClassVar[int] = 0x01
    protocol: int
    session: int
    device_id: bytes
    firmware: str

    def __post_init__(self) -> None:
        if len(self.firmware.encode()) > FIRMWARE_BYTES_MAX:
            raise ValueError(f"the firmware text of a HELLO has at most {FIRMWARE_BYTES_MAX} bytes")


class Ack(Struct, frozen=True):
    """A command or event has arrived."""

    TYPE: ClassVar[int] = 0x02
    acknowledged: int


class OpenFrame(Struct, frozen=True):
    """Release the arms for one passage; idempotent by tap."""

    TYPE: ClassVar[int] = 0x10
    tap: int
    direction: int
    hold_ms: int


class ShowFrame(Struct, frozen=True):
    """Show an outcome; `date` in days since 2020-01-01, 0 for none."""

    TYPE: ClassVar[int] = 0x11
    outcome: int
    hold_ms: int
    date: int


class ReadFrame(Struct, frozen=True):
    """Send the card again that lies on the board's own reader, if there is one."""

    TYPE: ClassVar[int] = 0x12


class PassedFrame(Struct, frozen=True):
    """Somebody went through."""

    TYPE: ClassVar[int] = 0x20
    tap: int
    after_ms: int


class NotPassedFrame(Struct, frozen=True):
    """Nobody went through."""

    TYPE: ClassVar[int] = 0x21
    tap: int


class ForcedFrame(Struct, frozen=True):
    """Locked arms were turned."""

    TYPE: ClassVar[int] = 0x22


class EmergencyFrame(Struct, frozen=True):
    """The emergency release."""

    TYPE: ClassVar[int] = 0x23
    on: bool


class TamperFrame(Struct, frozen=True):
    """The housing."""

    TYPE: ClassVar[int] = 0x24
    on: bool


@dataclass(frozen=True, slots=True)
class CardFrame:
    """A card that the board itself has read; with `count` 2 there were several, and no UID.

    `lay`: in an earlier session a lane has acknowledged it or opened after it, or it lay there when the board started.
    """

    TYPE: ClassVar[int] = 0x25
    count: int
    lay: bool
    sak: int
    atqa: int
    uid: bytes = field(repr=False)  # a repr ends up in logs and tracebacks


class Heartbeat(Struct, frozen=True):
    """A sign of life, and the state that must not get lost."""

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

# Bodies of fixed length, as msgspec's structs: every passenger waits for one. How the fields lie, in the order in which the class declares them.
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
    """One frame with its delimiter. Raises struct.error when a field does not fit: our mistake, never the line's."""
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
    """The seq and frame between two delimiters, or None for anything that is not exactly a frame. Never raises."""
    try:
        payload = cobs.decode(encoded)
    except cobs.DecodeError:
        return None
    if not HEAD_BYTES + CRC_BYTES <= len(payload) <= PAYLOAD_BYTES_MAX:
        return None
    if binascii.crc_hqx(payload, 0xFFFF):  # over the CRC too: what is left of a good one is 0
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
    """A stream in pieces of any size to (seq, frame) pairs. Holds at most 65 bytes; what is no frame is counted in `errors`."""

    def __init__(self) -> None:
        self.errors = 0
        self._buffer = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[tuple[int, Frame]]:
        """Take what came; return the frames that it completed. Never raises."""
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
