"""The faults of the USB wire, as the real libusb reports them, in the USB rig."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from firmware_sim.usb.usbfs.rig import Rig
from tests.support.machine.programs import Program, program

GET_FIRMWARE_VERSION = "0000ffffff0200fed6200a00"
ACK = "0000ff00ff00"
VERSION_1_11 = "0000ffffff0400fcd7211101f600"


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Rig() as started:
        yield started


@contextmanager
def inside(rig: Rig, *arguments: str) -> Iterator[Program]:
    """Run `python -m ARGUMENTS` in the rig."""
    with program(*rig.command(sys.executable, "-m", *arguments)[2:]) as started:
        yield started


@pytest.fixture
def reader(rig: Rig) -> Iterator[Program]:
    with inside(rig, "firmware_sim", "rcs380") as started:
        started.first_line()
        yield started


class Calls:
    """A program that does what it is told: with libusb, or with usbfs."""

    def __init__(self, running: Program) -> None:
        self._running = running

    def __call__(self, call: str) -> str:
        """Do a call; return its answer."""
        self._running.say(call)
        return str(self._running.wait_for(lambda line: "text" in line)["text"])


@contextmanager
def libusb_in(rig: Rig) -> Iterator[Calls]:
    with inside(rig, "tests.support.devices.libusb_calls") as started:
        yield Calls(started)


@pytest.fixture
def libusb(rig: Rig, reader: Program) -> Iterator[Calls]:
    """libusb, with the device opened and claimed."""
    assert reader.process.poll() is None
    with libusb_in(rig) as call:
        assert call("open 054c:06c3") == "ok"
        assert call("claim") == "ok"
        yield call


def serves(libusb: Calls) -> None:
    assert libusb(f"write {GET_FIRMWARE_VERSION}") == "12"
    assert libusb("read 300") == ACK
    assert libusb("read 300") == VERSION_1_11


def set_fault(reader: Program, fault: str) -> None:
    reader.say(f"fault {fault}")
    reader.event("fault")


def test_a_device_without_faults_serves(libusb: Calls) -> None:
    serves(libusb)
    assert libusb("read 300 50") == "Timeout"
    serves(libusb)


def test_a_stall_is_a_pipe_error_until_the_halt_is_cleared(libusb: Calls, reader: Program) -> None:
    set_fault(reader, "stall")
    assert libusb(f"write {GET_FIRMWARE_VERSION}") == "12"
    assert libusb("read 300") == "Pipe"
    assert libusb("read 300") == "Pipe"
    assert libusb("clear") == "ok"
    assert libusb("read 300") == VERSION_1_11
    serves(libusb)


def test_babble_is_an_overflow(libusb: Calls, reader: Program) -> None:
    set_fault(reader, "babble")
    assert libusb(f"write {GET_FIRMWARE_VERSION}") == "12"
    assert libusb("read 300") == "Overflow"
    assert libusb("read 300") == VERSION_1_11


def test_a_read_that_is_too_short_is_an_overflow(libusb: Calls) -> None:
    assert libusb(f"write {GET_FIRMWARE_VERSION}") == "12"
    assert libusb("read 3") == "Overflow"


def test_a_silent_device_times_out_in_both_directions(libusb: Calls, reader: Program) -> None:
    set_fault(reader, "silent")
    assert libusb(f"write {GET_FIRMWARE_VERSION} 50") == "Timeout"
    assert libusb("read 300 50") == "Timeout"
    set_fault(reader, "none")
    serves(libusb)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_the_plug_comes_out_at_any_transfer(
    rig: Rig, libusb: Calls, reader: Program, number: int
) -> None:
    set_fault(reader, f"unplug={number}")
    calls = (f"write {GET_FIRMWARE_VERSION}", "read 300", "read 300", "read 300")
    answers = [libusb(call) for call in calls]
    served = ["12", ACK, VERSION_1_11][: number - 1]
    assert answers[: number - 1] == served
    # A transfer that was under way when the device went may be an input/output error in libusb.
    assert answers[number - 1] in {"NoDevice", "IO"}
    assert set(answers[number:]) <= {"NoDevice"}
    reader.event("unplugged")
    assert libusb("close") == "ok"
    reader.say("replug")
    reader.event("replugged")
    with libusb_in(rig) as fresh:
        assert fresh("open 054c:06c3") == "ok"
        assert fresh("claim") == "ok"
        serves(fresh)


def test_an_open_context_hears_of_plugs_by_uevents(libusb: Calls, reader: Program) -> None:
    assert libusb("list") == "1-1 054c:06c3 0000001"
    reader.say("unplug")
    reader.event("unplugged")
    assert libusb("list") == "none"
    reader.say("replug")
    reader.event("replugged")
    assert libusb("list") == "1-1 054c:06c3 0000001"


def test_a_device_held_by_another_program_is_busy(libusb: Calls, reader: Program) -> None:
    assert libusb("close") == "ok"
    set_fault(reader, "held")
    assert libusb("open 054c:06c3") == "ok"
    assert libusb("claim") == "Busy"
    assert libusb("close") == "ok"
    reader.say("unplug")
    reader.event("unplugged")
    reader.say("replug")
    reader.event("replugged")
    assert libusb("open 054c:06c3") == "ok"
    assert libusb("claim") == "Busy", "it is held from the plug on"
    set_fault(reader, "none")
    status(reader)  # it has let the device go by then
    assert libusb("claim") == "ok"


def test_a_kernel_driver_gives_the_device_to_a_program_that_detaches_it(
    libusb: Calls, reader: Program
) -> None:
    set_fault(reader, "kernel-driver=1")
    reader.say("unplug")
    reader.event("unplugged")
    libusb("close")
    reader.say("replug")
    reader.event("replugged")
    assert libusb("open 054c:06c3") == "ok"
    assert libusb("driver") == "True"
    assert libusb("claim") == "Busy"
    assert libusb("claim detach") == "ok"
    serves(libusb)


def test_after_another_id_it_is_at_another_port_with_another_serial_number(
    libusb: Calls, reader: Program
) -> None:
    before = libusb("list")
    set_fault(reader, "another-id")
    reader.say("unplug")
    reader.event("unplugged")
    reader.say("replug")
    replugged = reader.event("replugged")
    after = libusb("list")
    assert after.split()[0] == replugged["port"] != before.split()[0]
    assert after.split()[2] == replugged["serial"] != before.split()[2]


def test_a_brownout_is_a_device_that_comes_back_by_itself(libusb: Calls, reader: Program) -> None:
    reader.say("brownout")
    reader.event("unplugged")
    assert libusb("read 300") in {"NoDevice", "IO"}
    libusb("close")
    reader.event("replugged")
    assert libusb("open 054c:06c3") == "ok"
    assert libusb("claim") == "ok"
    serves(libusb)


def test_a_reset_stops_the_command_that_runs(libusb: Calls) -> None:
    wait_for_a_card_6_s = "0000ffffff0500fbd60460ea26b600"
    assert libusb(f"write {wait_for_a_card_6_s}") == "15"
    assert libusb("read 300") == ACK
    assert libusb("reset") == "ok"
    serves(libusb)


def test_two_devices_of_a_kind_have_ports_of_their_own(rig: Rig, reader: Program) -> None:
    assert reader.process.poll() is None
    with (
        inside(rig, "firmware_sim", "rcs380", "--model", "S", "--serial", "", "--port", "7") as s,
        libusb_in(rig) as libusb,
    ):
        assert s.first_line() == "usb:054c:06c1"
        assert libusb("list") == "1-1 054c:06c3 0000001, 1-7 054c:06c1 None"


def test_a_device_whose_process_is_killed_is_gone_to_every_program(
    libusb: Calls, reader: Program
) -> None:
    reader.kill()
    assert libusb("read 300") in {"NoDevice", "IO"}
    libusb("close")
    assert libusb("open 054c:06c3") in {"NoDevice", "IO"}


def test_a_program_that_is_killed_leaves_no_transfer_that_takes_an_answer(
    rig: Rig, reader: Program
) -> None:
    with inside(rig, "tests.support.devices.libusb_calls") as killed:
        first = Calls(killed)
        assert first("open 054c:06c3") == "ok"
        assert first("claim") == "ok"
        killed.say("read 300 0")  # for ever
        while status(reader)["pending"] == 0:
            pass
        killed.kill()
    while status(reader)["pending"] > 0:
        pass
    with libusb_in(rig) as second:
        assert second("open 054c:06c3") == "ok"
        assert second("claim") == "ok"
        serves(second)


def status(reader: Program) -> dict[str, Any]:
    reader.say("status")
    return reader.event("status")


def test_a_node_polls_as_usbfs_does(rig: Rig, reader: Program) -> None:
    node = status(reader)["node"]
    with inside(rig, "tests.support.devices.usbfs_calls") as running:
        usbfs = Calls(running)
        assert usbfs(f"open {node}") == "ok"
        assert usbfs("at-once") == "nothing"
        assert usbfs("submit") == "ok"
        assert usbfs("poll") == "POLLOUT"
        assert usbfs("reap") == "12010002"
        assert usbfs("at-once") == "nothing"


@pytest.mark.parametrize("waiting", [True, False], ids=["an URB to reap", "none"])
def test_a_node_whose_device_is_gone_polls_as_an_error(
    rig: Rig, reader: Program, *, waiting: bool
) -> None:
    node = status(reader)["node"]
    with inside(rig, "tests.support.devices.usbfs_calls") as running:
        usbfs = Calls(running)
        assert usbfs(f"open {node}") == "ok"
        if waiting:
            usbfs("submit")
            assert usbfs("poll") == "POLLOUT"
        reader.say("unplug")
        reader.event("unplugged")
        while (polled := usbfs("poll")) == "POLLOUT":
            pass
        assert {"POLLERR", "POLLHUP"} <= set(polled.split())


def test_replugs_leave_nothing_behind_in_the_device_and_in_the_program(
    rig: Rig, reader: Program
) -> None:
    with inside(rig, "tests.support.devices.libusb_calls") as program_under_test:
        libusb = Calls(program_under_test)
        processes = (reader.process.pid, program_under_test.process.pid)
        held = []
        for _ in range(30):
            assert libusb("open 054c:06c3") == "ok"
            assert libusb("claim") == "ok"
            serves(libusb)
            reader.say("unplug")
            reader.event("unplugged")
            assert libusb("read 300") in {"NoDevice", "IO"}
            assert libusb("close") == "ok"
            reader.say("replug")
            reader.event("replugged")
            held.append([descriptors_and_threads(process) for process in processes])
        assert held[0] == held[-1]


def descriptors_and_threads(process: int) -> tuple[int, int]:
    folder = Path("/proc") / str(process)
    return len(list((folder / "fd").iterdir())), len(list((folder / "task").iterdir()))
