"""A CCID reader on the real kernel, with pcscd, libccid and udev as they are installed."""

from collections.abc import Iterator

import pytest

from tests.machine.rig.figures import measured
from tests.machine.rig.gates import SERIAL_BOARD, Gate
from tests.machine.rig.guest import Guest, GuestProgram
from tests.machine.rig.pcscd import running_pcscd, start_pcscd
from tests.machine.rig.plugged import plugged_alone
from tests.machine.rig.readers import ACS, KINDS, NAME
from tests.support.machine.programs import Program

ATR = "3b 81 80 01 80 80"  # a DESFire's, by PC/SC part 3


@pytest.fixture
def pcscd(machine: Guest) -> Iterator[GuestProgram]:
    """A pcscd in the guest."""
    with running_pcscd(machine) as daemon:
        yield daemon


@pytest.fixture
def reader(machine: Guest, pcscd: GuestProgram) -> Iterator[Program]:
    """An ACR122U on the guest's USB."""
    del pcscd
    with plugged_alone(machine, ACS, "ccid") as device:
        yield device


def test_opensc_and_pcsc_scan_accept_the_reader(machine: Guest, reader: Program) -> None:
    """Both were written by others for real readers, as pcscd, libccid and the kernel were."""
    scan = machine.start("pcsc_scan")
    scan.wait_for(lambda line: NAME in line.get("text", ""))
    reader.say("present 04a1b2c3d4e5f6")
    scan.wait_for(lambda line: ATR.upper() in line.get("text", ""))
    scan.kill()
    assert NAME in machine.run("opensc-tool --list-readers")
    assert machine.run("opensc-tool --reader 0 --atr") == ATR.replace(" ", ":")
    told = machine.run("opensc-tool --reader 0 --send-apdu FFCA000000")
    assert "SW1=0x90, SW2=0x00" in told
    assert "04 A1 B2 C3 D4 E5 F6" in told


def test_the_lane_comes_back_after_pcscd_has_died(
    machine: Guest, pcscd: GuestProgram, reader: Program
) -> None:
    gate = Gate(machine, KINDS["pcsc"].about + SERIAL_BOARD)
    with gate.lane() as lane:
        gate.admits(lane, reader)
        pcscd.kill()
        assert "pcscd" in lane.event("reader", state="lost")["reason"]
        with measured("pcsc: pcscd started again, reader ready"):
            again = start_pcscd(machine)
            lane.event("reader", state="ready")
        gate.admits(lane, reader)
        again.kill()
