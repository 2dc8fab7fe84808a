"""`turnike check --readers`: what it lists, from a /sys, a /dev and a /proc made for the test."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.unit.check import test_serial_adapters as adapters
from tests.unit.check import test_typing_readers as typing
from validator.check.readers import FoundReader, found_readers, show_readers, trial, try_one
from validator.check.readers.found import lines_of
from validator.check.readers.trial import config_of
from validator.config.devices import ReaderConfig
from validator.lane.ports import Reader
from validator.lane.readers.absent import AbsentReader
from validator.lane.readers.pcsc.codes import Code, PcscError


def no_pcscd() -> list[str]:
    raise PcscError(Code.NO_SERVICE, "SCardEstablishContext")


def no_library() -> list[str]:
    raise OSError("libpcsclite.so.1: cannot open shared object file")


def usb(
    root: Path, port: str, ids: str, title: str = "", serial: str = "", **interface: str
) -> None:
    """Make what the kernel makes for a USB device with one interface."""
    device = root / "sys/bus/usb/devices" / port
    device.mkdir(parents=True)
    vendor, product = ids.split(":")
    texts = {"idVendor": vendor, "idProduct": product, "busnum": "1", "devnum": "7"}
    texts |= {"product": title, "serial": serial, "bcdDevice": interface.get("bcd", "0300")}
    for name, text in texts.items():
        if text:
            (device / name).write_text(f"{text}\n")
    folder = device.with_name(f"{port}:1.0")
    folder.mkdir()
    (folder / "bInterfaceClass").write_text(f"{interface.get('kind', 'ff')}\n")
    if driver := interface.get("driver", ""):
        (root / "sys/bus/usb/drivers" / driver).mkdir(parents=True, exist_ok=True)
        (folder / "driver").symlink_to(root / "sys/bus/usb/drivers" / driver)


def listed(
    root: Path, *, permitted: bool = True, slots: list[str] | None = None
) -> list[FoundReader]:
    return found_readers(root, lambda _: permitted, no_pcscd if slots is None else lambda: slots)


def test_nothing_plugged_in_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_readers(listed(tmp_path), as_json=False)
    assert capsys.readouterr().out == (
        "no reader is plugged in that Turnike knows; docs/readers.md lists them\n"
    )


def test_one_rcs380_is_usb_and_two_are_told_apart(tmp_path: Path) -> None:
    usb(tmp_path, "1-1.2", "054c:06c3", serial="0000001")
    (one,) = listed(tmp_path)
    assert (one.what, one.lines[2], one.notes) == ("Sony RC-S380/P", 'device = "usb"', ())
    usb(tmp_path, "1-1.3", "054c:06c1", serial="0000002")
    assert [each.lines[2] for each in listed(tmp_path)] == [
        'device = "usb:serial=0000001"',
        'device = "usb:serial=0000002"',
    ]
    usb(tmp_path, "1-1.4", "054c:06c1", serial="0000002")
    assert [each.lines[2] for each in listed(tmp_path)][1:] == [
        'device = "usb:port=1-1.3"',
        'device = "usb:port=1-1.4"',
    ]


@pytest.mark.parametrize(
    ("driver", "told"),
    [
        ("usbfs", "a program uses it now; if that is not the lane, end it"),
        ("port100", "the kernel's driver port100 has it; the lane takes it from there"),
    ],
)
def test_what_holds_an_rcs380_is_said(tmp_path: Path, driver: str, told: str) -> None:
    usb(tmp_path, "1-1", "054c:06c3", driver=driver)
    assert listed(tmp_path)[0].notes == (told,)


def test_without_permission_the_rule_is_named(tmp_path: Path) -> None:
    usb(tmp_path, "1-1", "054c:06c3")
    (note,) = listed(tmp_path, permitted=False)[0].notes
    assert "deploy/udev/70-turnike.rules" in note


def test_a_reader_that_no_driver_serves_has_its_reason_and_no_lines(tmp_path: Path) -> None:
    usb(tmp_path, "1-1", "04e6:5591", "SCL3711")
    (found,) = listed(tmp_path, slots=[])
    assert (found.what, found.lines) == ("an SCL3711 (04e6:5591)", ())
    assert "PN533" in found.notes[0]


def test_pcscds_slots_have_their_names_without_numbers(tmp_path: Path) -> None:
    names = ["ACS ACR1252 Reader [ACR1252 Reader PICC] 00 00", "ACS ACR1252 SAM [X] 00 01"]
    card, sam = listed(tmp_path, slots=names)
    assert card.lines[1:] == (
        'driver = "pcsc"',
        'device = "ACS ACR1252 Reader [ACR1252 Reader PICC]"',
    )
    assert sam.lines == ()
    assert "SAM" in sam.notes[0]


def test_two_slots_of_one_name_keep_their_numbers_with_a_warning(tmp_path: Path) -> None:
    found = listed(tmp_path, slots=["A 00 00", "A 01 00"])
    assert [each.lines[2] for each in found] == ['device = "A 00 00"', 'device = "A 01 00"']
    assert all("order of plugging" in each.notes[-1] for each in found)


def test_without_pcscd_a_reader_on_the_usb_is_listed_with_what_to_install(tmp_path: Path) -> None:
    usb(tmp_path, "1-1.1", "072f:2200", "ACR122U PICC Interface", kind="0b", bcd="0214")
    (found,) = found_readers(tmp_path, lambda _: True, no_library)
    assert found.lines[2] == 'device = "*ACR122U PICC Interface*"'
    assert "apt install pcscd libccid" in found.notes[0]


def test_an_acr122u_with_old_firmware_is_named_though_pcscd_does_not_list_it(
    tmp_path: Path,
) -> None:
    usb(tmp_path, "1-1.1", "072f:2200", "ACR122U", kind="0b", bcd="0100")
    (found,) = listed(tmp_path, slots=[])
    assert "firmware 1.00" in found.notes[0]
    assert found.lines == ()


def test_an_adapter_is_a_place_for_a_pn532_by_its_lasting_name(tmp_path: Path) -> None:
    adapters.plug(tmp_path / "sys", "ttyUSB0", "1-1.2", "1a86:7523")
    adapters.link(tmp_path / "dev", "serial/by-path/platform-usb-0:1.2:1.0-port0", "ttyUSB0")
    (found,) = listed(tmp_path)
    assert (found.what, found.where) == (
        "USB-UART adapter CH340",
        "USB port 1-1.2, now /dev/ttyUSB0",
    )
    assert found.lines[2] == 'device = "/dev/serial/by-path/platform-usb-0:1.2:1.0-port0"'


def test_brltty_beside_a_ch340_is_to_be_removed(tmp_path: Path) -> None:
    adapters.plug(tmp_path / "sys", "ttyUSB0", "1-1.2", "1a86:7523")
    assert not any("brltty" in note for note in listed(tmp_path)[0].notes)
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/brltty").touch()
    assert any("apt remove brltty" in note for note in listed(tmp_path)[0].notes)


def test_a_uart_with_a_login_console_says_what_to_switch_off(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "proc").mkdir()
    (tmp_path / "dev/ttyAMA0").touch()
    (tmp_path / "dev/serial0").symlink_to("ttyAMA0")
    (tmp_path / "proc/cmdline").write_text("console=tty1 root=x\n")
    assert len(listed(tmp_path)[0].notes) == 1
    (tmp_path / "proc/cmdline").write_text("console=serial0,115200 console=tty1\n")
    (found,) = listed(tmp_path)
    assert found.lines[2] == 'device = "/dev/serial0"'
    assert "raspi-config" in found.notes[1]


def test_a_reader_that_types_is_to_be_learnt_and_a_keyboard_is_doubted(tmp_path: Path) -> None:
    typing.plug(tmp_path / "sys", "event3", "ffff:0035", typing.SYC)
    typing.plug(tmp_path / "sys", "event4", "046d:c31c", "Logitech USB Keyboard")
    typing.link(tmp_path / "dev", "by-id/usb-Sycreader-event-kbd", "event3")
    reader, keyboard = listed(tmp_path)
    assert reader.lines[2] == 'device = "/dev/input/by-id/usb-Sycreader-event-kbd"'
    assert "known cards" in reader.notes[-1]
    assert "most likely a keyboard" in keyboard.notes[0]


def test_every_printed_table_is_a_configuration_of_a_reader(tmp_path: Path) -> None:
    usb(tmp_path, "1-1", "054c:06c3")
    usb(tmp_path, "1-2", "072f:2200", "ACR122U", kind="0b")
    adapters.plug(tmp_path / "sys", "ttyUSB0", "1-3", "0403:6001", "A50285BI")
    adapters.link(tmp_path / "dev", "serial/by-id/usb-FTDI_A50285BI-if00-port0", "ttyUSB0")
    found = listed(tmp_path)
    assert [config_of(each.lines).driver for each in found] == ["rcs380", "pcsc", "pn532"]


def test_a_hostile_name_of_a_device_prints_no_control_characters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    usb(tmp_path, "1-2", "072f:2200", "ACR\x1b[2J\u202e122", kind="0b")
    show_readers(listed(tmp_path), as_json=False)
    printed = capsys.readouterr().out
    assert "\x1b[2J" not in printed
    assert "\u202e" not in printed


def test_as_json_it_is_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    usb(tmp_path, "1-1", "054c:06c3")
    show_readers(listed(tmp_path), as_json=True)
    (reader,) = json.loads(capsys.readouterr().out)["readers"]
    assert reader["lines"] == ["[reader]", 'driver = "rcs380"', 'device = "usb"']


@pytest.mark.parametrize("identify", [False, True])
def test_a_reader_that_passes_apdus_is_asked_for_the_number_only_to_identify(
    monkeypatch: pytest.MonkeyPatch, *, identify: bool
) -> None:
    monkeypatch.setattr(trial, "READY_S", 0.0)
    opened: list[ReaderConfig] = []

    def open_(reader: ReaderConfig, _locks: Path) -> Reader:
        opened.append(reader)
        return AbsentReader("gone")

    found = [FoundReader("A", "here", lines_of("pcsc", "A"))]
    assert not try_one(found, 1, 0.0, identify=identify, open_=open_)
    assert [each.read_number for each in opened] == [identify]


@pytest.mark.parametrize("options", [["--try", "1"], ["--identify"], ["--for", "3"]])
def test_options_of_the_list_of_readers_need_it(options: list[str]) -> None:
    from validator.cli import main  # noqa: PLC0415  # it guards this process's standard output

    ended = CliRunner().invoke(main, ["check", *options])
    assert ended.exit_code == 2
