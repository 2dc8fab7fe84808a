"""The contract of the readers on USB: each in a pytest of its own, in the USB rig.

A file is a test of its own here, so that workers of the outer pytest share them.
"""

from pathlib import Path

import pytest

from tests.contracts.readers.rigs import RIGS
from tests.support.devices.usb_rig import pytest_in_usb_rig

HERE = "tests/contracts/readers"
CARDS = "test_reader_contract.py"
CONTRACT = (CARDS, "test_reader_at_start.py", "test_reader_faults.py", "test_printed_numbers.py")
ALONE = {  # what is true of one reader
    "rcs380": ("test_rcs380_reader.py",),
    "pcsc": ("test_pcsc_reader.py", "test_pcsc_unplugs.py"),
}
# At a chip's own speed cards are read otherwise; faults and losses are not.
EVERY_FILE = [
    (name, file)
    for name, kind in RIGS.items()
    if kind.needs_usb_rig
    for file in ((*CONTRACT, *ALONE.get(name, ())) if "real times" not in name else (CARDS,))
]
# What the real pcscd does when it is killed, stalled or unplugged varies from run to run: these
# files belong to the nightly run, tests/machine/test_pcsc_contract.py.
NIGHTLY = [
    (name, file)
    for name, file in EVERY_FILE
    if name == "pcsc" and file not in {CARDS, "test_printed_numbers.py"}
]
IN_RIG = [each for each in EVERY_FILE if each not in NIGHTLY]


@pytest.mark.parametrize(("reader", "file"), IN_RIG)
def test_the_contract_holds_in_the_usb_rig(reader: str, file: str, tmp_path: Path) -> None:
    pytest_in_usb_rig([f"{HERE}/{file}", "--readers", reader], tmp_path)
