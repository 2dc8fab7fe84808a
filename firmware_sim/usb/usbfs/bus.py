"""The files of a simulated USB device: in /sys as the kernel has them, and its socket for shim.c.

It runs inside the view of `namespaces`, where /sys is empty. Several processes may share a bus: a
port is taken by making its folder, and addresses come from one counter.
"""

import contextlib
import fcntl
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from firmware_sim.usb.descriptors import Descriptors, Speed
from firmware_sim.usb.usbfs import uevents

__all__ = ["BusError", "Slot", "in_rig"]

SYS_BUS = Path("/sys/bus/usb/devices")
SYS_HUB = Path("/sys/devices/turnike/usb1")
NODES = Path("/dev/bus/usb/001")  # by name only: shim.c leads them to SOCKETS
SOCKETS = Path("/sys/turnike/usb/001")
COUNTER = Path("/sys/turnike/addresses")
PORTS_MAX = 15
ADDRESS_MAX = 127
USB_MAJOR = 189
SPEEDS = {Speed.LOW: "1.5", Speed.FULL: "12", Speed.HIGH: "480"}


class BusError(OSError):
    """There is no simulated bus here, or no free port; the text is one line."""


def in_rig() -> bool:
    """Return whether this process is in the view that `namespaces.make` makes."""
    return SYS_BUS.is_dir() and Path("/sys/subsystem").is_dir() and not Path("/sys/kernel").exists()


@dataclass(slots=True)
class Slot:
    """A device's place on the bus.

    Attributes:
        port: of the hub, from 1; it stays while the device is plugged into the same socket.
        address: of the device, from 2; another at every plug.
        identity: the device's.
    """

    port: int
    address: int
    identity: Descriptors

    @property
    def name(self) -> str:
        """The port path as sysfs and libusb have it."""
        return f"1-{self.port}"

    @property
    def node(self) -> Path:
        """The node that libusb opens: a name, no file."""
        return NODES / f"{self.address:03d}"

    @property
    def socket(self) -> Path:
        """The socket to which shim.c leads that name."""
        return SOCKETS / f"{self.address:03d}"

    @property
    def folder(self) -> Path:
        """The folder in /sys."""
        return SYS_HUB / self.name

    def beside(self, name: str) -> Path:
        """Return the path of a file about the node: see shim.c."""
        return self.socket.with_name(f"{self.socket.name}.{name}")

    @classmethod
    def take(
        cls, identity: Descriptors, *, wanted: int | None = None, but: int | None = None
    ) -> "Slot":
        """Take a free port, and the next address.

        Args:
            identity: the device's.
            wanted: the port to take if it is free.
            but: a port that is not to be taken.

        Raises:
            BusError: this is no rig, or no port is free.
        """
        if not in_rig():
            raise BusError("there is no simulated USB bus here: firmware-sim usb-rig -- COMMAND")
        SYS_HUB.mkdir(parents=True, exist_ok=True)
        SOCKETS.mkdir(parents=True, exist_ok=True)
        order = sorted(range(1, PORTS_MAX + 1), key=lambda port: port != wanted)
        for port in order:
            if port == but:
                continue
            with contextlib.suppress(FileExistsError):
                (SYS_HUB / f"1-{port}").mkdir()
                return cls(port, _next_address(), identity)
        raise BusError(f"all {PORTS_MAX} ports of the simulated USB bus are taken")

    def enter(self) -> None:
        """Write the files, then report the device; its socket must be listening."""
        identity = self.identity
        for name, text in _device_files(self).items():
            (self.folder / name).write_text(text)
        (self.folder / "descriptors").write_bytes(identity.device() + identity.configuration())
        (self.folder / "subsystem").symlink_to("../../../../bus/usb")
        names = [self.name]
        for number, interface in enumerate(identity.interfaces):
            folder = self.folder / f"{self.name}:1.{number}"
            folder.mkdir()
            triple = "/".join(str(part) for part in interface.triple)
            (folder / "uevent").write_text(
                f"DEVTYPE=usb_interface\nPRODUCT={_product(identity)}\nINTERFACE={triple}\n"
            )
            (folder / "bInterfaceNumber").write_text(f"{number:02x}\n")
            (folder / "bInterfaceClass").write_text(f"{interface.triple[0]:02x}\n")
            if interface.name:
                (folder / "interface").write_text(f"{interface.name}\n")
            (folder / "subsystem").symlink_to("../../../../../bus/usb")
            names.append(f"{self.name}/{folder.name}")
        for name in names:
            (SYS_BUS / Path(name).name).symlink_to(f"../../../devices/turnike/usb1/{name}")
        self._report("add")

    def leave(self) -> None:
        """Remove the files, then report it."""
        for number in range(len(self.identity.interfaces)):
            (SYS_BUS / f"{self.name}:1.{number}").unlink(missing_ok=True)
        (SYS_BUS / self.name).unlink(missing_ok=True)
        for path in [self.socket, *SOCKETS.glob(f"{self.socket.name}.*")]:
            path.unlink(missing_ok=True)
        shutil.rmtree(self.folder)
        self._report("remove")

    def _report(self, action: str) -> None:
        identity = self.identity
        path = f"/devices/turnike/usb1/{self.name}"
        common = {"ACTION": action, "SUBSYSTEM": "usb", "PRODUCT": _product(identity)}
        device = {
            **common,
            "DEVPATH": path,
            "DEVTYPE": "usb_device",
            "SEQNUM": _sequence(),
            "DEVNAME": str(self.node),
            "BUSNUM": "001",
            "DEVNUM": f"{self.address:03d}",
            "MAJOR": str(USB_MAJOR),
            "MINOR": str(self.address - 1),
        }
        uevents.send(device)
        for number, interface in enumerate(identity.interfaces):
            uevents.send(
                {
                    **common,
                    "DEVPATH": f"{path}/{self.name}:1.{number}",
                    "DEVTYPE": "usb_interface",
                    "SEQNUM": _sequence(),
                    "INTERFACE": "/".join(str(part) for part in interface.triple),
                }
            )


