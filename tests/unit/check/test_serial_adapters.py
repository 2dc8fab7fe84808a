"""The adapters that are plugged in, from a /sys and a /dev made for the test."""

from pathlib import Path

import pytest

from validator.check.serial_adapters import SerialAdapter, serial_adapters

CONTROLLER = "devices/platform/soc/3f980000.usb/usb1"


@pytest.fixture
def sys(tmp_path: Path) -> Path:
    return tmp_path / "sys"


@pytest.fixture
def dev(tmp_path: Path) -> Path:
    return tmp_path / "dev"


def plug(sys: Path, tty: str, port: str, ids: str, serial: str = "") -> None:
    """Make what the kernel makes for a USB-UART adapter in a port."""
    device = sys / CONTROLLER / port.partition(".")[0] / port
    below = f"{port}:1.0/{tty}/tty/{tty}" if "USB" in tty else f"{port}:1.0/tty/{tty}"
    (device / below).mkdir(parents=True)
    vendor, product = ids.split(":")
    for name, text in (("idVendor", vendor), ("idProduct", product), ("serial", serial)):
        if text:
            (device / name).write_text(f"{text}\n")
    (sys / "class/tty").mkdir(parents=True, exist_ok=True)
    (sys / "class/tty" / tty).symlink_to(device / below)


def link(dev: Path, name: str, tty: str) -> str:
    """Make a link as udev does, and return it."""
    dev.mkdir(exist_ok=True)
    (dev / tty).touch()
    path = dev / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(dev / tty)
    return str(path)


def test_an_adapter_with_a_serial_number_is_named_by_it(sys: Path, dev: Path) -> None:
    plug(sys, "ttyUSB0", "1-1.2", "0403:6001", "A50285BI")
    by_id = link(dev, "serial/by-id/usb-FTDI_FT232R_A50285BI-if00-port0", "ttyUSB0")
    link(dev, "serial/by-path/platform-3f980000.usb-usb-0:1.2:1.0-port0", "ttyUSB0")
    assert serial_adapters(sys, dev) == (
        SerialAdapter(
            str(dev / "ttyUSB0"),
            "FT232R",
            "A50285BI",
            "1-1.2",
            by_id,
            "by its serial number; it may move to another port",
        ),
    )


def test_a_ch340_is_named_by_its_port(sys: Path, dev: Path) -> None:
    plug(sys, "ttyUSB0", "1-1.2", "1a86:7523")
    link(dev, "serial/by-id/usb-1a86_USB_Serial-if00-port0", "ttyUSB0")
    by_path = link(dev, "serial/by-path/platform-3f980000.usb-usb-0:1.2:1.0-port0", "ttyUSB0")
    (found,) = serial_adapters(sys, dev)
    assert (found.chip, found.serial_number, found.name) == ("CH340", "", by_path)
    assert "no serial number" in found.named_by


@pytest.mark.parametrize("serial", ["0001", "00000000"])
def test_a_serial_number_that_many_adapters_have_names_none(
    sys: Path, dev: Path, serial: str
) -> None:
    plug(sys, "ttyUSB0", "1-1.2", "10c4:ea60", serial)
    link(dev, "serial/by-id/usb-Silicon_Labs_CP2102_0001-if00-port0", "ttyUSB0")
    by_path = link(dev, "serial/by-path/platform-3f980000.usb-usb-0:1.2:1.0-port0", "ttyUSB0")
    (found,) = serial_adapters(sys, dev)
    assert found.name == by_path
    assert "other adapters may have its serial number" in found.named_by


def test_two_adapters_with_one_serial_number_are_named_by_their_ports(sys: Path, dev: Path) -> None:
    for number, port in enumerate(("1-1.2", "1-1.3")):
        plug(sys, f"ttyUSB{number}", port, "067b:2303", "SAMESAME")
        link(dev, f"serial/by-path/usb-0:{port}-port0", f"ttyUSB{number}")
    link(dev, "serial/by-id/usb-Prolific_SAMESAME-if00-port0", "ttyUSB1")
    found = serial_adapters(sys, dev)
    assert [each.port for each in found] == ["1-1.2", "1-1.3"]
    assert all("/by-path/" in each.name for each in found)


def test_a_name_of_the_operators_own_comes_first(sys: Path, dev: Path) -> None:
    plug(sys, "ttyUSB0", "1-1.2", "1a86:7523")
    link(dev, "serial/by-path/platform-3f980000.usb-usb-0:1.2:1.0-port0", "ttyUSB0")
    own = link(dev, "turnike-reader", "ttyUSB0")
    (found,) = serial_adapters(sys, dev)
    assert found.name == own


def test_an_adapter_without_a_link_has_no_name(sys: Path, dev: Path) -> None:
    plug(sys, "ttyACM10", "1-1.4", "2341:0043", "8573531323")
    plug(sys, "ttyACM9", "1-1.3", "1a86:55d4", "56CD012345")
    found = serial_adapters(sys, dev)
    assert [(each.tty, each.chip, each.name) for each in found] == [
        (str(dev / "ttyACM9"), "CH9102", ""),
        (str(dev / "ttyACM10"), "2341:0043", ""),
    ]
    assert "udev" in found[0].named_by


def test_a_uart_of_the_board_is_no_adapter(sys: Path, dev: Path) -> None:
    node = sys / "devices/platform/serial8250/tty/ttyS0"
    node.mkdir(parents=True)
    (sys / "class/tty").mkdir(parents=True)
    (sys / "class/tty/ttyS0").symlink_to(node)
    (sys / "class/tty/ttyUSB0").symlink_to(sys / "devices/gone/ttyUSB0")
    assert serial_adapters(sys, dev) == ()


def test_a_machine_without_sys_has_none(sys: Path, dev: Path) -> None:
    assert serial_adapters(sys, dev) == ()


def test_what_an_adapter_calls_itself_reaches_a_terminal_without_control_characters(
    sys: Path, dev: Path
) -> None:
    plug(sys, "ttyUSB0", "1-1.2", "0403:6001", "A5\x1b[31m\x07" + "x" * 9999)
    (found,) = serial_adapters(sys, dev)
    assert found.serial_number.startswith("A5[31mxxx")
    assert len(found.serial_number) < 256
