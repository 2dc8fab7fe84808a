"""Each fault has one line that says what to do, and sysfs says what pcscd does not."""

from pathlib import Path

import pytest

from validator.lane.readers.pcsc import reasons
from validator.lane.readers.pcsc.codes import Code, PcscError
from validator.lane.readers.pcsc.library import PcscLite

PATTERN = "ACS ACR122U*"


def plug(sysfs: Path, ids: str, release: str = "0214", driver: str = "", port: str = "1-1") -> None:
    vendor, product = ids.split(":")
    device, interface = sysfs / port, sysfs / f"{port}:1.0"
    device.mkdir(parents=True)
    interface.mkdir()
    for name, text in (("idVendor", vendor), ("idProduct", product), ("bcdDevice", release)):
        (device / name).write_text(f"{text}\n")
    (interface / "bInterfaceClass").write_text("0b\n")
    if driver:
        folder = sysfs.parent / "drivers" / driver
        folder.mkdir(parents=True, exist_ok=True)
        (interface / "driver").symlink_to(folder)


def of_none(sysfs: Path, *names: str) -> str:
    line = reasons.none_matches(PATTERN, names, sysfs)
    assert line.startswith("pcsc at ACS ACR122U*: there is no such device; ")
    assert line.isprintable()
    return line.partition("; ")[2]


def test_no_reader_at_all_asks_for_the_plug(tmp_path: Path) -> None:
    assert of_none(tmp_path / "none") == "pcscd has no reader; is it plugged in?"


def test_readers_of_other_names_are_listed(tmp_path: Path) -> None:
    assert of_none(tmp_path, "Yubikey 00 00", "SCM 01 00") == (
        "pcscd has 'Yubikey 00 00', 'SCM 01 00'; is it plugged in?"
    )


def test_a_name_from_a_device_cannot_break_the_line(tmp_path: Path) -> None:
    assert "\\n" in of_none(tmp_path, "evil\n\x1b[2J 00 00")


@pytest.mark.parametrize(("release", "shown"), [("0100", "1.00"), ("0205", "2.05")])
def test_an_acr122u_with_old_firmware_is_named(tmp_path: Path, release: str, shown: str) -> None:
    plug(tmp_path, "072f:2200", release)
    assert of_none(tmp_path) == (
        f"pcscd has no reader; the ACR122U on the USB has firmware {shown}, and libccid drives 2.06"
        " and later; take another reader"
    )


def test_a_kernel_driver_in_the_way_is_named(tmp_path: Path) -> None:
    plug(tmp_path / "usb", "072f:2200", driver="pn533_usb")
    assert of_none(tmp_path / "usb").endswith(
        "the kernel's driver pn533_usb has 072f:2200; modprobe -r pn533_usb, and write 'blacklist"
        " pn533_usb' into a file of /etc/modprobe.d"
    )


@pytest.mark.parametrize("driver", ["", "usbfs"])
def test_a_reader_that_pcscd_does_not_list_is_named(tmp_path: Path, driver: str) -> None:
    plug(tmp_path / "usb", "076b:5022", driver=driver)
    assert of_none(tmp_path / "usb") == (
        "pcscd has no reader; 076b:5022 is on the USB, but another program has it, or libccid does"
        " not know it"
    )


def test_several_readers_are_listed() -> None:
    assert reasons.several_match("*", ["a 00 00", "b 01 00"]) == (
        "pcsc at *: 2 readers match: 'a 00 00', 'b 01 00'; write more of one's name"
    )


def test_a_missing_pcscd_names_the_packages(tmp_path: Path) -> None:
    error = PcscError(Code.NO_SERVICE, "SCardEstablishContext")
    assert reasons.of_pcscd("*", error, tmp_path / "pcscd").endswith(
        "pcscd is missing; apt install pcscd libccid"
    )
    (tmp_path / "pcscd").touch()
    assert reasons.of_pcscd("*", error, tmp_path / "pcscd").endswith(
        "pcscd does not run; systemctl enable --now pcscd.socket"
    )


@pytest.mark.parametrize("code", [Code.SECURITY_VIOLATION, Code.NO_ACCESS])
def test_a_refused_user_is_told_which_rule_to_install(code: Code) -> None:
    line = reasons.of_pcscd("*", PcscError(code, "SCardEstablishContext"))
    assert line.endswith(f"put {reasons.RULE} into /etc/polkit-1/rules.d")
    assert (Path(__file__).parents[5] / reasons.RULE).is_file()


def test_another_error_is_shown_by_its_number() -> None:
    assert "8010001F" in reasons.of_pcscd("*", PcscError(0x8010001F, "SCardEstablishContext"))


def test_a_missing_library_names_the_packages() -> None:
    with pytest.raises(OSError, match="libnowhere") as caught:
        PcscLite("libnowhere.so.1")
    line = reasons.no_library(caught.value)
    assert line.endswith("apt install pcscd libccid, then restart the lane")
    assert line.isprintable()
