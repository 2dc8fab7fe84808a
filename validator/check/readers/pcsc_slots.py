"""The PC/SC readers: pcscd's slots by name; without pcscd, what the USB shows."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from validator.check.readers.found import FoundReader, lines_of
from validator.check.serial_adapters import text_of
from validator.lane.readers.pcsc import reasons
from validator.lane.readers.pcsc.codes import PcscError
from validator.lane.readers.pcsc.library import PcscLite

_NUMBERS = re.compile(r" [0-9A-F]{2} [0-9A-F]{2}$")
_NOT_FOR_CARDS = re.compile(r"\bSAM\b")


def pcsc_slots() -> list[str]:
    """Return the names of pcscd's slots.

    Raises:
        OSError: libpcsclite is not installed.
        PcscError: pcscd cannot be asked.
    """
    context = PcscLite().context()
    try:
        return context.slots()
    finally:
        context.release()


def pcsc_readers(sysfs: Path, slots: Callable[[], list[str]]) -> Iterator[FoundReader]:
    """Yield the slots of pcscd, and readers on the USB that it does not have.

    Args:
        sysfs: the folder of USB devices.
        slots: asks pcscd. Raises OSError or PcscError.
    """
    try:
        names = slots()
    except OSError:
        yield from _without_pcscd(sysfs, f"pcscd is missing; {reasons.INSTALL}")
        return
    except PcscError as error:
        yield from _without_pcscd(sysfs, reasons.of_pcscd("*", error).partition(": ")[2])
        return
    short = Counter(_NUMBERS.sub("", name) for name in names)
    for name in names:
        yield _slot(name, is_unique=short[_NUMBERS.sub("", name)] == 1)
    for reason in reasons.refused(sysfs):
        yield FoundReader("PC/SC reader that pcscd does not have", "on the USB", (), (reason,))


def _slot(name: str, *, is_unique: bool) -> FoundReader:
    if _NOT_FOR_CARDS.search(name):
        note = "a slot for a SAM, inside the reader: passengers' cards do not come here"
        return FoundReader("PC/SC slot", name, (), (note,))
    device = _NUMBERS.sub("", name) if is_unique else name
    alike = "another reader has this name, and pcscd numbers them by the order of plugging"
    notes = ["two cards at once are one card to it"]
    if not is_unique:
        notes.append(f"{alike}: take readers of two models")
    return FoundReader("PC/SC reader", name, lines_of("pcsc", device), tuple(notes))


def _without_pcscd(sysfs: Path, reason: str) -> Iterator[FoundReader]:
    for device in reasons.smart_card_readers(sysfs):
        title = text_of(device.folder / "product") or device.id
        notes = (reason, "then list again: the name below is a guess until pcscd has it")
        lines = lines_of("pcsc", f"*{title}*")
        yield FoundReader(f"PC/SC reader {title}", f"USB port {device.folder.name}", lines, notes)
