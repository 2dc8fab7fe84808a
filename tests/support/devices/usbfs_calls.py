"""A witness below libusb: usbfs as its header has it. A call a line in, an answer a line out.

open NODE    ok
submit       an URB that asks for the device's descriptor
reap         the first bytes of that descriptor, in hex
poll         what poll() reports of the node within a minute, by name
at-once      the same, without waiting
"""

import ctypes
import os
import select
import sys

SUBMITURB, REAPURB = 0x8038550A, 0x4008550C  # <linux/usbdevice_fs.h>, on 64 bits
CONTROL = 2
GET_DESCRIPTOR = bytes.fromhex("8006000100001200")
NAMES = {"POLLOUT": select.POLLOUT, "POLLERR": select.POLLERR, "POLLHUP": select.POLLHUP}


_libc = ctypes.CDLL(None, use_errno=True)


def ioctl(node: int, code: int, argument: object) -> None:
    """Call ioctl; fcntl.ioctl gives a copy, and an URB must stay in place until it is reaped."""
    if _libc.ioctl(node, ctypes.c_ulong(code), argument) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Urb(ctypes.Structure):
    """struct usbdevfs_urb, without isochronous packets."""

    _fields_ = (
        ("type", ctypes.c_ubyte),
        ("endpoint", ctypes.c_ubyte),
        ("status", ctypes.c_int),
        ("flags", ctypes.c_uint),
        ("buffer", ctypes.c_void_p),
        ("buffer_length", ctypes.c_int),
        ("actual_length", ctypes.c_int),
        ("start_frame", ctypes.c_int),
        ("number_of_packets", ctypes.c_int),
        ("error_count", ctypes.c_int),
        ("signr", ctypes.c_uint),
        ("usercontext", ctypes.c_void_p),
    )


def main() -> None:
    node = -1
    buffer = ctypes.create_string_buffer(GET_DESCRIPTOR + bytes(18))
    urb = Urb(CONTROL, 0, 0, 0, ctypes.addressof(buffer), 26)
    for line in sys.stdin:
        match line.split():
            case ["open", path]:
                node, text = os.open(path, os.O_RDWR), "ok"
            case ["submit"]:
                ioctl(node, SUBMITURB, ctypes.byref(urb))
                text = "ok"
            case ["reap"]:
                ioctl(node, REAPURB, ctypes.byref(ctypes.c_void_p()))
                text = buffer.raw[8:12].hex()
            case [("poll" | "at-once") as how]:
                poll = select.poll()
                poll.register(node, select.POLLOUT)
                ready = poll.poll(60_000 if how == "poll" else 0)
                bits = ready[0][1] if ready else 0
                text = " ".join(name for name, bit in NAMES.items() if bits & bit) or "nothing"
            case _:
                text = "no such call"
        print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
