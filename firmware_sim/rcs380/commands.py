"""The commands of a Port-100: parameters in, the answer's parameters out.

A command is a generator: it yields the time until which it waits, is resumed with the time, and
returns its answer. Aborting it is closing the generator.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass

from firmware_sim.radio.air import SILENCE, Air, crc_a
from firmware_sim.radio.field import Field

__all__ = ["IDEAL", "REAL", "Commands", "Run", "Timing"]

MS = 1_000_000
TIMEOUT_UNIT_NS = MS // 10  # of InCommRF
GUARD_UNIT_NS = MS  # of initial_guard_time: assumed, as ISO 14443-3 wants 5 ms and hosts send 6

OK, PARAMETER_ERROR, COMMAND_ERROR = b"\x00", b"\x01", b"\x07"
# Status of an exchange, in four bytes
NO_ERROR = bytes(4)
CRC_ERROR = bytes.fromhex("04000000")
COLLISION_ERROR = bytes.fromhex("08000000")  # that a chip reports one is assumed
RECEIVE_TIMEOUT = bytes.fromhex("80000000")
ALL_BITS = b"\x08"  # of the last byte of the answer

GUARD_TIME, ADD_CRC, CHECK_CRC, LAST_BITS = 0, 1, 2, 7  # InSetProtocol's numbers used here
PROTOCOL_NUMBERS = 20
TYPE_A_106 = bytes.fromhex("02030f03")  # InSetRF
FIRMWARE_VERSION = bytes.fromhex("1101")  # 1.11
PACKAGE_VERSION = bytes.fromhex("0001")
COMMAND_TYPES = bytes.fromhex("0000000000000003")  # a mask: types 0 and 1

Run = Generator[int, int, bytes]


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations in ns: assumptions, not measurements of a chip.

    Attributes:
        step_ns: from a command to its answer, without the radio.
        exchange_ns: from a card's first bit to the last of its answer.
        power_up_ns: from the field to a card that answers.
    """

    step_ns: int
    exchange_ns: int
    power_up_ns: int


