"""The contract of the readers on input devices: each in a pytest of its own, in the input rig.

A file is a test of its own here, so that workers of the outer pytest share them.
"""

from pathlib import Path

import pytest

from tests.contracts.readers.rigs import kinds_that
from tests.support.devices.usb_rig import pytest_in_input_rig

HERE = "tests/contracts/readers"
FILES = (
    "test_reader_contract.py",
    "test_reader_at_start.py",
    "test_reader_faults.py",
    "test_keyboard_reader.py",
)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("reader", kinds_that(lambda kind: kind.needs_input_rig))
def test_the_contract_holds_in_the_input_rig(reader: str, file: str, tmp_path: Path) -> None:
    pytest_in_input_rig([f"{HERE}/{file}", "--readers", reader], tmp_path)