def _device_files(slot: Slot) -> dict[str, str]:
    identity = slot.identity
    about = {
        "MAJOR": USB_MAJOR,
        "MINOR": slot.address - 1,
        "DEVNAME": str(slot.node.relative_to("/dev")),
        "DEVTYPE": "usb_device",
        "PRODUCT": _product(identity),
        "TYPE": "0/0/0",
        "BUSNUM": "001",
        "DEVNUM": f"{slot.address:03d}",
    }
    files = {
        "busnum": "1",
        "devnum": str(slot.address),
        "devpath": str(slot.port),
        "speed": SPEEDS[identity.speed],
        "bConfigurationValue": "1",
        "bNumInterfaces": f"{len(identity.interfaces):2d}",
        "bcdDevice": f"{identity.release:04x}",
        "idVendor": f"{identity.vendor:04x}",
        "idProduct": f"{identity.product:04x}",
        "manufacturer": identity.manufacturer,
        "product": identity.product_name,
        "serial": identity.serial,
    }
    lines = {name: f"{text}\n" for name, text in files.items() if text}
    return {**lines, "uevent": "".join(f"{key}={value}\n" for key, value in about.items())}


def _product(identity: Descriptors) -> str:
    return f"{identity.vendor:x}/{identity.product:x}/{identity.release:x}"


def _sequence() -> str:
    return str(time.monotonic_ns() // 1000)  # grows, across the processes of the bus too


def _next_address() -> int:
    """Return the next free address, as the kernel counts them: upwards, and anew after 127."""
    with COUNTER.open("a+") as counter:
        fcntl.flock(counter, fcntl.LOCK_EX)
        counter.seek(0)
        last = int(counter.read() or 1)
        for step in range(1, ADDRESS_MAX):
            address = (last - 2 + step) % (ADDRESS_MAX - 1) + 2
            if not (SOCKETS / f"{address:03d}").exists():
                counter.truncate(0)
                counter.write(str(address))
                return address
    raise BusError("all addresses of the simulated USB bus are taken")
