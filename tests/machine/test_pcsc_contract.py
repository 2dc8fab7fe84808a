"""The rest of the contract of a PC/SC reader: faults, losses, stalls and unplugs, on a real pcscd.

Each push has its cards and its printed numbers (tests/contracts/readers/test_in_usb_rig.py).
"""

from pathlib import Path

import pytest

from tests.contracts.readers.test_in_usb_rig import HERE, NIGHTLY
from tests.support.devices.usb_rig import pytest_in_usb_rig


@pytest.mark.parametrize(("reader", "file"), NIGHTLY)
def test_the_contract_holds_in_the_usb_rig(reader: str, file: str, tmp_path: Path) -> None:
    pytest_in_usb_rig([f"{HERE}/{file}", "--readers", reader], tmp_path)
