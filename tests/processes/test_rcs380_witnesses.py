"""An independent program judges the simulated RC-S380: nfcpy on the real libusb, in the USB rig."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from firmware_sim.usb.usbfs.rig import Rig
from tests.support.machine.programs import Program, program

UID = "04a1b2c3d4e5f6"
CARD = "106A sdd_res=04A1B2C3D4E5F6 sel_res=20 sens_res=4403"


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Rig() as started:
        yield started


@contextmanager
def inside(rig: Rig, *arguments: str) -> Iterator[Program]:
    """Run `python -m ARGUMENTS` in the rig."""
    with program(*rig.command(sys.executable, "-m", *arguments)[2:]) as started:
        yield started


@pytest.fixture(params=["ideal", "real"])
def reader(rig: Rig, request: pytest.FixtureRequest) -> Iterator[Program]:
    with inside(rig, "firmware_sim", "rcs380", "--timing", request.param) as started:
        assert started.first_line() == "usb:054c:06c3"
        yield started


@pytest.fixture
def nfcpy(rig: Rig) -> Iterator[Program]:
    with inside(rig, "tests.support.devices.nfcpy_sense") as started:
        yield started


def ask(nfcpy: Program, command: str) -> str:
    nfcpy.say(command)
    return str(nfcpy.wait_for(lambda line: "text" in line)["text"])


def opened(nfcpy: Program) -> Program:
    assert ask(nfcpy, "open usb:054c:06c3").startswith("SONY RC-S380/P NFC Port-100 v1.11")
    return nfcpy


def test_nfcpy_senses_cards_of_every_length(reader: Program, nfcpy: Program) -> None:
    opened(nfcpy)
    assert ask(nfcpy, "sense") == "None"
    for uid, found in (
        (UID, CARD),
        ("11223344", "106A sdd_res=11223344 sel_res=08 sens_res=0400"),
        ("04112233445566778899", "106A sdd_res=04112233445566778899 sel_res=20 sens_res=8403"),
    ):
        reader.say(f"present {uid}")
        reader.event("present", uid=uid)
        assert ask(nfcpy, "sense") == found
        reader.event("selected", uid=uid)
        reader.say("remove")
        reader.event("removed", uid=uid)
        assert ask(nfcpy, "sense") == "None"


def test_a_phone_shows_another_identifier_each_time_that_the_field_goes_off(
    reader: Program, nfcpy: Program
) -> None:
    opened(nfcpy)
    reader.say("present 08000000")
    reader.event("present")
    shown = {ask(nfcpy, "sense") for _ in range(3)}
    assert len(shown) == 3
    assert all(each.startswith("106A sdd_res=08") for each in shown)


def test_nfcpy_reads_the_printed_number(reader: Program, nfcpy: Program) -> None:
    opened(nfcpy)
    reader.say(f"present {UID} number=1234567890123456")
    reader.event("present")
    assert ask(nfcpy, "number") == "9100 12345678901234569100"


def test_nfcpy_is_told_of_the_unplug_and_finds_the_device_again(
    reader: Program, nfcpy: Program
) -> None:
    opened(nfcpy)
    reader.say(f"present {UID}")
    reader.event("present")
    for _ in range(3):
        reader.say("unplug")
        reader.event("unplugged")
        assert ask(nfcpy, "sense") == "ENODEV"
        assert ask(nfcpy, "close") == "ok"
        assert ask(nfcpy, "open usb:054c:06c3") == "ENODEV"
        reader.say("replug")
        reader.event("replugged")
        opened(nfcpy)
        assert ask(nfcpy, "sense") == CARD


def test_a_second_program_is_refused_while_the_first_has_it(
    rig: Rig, reader: Program, nfcpy: Program
) -> None:
    opened(nfcpy)
    with inside(rig, "tests.support.devices.nfcpy_sense") as second:
        assert ask(second, "open usb:054c:06c3") == "EBUSY"
        assert ask(nfcpy, "close") == "ok"
        opened(second)
    assert reader.process.poll() is None
