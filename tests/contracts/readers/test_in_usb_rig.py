"""The contract of the readers on USB: each in a pytest of its own, in the USB rig."""

from pathlib import Path

import pytest

from tests.contracts.readers.rigs import RIGS
from tests.support.devices.usb_rig import pytest_in_usb_rig

IN_RIG = [name for name, kind in RIGS.items() if kind.needs_usb_rig]

if IN_RIG:

    @pytest.mark.parametrize("reader", IN_RIG)
    def test_the_contract_holds_in_the_usb_rig(reader: str, tmp_path: Path) -> None:
        pytest_in_usb_rig(["tests/contracts/readers", "--readers", reader], tmp_path)
