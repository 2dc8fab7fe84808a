"""The PN532's host frames as pure bytes <-> values (UM0701-02 section 6.2.1). It knows no command and keeps no time.

Written from the manual alone, on the chip's side of the line: it decodes what a host sends and encodes what a chip sends.
"""

from dataclasses import dataclass

__all__ = [
    "ACK",
    "ERROR",
    "NACK",
    "Ack",
    "Command",
    "Decoder",
    "Frame",
    "Nack",
    "Skipped",
    "encode",
]

ACK = bytes.fromhex("0000ff00ff00")
NACK = bytes.fromhex("0000ffff0000")
ERROR = bytes.fromhex("0000ff01ff7f8100")  # 6.2.1.5: application level error

FROM_HOST = 0xD4
FROM_CHIP = 0xD5
START = b"\x00\xff"
NORMAL_HEAD_BYTES = 4  # start code, length, its checksum
EXTENDED_HEAD_BYTES = 7  # start code, FF FF, two bytes of length, their checksum
PAYLOAD_MAX_BYTES = 265  # TFI, command and 263 bytes: what the chip's buffer holds (6.2.1.2)
NORMAL_MAX_BYTES = 255


@dataclass(frozen=True, slots=True)
class Command:
    """A whole information frame from the host; `data` is the command code and its parameters, empty when there are none."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Ack:
    """The host's ACK: it has the response, or it wants the running command aborted."""


@dataclass(frozen=True, slots=True)
class Nack:
    """The host asks for the last response again."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that began like a frame and was none. The chip says nothing to it; the host's time-out sees it."""

    reason: str


Frame = Command | Ack | Nack | Skipped


def encode(data: bytes) -> bytes:
    """The chip's information frame around response code and parameters; extended when it does not fit a normal one."""
    payload = bytes((FROM_CHIP,)) + data
    size = len(payload)
    if size > PAYLOAD_MAX_BYTES:
        raise ValueError(f"a response of {size} bytes; the chip's buffer holds {PAYLOAD_MAX_BYTES}")
    if size <= NORMAL_MAX_BYTES:
        head = bytes((size, -size & 0xFF))
    else:
        head = b"\xff\xff" + bytes((size >> 8, size & 0xFF, -(size >> 8) - (size & 0xFF) & 0xFF))
    return b"\x00" + START + head + payload + bytes((-sum(payload) & 0xFF, 0))


class Decoder:
    """Bytes from the host in, frames out. Once `next_frame` has said None, at most one frame's worth is held."""

    def __init__(self) -> None:
        self._held = bytearray()

    def push(self, data: bytes) -> None:
        """More bytes from the host."""
        self._held += data

    def next_frame(self) -> Frame | None:
        """The next frame that is complete, however its bytes came; None when more are needed."""
        while (step := self._next()) is not None:
            used, frame = step
            del self._held[:used]
            if frame is not None:
                return frame
        return None

    def reset(self) -> bytes:
        """Forget what is held, and give it back: a chip that falls asleep has not heard it."""
        held = bytes(self._held)
        self._held.clear()
        return held

    def _next(self) -> tuple[int, Frame | None] | None:
        """How many bytes to drop and the frame they were, if any; None when more bytes are needed."""
        start = self._held.find(START)
        if start < 0:
            # A zero at the end may be the first half of a start code; everything before it is of no use.
            useless = len(self._held) - self._held.endswith(b"\x00")
            return (useless, None) if useless else None
        if start > 0:
            return start, None
        if len(self._held) < NORMAL_HEAD_BYTES:
            return None
        return self._body()

    def _body(self) -> tuple[int, Frame | None] | None:
        """What follows a start code at the front."""
        length, check = self._held[2], self._held[3]
        match length, check:
            case 0x00, 0xFF:
                return 4, Ack()
            case 0xFF, 0x00:
                return 4, Nack()
            case 0xFF, 0xFF:
                return self._extended()
            case _ if (length + check) & 0xFF:
                return len(START), Skipped("length checksum")
            case _:
                return self._payload(NORMAL_HEAD_BYTES, length)

    def _extended(self) -> tuple[int, Frame | None] | None:
        if len(self._held) < EXTENDED_HEAD_BYTES:
            return None
        high, low, check = self._held[4:7]
        if (high + low + check) & 0xFF:
            return len(START), Skipped("length checksum")
        return self._payload(EXTENDED_HEAD_BYTES, high << 8 | low)

    def _payload(self, begin: int, length: int) -> tuple[int, Frame | None] | None:
        if not 0 < length <= PAYLOAD_MAX_BYTES:
            return len(START), Skipped("length")
        end = begin + length
        if len(self._held) <= end:
            return None
        payload = bytes(self._held[begin:end])
        if (sum(payload) + self._held[end]) & 0xFF:
            return len(START), Skipped("data checksum")
        if payload[0] != FROM_HOST:
            return end + 1, Skipped("frame identifier")
        return end + 1, Command(payload[1:])
