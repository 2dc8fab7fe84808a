"""Contactless readers that libccid knows, and what they say about themselves on the bus.

Ids, names and class descriptors: the files of libccid's readers/ folder.
"""

import struct
from dataclasses import dataclass, replace

from firmware_sim.usb.descriptors import Descriptors, Endpoint, Interface, Kind

__all__ = ["MODELS", "Endpoints", "Model", "endpoints_of"]

SMART_CARD = (0x0B, 0, 0)
POLL_MS = 16  # bInterval of the interrupt endpoint
SHORT_APDU, EXTENDED_APDU = 0x00020000, 0x00040000
AUTOMATIC_PARAMETERS = 0x40
T1 = 2


@dataclass(frozen=True, slots=True)
class Model:
    """One model.

    Attributes:
        vendor: idVendor.
        product: idProduct.
        release: bcdDevice.
        manufacturer: its string.
        name: its product string.
        slots: the names of its interfaces, one slot each; the first is for contactless cards.
        features: dwFeatures.
        message_bytes_max: dwMaxCCIDMessageLength.
    """

    vendor: int
    product: int
    release: int
    manufacturer: str
    name: str
    slots: tuple[str, ...] = ("",)
    features: int = SHORT_APDU | AUTOMATIC_PARAMETERS
    message_bytes_max: int = 271

    def identity(self, serial: str) -> Descriptors:
        """Return what a device with this serial number says; empty for none."""
        return Descriptors(
            vendor=self.vendor,
            product=self.product,
            release=self.release,
            manufacturer=self.manufacturer,
            product_name=self.name,
            serial=serial,
            interfaces=tuple(
                self._interface(number, name) for number, name in enumerate(self.slots)
            ),
        )

    def with_id(self, vendor: int, product: int) -> "Model":
        """Return the same reader under other ids."""
        return replace(self, vendor=vendor, product=product)

    def with_release(self, release: int) -> "Model":
        """Return the same reader with another firmware, in BCD."""
        return replace(self, release=release)

    def _interface(self, number: int, name: str) -> Interface:
        ends = endpoints_of(number)
        return Interface(
            SMART_CARD,
            (
                Endpoint(ends.events, Kind.INTERRUPT, packet_bytes=8, interval=POLL_MS),
                Endpoint(ends.commands, Kind.BULK),
                Endpoint(ends.answers, Kind.BULK),
            ),
            extra=self._class_descriptor(),
            name=name,
        )

    def _class_descriptor(self) -> bytes:
        """Return the CCID class descriptor (5.1), one slot, all voltages, T=1, 4 MHz."""
        clock_khz, rate_bps, rate_max_bps, ifsd_max = 4000, 10752, 250_000, 254
        return struct.pack(
            "<BBHBBIIIBIIBIIIIIBBHBB",
            *(54, 0x21, 0x0100, 0, 7, T1, clock_khz, clock_khz, 0, rate_bps, rate_max_bps, 0),
            *(ifsd_max, 0, 0, self.features, self.message_bytes_max, 0, 0, 0, 0, 1),
        )


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The addresses of an interface's endpoints."""

    events: int
    commands: int
    answers: int


def endpoints_of(number: int) -> Endpoints:
    """Return the endpoints of an interface, by its number."""
    return Endpoints(0x81 + 2 * number, 0x02 + 2 * number, 0x82 + 2 * number)


MODELS = {
    "acr122u": Model(0x072F, 0x2200, 0x0214, "ACS", "ACR122U PICC Interface"),
    "acr1252u": Model(
        *(0x072F, 0x223B, 0x0100, "ACS", "ACR1252 Dual Reader"),
        slots=("ACR1252 Dual Reader PICC", "ACR1252 Dual Reader SAM"),
        features=EXTENDED_APDU | AUTOMATIC_PARAMETERS,
        message_bytes_max=522,
    ),
    "omnikey5022": Model(
        *(0x076B, 0x5022, 0x0101, "HID Global", "OMNIKEY 5022 Smart Card Reader"),
        slots=("OMNIKEY 5022 Smart Card Reader",),
    ),
    "rc-s300": Model(
        *(0x054C, 0x0DC9, 0x0100, "SONY", "FeliCa Port/PaSoRi 4.0"),
        features=EXTENDED_APDU | AUTOMATIC_PARAMETERS,
        message_bytes_max=522,
    ),
}
