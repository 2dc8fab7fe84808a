"""The reader that a configuration names, also on a machine without its library."""

import subprocess
import sys
from pathlib import Path

import pytest

from validator.lane.readers.pcsc.library import PcscLite
from validator.programs.missing import what_to_install

WITHOUT_LIBRARY = """
import ctypes.util

whole = ctypes.CDLL.__init__

def without_libusb(self, name, *more, **options):
    if name is not None and "libusb" in str(name):
        raise OSError(f"{name}: cannot open shared object file: No such file or directory")
    whole(self, name, *more, **options)

ctypes.CDLL.__init__ = without_libusb
ctypes.util.find_library = lambda name: None
"""
WITHOUT_PCSC = WITHOUT_LIBRARY.replace("libusb", "libpcsclite")
PROGRAM = """
import msgspec
from pathlib import Path
from validator.config import load
from validator.config.gpio import GpioConfig, OutputConfig
from validator.programs.devices import board_abilities, make_board, make_reader

config = load(Path("config/validator.example.toml"))
reader = msgspec.structs.replace(config.reader, driver={reader!r}, device={device!r})
board = msgspec.structs.replace(config.board, driver={board!r}, gpio=GpioConfig(
    chip="c", release=OutputConfig(line=1)))
config = msgspec.structs.replace(config, reader=reader, board=board)
board_abilities(config)
board = make_board(config)
reader = make_reader(config, board)
for device in ({lost}):
    print(device.take().reason)
    print(device.take(), device.fileno())
    device.close()
"""


def program(lost: str, *, reader: str, device: str = "", board: str = "serial") -> str:
    """A program that makes both and prints how those named in `lost` are lost."""
    return PROGRAM.format(reader=reader, device=device, board=board, lost=f"{lost},")


def without(*modules: str) -> str:
    """Lines that make an import of these modules fail, as if they were not installed."""
    return "import sys\n" + "".join(f"sys.modules[{name!r}] = None\n" for name in modules)


def printed(program: str) -> str:
    """What a fresh Python prints: a library is loaded once in a process."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


NFCPY = (
    "the Python package nfcpy is missing or not whole; pip install 'nfcpy>=1.0.4', then restart"
    " the lane\n"
)
LIBUSB1 = (
    "the Python package libusb1 is missing; apt install python3-libusb1 if that is 3.1 or later,"
    " else pip install 'libusb1>=3.1', then restart the lane\n"
)
PYSERIAL = (
    "the Python package pyserial is missing; apt install python3-serial, then restart the lane\n"
)


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        (WITHOUT_LIBRARY, "libusb is missing; apt install libusb-1.0-0, then restart the lane\n"),
        (without("usb1"), LIBUSB1),
        (without("serial"), PYSERIAL),
        (without("nfc"), NFCPY),
        (without("nfc.clf.rcs380"), NFCPY),
        (without("ndef"), NFCPY),
    ],
    ids=["library", "usb1", "serial", "nfc", "rcs380", "ndef"],
)
def test_an_rc_s380_without_a_part_names_the_package_and_the_lane_starts(
    missing: str, told: str
) -> None:
    text = printed(missing + program("reader", reader="rcs380", device="usb"))
    assert text == f"rcs380 at usb: {told}None -1\n"


@pytest.mark.parametrize(
    ("module", "told"),
    [("serial", PYSERIAL), ("nfc", NFCPY), ("nfc.clf.pn532", NFCPY), ("usb1", LIBUSB1)],
)
def test_a_pn532_without_a_part_names_the_package_and_the_lane_starts(
    module: str, told: str
) -> None:
    text = printed(without(module) + program("reader", reader="pn532", device="/dev/r"))
    assert text == f"pn532 at /dev/r: {told}None -1\n"


def test_a_pcsc_reader_without_its_library_names_the_packages_and_the_lane_starts() -> None:
    assert printed(WITHOUT_PCSC + program("reader", reader="pcsc", device="ACS*")) == (
        "pcsc: libpcsclite.so.1 cannot be loaded (libpcsclite.so.1: cannot open shared object file:"
        " No such file or directory); apt install pcscd libccid, then restart the lane\n"
        "None -1\n"
    )


def test_another_library_of_that_name_is_told_like_a_missing_one() -> None:
    with pytest.raises(OSError, match=r"^libc\.so\.6 has no function SCardEstablishContext$"):
        PcscLite("libc.so.6")


@pytest.mark.parametrize("module", ["gpiod", "gpiod.line"])
def test_a_gpio_board_without_its_library_names_the_packages_and_the_lane_starts(
    module: str,
) -> None:
    text = printed(without(module) + program("board", reader="pcsc", device="A", board="gpio"))
    assert text == (
        "board gpio: the Python package gpiod 2 is missing; install python3-libgpiod (Debian 13 and"
        " later), or pip install 'turnike[gpio]', and start the lane again\n"
        "None -1\n"
    )


@pytest.mark.parametrize(
    ("module", "told"),
    [
        ("serial", PYSERIAL),
        (
            "cobs",
            "the Python package cobs is missing; pip install 'cobs<1.2.2', then restart the lane\n",
        ),
    ],
)
def test_a_serial_board_without_a_part_is_lost_and_its_reader_too(module: str, told: str) -> None:
    assert printed(without(module) + program("board, reader", reader="serial")) == (
        f"board serial: {told}None -1\n"
        "reader of the board: there is no board that could read a card\nNone -1\n"
    )


def test_a_lot_board_without_pyserial_names_the_package_and_the_lane_starts() -> None:
    text = printed(without("serial") + program("board", reader="pcsc", device="A", board="lot"))
    assert text == f"board lot: {PYSERIAL}None -1\n"


def test_a_module_of_turnike_itself_that_is_missing_is_no_package_to_install() -> None:
    error = ModuleNotFoundError("No module named 'validator.x'", name="validator.x")
    with pytest.raises(ModuleNotFoundError, match="validator"):
        what_to_install(error)


@pytest.mark.parametrize(
    ("driver", "device"), [("keyboard", "/dev/k"), ("pcsc", "ACS*"), ("serial", "")]
)
def test_other_drivers_need_no_libusb_and_no_nfcpy(driver: str, device: str) -> None:
    """`board_reader` too: no driver loads a part that only another one needs."""
    module = {"serial": "readers.board_reader"}.get(driver, f"readers.{driver}.reader")
    loads = f"\nimport validator.lane.{module}\nprint({device!r})"
    assert printed(without("usb1", "nfc", "gpiod") + loads) == f"{device}\n"


def test_a_pn532_needs_no_libusb() -> None:
    program = f"{WITHOUT_LIBRARY}\nimport validator.lane.readers.pn532.reader\nprint('loaded')"
    assert printed(program) == "loaded\n"
