"""What a USB device says about itself: its descriptors as bytes (USB 2.0, section 9.6).

One configuration, one alternate setting an interface. That is what card readers have.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

__all__ = ["Descriptors", "Endpoint", "Interface", "Kind", "Speed"]

LANGUAGE = bytes.fromhex("04030904")  # string 0: English (United States) only
STRING_MAX_BYTES = 255
MANUFACTURER, PRODUCT, SERIAL, FIRST_INTERFACE = 1, 2, 3, 4


class Kind(IntEnum):
    """An endpoint's type of transfer, as bmAttributes has it."""

    CONTROL = 0
    BULK = 2
    INTERRUPT = 3


class Speed(IntEnum):
    """A device's speed; the value is the number that usbredir has for it."""

    LOW = 0
    FULL = 1
    HIGH = 2


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint beside endpoint 0.

    Attributes:
        address: the number, with 0x80 for IN.
        kind: its type of transfer.
        packet_bytes: the longest packet.
        interval: bInterval: milliseconds between two polls of an interrupt endpoint at full speed.
    """

    address: int
    kind: Kind
    packet_bytes: int = 64
    interval: int = 0

    @property
    def is_in(self) -> bool:
        """Whether data goes from the device to the host."""
        return bool(self.address & 0x80)

    def bytes(self) -> bytes:
        """Return the endpoint descriptor (9.6.6)."""
        return struct.pack(
            "<BBBBHB", 7, 5, self.address, self.kind, self.packet_bytes, self.interval
        )


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface.

    Attributes:
        triple: class, subclass and protocol.
        endpoints: its endpoints.
        extra: the descriptors of its class, which follow the interface's own.
        name: its string; empty for none.
    """

    triple: tuple[int, int, int]
    endpoints: tuple[Endpoint, ...]
    extra: bytes = b""
    name: str = ""

    def bytes(self, number: int) -> bytes:
        """Return the interface descriptor (9.6.5) and what belongs to it."""
        string = FIRST_INTERFACE + number if self.name else 0
        head = struct.pack("<9B", 9, 4, number, 0, len(self.endpoints), *self.triple, string)
        return head + self.extra + b"".join(each.bytes() for each in self.endpoints)


@dataclass(frozen=True, slots=True)
class Descriptors:
    """A device's identity.

    Attributes:
        vendor: idVendor.
        product: idProduct.
        release: bcdDevice: the firmware's version in BCD.
        manufacturer: its name; empty for no such string.
        product_name: its name; empty for no such string.
        serial: the serial number; empty for a device without one.
        interfaces: at least one.
        speed: of the device on the bus.

    Raises:
        ValueError: a name or the serial number cannot be a string descriptor.
    """

    vendor: int
    product: int
    release: int
    manufacturer: str
    product_name: str
    serial: str
    interfaces: tuple[Interface, ...]
    speed: Speed = Speed.FULL

    def __post_init__(self) -> None:
        """Check the strings."""
        for text in (self.manufacturer, self.product_name, self.serial):
            if len(text.encode("utf-16-le")) > STRING_MAX_BYTES - 2 or not text.isprintable():
                raise ValueError(f"{text!r} cannot be a string of a USB device")

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """All endpoints beside endpoint 0."""
        return tuple(each for interface in self.interfaces for each in interface.endpoints)

    def device(self) -> bytes:
        """Return the device descriptor (9.6.1)."""
        usb_release, packet_bytes, configurations = 0x0200, 64, 1
        names = (
            MANUFACTURER if self.manufacturer else 0,
            PRODUCT if self.product_name else 0,
            SERIAL if self.serial else 0,
        )
        return struct.pack(
            "<BBHBBBBHHHBBBB",
            *(18, 1, usb_release, 0, 0, 0, packet_bytes),
            *(self.vendor, self.product, self.release, *names, configurations),
        )

    def configuration(self) -> bytes:
        """Return the configuration descriptor (9.6.3) with all that belongs to it."""
        body = b"".join(each.bytes(number) for number, each in enumerate(self.interfaces))
        bus_powered, half_milliamperes = 0x80, 50
        count = len(self.interfaces)
        head = struct.pack(
            "<BBHBBBBB", 9, 2, 9 + len(body), count, 1, 0, bus_powered, half_milliamperes
        )
        return head + body

    def string(self, index: int) -> bytes | None:
        """Return a string descriptor (9.6.7), or None if the device has none of that number."""
        if index == 0:
            return LANGUAGE
        text = {MANUFACTURER: self.manufacturer, PRODUCT: self.product_name, SERIAL: self.serial}
        text |= {FIRST_INTERFACE + n: each.name for n, each in enumerate(self.interfaces)}
        if not text.get(index):
            return None
        encoded = text[index].encode("utf-16-le")
        return bytes((len(encoded) + 2, 3)) + encoded

    def find(self, kind: int, index: int) -> bytes | None:
        """Return the descriptor that GET_DESCRIPTOR asks for, or None."""
        match kind:
            case 1:
                return self.device()
            case 2 if index == 0:
                return self.configuration()
            case 3:
                return self.string(index)
            case _:
                return None
