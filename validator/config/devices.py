"""[reader] and [board] of a gate's configuration: which drivers, and on which devices.

A key that only one driver needs stands in a table of its own, such as `[reader.NAME]`. To add a
driver: its word in `driver`, and in AT_A_SERIAL_LINE if it is at one; its table if it has keys of
its own; its rules in `_reader_device_faults`; and its lines in config/validator.example.toml.
"""

from collections.abc import Iterator
from os.path import normpath
from typing import Annotated, Literal

import msgspec

from validator.config.gpio import GpioConfig, gpio_faults
from validator.config.keyboard import KeyboardConfig, keyboard_faults
from validator.config.names import name_fault
from validator.formats.config_file import KeyFault
from validator.formats.shown import quoted
from validator.host.usb_devices import UsbName

PASSES_APDUS = ("pn532", "rcs380", "pcsc")
"""The drivers that can read printed numbers: ReaderAbilities.apdus of each is true."""

AT_A_SERIAL_LINE: tuple[str, ...] = ("pn532",)
"""The drivers whose `device` is a serial line: any of them may be tried at one that is listed."""

MAX_TARGETS: Literal[2] = 2
BAUD: Literal[921_600] = 921_600
PATTERN_BYTES_MAX = 512  # a name has at most 128 bytes; a pattern may have a set for each


class ReaderConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[reader]: the driver that reads cards. No driver falls back to another."""

    driver: Literal["pn532", "rcs380", "pcsc", "serial", "keyboard"]
    device: str = ""  # empty for the driver serial, whose reader is on the board
    max_targets: Literal[1, 2] = MAX_TARGETS
    baud: Literal[115_200, 230_400, 460_800, 921_600] = BAUD
    read_number: bool = False
    keyboard: KeyboardConfig | None = None


class LotConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[board.lot]: the turnstile on its Modbus line."""

    address: Annotated[int, msgspec.Meta(ge=1, le=32)] = 1  # set by its switches


class BoardConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[board]: the driver of the turnstile controller. No driver falls back to another."""

    driver: Literal["serial", "gpio", "lot"] = "serial"
    device: str = ""  # its serial line; empty for the driver gpio
    gpio: GpioConfig | None = None
    lot: LotConfig | None = None


def device_faults(reader: ReaderConfig, board: BoardConfig, *, hold_ms: int) -> Iterator[KeyFault]:
    """Check the keys of both tables against each other, and those of boards against `hold_ms`."""
    yield from _board_faults(board, hold_ms)
    if reader.driver == "serial" and board.driver != "serial":
        told = f"is serial, and a board of the driver {board.driver} reads no cards; name another"
        yield KeyFault("reader.driver", told)
    yield from _reader_device_faults(reader)
    yield from _faults_of_other_drivers(reader)
    if reader.device and normpath(reader.device) == normpath(board.device):
        yield KeyFault("reader.device", "is the same line as board.device; each needs its own")


def _reader_device_faults(reader: ReaderConfig) -> Iterator[KeyFault]:
    match reader.driver:
        case driver if driver in AT_A_SERIAL_LINE and not reader.device:
            told = f"is missing; the driver {driver} needs its serial line"
            yield KeyFault("reader.device", told)
        case "serial" if reader.device:
            told = "is set; remove it, since the driver serial reads cards through board.device"
            yield KeyFault("reader.device", told)
        case "rcs380":
            yield from _usb_name_faults(reader.device)
        case "pcsc":
            yield from _pattern_faults(reader.device)
        case "keyboard":
            yield from keyboard_faults(reader.device, reader.keyboard)


def _faults_of_other_drivers(reader: ReaderConfig) -> Iterator[KeyFault]:
    """Keys that would silently have no effect. A default may stay: the example file has them."""
    if reader.read_number and reader.driver not in PASSES_APDUS:
        told = f"is true, and the driver {reader.driver} passes no APDUs to a card; remove it"
        yield KeyFault("reader.read_number", told)
    if reader.keyboard is not None and reader.driver != "keyboard":
        told = f"is set; remove the table, since the driver {reader.driver} types nothing"
        yield KeyFault("reader.keyboard", told)
    if reader.driver != "pn532":
        for key, default in (("max_targets", MAX_TARGETS), ("baud", BAUD)):
            if (value := getattr(reader, key)) != default:
                told = f"is {value}, and the driver {reader.driver} has no such setting; remove it"
                yield KeyFault(f"reader.{key}", told)


def _board_faults(board: BoardConfig, hold_ms: int) -> Iterator[KeyFault]:
    if board.lot is not None and board.driver != "lot":
        told = f"is set; remove the table, since the driver {board.driver} asks no such turnstile"
        yield KeyFault("board.lot", told)
    if board.driver == "gpio":
        if board.device:
            told = "is set; remove it, since the driver gpio finds its chip by board.gpio.chip"
            yield KeyFault("board.device", told)
        yield from gpio_faults(board.gpio, hold_ms)
        return
    if not board.device:
        told = f"is missing; the driver {board.driver} needs its serial line"
        yield KeyFault("board.device", told)
    if board.gpio is not None:
        told = f"is set; remove the table, since the driver {board.driver} has no GPIO lines"
        yield KeyFault("board.gpio", told)


def device_paths(reader: ReaderConfig, board: BoardConfig) -> Iterator[tuple[str, str]]:
    """Every key of both tables that is a path, with its value; each has to be absolute."""
    if reader.driver not in {"rcs380", "pcsc"}:  # names of devices, by USB and by pcscd
        yield "reader.device", reader.device
    yield "board.device", board.device


def _usb_name_faults(name: str) -> Iterator[KeyFault]:
    if not name:
        yield KeyFault("reader.device", 'is missing; write "usb" if one RC-S380 is plugged in')
        return
    try:
        UsbName.parse(name)
    except ValueError as error:
        yield KeyFault("reader.device", f"{quoted(name)} {error}")


def _pattern_faults(pattern: str) -> Iterator[KeyFault]:
    write = "a pattern of a reader's name, as pcsc_scan shows it"
    if not pattern.strip():
        yield KeyFault("reader.device", f"is missing; the driver pcsc needs {write}")
    elif pattern.startswith(("/", "usb:")) or pattern == "usb":
        yield KeyFault(
            "reader.device", f"{quoted(pattern)} names no reader of pcscd; write {write}"
        )
    elif told := name_fault(pattern, PATTERN_BYTES_MAX):
        yield KeyFault("reader.device", f"{quoted(pattern)} {told}")
