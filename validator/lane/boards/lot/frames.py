"""Modbus RTU as LOT's turnstiles speak it: functions 03 and 10h (Modbus over Serial Line 1.02).

A master knows how long an answer is from its request, so it needs no silence to find the end.
"""

from dataclasses import dataclass

READ, WRITE = 0x03, 0x10
EXCEPTION_BIT = 0x80
EXCEPTION_BYTES = 5


@dataclass(frozen=True, slots=True)
class Read:
    """Read `count` registers from `register` on."""

    register: int
    count: int


@dataclass(frozen=True, slots=True)
class Write:
    """Write these values into the registers from `register` on."""

    register: int
    values: tuple[int, ...]


Request = Read | Write


@dataclass(frozen=True, slots=True)
class Refused:
    """The turnstile answered with an exception: its code."""

    code: int


def encode(address: int, request: Request) -> bytes:
    """Return a request's frame, with its CRC."""
    match request:
        case Read(register, count):
            body = bytes((address, READ)) + _words(register, count)
        case Write(register, values):
            body = bytes((address, WRITE)) + _words(register, len(values))
            body += bytes((2 * len(values),)) + _words(*values)
    return body + crc(body)


def answer_bytes(request: Request) -> int:
    """Return the length of the answer to a request that is not refused."""
    return 5 + 2 * request.count if isinstance(request, Read) else 8


def decode(address: int, request: Request, frame: bytes) -> tuple[int, ...] | Refused | None:
    """Return the registers that were read (none for a write), a refusal, or None if it is neither.

    Args:
        address: of the turnstile that was asked.
        request: what was asked.
        frame: the bytes from the answer's first byte on, as many as came.
    """
    function = READ if isinstance(request, Read) else WRITE
    # The head first: a checksum costs more, and a line that babbles has thousands of places.
    if frame[:2] == bytes((address, function | EXCEPTION_BIT)):
        return Refused(frame[2]) if _is_whole(frame, EXCEPTION_BYTES) else None
    if frame[:2] != bytes((address, function)) or not _is_whole(frame, answer_bytes(request)):
        return None
    if isinstance(request, Write):
        return () if frame[2:6] == _words(request.register, len(request.values)) else None
    if frame[2] != 2 * request.count:
        return None
    return tuple(
        int.from_bytes(frame[at : at + 2], "big") for at in range(3, 3 + 2 * request.count, 2)
    )


def crc(data: bytes) -> bytes:
    """Return CRC-16/MODBUS (polynomial A001h reflected, start FFFFh), the low byte first."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")


def _is_whole(frame: bytes, length: int) -> bool:
    return len(frame) >= length and crc(frame[: length - 2]) == frame[length - 2 : length]


def _words(*values: int) -> bytes:
    return b"".join(value.to_bytes(2, "big") for value in values)
