"""Runs the real `udevadm test` on our rules and on a device in a /sys that is made for it.

Started as a program of its own in namespaces of its own (see `ask_udev`), since it mounts over
/sys, /dev and /run.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/udev"
GROUP = "turnike"
GROUP_ID = "12345"
USB = Path("/sys/devices/platform/soc/3f980000.usb/usb1/1-1/1-1.2")
WAIT_S = 120


@dataclass(frozen=True, slots=True)
class UsbDevice:
    """A USB device with one interface, and the kernel device below it that is added."""

    vendor: str
    product: str
    kind: str  # "ttyUSB0", "event3", "port" of a USB-UART adapter, "usb" for the device itself
    serial: str = ""
    driver: str = "ch341-uart"


def ask_udev(device: UsbDevice, names: str = "") -> str:
    """Return what `udevadm test` prints for the device: rules that apply, then its properties.

    Args:
        device: the device to be added.
        names: the text of 71-turnike-names.rules; the shipped one if empty.
    """
    fields = [device.vendor, device.product, device.kind, device.serial, device.driver, names]
    command = ["unshare", "--mount", "--map-root-user", sys.executable, __file__]
    done = subprocess.run(
        [*command, json.dumps(fields)], capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def _main() -> None:
    vendor, product, kind, serial, driver, names = json.loads(sys.argv[1])
    for folder in ("/sys", "/dev", "/run"):
        subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
    rules = Path("/run/udev/rules.d")
    rules.mkdir(parents=True)
    for file in RULES.glob("*.rules"):
        (rules / file.name).write_text(file.read_text())
    if names:
        (rules / "71-turnike-names.rules").write_text(names)
    groups = Path("/run/group")
    groups.write_text(f"{Path('/etc/group').read_text()}{GROUP}:x:{GROUP_ID}:\n")
    subprocess.run(["mount", "--bind", groups, "/etc/group"], check=True)
    device = _make(UsbDevice(vendor, product, kind, serial, driver))
    subprocess.run(
        ["udevadm", "test", "--action=add", str(device)],
        env={"SYSTEMD_DEVICE_VERIFY_SYSFS": "0", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        check=True,
    )


def _make(device: UsbDevice) -> Path:
    """Make the device in /sys as the kernel shows it; return its folder."""
    product = f"PRODUCT={device.vendor}/{device.product}/100\n"
    _folder(USB.parents[2], "platform", "DRIVER=dwc2\n")
    _folder(USB.parents[1], "usb", "DEVTYPE=usb_device\n")
    _folder(USB.parent, "usb", "DEVTYPE=usb_device\n")
    _folder(USB, "usb", f"DEVTYPE=usb_device\n{product}BUSNUM=001\nDEVNUM=004\n")
    attributes = {"idVendor": device.vendor, "idProduct": device.product, "serial": device.serial}
    for name, text in attributes.items():
        if text:
            (USB / name).write_text(f"{text}\n")
    if device.kind == "usb":
        return USB
    interface = USB / "1-1.2:1.0"
    _folder(interface, "usb", f"DEVTYPE=usb_interface\n{product}INTERFACE=255/1/2\n")
    (interface / "bInterfaceClass").write_text("ff\n")
    (interface / "bInterfaceSubClass").write_text("00\n")
    (interface / "bInterfaceNumber").write_text("00\n")
    if not device.kind.startswith("event"):
        port = interface / "ttyUSB0"
        _folder(port, "usb-serial", f"DRIVER={device.driver}\n")
        drivers = Path("/sys/bus/usb-serial/drivers") / device.driver
        drivers.mkdir(parents=True)
        (port / "driver").symlink_to(drivers)
        (port / "latency_timer").write_text("16\n")
        if device.kind == "port":
            return port
        node = port / "tty" / device.kind
        _folder(node, "tty", f"MAJOR=188\nMINOR=0\nDEVNAME={device.kind}\n")
    else:
        parent = interface / "input" / "input3"
        _folder(
            parent, "input", "EV=120013\nKEY=10000 7 ff9f207a c14057ff febeffdf ffefffff fffffffe\n"
        )
        node = parent / device.kind
        _folder(node, "input", f"MAJOR=13\nMINOR=67\nDEVNAME=input/{device.kind}\n")
    return node


def _folder(folder: Path, subsystem: str, uevent: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "uevent").write_text(uevent)
    of_class = Path("/sys/class" if subsystem in {"tty", "input"} else "/sys/bus") / subsystem
    of_class.mkdir(parents=True, exist_ok=True)
    (folder / "subsystem").symlink_to(of_class)
    if of_class.parent.name == "class":
        (of_class / folder.name).symlink_to(folder)


if __name__ == "__main__":
    _main()
