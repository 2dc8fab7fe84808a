"""The reader that a configuration names, also on a machine without its library."""

import subprocess
import sys
from pathlib import Path

import pytest

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
WITHOUT_MODULE = """
import sys

sys.modules["usb1"] = None
"""
READER = """
import msgspec
from pathlib import Path
from validator.config import load
from validator.programs.devices import make_reader

config = load(Path("config/validator.example.toml"))
chosen = msgspec.structs.replace(config.reader, driver="rcs380", device="usb")
reader = make_reader(msgspec.structs.replace(config, reader=chosen), None)
print(reader.take().reason)
print(reader.take(), reader.fileno())
"""


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


@pytest.mark.parametrize("missing", [WITHOUT_LIBRARY, WITHOUT_MODULE], ids=["library", "module"])
def test_an_rc_s380_without_libusb_names_the_package_and_the_lane_starts(missing: str) -> None:
    assert printed(missing + READER) == (
        "rcs380 at usb: libusb is missing; apt install libusb-1.0-0, then restart the lane\n"
        "None -1\n"
    )


def test_a_pn532_needs_no_libusb() -> None:
    program = f"{WITHOUT_LIBRARY}\nimport validator.lane.readers.pn532.reader\nprint('loaded')"
    assert printed(program) == "loaded\n"
