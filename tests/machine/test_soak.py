"""A thousand replugs of each USB reader: no emulator, the USB rig that each push uses, too."""

from pathlib import Path

import pytest

from tests.machine.rig import figures
from tests.support.devices.usb_rig import pytest_in_usb_rig

LIMIT_S = 1_000  # both took ten minutes together, and waited for most of that

pytestmark = pytest.mark.timeout(LIMIT_S + 100)


@pytest.mark.parametrize("kind", ["rcs380", "pcsc"])
def test_a_thousand_replugs_cost_nothing(kind: str, tmp_path: Path) -> None:
    soak = Path(__file__).with_name("replug_soak.py")
    arguments = ["-rP", "-o", f"timeout={LIMIT_S}", f"{soak}::test_{kind}"]
    printed = pytest_in_usb_rig(arguments, tmp_path, LIMIT_S).splitlines()
    (told,) = (line for line in printed if line.startswith("after "))
    figures.tell(f"{kind}: {told}")
