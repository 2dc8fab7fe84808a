"""USB devices by the kernel's files, and the names that a configuration gives them."""

from pathlib import Path

import pytest

from validator.host.usb_devices import UsbDevice, UsbName, names, plugged


def device(serial: str, port: str) -> UsbDevice:
    return UsbDevice(0x054C, 0x06C3, serial, port, 1, 5, "RC-S380/P")


def made(sysfs: Path, port: str, **files: str) -> None:
    (sysfs / port).mkdir()
    for name, text in files.items():
        (sysfs / port / name).write_text(f"{text}\n")


def test_devices_are_read_from_the_kernels_files(tmp_path: Path) -> None:
    ids = {"idVendor": "054c", "idProduct": "06c3", "busnum": "1"}
    made(tmp_path, "1-1.2", **ids, devnum="12", serial="0000001", product="RC-S380/P")
    made(tmp_path, "1-2", **ids, devnum="3")
    assert list(plugged(tmp_path)) == [
        UsbDevice(0x054C, 0x06C3, "0000001", "1-1.2", 1, 12, "RC-S380/P"),
        UsbDevice(0x054C, 0x06C3, "", "1-2", 1, 3, ""),
    ]


def test_interfaces_and_devices_that_are_leaving_are_no_devices(tmp_path: Path) -> None:
    made(tmp_path, "1-1:1.0", bInterfaceNumber="00")
    made(tmp_path, "1-1", idVendor="054c", idProduct="06c3", busnum="1")
    made(tmp_path, "1-2", idVendor="", idProduct="06c3", busnum="1", devnum="4")
    (tmp_path / "1-3").symlink_to(tmp_path / "gone")
    assert list(plugged(tmp_path)) == []


def test_a_machine_without_usb_has_no_devices(tmp_path: Path) -> None:
    assert list(plugged(tmp_path / "nothing")) == []


@pytest.mark.parametrize("text", ["usb", "usb:serial=0000001", "usb:port=1-1.2", "usb:serial=a=b"])
def test_a_name_is_written_as_it_is_read(text: str) -> None:
    assert str(UsbName.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "USB", "usb:", "usb:001:004", "usb:054c:06c3", "usb:serial=", "usb:port", "usb:bus=1",
     "/dev/bus/usb/001/004", "serial=1", "port=1-1"],
)  # fmt: skip
def test_what_is_no_name_is_answered_with_the_names_there_are(text: str) -> None:
    with pytest.raises(ValueError, match=r'write "usb", "usb:serial=NUMBER" or "usb:port=PATH"'):
        UsbName.parse(text)


def test_devices_are_named_by_serial_number_or_else_by_port() -> None:
    same = [device("7", "1-1"), device("7", "1-2"), device("", "1-3"), device("8", "1-4")]
    assert [str(name) for name in names(same)] == [
        "usb:port=1-1",
        "usb:port=1-2",
        "usb:port=1-3",
        "usb:serial=8",
    ]
    for name, its in zip(names(same), same, strict=True):
        assert [each for each in same if name.fits(each)] == [its]


@pytest.mark.parametrize("serial", ['a"b', "a\\b", "a\x1b[2J", "ş1", "1" * 127])
def test_a_serial_number_that_cannot_be_written_between_quotes_names_nothing(serial: str) -> None:
    assert [str(name) for name in names([device(serial, "1-1")])] == ["usb:port=1-1"]
