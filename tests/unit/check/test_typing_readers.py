"""The keyboards that are plugged in, from a /sys and a /dev made for the test."""

from pathlib import Path

import pytest

from validator.check.typing_readers import keyboards

KEYS = "10000 7 ff9f207ac14057ff febeffdffffefffff fffffffffffffffe"
NO_DIGITS = "10000000000000 0"
SYC = "Sycreader RFID Technology Co., Ltd SYC ID&IC USB Reader"


@pytest.fixture
def sys(tmp_path: Path) -> Path:
    return tmp_path / "sys"


@pytest.fixture
def dev(tmp_path: Path) -> Path:
    return tmp_path / "dev"


def plug(sys: Path, event: str, ids: str, name: str, keys: str = KEYS) -> None:
    """Make what the kernel makes for an input device."""
    device = sys / "devices/usb1" / f"of-{event}" / "input9"
    for folder in (event, "id", "capabilities"):
        (device / folder).mkdir(parents=True)
    vendor, product = ids.split(":")
    texts = {"id/vendor": vendor, "id/product": product, "name": name, "capabilities/key": keys}
    for file, text in texts.items():
        (device / file).write_text(f"{text}\n")
    (sys / "class/input").mkdir(parents=True, exist_ok=True)
    (sys / "class/input" / event).symlink_to(device / event)


def link(dev: Path, name: str, event: str) -> str:
    path = dev / "input" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(f"../{event}")
    return str(path)


def test_a_reader_is_named_by_its_model_and_stands_before_a_keyboard(sys: Path, dev: Path) -> None:
    plug(sys, "event2", "046d:c31c", "Logitech USB Keyboard")
    plug(sys, "event10", "ffff:0035", SYC)
    by_id = link(dev, "by-id/usb-Sycreader_08FF20140315-event-kbd", "event10")
    link(dev, "by-path/platform-usb-0:1.2:1.0-event-kbd", "event10")
    found = keyboards(sys, dev)
    assert [(each.calls_itself, each.likely) for each in found] == [
        (SYC, True),
        ("Logitech USB Keyboard", False),
    ]
    assert (found[0].name, found[0].ids) == (by_id, ("ffff", "0035"))
    assert found[1].name == ""


def test_two_readers_of_one_model_are_named_by_their_ports(sys: Path, dev: Path) -> None:
    for number in (3, 4):
        plug(sys, f"event{number}", "08ff:0009", "AuthenTec")
        link(dev, f"by-path/platform-usb-0:1.{number}:1.0-event-kbd", f"event{number}")
    link(dev, "by-id/usb-AuthenTec-event-kbd", "event4")
    found = keyboards(sys, dev)
    assert all("/by-path/" in each.name for each in found)
    assert all(each.likely for each in found)


@pytest.mark.parametrize("keys", [NO_DIGITS, "", "xyz", "3fc"])
def test_an_input_device_without_all_digits_is_no_keyboard(sys: Path, dev: Path, keys: str) -> None:
    plug(sys, "event0", "0000:0001", "Power Button", keys)
    assert keyboards(sys, dev) == ()


def test_a_machine_without_input_devices_has_none(sys: Path, dev: Path) -> None:
    assert keyboards(sys, dev) == ()
