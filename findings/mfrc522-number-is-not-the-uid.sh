#!/usr/bin/env bash
# mfrc522: `read_id()` is not the card's UID, and two cards may have the same.
#
# Guessed:  SimpleMFRC522().read_id() is the UID as a number: 0x11223344 for the card 11 22 33 44,
#           and all seven bytes of a longer UID.
# Package:  mfrc522 0.0.7, with a made-up chip and made-up cards behind it.
# Instead:  it is the five bytes that answer the first question of the anticollision. For 4 bytes
#           that is the UID and its check byte (ISO/IEC 14443-3, 6.5.3); for 7 bytes the cascade
#           tag 88, three bytes of the UID, and their check byte. The rest is never asked for.
# Seen:     11 22 33 44: 73588229188 (1122334444)
#           04 A1 B2 C3 D4 E5 F6: 584193258143 (8804A1B29F)
#           04 A1 B2 99 88 77 66: 584193258143 (8804A1B29F)
# Meets it: who prototypes a gate on a Raspberry Pi with this reader. No other reader gives these
#           numbers, so its list of cards is of no use elsewhere; and cards out of one box, whose
#           UIDs begin alike, are one card.
# Turnike:  its readers follow the cascade and report whole UIDs; a list with such numbers is
#           refused by `import` (tests/unit/backoffice/imports/test_card_rows.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# Without RPi.GPIO, which wants a Pi.
"$folder/venv/bin/pip" install --quiet --no-deps mfrc522==0.0.7
cd "$folder"
mkdir RPi
touch RPi/__init__.py
cat >RPi/GPIO.py <<'PYTHON'
OUT = 0


def getmode() -> int:
    return 10


def setup(*_: int) -> None: ...


def output(*_: int) -> None: ...
PYTHON
cat >spidev.py <<'PYTHON'
"""An MFRC522 on the SPI bus, as far as it sends and receives, with one card in its field."""

COMMAND, INTERRUPTS, FIFO, FIFO_LEVEL, BIT_FRAMING = 0x01, 0x04, 0x09, 0x0A, 0x0D
TRANSCEIVE, START, FLUSH, DONE = 0x0C, 0x80, 0x80, 0x30
uid = b""


def answer(command: bytes) -> bytes:
    """What the card says, ISO/IEC 14443-3."""
    if command == b"\x26":  # REQA
        return b"\x04\x00" if len(uid) == 4 else b"\x44\x00"
    assert command == b"\x93\x20", "the library asks for more than the first part now"
    part = uid if len(uid) == 4 else b"\x88" + uid[:3]
    return part + bytes([part[0] ^ part[1] ^ part[2] ^ part[3]])


class SpiDev:
    def __init__(self) -> None:
        self.registers, self.fifo = bytearray(64), bytearray()

    def open(self, bus: int, device: int) -> None: ...

    def xfer2(self, pair: list[int]) -> list[int]:
        register, value = pair[0] >> 1 & 0x3F, pair[1]
        if pair[0] & 0x80:
            if register == FIFO:
                return [0, self.fifo.pop(0)]
            return [0, len(self.fifo) if register == FIFO_LEVEL else self.registers[register]]
        if register == FIFO:
            self.fifo.append(value)
        elif register == FIFO_LEVEL and value & FLUSH:
            self.fifo.clear()
        else:
            self.registers[register] = value
        if register == BIT_FRAMING and value & START and self.registers[COMMAND] == TRANSCEIVE:
            self.fifo = bytearray(answer(bytes(self.fifo)))
            self.registers[INTERRUPTS] = DONE
        return [0, 0]
PYTHON
PYTHONPATH=. venv/bin/python - <<'PYTHON'
import spidev
from mfrc522 import SimpleMFRC522

reader = SimpleMFRC522()
for uid, given in (
    ("11 22 33 44", 0x11_22_33_44_44),
    ("04 A1 B2 C3 D4 E5 F6", 0x88_04_A1_B2_9F),
    ("04 A1 B2 99 88 77 66", 0x88_04_A1_B2_9F),
):
    spidev.uid = bytes.fromhex(uid)
    number = reader.read_id()
    print(f"{uid}: {number} ({number:X})")
    assert number == given
PYTHON
