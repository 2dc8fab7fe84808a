"""A reader that types, on the kernel's own input layer: who gets its keys, and which are lost."""

import errno
from collections.abc import Iterator

import pytest

from tests.machine.rig.gates import SERIAL_BOARD, Gate
from tests.machine.rig.guest import Guest, GuestProgram
from tests.machine.rig.kernel import Kernel
from tests.machine.rig.readers import KINDS, LINK, Reader

FIRST, SECOND = "04a1b2c3d4e5f6", "0411223344aabb"


@pytest.fixture
def reader(machine: Guest, kernel: Kernel) -> Iterator[Reader]:
    """An input device of the guest's kernel that types."""
    with KINDS["keyboard"].in_guest(machine, kernel) as device:
        yield device


def listening(machine: Guest) -> GuestProgram:
    """Start a program that takes the device as the lane does."""
    return machine.python("-m", "tests.machine.inside.typed_lines", LINK)


def test_the_console_gets_no_key_while_a_lane_has_the_reader(
    machine: Guest, reader: Reader
) -> None:
    console = machine.start("cat", "/dev/tty1")
    machine.wait_for(f"[ -e /proc/{console.pid}/fd/3 ]")
    reader.say(f"present {FIRST}")
    assert console.first_line() == FIRST, "nobody has taken the reader"
    gate = Gate(machine, KINDS["keyboard"].about + SERIAL_BOARD)
    with gate.lane() as lane:
        gate.admits(lane, reader)
        assert lane.end() == 0
    reader.say(f"present {SECOND}")
    assert console.first_line() == SECOND, "no key of the card in between"
    console.kill()


def test_a_second_program_cannot_take_the_reader_and_the_next_one_can(
    machine: Guest, reader: Reader
) -> None:
    del reader
    owner = listening(machine)
    owner.event("taken")
    second = listening(machine)
    assert second.event("refused")["errno"] == errno.EBUSY
    owner.kill()
    third = listening(machine)
    third.event("taken")
    third.kill()


def test_the_kernel_drops_keys_that_nobody_reads_and_the_line_says_so(
    machine: Guest, reader: Reader
) -> None:
    """The kernel keeps 64 events for a program; a UID of 7 bytes with scan codes is 90."""
    listener = listening(machine)
    listener.event("taken")
    for more, lost_keys in (("", False), (" codes", True), ("", False)):
        reader.say(f"present {FIRST}{more}")
        reader.event("present")
        listener.say("read")
        line = listener.event("line")
        assert (line["lost_keys"], line["text"] == FIRST) == (lost_keys, not lost_keys)
    listener.kill()
