"""The chip's codec of Port-100 host frames.

A frame is 00 00 FF FF FF, a length of two bytes (low byte first), its checksum, the data, the
data's checksum, 00. The data begins with D6 from the host and D7 from the chip, then the command's
code. One bulk transfer has one frame.
"""

from dataclasses import dataclass

__all__ = ["ACK", "ERROR", "Ack", "Command", "Frame", "Invalid", "decode", "encode"]

ACK = bytes.fromhex("0000ff00ff00")
ERROR = bytes.fromhex("0000ffffff")
FROM_HOST, FROM_CHIP = 0xD6, 0xD7
HEAD_BYTES = 8
TAIL_BYTES = 2
DATA_MIN_BYTES = 2  # the two codes
DATA_MAX_BYTES = 1003  # 1001 of payload (Linux, port100.c) after the two codes


@dataclass(frozen=True, slots=True)
class Command:
    """A command from the host."""

    code: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Ack:
    """The host's ACK: it aborts the command that runs."""


@dataclass(frozen=True, slots=True)
class Invalid:
    """Bytes that are no frame of a host."""

    reason: str


Frame = Command | Ack | Invalid


def encode(data: bytes) -> bytes:
    """Return the chip's frame with this data, which begins with the response's code."""
    data = bytes((FROM_CHIP,)) + data
    size = len(data).to_bytes(2, "little")
    return ERROR + size + _check(size) + data + _check(data) + b"\x00"


def decode(data: bytes) -> Frame:
    """Decode what one transfer of the host brought: any bytes."""
    if data == ACK:
        return Ack()
    if data[:5] != ERROR or len(data) < HEAD_BYTES + TAIL_BYTES:
        return Invalid("start")
    size = int.from_bytes(data[5:7], "little")
    if data[7:8] != _check(data[5:7]):
        return Invalid("length checksum")
    if not DATA_MIN_BYTES <= size <= DATA_MAX_BYTES:
        return Invalid("length")
    if len(data) != HEAD_BYTES + size + TAIL_BYTES:
        return Invalid("length")
    body = data[HEAD_BYTES : HEAD_BYTES + size]
    if data[HEAD_BYTES + size : HEAD_BYTES + size + 1] != _check(body):
        return Invalid("data checksum")
    if body[0] != FROM_HOST:
        return Invalid("direction")
    return Command(body[1], body[2:])


def _check(data: bytes) -> bytes:
    return bytes((-sum(data) & 0xFF,))
