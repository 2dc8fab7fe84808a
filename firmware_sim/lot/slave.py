"""The slave's end of a Modbus RTU line: frames end by silence, a wrong CRC is not answered.

Source: Modbus over Serial Line 1.02, 2.5.1: 1.75 ms of silence above 19,200 bit/s.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

SILENCE_NS = 1_750_000
FRAME_BYTES_MAX = 256
READ_HOLDING, WRITE_MULTIPLE = 0x03, 0x10
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, BUSY = 1, 2, 3, 6
REGISTERS_MAX = 125
FRAME_BYTES_MIN = 4
READ_BYTES = 4  # register and count
WRITE_HEAD_BYTES = 5  # register, count, and how many bytes follow


class Registers(Protocol):
    """The registers behind the line; ValueError and LookupError become exceptions 3 and 2."""

    def read(self, register: int) -> int:
        """Return a register."""

    def write(self, register: int, values: Sequence[int], now_ns: int) -> None:
        """Write registers from this one on."""


def checksum(data: bytes) -> bytes:
    """Return CRC-16/MODBUS by its table of bits, low byte first."""
    total = 0xFFFF
    for byte in data:
        for bit in range(8):
            mixed = (total ^ byte >> bit) & 1
            total = (total >> 1) ^ (0xA001 * mixed)
    return bytes((total & 0xFF, total >> 8))


class Slave:
    """Cuts the line into frames and answers them."""

    def __init__(self, address: int, registers: Registers) -> None:
        self._address = address
        self._registers = registers
        self._bytes = bytearray()
        self._last_ns = 0

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take bytes from the line."""
        self._bytes = (self._bytes + data)[-FRAME_BYTES_MAX:]
        self._last_ns = now_ns

    def due_ns(self) -> int | None:
        """Return when the frame under way ends."""
        return self._last_ns + SILENCE_NS if self._bytes else None

    def answer(self, now_ns: int, *, is_busy: Callable[[], bool] = lambda: False) -> bytes:
        """Return the answer to the frame that has ended; nothing if it gets none.

        `is_busy` is asked for each request to this slave; a busy one does nothing and says so.
        """
        due_ns = self.due_ns()
        if due_ns is None or now_ns < due_ns:
            return b""
        frame, self._bytes = bytes(self._bytes), bytearray()
        if (
            len(frame) < FRAME_BYTES_MIN
            or checksum(frame[:-2]) != frame[-2:]
            or frame[0] != self._address
        ):
            return b""
        function, body = frame[1], frame[2:-2]
        try:
            if is_busy():
                answer = bytes((self._address, function | 0x80, BUSY))
            else:
                answer = bytes((self._address, function)) + self._do(function, body, now_ns)
        except NotImplementedError:
            answer = bytes((self._address, function | 0x80, ILLEGAL_FUNCTION))
        except LookupError:
            answer = bytes((self._address, function | 0x80, ILLEGAL_ADDRESS))
        except ValueError:
            answer = bytes((self._address, function | 0x80, ILLEGAL_VALUE))
        return answer + checksum(answer)

    def _do(self, function: int, body: bytes, now_ns: int) -> bytes:
        register, count = int.from_bytes(body[:2], "big"), int.from_bytes(body[2:4], "big")
        if function == READ_HOLDING and len(body) == READ_BYTES:
            if not 1 <= count <= REGISTERS_MAX:
                raise ValueError("count")
            values = [self._registers.read(register + at) for at in range(count)]
            return bytes((2 * count,)) + b"".join(value.to_bytes(2, "big") for value in values)
        if function == WRITE_MULTIPLE and len(body) >= WRITE_HEAD_BYTES:
            data = body[WRITE_HEAD_BYTES:]
            if body[4] != len(data) or len(data) != 2 * count or not count:
                raise ValueError("count")
            values = [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]
            self._registers.write(register, values, now_ns)
            return body[:READ_BYTES]
        raise NotImplementedError
