"""What is plugged in that is a reader, or may be one, from the kernel's files. Opens no device."""

import os
import re
from collections.abc import Callable, Iterator
from os.path import realpath
from pathlib import Path

from validator.check.readers.found import FoundReader, lines_of
from validator.check.readers.pcsc_slots import pcsc_readers, pcsc_slots
from validator.check.serial_adapters import serial_adapters, text_of
from validator.check.typing_readers import Keyboard, keyboards
from validator.config.devices import AT_A_SERIAL_LINE
from validator.host.usb_devices import UsbDevice, names, plugged
from validator.lane.readers.rcs380.devices import OTHERS, PCSC, RC_S380

MODELS = {0x06C1: "Sony RC-S380/S", 0x06C3: "Sony RC-S380/P"}
_OF_A_PROGRAM = "usbfs"  # the kernel's name for a program that holds an interface
_UARTS = re.compile(r"tty(AMA|S)[0-9]+")
_USB_SERIAL = re.compile(r"ttyUSB|ttyACM")
_LEARN = "try it here with two known cards: that prints the lines of [reader.keyboard]"


def found_readers(
    root: Path = Path("/"),
    permitted: Callable[[Path], bool] = lambda path: os.access(path, os.W_OK),
    slots: Callable[[], list[str]] = pcsc_slots,
) -> list[FoundReader]:
    """Return readers, and places for one, surest first.

    Args:
        root: the folder with `sys`, `dev` and `proc`.
        permitted: whether this user may write to a device.
        slots: asks pcscd for the names of its slots. Raises OSError or PcscError.
    """
    return [
        *_rcs380(root, permitted),
        *pcsc_readers(root / "sys/bus/usb/devices", slots),
        *_other_usb(root),
        *_adapters(root, permitted),
        *_uarts(root, permitted),
        *_keyboards(root),
    ]


def _rcs380(root: Path, permitted: Callable[[Path], bool]) -> Iterator[FoundReader]:
    readers = [device for device in _usb(root) if device.ids in RC_S380]
    named = ["usb"] if len(readers) == 1 else [str(name) for name in names(readers)]
    for device, name in zip(readers, named, strict=True):
        notes = []
        node = root / f"dev/bus/usb/{device.bus:03}/{device.address:03}"
        if not permitted(node):
            notes.append(
                "this user may not use it: install deploy/udev/70-turnike.rules, be in the group"
                " turnike, and plug it in again"
            )
        driver = _driver(root, device)
        if driver == _OF_A_PROGRAM:
            notes.append("a program uses it now; if that is not the lane, end it")
        elif driver:
            notes.append(f"the kernel's driver {driver} has it; the lane takes it from there")
        yield FoundReader(
            MODELS[device.product],
            f"USB port {device.port}",
            lines_of("rcs380", name),
            tuple(notes),
        )


def _other_usb(root: Path) -> Iterator[FoundReader]:
    """Yield USB readers that the RC-S380's driver does not serve."""
    for device in _usb(root):
        what, advice = OTHERS.get(device.ids, ("", PCSC))
        if advice != PCSC:  # pcsc_readers lists those
            yield FoundReader(
                f"{what} ({device.id_text})", f"USB port {device.port}", (), (f"it is {advice}",)
            )


def _adapters(root: Path, permitted: Callable[[Path], bool]) -> Iterator[FoundReader]:
    for adapter in serial_adapters(root / "sys", root / "dev"):
        notes = [_serial_place(), f"named {adapter.named_by}"]
        if adapter.chip == "CH340" and (root / "usr/bin/brltty").exists():
            notes.append("brltty takes it for a Braille display: apt remove brltty")
        if not permitted(Path(adapter.tty)):
            notes.append(_no_permission(adapter.tty))
        device = _as_named(root, adapter.name)
        yield FoundReader(
            f"USB-UART adapter {adapter.chip}",
            f"USB port {adapter.port}, now {_as_named(root, adapter.tty)}",
            lines_of(AT_A_SERIAL_LINE[0], device) if device else (),
            tuple(notes),
        )


def _uarts(root: Path, permitted: Callable[[Path], bool]) -> Iterator[FoundReader]:
    """Yield the computer's own serial lines that udev or the firmware has a name for."""
    command_line = text_of(root / "proc/cmdline")
    for name in ("serial0", "serial1"):
        tty = Path(realpath(root / "dev" / name)).name
        if not (root / "dev" / name).is_symlink() or not _UARTS.fullmatch(tty):
            continue
        notes = [f"{_serial_place()}, on the computer's own pins"]
        if re.search(rf"\bconsole=({name}|{tty})\b", command_line):
            notes.append(
                "the kernel's console is on it, and would type into the reader: raspi-config,"
                " Interface Options, Serial Port: no login shell, hardware enabled"
            )
        if not permitted(root / "dev" / name):
            notes.append(_no_permission(f"/dev/{name}"))
        yield FoundReader(
            f"UART {tty}",
            f"/dev/{name}",
            lines_of(AT_A_SERIAL_LINE[0], f"/dev/{name}"),
            (*notes,),
        )


def _keyboards(root: Path) -> Iterator[FoundReader]:
    for each in keyboards(root / "sys", root / "dev"):
        name = _as_named(root, each.name)
        yield FoundReader(
            f"{'reader that types' if each.likely else 'keyboard'} "
            f"({each.calls_itself or ':'.join(each.ids)})",
            _as_named(root, each.event),
            lines_of("keyboard", name) if name else (),
            (*_doubts(each), f"named {each.named_by}", _LEARN),
        )


def _serial_place() -> str:
    """Return what may be at a serial line, which is unknown before it is opened."""
    first, *others = AT_A_SERIAL_LINE
    also = "".join(f" or {other}, tried by --driver {other}" for other in others)
    return f"a place for a reader (driver {first}{also}), or for a board"


def _doubts(keyboard: Keyboard) -> tuple[str, ...]:
    if keyboard.likely:
        return ()
    return ("most likely a keyboard for people; a reader that types has the same signs",)


def _no_permission(path: str) -> str:
    return f"this user may not use {path}: be in its group (ls -lL), usually dialout"


def _usb(root: Path) -> list[UsbDevice]:
    return list(plugged(root / "sys/bus/usb/devices"))


def _driver(root: Path, device: UsbDevice) -> str:
    """Return the name of the driver of the device's first interface; empty if it has none."""
    link = root / f"sys/bus/usb/devices/{device.port}:1.0/driver"
    return Path(realpath(link)).name if link.exists() else ""


def _as_named(root: Path, path: str) -> str:
    """Return a path below `root` as a program on the machine names it."""
    return f"/{Path(path).relative_to(root)}" if path else ""
