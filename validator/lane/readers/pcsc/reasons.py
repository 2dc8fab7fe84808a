"""Why a PC/SC reader cannot be used, in one line each: what is wrong, and what to do.

pcscd does not say why it lists no reader. Where sysfs shows one on the USB, the line says why.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from validator.formats.shown import shown
from validator.host.usb_devices import SYSFS
from validator.lane.readers.pcsc.codes import SERVICE_GONE, Code, PcscError

PCSCD = Path("/usr/sbin/pcscd")
PCSCD_SOCKET = Path("/run/pcscd/pcscd.comm")
RULE = "deploy/polkit-1/rules.d/70-turnike-pcsc.rules"
INSTALL = "apt install pcscd libccid"

_SMART_CARD_CLASS = "0b"
_OF_A_PROGRAM = "usbfs"  # not a driver of the kernel's own
# Contactless readers that libccid refuses below this firmware (its list Bogus_firmwares).
_FIRMWARE_MIN = {("072f", "2200"): ("ACR122U", 0x0206), ("04e6", "5291"): ("SCL010", 0x0112)}
_NAMES_SHOWN_MAX = 8


def no_library(error: OSError) -> str:
    """Return the reason for a libpcsclite that cannot be loaded."""
    what = shown(str(error), 100)
    return f"pcsc: libpcsclite.so.1 cannot be loaded ({what}); {INSTALL}, then restart the lane"


def of_pcscd(
    pattern: str, error: PcscError, pcscd: Path = PCSCD, socket: Path = PCSCD_SOCKET
) -> str:
    """Return the reason for a pcscd that cannot be asked."""
    if error.code in {Code.SECURITY_VIOLATION, Code.NO_ACCESS}:
        told = f"pcscd refuses this user; put {RULE} into /etc/polkit-1/rules.d"
    elif error.code not in SERVICE_GONE:
        told = f"pcscd answers {error.function} with the error {error.code:08X}"
    elif _may_not_ask(socket):  # libpcsclite calls that, too, a service that is gone
        told = f"this user may not write to pcscd's socket {socket}; its usual mode is 0666"
    elif pcscd.exists():
        told = "pcscd does not run; systemctl enable --now pcscd.socket"
    else:
        told = f"pcscd is missing; {INSTALL}"
    return _line(pattern, told)


def failed(pattern: str, error: PcscError) -> str:
    """Return the reason for a call about the reader that failed."""
    return _line(pattern, f"pcscd answers {error.function} with the error {error.code:08X}")


def hangs(pattern: str) -> str:
    """Return the reason for a call that does not come back."""
    return _line(pattern, "the reader, or pcscd, no longer answers; plug the reader in again")


def gone(pattern: str) -> str:
    """Return the reason for a slot that pcscd has dropped."""
    return _line(pattern, "unplugged, or it no longer answers pcscd")


def deaf(pattern: str) -> str:
    """Return the reason for a pcscd that lists a reader which is no longer on the bus."""
    return _line(pattern, "unplugged, and pcscd does not notice any more; restart pcscd")


def held(pattern: str) -> str:
    """Return the reason for a card that another program holds."""
    return _line(pattern, "in use by another program, which has the card for itself; end it")


def in_use(pattern: str, slot: str) -> str:
    """Return the reason for a slot that another lane has."""
    told = f"'{shown(slot)}' is in use by another lane; every lane needs a reader of its own"
    return _line(pattern, told)


def no_lock(pattern: str, folder: Path, error: OSError) -> str:
    """Return the reason for a lock that cannot be taken."""
    told = f"cannot keep other lanes off it by a lock in {folder}: {error.strerror}"
    return _line(pattern, f"{told}; name reports.socket in a folder that the lane may write to")


def several_match(pattern: str, names: Sequence[str]) -> str:
    """Return the reason for a pattern that names more than one slot."""
    return _line(pattern, f"{len(names)} readers match: {_listed(names)}; write more of one's name")


def none_matches(pattern: str, names: Sequence[str], sysfs: Path = SYSFS) -> str:
    """Return the reason for a pattern that names no slot, by what sysfs shows if it shows one."""
    has = f"pcscd has {_listed(names)}" if names else "pcscd has no reader"
    on_usb = list(refused(sysfs))
    if on_usb:
        hint = "; ".join(on_usb)
    elif not names and (plugged := [each.id for each in smart_card_readers(sysfs)]):
        hint = (
            f"{', '.join(plugged)} is on the USB, but another program has it, or libccid does not"
            " know it"
        )
    else:
        hint = "is it plugged in?"
    return _line(pattern, f"there is no such device; {has}; {hint}")


@dataclass(frozen=True, slots=True)
class SmartCardReader:
    """A smart card reader on the USB, as sysfs shows it; `folder` is named by its port."""

    folder: Path
    vendor: str
    product: str
    release: int
    drivers: tuple[str, ...]
    classes: tuple[str, ...]

    @property
    def id(self) -> str:
        """Vendor and product, as `lsusb` prints them."""
        return f"{self.vendor}:{self.product}"


def _may_not_ask(socket: Path) -> bool:
    """Whether the socket may not be written to; also if a folder on the way is closed."""
    try:
        socket.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return not os.access(socket, os.W_OK, effective_ids=True)


def _line(pattern: str, told: str) -> str:
    return f"pcsc at {shown(pattern)}: {told}"


def _listed(names: Sequence[str]) -> str:
    listed = ", ".join(f"'{shown(name)}'" for name in names[:_NAMES_SHOWN_MAX])
    return f"{listed}, …" if len(names) > _NAMES_SHOWN_MAX else listed


def refused(sysfs: Path = SYSFS) -> Iterator[str]:
    """Yield why pcscd cannot have a reader that is plugged in."""
    for device in smart_card_readers(sysfs):
        kernels = [driver for driver in device.drivers if driver != _OF_A_PROGRAM]
        name, release_min = _FIRMWARE_MIN.get((device.vendor, device.product), ("", 0))
        if device.release < release_min:
            yield (
                f"the {name} on the USB has firmware {_bcd(device.release)}, and libccid drives"
                f" {_bcd(release_min)} and later; take another reader"
            )
        elif kernels:
            yield (
                f"the kernel's driver {kernels[0]} has {device.id}; modprobe -r {kernels[0]}, and"
                f" write 'blacklist {kernels[0]}' into a file of /etc/modprobe.d"
            )


def smart_card_readers(sysfs: Path = SYSFS) -> Iterator[SmartCardReader]:
    """Yield the USB devices that pcscd may drive, by their class or their ids."""
    for device in _devices(sysfs):
        known = (device.vendor, device.product) in _FIRMWARE_MIN
        if known or _SMART_CARD_CLASS in device.classes:
            yield device


def _devices(sysfs: Path) -> Iterator[SmartCardReader]:
    try:
        folders = sorted(sysfs.iterdir())
    except OSError:
        return
    for folder in folders:
        if ":" in folder.name:  # an interface of a device
            continue
        interfaces = [each for each in folders if each.name.startswith(f"{folder.name}:")]
        drivers = tuple(
            (each / "driver").resolve().name for each in interfaces if (each / "driver").exists()
        )
        release = _read(folder / "bcdDevice")
        yield SmartCardReader(
            folder,
            _read(folder / "idVendor"),
            _read(folder / "idProduct"),
            int(release, 16) if _is_hex(release) else 0xFFFF,
            drivers,
            tuple(_read(each / "bInterfaceClass") for each in interfaces),
        )


def _is_hex(text: str) -> bool:
    return text != "" and all(each in "0123456789abcdef" for each in text)


def _bcd(release: int) -> str:
    return f"{release >> 8:x}.{release & 0xFF:02x}"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip().lower()
    except OSError:
        return ""
