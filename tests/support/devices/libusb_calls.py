"""A witness that knows nothing of us: libusb by its Python binding. A call a line in, a line out.

    list                     the devices of the context, which stays open: port, id, serial number
    open ID                  ok, or the error
    claim [detach]           claim interface 0, and take it from a kernel driver first
    driver                   whether a kernel driver has it
    write HEX [MS]           how many bytes went out
    read LENGTH [MS]         what came in, in hex
    clear                    clear the halt of the IN endpoint
    reset, close             ok

An error is answered by its name in libusb.
"""

import sys
from typing import Any

import usb1

IN, OUT = 0x81, 0x02
TIMEOUT_MS = 1000


class Caller:
    """One context of libusb, and the device that it has open."""

    def __init__(self) -> None:
        self.context: Any = usb1.USBContext().open()
        self.handle: Any = None

    def list(self) -> str:
        found = []
        for device in self.context.getDeviceList(skip_on_error=True):
            port = ".".join(str(each) for each in device.getPortNumberList())
            name = f"{device.getVendorID():04x}:{device.getProductID():04x}"
            found.append(f"{device.getBusNumber()}-{port} {name} {device.getSerialNumber()}")
        return ", ".join(sorted(found)) or "none"

    def open(self, name: str) -> str:
        vendor, product = (int(each, 16) for each in name.split(":"))
        self.handle = self.context.openByVendorIDAndProductID(vendor, product)
        return "none" if self.handle is None else "ok"

    def claim(self, how: str = "") -> str:
        self.handle.setAutoDetachKernelDriver(how == "detach")
        self.handle.claimInterface(0)
        return "ok"

    def driver(self) -> str:
        return str(self.handle.kernelDriverActive(0))

    def write(self, data: str, timeout_ms: str = str(TIMEOUT_MS)) -> str:
        return str(self.handle.bulkWrite(OUT, bytes.fromhex(data), int(timeout_ms)))

    def read(self, length: str, timeout_ms: str = str(TIMEOUT_MS)) -> str:
        return bytes(self.handle.bulkRead(IN, int(length), int(timeout_ms))).hex()

    def clear(self) -> str:
        self.handle.clearHalt(IN)
        return "ok"

    def reset(self) -> str:
        self.handle.resetDevice()
        return "ok"

    def close(self) -> str:
        self.handle.close()
        self.handle = None
        return "ok"


def main() -> None:
    caller = Caller()
    for line in sys.stdin:
        name, *arguments = line.split()
        try:
            text = getattr(caller, name)(*arguments)
        except usb1.USBError as error:
            text = type(error).__name__.removeprefix("USBError")
        print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
