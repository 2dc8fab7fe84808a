"""What a CP2112 says about itself on the bus."""

import struct

from firmware_sim.usb.descriptors import Descriptors, Endpoint, Interface, Kind

__all__ = ["HID_DESCRIPTOR", "REPORT_DESCRIPTOR", "identity"]

SILICON_LABS, CP2112 = 0x10C4, 0xEA90
RELEASE = 0x0100
HID = (3, 0, 0)
ENDPOINT_IN, ENDPOINT_OUT = 0x81, 0x01
HID_KIND, REPORT_KIND = 0x21, 0x22


def _item(tag: int, value: int) -> bytes:
    """Return one short item of a report descriptor (HID 1.11, 6.2.2.2)."""
    data = value.to_bytes(2 if value > 0xFF else 1, "little")  # noqa: PLR2004  (a byte)
    return bytes((tag | len(data),)) + data


def _report(number: int, count: int, kinds: tuple[int, ...]) -> bytes:
    """Return the items of one report: `count` bytes of the maker's own usage."""
    head = _item(0x84, number) + _item(0x94, count)  # Report ID, Report Count
    return head + b"".join(_item(0x08, 1) + _item(kind, 0x02) for kind in kinds)  # Usage, main item


INPUT, OUTPUT, FEATURE = 0x80, 0x90, 0xB0
_REPORTS = (  # the reports that reports.py knows, and those of the SMBus that Linux asks for
    *(
        (number, count, (FEATURE,))
        for number, count in ((2, 4), (3, 1), (4, 2), (5, 2), (6, 13), (0x20, 1))
    ),
    (0x13, 62, (INPUT,)),
    (0x14, 62, (OUTPUT,)),
)
REPORT_DESCRIPTOR = (
    _item(0x04, 0xFF00)  # Usage Page: the maker's own
    + _item(0x08, 1)
    + _item(0xA0, 1)  # Collection: Application
    + _item(0x14, 0)  # Logical Minimum 0
    + _item(0x24, 0xFF)  # Logical Maximum 255
    + _item(0x74, 8)  # Report Size
    + b"".join(_report(*report) for report in _REPORTS)
    + b"\xc0"  # End Collection
)
HID_DESCRIPTOR = struct.pack(
    "<BBHBBBH", 9, HID_KIND, 0x0111, 0, 1, REPORT_KIND, len(REPORT_DESCRIPTOR)
)


def identity(serial: str) -> Descriptors:
    """Return the identity of a CP2112 that nobody has customised."""
    endpoints = (
        Endpoint(ENDPOINT_IN, Kind.INTERRUPT, interval=1),
        Endpoint(ENDPOINT_OUT, Kind.INTERRUPT, interval=1),
    )
    return Descriptors(
        vendor=SILICON_LABS,
        product=CP2112,
        release=RELEASE,
        manufacturer="Silicon Laboratories",
        product_name="CP2112 HID USB-to-SMBus Bridge",
        serial=serial,
        interfaces=(Interface(HID, endpoints, HID_DESCRIPTOR),),
    )
