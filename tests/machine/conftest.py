"""Guests for tests: one for each module that asks, and none where a package is missing."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine.rig import figures
from tests.machine.rig.guest import QEMU, REPOSITORY, Guest, guest
from tests.machine.rig.initramfs import BUSYBOX
from tests.machine.rig.kernel import Kernel, KernelError, debian_kernel
from tests.support.machine.programs import Program, program

CACHE = REPOSITORY / "build/machine"
PACKAGES = {  # what each is needed for: a program or a file of it
    "qemu-system-x86": QEMU,
    "busybox-static": str(BUSYBOX),
    "kmod": "/usr/sbin/depmod",
    "udev": "/usr/bin/udevadm",
    "pcscd": "/usr/sbin/pcscd",
    "libccid": "/usr/lib/pcsc/drivers/ifd-ccid.bundle",
    "pcsc-tools": "pcsc_scan",
    "opensc": "opensc-tool",
}


def pytest_sessionstart() -> None:
    """Say in one line what is missing."""
    missing = [
        package
        for package, needed in PACKAGES.items()
        if not (shutil.which(needed) or Path(needed).exists())
    ]
    if missing:
        pytest.exit(f"test-machine needs: apt-get install {' '.join(missing)}", returncode=2)


@pytest.fixture(scope="session")
def kernel() -> Kernel:
    """Debian's kernel, fetched once."""
    try:
        return debian_kernel(CACHE)
    except KernelError as error:
        pytest.exit(f"test-machine: no kernel for the guest: {error}", returncode=2)


@pytest.fixture(scope="module")
def pn532() -> Iterator[Program]:
    """A card reader at the guest's ttyS1."""
    with program("firmware_sim", "pn532") as reader:
        yield reader


@pytest.fixture(scope="module")
def board() -> Iterator[Program]:
    """A turnstile's board at the guest's ttyS2; its passengers walk through at once."""
    with program("firmware_sim", "board", "--walk-ms", "5") as simulated:
        yield simulated


@pytest.fixture(scope="module")
def machine(kernel: Kernel, pn532: Program, board: Program) -> Iterator[Guest]:
    """A guest with a USB controller and udev, for all tests of a file, one after the other."""
    serial = (pn532.first_line(), board.first_line())
    with (
        tempfile.TemporaryDirectory(prefix="turnike-") as folder,
        guest(Path(folder), kernel, serial) as up,
    ):
        up.load(kernel, "xhci_pci")
        up.start("/usr/lib/systemd/systemd-udevd")
        yield up


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests measured."""
    told = list(figures.lines())
    if told:
        terminalreporter.section("measured")
    for line in told:
        terminalreporter.write_line(line)
