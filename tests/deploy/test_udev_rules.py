"""deploy/udev, read by the real udev on a /sys that has the device."""

import re
import shutil

import pytest

from tests.deploy.udev_rig import GROUP_ID, RULES, UsbDevice, ask_udev

pytestmark = pytest.mark.skipif(
    shutil.which("udevadm") is None or shutil.which("unshare") is None,
    reason="needs udevadm and unshare (Debian: udev, util-linux)",
)

NAMES = (RULES / "71-turnike-names.rules").read_text()
PORT = "platform-3f980000.usb-usb-0:1.2:1.0"
ADAPTERS = [
    ("1a86", "7523", "ch341-uart"),
    ("1a86", "55d4", "ch341-uart"),
    ("10c4", "ea60", "cp210x"),
    ("0403", "6001", "ftdi_sio"),
    ("0403", "6014", "ftdi_sio"),
    ("0403", "6015", "ftdi_sio"),
    ("067b", "2303", "pl2303"),
    ("067b", "23a3", "pl2303"),
]


def properties(told: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in told.splitlines() if re.match(r"[A-Z_]+=", line))


def complaints(told: str) -> list[str]:
    """Return what udev says of our files, but for what it does by them."""
    done = re.compile(r"\S+rules:[0-9]+ (GROUP|MODE|LINK|ATTR) ")
    lines = [line for line in told.splitlines() if "-turnike" in line and ".rules:" in line]
    return [line for line in lines if not done.search(line)]


@pytest.mark.parametrize(("vendor", "product", "driver"), ADAPTERS)
def test_an_adapter_belongs_to_the_service_and_not_to_modem_manager(
    vendor: str, product: str, driver: str
) -> None:
    told = ask_udev(UsbDevice(vendor, product, "ttyUSB0", driver=driver))
    assert f"GROUP {GROUP_ID}" in told
    assert "MODE 0660" in told
    found = properties(told)
    assert found["ID_MM_DEVICE_IGNORE"] == found["ID_MM_PORT_IGNORE"] == "1"
    assert complaints(told) == []


@pytest.mark.parametrize(("driver", "is_set"), [("ftdi_sio", True), ("cp210x", False)])
def test_an_ftdi_adapter_passes_bytes_on_at_once(driver: str, *, is_set: bool) -> None:
    told = ask_udev(UsbDevice("0403", "6001", "port", driver=driver))
    assert bool(re.search(r"70-turnike\.rules:.*latency_timer.*writing '1'", told)) is is_set
    assert complaints(told) == []


@pytest.mark.parametrize(("vendor", "product"), [("1a86", "7522"), ("2341", "0043")])
def test_another_device_is_left_alone(vendor: str, product: str) -> None:
    told = ask_udev(UsbDevice(vendor, product, "ttyUSB0"))
    assert "turnike" not in properties(told).get("DEVLINKS", "")
    assert f"GROUP {GROUP_ID}" not in told
    assert "ID_MM_DEVICE_IGNORE" not in properties(told)


@pytest.mark.parametrize(
    ("vendor", "product"), [("08ff", "0009"), ("ffff", "0035"), ("1a86", "dd01")]
)
def test_a_reader_that_types_belongs_to_the_service_and_to_no_graphical_session(
    vendor: str, product: str
) -> None:
    told = ask_udev(UsbDevice(vendor, product, "event3", driver="usbhid"))
    assert f"GROUP {GROUP_ID}" in told
    assert properties(told)["LIBINPUT_IGNORE_DEVICE"] == "1"
    assert complaints(told) == []


@pytest.mark.parametrize("product", ["06c1", "06c3"])
def test_an_rc_s380_belongs_to_the_service(product: str) -> None:
    told = ask_udev(UsbDevice("054c", product, "usb"))
    assert f"GROUP {GROUP_ID}" in told
    assert "MODE 0660" in told
    assert complaints(told) == []


def test_another_usb_device_of_its_maker_is_left_to_its_owner() -> None:
    assert f"GROUP {GROUP_ID}" not in ask_udev(UsbDevice("054c", "0268", "usb"))


def test_another_keyboard_is_left_to_its_owner() -> None:
    told = ask_udev(UsbDevice("046d", "c31c", "event3", driver="usbhid"))
    assert f"GROUP {GROUP_ID}" not in told
    assert "LIBINPUT_IGNORE_DEVICE" not in properties(told)


def test_an_adapter_is_named_by_its_serial_number() -> None:
    names = NAMES.replace("READER-SERIAL", "A50285BI")
    told = ask_udev(UsbDevice("0403", "6001", "ttyUSB0", "A50285BI", "ftdi_sio"), names)
    assert "/dev/turnike-reader" in properties(told)["DEVLINKS"].split()
    assert complaints(told) == []


def test_an_adapter_without_a_serial_number_is_named_by_its_port() -> None:
    names = NAMES.replace("# SUBSYSTEM", "SUBSYSTEM")
    assert PORT in names
    told = ask_udev(UsbDevice("1a86", "7523", "ttyUSB0"), names)
    links = properties(told)["DEVLINKS"].split()
    assert "/dev/turnike-reader" in links
    assert f"/dev/serial/by-path/{PORT}" in links


def test_the_names_as_shipped_name_no_device() -> None:
    told = ask_udev(UsbDevice("0403", "6001", "ttyUSB0", "A50285BI", "ftdi_sio"))
    assert "/dev/turnike" not in properties(told)["DEVLINKS"]


@pytest.mark.parametrize("wrong", ['SUBSYSTEM=="tty", SYMLNK+="x"', 'SUBSYSTEM="tty", GROUP=="y"'])
def test_an_error_in_the_rules_would_be_found(wrong: str) -> None:
    assert complaints(ask_udev(UsbDevice("1a86", "7523", "ttyUSB0"), f"{wrong}\n"))
