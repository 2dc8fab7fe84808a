"""The GPIO board on a chip of the real kernel: Linux' hid-cp2112 on a simulated CP2112."""

import signal
from collections.abc import Iterator

import pytest

from tests.machine.rig.gates import PN532, Gate
from tests.machine.rig.gpio_lines import LABEL, CallError, GuestLines
from tests.machine.rig.guest import Guest
from tests.machine.rig.kernel import Kernel
from tests.machine.rig.plugged import plugged
from tests.support.machine.programs import Program

RELAY, LAMP, SENSOR = 0, 1, 2
# The relay works at a high level, as a pull-down keeps it off while nobody drives its line.
PULLED_DOWN = ("--pull-down", str(RELAY), "--pull-down", str(LAMP))
BOARD = f"""
[board]
driver = "gpio"
[board.gpio]
chip = "{LABEL}"
release = {{ line = {RELAY} }}
green = {{ line = {LAMP} }}
passage = {{ line = {SENSOR}, debounce_ms = 0 }}
"""


@pytest.fixture
def expander(machine: Guest, kernel: Kernel) -> Iterator[Program]:
    """A CP2112 with a GPIO chip of the guest's kernel."""
    machine.load(kernel, "usbhid", "hid_cp2112")
    with plugged(machine, "cp2112", *PULLED_DOWN) as device:
        chip(machine)
        yield device
    gone(machine)


def chip(machine: Guest) -> str:
    """Wait for the chip, as a program in the guest would; return its device's path."""
    wanted = "while ! ls /dev/gpiochip* 2>/dev/null; do sleep 0.05; done"
    return machine.run(wanted).split()[-1]


def gone(machine: Guest) -> None:
    """Wait until no chip is left."""
    machine.run("while ls /dev/gpiochip* >/dev/null 2>&1; do sleep 0.05; done")


def test_outputs_begin_inactive_and_follow(machine: Guest, expander: Program) -> None:
    lines = GuestLines(machine)
    lines.open([(RELAY, False), (LAMP, True)], [])
    expander.event("line", line=LAMP, level=1)
    lines.set({RELAY: True, LAMP: True})
    expander.event("line", line=RELAY, level=1)
    expander.event("line", line=LAMP, level=0)
    lines.set({RELAY: False})
    expander.event("line", line=RELAY, level=0)
    lines.kill()


def test_edges_of_a_contact_arrive_in_order(machine: Guest, expander: Program) -> None:
    lines = GuestLines(machine)
    lines.open([(RELAY, False)], [(SENSOR, True, 0)])
    for level in (0, 1) * 5:
        expander.say(f"drive {SENSOR} {level}")
        assert lines.next_edge() == (SENSOR, level == 0)
        assert lines.get(SENSOR) is (level == 0)
    lines.kill()


def test_a_second_owner_is_told_who_has_the_line(machine: Guest, expander: Program) -> None:
    del expander
    owner, second = GuestLines(machine), GuestLines(machine)
    owner.open([(RELAY, False)], [])
    with pytest.raises(CallError, match=f"line {RELAY} is in use by 'turnike'") as refused:
        second.open([(RELAY, False)], [])
    assert refused.value.kind == "ChipError"
    owner.close()
    second.open([(RELAY, False)], [])
    owner.kill()
    second.kill()


def test_a_chip_that_cannot_debounce_says_what_to_write(machine: Guest, expander: Program) -> None:
    del expander
    lines = GuestLines(machine)
    with pytest.raises(CallError, match=rf"debounce_ms = 0 \(lines {SENSOR}\)") as refused:
        lines.open([(RELAY, False)], [(SENSOR, True, 20)])
    assert refused.value.kind == "ChipError"
    lines.kill()


def test_an_unplugged_chip_comes_back_under_another_number(
    machine: Guest, expander: Program
) -> None:
    lines = GuestLines(machine)
    lines.open([(RELAY, False)], [(SENSOR, True, 0)])
    first = chip(machine)
    expander.say("unplug")
    machine.run(f"while [ -e {first} ]; do sleep 0.05; done")
    with pytest.raises(CallError, match="No such device"):
        lines.set({RELAY: True})
    expander.say("replug")
    assert chip(machine) != first
    lines.close()
    lines.open([(RELAY, False)], [])
    lines.set({RELAY: True})
    expander.event("line", line=RELAY, level=1)
    lines.kill()


def test_a_passenger_goes_through(machine: Guest, expander: Program, pn532: Program) -> None:
    gate = Gate(machine, PN532 + BOARD)
    with gate.lane() as lane:
        tap = gate.admits(lane, pn532)
        expander.event("line", line=RELAY, level=1)
        expander.event("line", line=LAMP, level=1)
        expander.say(f"drive {SENSOR} 0")
        expander.event("line", line=RELAY, level=0)
        assert lane.event("passage", tap=tap["tap"])["passed"] is True
        expander.say(f"let-go {SENSOR}")


def test_a_stopped_lane_switches_relay_and_lamp_off(
    machine: Guest, expander: Program, pn532: Program
) -> None:
    gate = Gate(machine, PN532 + BOARD)
    with gate.lane() as lane:
        gate.admits(lane, pn532)
        expander.event("line", line=RELAY, level=1)
        expander.event("line", line=LAMP, level=1)
        lane.signal(signal.SIGTERM)
        expander.event("line", line=RELAY, level=0)
        assert lane.wait() == 0
    expander.say("status")
    assert expander.event("status")["levels"][-2:] == "00"


def test_a_killed_lane_leaves_them_until_the_next_opens_the_chip(
    machine: Guest, expander: Program, pn532: Program
) -> None:
    """docs/boards.md says so of a kernel that keeps outputs: only hardware ends that release."""
    gate = Gate(machine, PN532 + BOARD)
    with gate.lane() as lane:
        gate.admits(lane, pn532)
        expander.event("line", line=RELAY, level=1)
        expander.event("line", line=LAMP, level=1)
        lane.kill()
    expander.say("status")
    assert expander.event("status")["levels"][-2:] == "11"
    with gate.lane() as lane:
        expander.event("line", line=RELAY, level=0)
        lane.end()
    expander.say("status")
    assert expander.event("status")["levels"][-2:] == "00"


def test_a_lane_has_its_chip_back_within_two_seconds(
    machine: Guest, expander: Program, pn532: Program
) -> None:
    gate = Gate(machine, PN532 + BOARD)
    with gate.lane() as lane:
        expander.say("unplug")
        lost = lane.event("board", state="lost")
        assert LABEL in lost["reason"]
        expander.say("replug")
        chip(machine)
        lane.event("board", state="ready")
        gate.admits(lane, pn532)
        expander.event("line", line=RELAY, level=1)
