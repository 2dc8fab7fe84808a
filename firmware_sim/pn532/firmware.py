"""The commands of a PN532 (UM0701-02, section 7): parameters in, response parameters out.

This file has the commands that use no radio (7.2); pn532/radio.py has the others, pn532/chip.py
the link.
"""

from firmware_sim.faults import Faults
from firmware_sim.pn532.radio import BadCommandError, Handler, Radio, Run, Timing, expect
from firmware_sim.radio.field import Field

__all__ = ["Firmware"]

BAUDS = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600, 1288000)
AUTO_RATS = 0x10  # SetParameters, bit 4
FIFO_DATA, TX_CONTROL, VERSION = 0x6339, 0x6304, 0x6327
RF_ITEM_BYTES = {0x01: 1, 0x02: 3, 0x04: 1, 0x05: 3, 0x0A: 11, 0x0B: 8, 0x0C: 3, 0x0D: 9}
OK = 0x00


class Firmware:
    """The application level of the chip; `run` starts a command.

    Attributes:
        asked_baud: the speed in bits a second that SetSerialBaudRate asks of the link, to change
            to after the reply.
        asked_sleep: the wake-up sources with which PowerDown asks for sleep after the reply.
        low_vbat: the mode in which the chip starts, until SAMConfiguration.
    """

    def __init__(self, field: Field, timing: Timing, faults: Faults) -> None:
        self.radio = Radio(field, timing, faults)
        self._commands: dict[int, Handler] = {
            0x00: self._diagnose,
            0x02: self._firmware_version,
            0x04: self._general_status,
            0x06: self._read_register,
            0x08: self._write_register,
            0x0C: self._read_gpio,
            0x0E: self._write_gpio,
            0x10: self._set_baud,
            0x12: self._set_parameters,
            0x14: self._sam_configuration,
            0x16: self._power_down,
            0x32: self._rf_configuration,
        }
        self.reset()

    def reset(self) -> None:
        """Reset everything that a host has configured, as a power-up does."""
        self.asked_baud: int | None = None
        self.asked_sleep: int | None = None
        self.low_vbat = True
        self._registers: dict[int, int] = {VERSION: 0x80}
        self._gpio = bytearray(3)
        self.radio.reset()

    def run(self, data: bytes, now_ns: int) -> bytes | Run:
        """Start a command.

        Args:
            data: the command code and its parameters.
            now_ns: the time.

        Returns:
            The response's parameters, or a run of the command that returns them.

        Raises:
            BadCommandError: an unknown command, or wrong parameters.
        """
        code = data[0] if data else -1
        command = self._commands.get(code)
        # C106 starts in Low Vbat and leaves it by SAMConfiguration (AN10609). That it refuses radio
        # commands until then is an assumption, so that a host that forgets it fails here visibly.
        if command is None and not self.low_vbat:
            command = self.radio.commands.get(code)
        if command is None:
            raise BadCommandError
        return command(data[1:], now_ns)

    def _diagnose(self, body: bytes, now_ns: int) -> bytes | Run:
        match body[:1]:
            case b"\x00":
                return body
            case b"\x01" | b"\x02" | b"\x07":
                return bytes((OK,))
            case b"\x04":
                return b"\x80"  # 128 polls of a FeliCa card that is not there: all failed
            case b"\x06":
                return self.radio.attention(now_ns)
            case _:
                raise BadCommandError

    def _firmware_version(self, body: bytes, _now_ns: int) -> bytes:
        expect(not body)
        return bytes.fromhex("32010607")  # PN532, firmware 1.6, ISO 14443 A and B, ISO 18092

    def _general_status(self, body: bytes, _now_ns: int) -> bytes:
        expect(not body)
        targets = b"".join(bytes((number, 0, 0, 0)) for number in self.radio.targets)
        return (
            bytes((self.radio.last_error, self.radio.field.on, len(self.radio.targets)))
            + targets
            + b"\x00"
        )

    def _read_register(self, body: bytes, _now_ns: int) -> bytes:
        expect(bool(body) and len(body) % 2 == 0)
        return bytes(self._register(body[at] << 8 | body[at + 1]) for at in range(0, len(body), 2))

    def _register(self, address: int) -> int:
        value = self._registers.get(address, 0)
        if address == FIFO_DATA:
            return self.radio.fifo
        if address == TX_CONTROL:
            return value & ~3 | (3 if self.radio.field.on else 0)
        return value

    def _write_register(self, body: bytes, _now_ns: int) -> bytes:
        expect(bool(body) and len(body) % 3 == 0)
        for at in range(0, len(body), 3):
            address = body[at] << 8 | body[at + 1]
            self._registers[address] = body[at + 2]
            if address == TX_CONTROL:
                self.radio.switch(on=bool(body[at + 2] & 3))
        return b""

    def _read_gpio(self, body: bytes, _now_ns: int) -> bytes:
        expect(not body)
        return bytes(self._gpio)

    def _write_gpio(self, body: bytes, _now_ns: int) -> bytes:
        expect(len(body) == 2)  # noqa: PLR2004
        for port, value in enumerate(body):
            if value & 0x80:
                self._gpio[port] = value & 0x7F
        return b""

    def _set_baud(self, body: bytes, _now_ns: int) -> bytes:
        expect(len(body) == 1 and body[0] < len(BAUDS))
        self.asked_baud = BAUDS[body[0]]
        return b""

    def _set_parameters(self, body: bytes, _now_ns: int) -> bytes:
        expect(len(body) == 1)
        self.radio.auto_rats = bool(body[0] & AUTO_RATS)
        return b""

    def _sam_configuration(self, body: bytes, _now_ns: int) -> bytes:
        expect(1 <= len(body) <= 3 and 1 <= body[0] <= 4)  # noqa: PLR2004
        self.low_vbat = False
        return b""

    def _power_down(self, body: bytes, _now_ns: int) -> bytes:
        expect(1 <= len(body) <= 2)  # noqa: PLR2004
        self.asked_sleep = body[0]
        self.radio.switch(on=False)
        return bytes((OK,))

    def _rf_configuration(self, body: bytes, _now_ns: int) -> bytes:
        expect(bool(body) and RF_ITEM_BYTES.get(body[0]) == len(body) - 1)
        match body[0]:
            case 0x01:
                self.radio.switch(on=bool(body[1] & 1))
            case 0x05:
                self.radio.passive_retries = body[3]
        return b""
