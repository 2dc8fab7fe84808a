"""A CCID reader on the real kernel, with pcscd, libccid and udev as they are installed."""

from collections.abc import Iterator

import pytest

from tests.machine.rig.figures import measured
from tests.machine.rig.gates import SERIAL_BOARD, Gate, holdings
from tests.machine.rig.guest import Guest, GuestProgram
from tests.machine.rig.plugged import plugged
from tests.support.machine.programs import Program

NAME = "ACS ACR122U PICC Interface"
DEVICES = f'[reader]\ndriver = "pcsc"\ndevice = "{NAME}*"\n' + SERIAL_BOARD
ATR = "3b 81 80 01 80 80"  # a DESFire's, by PC/SC part 3
REPLUGS = 20


def start_pcscd(machine: Guest) -> GuestProgram:
    """Start pcscd, without the readers that files of this machine may name."""
    machine.run("mkdir -p /run/work/no-readers && rm -f /run/pcscd/pcscd.comm")
    daemon = machine.start("/usr/sbin/pcscd", "--foreground", "--config", "/run/work/no-readers")
    machine.run("until [ -e /run/pcscd/pcscd.comm ]; do sleep 0.05; done")
    return daemon


@pytest.fixture
def pcscd(machine: Guest) -> Iterator[GuestProgram]:
    """A pcscd in the guest."""
    daemon = start_pcscd(machine)
    yield daemon
    if daemon.exit_code is None:
        daemon.kill()


@pytest.fixture
def reader(machine: Guest) -> Iterator[Program]:
    """An ACR122U on the guest's USB."""
    with plugged(machine, "ccid") as device:
        yield device
    machine.run("while grep -qs 072f /sys/bus/usb/devices/*/idVendor; do sleep 0.05; done")


def test_opensc_and_pcsc_scan_accept_the_reader(
    machine: Guest, pcscd: GuestProgram, reader: Program
) -> None:
    """Both were written by others for real readers, as pcscd, libccid and the kernel were."""
    del pcscd
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


def test_cards_are_read_and_a_replugged_reader_serves_again(
    machine: Guest, pcscd: GuestProgram, reader: Program
) -> None:
    del pcscd
    gate = Gate(machine, DEVICES)
    with gate.lane() as lane:
        for _ in range(5):
            uid = gate.card()
            with measured("pcsc: card laid, tap decided"):
                reader.say(f"present {uid}")
                lane.event("tap", outcome="admitted")
            reader.say("remove")
            reader.event("removed")
        before = holdings(machine, lane.pid)
        for _ in range(REPLUGS):
            with measured("pcsc: unplugged, lane knows"):
                reader.say("unplug")
                lane.event("reader", state="lost")
            with measured("pcsc: plugged in, reader ready"):
                reader.say("replug")
                lane.event("reader", state="ready")
        after = holdings(machine, lane.pid)
        assert after.descriptors == before.descriptors
        assert after.threads <= before.threads + 1, "one that opened the reader may be ending"
        gate.admits(lane, reader)


def test_the_lane_comes_back_after_pcscd_has_died(
    machine: Guest, pcscd: GuestProgram, reader: Program
) -> None:
    gate = Gate(machine, DEVICES)
    with gate.lane() as lane:
        gate.admits(lane, reader)
        pcscd.kill()
        assert "pcscd" in lane.event("reader", state="lost")["reason"]
        with measured("pcsc: pcscd started again, reader ready"):
            again = start_pcscd(machine)
            lane.event("reader", state="ready")
        gate.admits(lane, reader)
        again.kill()
