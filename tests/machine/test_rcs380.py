"""The RC-S380 on the real kernel: Linux' own driver as a witness, and the lane in its way."""

from collections.abc import Iterator

import pytest

from tests.machine.rig.gates import SERIAL_BOARD, Gate
from tests.machine.rig.guest import Guest
from tests.machine.rig.kernel import Kernel
from tests.machine.rig.readers import KINDS, Reader


@pytest.fixture
def reader(machine: Guest, kernel: Kernel) -> Iterator[Reader]:
    """A reader on the guest's USB, which the kernel's driver has."""
    machine.load(kernel, "port100")
    with KINDS["rcs380"].in_guest(machine, kernel) as device:
        machine.wait_for("ls /sys/class/nfc/nfc*")
        yield device
    machine.run("busybox rmmod port100")


def driver(machine: Guest) -> str:
    """The kernel driver that has the reader's interface now; empty for none."""
    told = machine.run(
        "for d in /sys/bus/usb/devices/*:1.0; do"
        ' grep -qs 054c "${d%:*}/idVendor" && readlink "$d/driver"; done; true'
    )
    return told.rpartition("/")[2]


def test_linux_own_nfc_stack_reads_a_card(machine: Guest, reader: Reader) -> None:
    """The port100 driver and Linux' digital protocol stack share no code with nfcpy or us."""
    assert "firmware v1.11" in machine.run("dmesg | grep 'Port-100'")
    number = machine.run("ls /sys/class/nfc").removeprefix("nfc")
    nfc = machine.python("-m", "tests.machine.inside.nfc_netlink", number)
    nfc.event("up")
    for uid in ("04a1b2c3d4e5f6", "04112233445566"):
        reader.say(f"present {uid}")
        reader.event("present", uid=uid)
        nfc.say("poll")
        target = nfc.event("target")
        assert (target["uid"], target["sak"], target["atqa"]) == (uid, "20", "4403")
        reader.say("remove")
        reader.event("removed")
    nfc.kill()


def test_the_lane_takes_the_reader_from_the_kernels_driver(machine: Guest, reader: Reader) -> None:
    assert driver(machine) == "port100"
    gate = Gate(machine, KINDS["rcs380"].about + SERIAL_BOARD)
    with gate.lane() as lane:
        assert driver(machine) == "usbfs"
        gate.admits(lane, reader)
        assert lane.end() == 0
    assert driver(machine) == "port100", "the lane gives it back"
