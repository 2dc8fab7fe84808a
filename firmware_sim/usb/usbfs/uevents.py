"""What udevd multicasts about a device, as bytes that libudev accepts.

libudev drops a message without its magic number, and its socket filter drops one whose hashes of
subsystem and device type are wrong (systemd, src/libsystemd/sd-device/device-monitor.c).
"""

import socket
import struct
from collections.abc import Mapping
from contextlib import suppress

__all__ = ["message", "send"]

MAGIC = 0xFEEDCAFE
HEAD_BYTES = 40
NETLINK_KOBJECT_UEVENT = 15
UDEV_GROUP = 2  # 1 is the kernel's own
MIX = 0x5BD1E995
WORD = 0xFFFFFFFF


def message(properties: Mapping[str, str]) -> bytes:
    """Return the message about a device with these properties, SUBSYSTEM and DEVTYPE among them."""
    body = b"".join(f"{key}={value}\0".encode() for key, value in properties.items())
    hashes = [_hash(properties[key].encode()) for key in ("SUBSYSTEM", "DEVTYPE")]
    head = b"libudev\0" + struct.pack(">I", MAGIC)
    head += struct.pack("=III", HEAD_BYTES, HEAD_BYTES, len(body))
    return head + struct.pack(">IIII", *hashes, 0, 0) + body  # the last two: no tags


def send(properties: Mapping[str, str]) -> None:
    """Multicast a message in this network namespace.

    Raises:
        OSError: this process may not, outside a network namespace of its own.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_KOBJECT_UEVENT) as netlink:
        netlink.bind((0, 0))
        with suppress(ConnectionRefusedError):  # no program listens
            netlink.sendto(message(properties), (0, UDEV_GROUP))


def _hash(text: bytes) -> int:
    """MurmurHash2 with seed 0 (systemd, src/basic/MurmurHash2.c)."""
    value = len(text)
    whole = len(text) & ~3
    for at in range(0, whole, 4):
        word = int.from_bytes(text[at : at + 4], "little") * MIX & WORD
        value = (value * MIX & WORD) ^ ((word ^ word >> 24) * MIX & WORD)
    if text[whole:]:
        value = (value ^ int.from_bytes(text[whole:], "little")) * MIX & WORD
    value = (value ^ value >> 13) * MIX & WORD
    return value ^ value >> 15