IDEAL = Timing(0, 0, 0)
REAL = Timing(step_ns=3 * MS, exchange_ns=MS // 2, power_up_ns=5 * MS)


class Commands:
    """The application level of the chip; `run` starts a command."""

    def __init__(self, field: Field, timing: Timing) -> None:
        self.field = field
        self.air = Air(field)
        self._timing = timing
        self._known: dict[int, Callable[[bytes, int], bytes | Run]] = {
            0x00: self._set_rf,
            0x02: self._set_protocol,
            0x04: self._exchange,
            0x06: self._switch_rf,
            0x12: self._reset_device,
            0x20: lambda _body, _now_ns: FIRMWARE_VERSION,
            0x22: lambda _body, _now_ns: PACKAGE_VERSION,
            0x28: lambda _body, _now_ns: COMMAND_TYPES,
            0x2A: self._set_command_type,
            0x40: lambda _body, _now_ns: OK,  # TgSetRF: the chip as a card, which no reader is near
            0x42: lambda _body, _now_ns: OK,  # TgSetProtocol
            0x44: lambda _body, _now_ns: OK,  # TgSetAuto
            0x46: lambda _body, _now_ns: OK,  # TgSetRFOff
            0x48: self._as_a_card,
        }
        self.reset()

    def reset(self) -> None:
        """Reset what a host has configured, as a power-up does; the field is off."""
        self._rf = b""
        self._protocol: dict[int, int] = {}
        self._on_ns = 0
        self.field.power(on=False)

    def run(self, code: int, body: bytes, now_ns: int) -> Run:
        """Run a command from its arrival to its answer's parameters."""
        now_ns = yield now_ns + self._timing.step_ns
        command = self._known.get(code)
        if command is None:
            return COMMAND_ERROR
        result = command(body, now_ns)
        return result if isinstance(result, bytes) else (yield from result)

    def entered(self, now_ns: int) -> None:
        """Take that cards have entered the field: they need time to power up."""
        for there in self.field.present:
            there.awake_ns = there.awake_ns or now_ns + self._timing.power_up_ns

    def _field_on(self, now_ns: int) -> None:
        if self.field.on:
            return
        self.field.power(on=True)
        self._on_ns = now_ns
        for there in self.field.present:
            there.awake_ns = now_ns + self._timing.power_up_ns

    def _set_rf(self, body: bytes, now_ns: int) -> bytes:
        """Choose the modulation; that this switches the field on is assumed."""
        if len(body) != len(TYPE_A_106):
            return PARAMETER_ERROR
        self._rf = body
        self._field_on(now_ns)
        return OK

    def _set_protocol(self, body: bytes, _now_ns: int) -> bytes:
        numbers, values = body[::2], body[1::2]
        if len(numbers) != len(values) or any(each >= PROTOCOL_NUMBERS for each in numbers):
            return PARAMETER_ERROR
        self._protocol.update(zip(numbers, values, strict=True))
        return OK

    def _switch_rf(self, body: bytes, now_ns: int) -> bytes:
        if body not in {b"\x00", b"\x01"}:
            return PARAMETER_ERROR
        if body == b"\x01":
            self._field_on(now_ns)
        else:
            self.field.power(on=False)
        return OK

    def _reset_device(self, body: bytes, _now_ns: int) -> bytes:
        if len(body) != 2:  # noqa: PLR2004  (a delay, which the simulation does not wait for)
            return PARAMETER_ERROR
        self.reset()
        return OK

    def _set_command_type(self, body: bytes, _now_ns: int) -> bytes:
        return OK if body in {b"\x00", b"\x01"} else PARAMETER_ERROR

    def _exchange(self, body: bytes, now_ns: int) -> bytes | Run:
        if len(body) < 3:  # noqa: PLR2004  (a time-out of two bytes, and a frame)
            return RECEIVE_TIMEOUT
        timeout_ns = int.from_bytes(body[:2], "little") * TIMEOUT_UNIT_NS
        return self._sent(body[2:], timeout_ns, now_ns)

    def _sent(self, frame: bytes, timeout_ns: int, now_ns: int) -> Run:
        """Send a frame to the cards; wait for an answer, or for the end of the time-out."""
        self._field_on(now_ns)
        guarded_ns = self._on_ns + self._protocol.get(GUARD_TIME, 0) * GUARD_UNIT_NS
        if now_ns < guarded_ns:
            now_ns = yield guarded_ns
        bits = self._protocol.get(LAST_BITS, 8)
        if self._protocol.get(ADD_CRC):
            frame += crc_a(frame)
        answer = SILENCE if self._rf != TYPE_A_106 else self.air.send(frame, bits, now_ns)
        if answer is SILENCE:
            yield now_ns + timeout_ns
            return RECEIVE_TIMEOUT
        yield now_ns + self._timing.exchange_ns
        if isinstance(answer, bytes):
            return self._checked(answer)
        return COLLISION_ERROR

    def _checked(self, answer: bytes) -> bytes:
        if self._protocol.get(CHECK_CRC):
            if crc_a(answer[:-2]) != answer[-2:]:
                return CRC_ERROR
            answer = answer[:-2]
        return NO_ERROR + ALL_BITS + answer

    def _as_a_card(self, body: bytes, now_ns: int) -> bytes | Run:
        """TgCommRF: wait for another reader, which never comes."""
        head_bytes = 33
        if len(body) < head_bytes:
            return bytes(3) + RECEIVE_TIMEOUT
        return self._wait_for_a_reader(now_ns + int.from_bytes(body[31:33], "little") * MS)

    def _wait_for_a_reader(self, due_ns: int) -> Run:
        yield due_ns
        return b"\x0b\x00\x00" + RECEIVE_TIMEOUT
