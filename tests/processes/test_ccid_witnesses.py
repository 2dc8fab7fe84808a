"""Independent programs judge the simulated CCID reader: pcscd, libccid, opensc-tool, pcsc_scan."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware_sim.usb.usbfs.rig import Rig
from tests.support.machine.programs import Program, program

UID = "04a1b2c3d4e5f6"
PICC = "ACS ACR1252 Dual Reader [ACR1252 Dual Reader PICC] 00 00"
SAM = "ACS ACR1252 Dual Reader [ACR1252 Dual Reader SAM] 01 00"
LIMIT_S = 60
SCAN_S = "2"


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Rig() as started:
        yield started


@pytest.fixture
def reader(rig: Rig) -> Iterator[Program]:
    simulator = (sys.executable, "-m", "firmware_sim", "ccid", "--model", "acr1252u")
    with program(*rig.command(*simulator)[2:]) as started:
        assert started.first_line() == "usb:072f:223b"
        yield started


@pytest.fixture
def pcscd(rig: Rig, reader: Program, tmp_path: Path) -> Iterator[None]:
    assert reader.process.poll() is None
    command = rig.command("/usr/sbin/pcscd", "--foreground", "--config", str(tmp_path))
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as started:
        yield
        started.terminate()


def said(rig: Rig, *command: str) -> str:
    """Return what a program in the rig prints."""
    ended = subprocess.run(
        rig.command(*command), capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    return ended.stdout + ended.stderr


def listed(rig: Rig) -> str:
    """Return what opensc-tool lists, once pcscd serves both slots."""
    while PICC not in (text := said(rig, "opensc-tool", "-l")) or SAM not in text:
        pass  # each question takes its time, and the test has a limit
    return text


@pytest.mark.usefixtures("pcscd")
def test_opensc_and_pcsc_scan_read_cards_on_the_simulated_reader(rig: Rig, reader: Program) -> None:
    assert listed(rig).count("No ") >= 2
    for uid, atr in (
        (UID, "3b:81:80:01:80:80"),
        ("11223344", "3b:8f:80:01:80:4f:0c:a0:00:00:03:06:03:00:01:00:00:00:00:6a"),
        ("08000000", "3b:80:80:01:01"),
    ):
        reader.say(f"present {uid} number=1234567890123456")
        reader.event("selected", uid=uid)
        while "not present" in (shown := said(rig, "opensc-tool", "-r", PICC, "-a")):
            pass  # pcscd has not been told yet
        assert shown.strip() == atr
        shown = said(rig, "opensc-tool", "-r", PICC, "-s", "FF:CA:00:00:00")
        assert "SW1=0x90, SW2=0x00" in shown
        if not uid.startswith("08"):
            assert bytes.fromhex(uid).hex(" ").upper() in shown
        if uid == UID:
            number = said(
                *(rig, "opensc-tool", "-r", PICC, "-s", "90:5A:00:00:03:42:22:01:00"),
                *("-s", "90:BD:00:00:07:02:00:00:00:08:00:00:00"),
            )
            assert "12 34 56 78 90 12 34 56" in number
            scanned = said(rig, "timeout", SCAN_S, "pcsc_scan", "-n")
            assert "Card inserted" in scanned
            assert "ATR: 3B 81 80 01 80 80" in scanned
        reader.say("remove")
        reader.event("removed", uid=uid)
        while "not present" not in said(rig, "opensc-tool", "-r", PICC, "-a"):
            pass  # pcscd has not been told yet: it would keep the ATR for the next card
