"""The USB devices that are plugged in, from the kernel's files; no library, no rights needed.

sysfs has a folder for each device, named by its port: `1-1.2` is port 2 of the hub at port 1 of
bus 1. The serial number is read there too: to ask the device itself takes the right to write to it.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

SYSFS = Path("/sys/bus/usb/devices")
SERIAL_MAX = 126  # UTF-16 units in a string descriptor of 255 bytes
# A bus, and a port of each hub on the way: USB 2.0 allows 7 tiers, and no hub has 256 ports.
_WRITABLE = re.compile(r"[ !#-\[\]-~]{1,126}")  # printable ASCII but for quote and backslash
_PORT = re.compile(r"[0-9]{1,3}-[0-9]{1,3}(\.[0-9]{1,3}){0,6}")


class UsbDevice(NamedTuple):
    """One device. `address` is another one at every plug, `port` stays with the socket."""

    vendor: int
    product: int
    serial: str
    """Empty for a device without one."""
    port: str
    bus: int
    address: int
    title: str
    """The name that it gives itself; may be empty."""

    @property
    def ids(self) -> tuple[int, int]:
        """Vendor and product."""
        return self.vendor, self.product

    @property
    def id_text(self) -> str:
        """Vendor and product as `lsusb` prints them, such as `054c:06c3`."""
        return f"{self.vendor:04x}:{self.product:04x}"


class UsbName(NamedTuple):
    """How a configuration names a device: `usb`, `usb:serial=0000001` or `usb:port=1-1.2`."""

    serial: str = ""
    port: str = ""

    @classmethod
    def parse(cls, text: str) -> "UsbName":
        """Parse such a name.

        Raises:
            ValueError: it is none; the text says how to write one.
        """
        kind, separator, value = text.removeprefix("usb:").partition("=")
        if text == "usb":
            return cls()
        if text.startswith("usb:") and separator and value:
            if kind == "serial" and len(value) <= SERIAL_MAX and value.isprintable():
                return cls(serial=value)
            if kind == "port" and _PORT.fullmatch(value):
                return cls(port=value)
        raise ValueError(
            'is no USB device; write "usb", "usb:serial=NUMBER" or "usb:port=PATH", such as'
            ' "usb:port=1-1.2"'
        )

    def __str__(self) -> str:
        """Return the name as `parse` takes it."""
        if self.serial:
            return f"usb:serial={self.serial}"
        return f"usb:port={self.port}" if self.port else "usb"

    def fits(self, device: UsbDevice) -> bool:
        """Whether the name is one of `device`."""
        return self.serial in {"", device.serial} and self.port in {"", device.port}


def plugged(sysfs: Path = SYSFS) -> Iterator[UsbDevice]:
    """Yield the devices that are plugged in, by port. Skips one that leaves meanwhile.

    Args:
        sysfs: the folder with a folder or link a device.
    """
    with contextlib.suppress(FileNotFoundError):
        for folder in sorted(sysfs.iterdir()):
            # A device without its ids is an interface (1-1:1.0), or has left just now.
            with contextlib.suppress(OSError, ValueError):
                yield UsbDevice(
                    int(_text(folder, "idVendor"), 16),
                    int(_text(folder, "idProduct"), 16),
                    _optional(folder, "serial"),
                    folder.name,
                    int(_text(folder, "busnum")),
                    int(_text(folder, "devnum")),
                    _optional(folder, "product"),
                )


def names(devices: Sequence[UsbDevice]) -> list[UsbName]:
    """Return a name for each device that tells it from the others of the list.

    That is the serial number, and the port for a device that has none or shares it, or one that
    cannot be written between quotes.
    """
    serials = [device.serial for device in devices]
    return [
        UsbName(serial=device.serial)
        if _WRITABLE.fullmatch(device.serial) and serials.count(device.serial) == 1
        else UsbName(port=device.port)
        for device in devices
    ]


def _text(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8", errors="replace").strip()


def _optional(folder: Path, name: str) -> str:
    try:
        return _text(folder, name)
    except FileNotFoundError:
        return ""
