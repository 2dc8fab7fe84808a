"""The RC-S380 on the real kernel: Linux' own driver as a witness, and the lane in its way."""

from collections.abc import Iterator

import pytest

from tests.machine.rig.figures import measured
from tests.machine.rig.gates import SERIAL_BOARD, Gate, holdings
from tests.machine.rig.guest import Guest
from tests.machine.rig.kernel import Kernel
from tests.machine.rig.plugged import plugged
from tests.support.machine.programs import Program

DEVICES = '[reader]\ndriver = "rcs380"\ndevice = "usb"\n' + SERIAL_BOARD
REPLUGS = 100
WARM = 10  # replugs until all is loaded


@pytest.fixture
def reader(machine: Guest) -> Iterator[Program]:
    """A reader on the guest's USB."""
    with plugged(machine, "rcs380") as device:
        yield device
    wait_for(machine, "! grep -qs 054c /sys/bus/usb/devices/*/idVendor")


def wait_for(machine: Guest, condition: str) -> None:
    """Wait in the guest until a shell command succeeds."""
    machine.run(f"until {condition}; do sleep 0.05; done")


def driver(machine: Guest) -> str:
    """The kernel driver that has the reader's interface now; empty for none."""
    told = machine.run(
        "for d in /sys/bus/usb/devices/*:1.0; do"
        ' grep -qs 054c "${d%:*}/idVendor" && readlink "$d/driver"; done; true'
    )
    return told.rpartition("/")[2]


def test_linux_own_nfc_stack_reads_a_card(machine: Guest, kernel: Kernel, reader: Program) -> None:
    """The port100 driver and Linux' digital protocol stack share no code with nfcpy or us."""
    machine.load(kernel, "port100")
    wait_for(machine, "[ -e /sys/class/nfc/nfc0 ]")
    assert "firmware v1.11" in machine.run("dmesg | grep 'Port-100'")
    nfc = machine.python("-m", "tests.machine.inside.nfc_netlink", "0")
    for uid in ("04a1b2c3d4e5f6", "04112233445566"):
        nfc.event("polling")
        reader.say(f"present {uid}")
        target = nfc.event("target")
        assert (target["uid"], target["sak"], target["atqa"]) == (uid, "20", "4403")
        reader.say("remove")
        reader.event("removed")
    nfc.kill()


def test_the_lane_takes_the_reader_from_the_kernels_driver(
    machine: Guest, kernel: Kernel, reader: Program
) -> None:
    machine.load(kernel, "port100")
    wait_for(machine, "[ -e /sys/class/nfc/nfc0 ]")
    assert driver(machine) == "port100"
    gate = Gate(machine, DEVICES)
    with gate.lane() as lane:
        assert driver(machine) == "usbfs"
        gate.admits(lane, reader)
        assert lane.end() == 0
    assert driver(machine) == "port100", "the lane gives it back"
    machine.run("busybox rmmod port100")


def test_cards_are_read_and_a_replugged_reader_serves_again(
    machine: Guest, reader: Program
) -> None:
    gate = Gate(machine, DEVICES)
    with gate.lane() as lane:
        for _ in range(5):
            uid = gate.card()
            with measured("rcs380: card laid, tap decided"):
                reader.say(f"present {uid}")
                lane.event("tap", outcome="admitted")
            reader.say("remove")
            reader.event("removed")
        with measured("rcs380: unplugged, lane knows"):
            reader.say("unplug")
            lane.event("reader", state="lost")
        uid = gate.card()
        reader.say(f"present {uid}")
        with measured("rcs380: plugged in, tap decided"):
            reader.say("replug")
            lane.event("reader", state="ready")
            lane.event("tap", outcome="admitted")


def test_a_hundred_replugs_cost_no_descriptor_and_no_thread(
    machine: Guest, reader: Program
) -> None:
    """Memory is test_soak.py's: here Python's garbage collector has not run yet."""
    gate = Gate(machine, DEVICES)
    with gate.lane() as lane:
        for number in range(REPLUGS):
            if number == WARM:
                before = holdings(machine, lane.pid)
            reader.say("unplug")
            lane.event("reader", state="lost")
            with measured("rcs380: plugged in, reader ready"):
                reader.say("replug")
                lane.event("reader", state="ready")
        after = holdings(machine, lane.pid)
        assert after.descriptors == before.descriptors
        assert after.threads <= before.threads + 1, "one that opened the reader may be ending"
        gate.admits(lane, reader)
