"""The chip's codec of PN532 host frames: bytes to values and back (UM0701-02, section 6.2.1).

Written from the manual alone, for the chip's side of the line: it decodes what a host sends and
encodes what a chip sends.
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
    """An information frame from the host; `data` is the command code and its parameters."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Ack:
    """The host's ACK: it has received the response, or aborts the running command."""


@dataclass(frozen=True, slots=True)
class Nack:
    """The host asks for the last response again."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Bytes that began like a frame and were none; the chip does not answer them."""

    reason: str


Frame = Command | Ack | Nack | Skipped


def encode(data: bytes) -> bytes:
    """Return the chip's information frame, an extended one if a normal one is too short.

    Args:
        data: the response code and its parameters.

    Raises:
        ValueError: `data` is longer than the chip's buffer.
    """
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
    """Bytes from the host to frames.

    Once `next_frame` has returned None, it holds at most the bytes of one frame.
    """

    def __init__(self) -> None:
        self._held = bytearray()

    def push(self, data: bytes) -> None:
        """Add bytes from the host."""
        self._held += data

    def next_frame(self) -> Frame | None:
        """Return the next complete frame; None when more bytes are needed."""
        while (step := self._next()) is not None:
            used, frame = step
            del self._held[:used]
            if frame is not None:
                return frame
        return None

    def reset(self) -> bytes:
        """Drop the held bytes and return them: a chip that falls asleep has not received them."""
        held = bytes(self._held)
        self._held.clear()
        return held

    def _next(self) -> tuple[int, Frame | None] | None:
        """Return how many bytes to drop and their frame, if any; None when more are needed."""
        start = self._held.find(START)
        if start < 0:
            # A zero at the end may be the first half of a start code; all before it can go.
            useless = len(self._held) - self._held.endswith(b"\x00")
            return (useless, None) if useless else None
        if start > 0:
            return start, None
        if len(self._held) < NORMAL_HEAD_BYTES:
            return None
        return self._body()

    def _body(self) -> tuple[int, Frame | None] | None:
        """Decode what follows a start code at the front, as `_next` does."""
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
