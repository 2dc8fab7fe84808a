"""What lines.Lines promises, for simulated chips and for a chip of the kernel. Plain functions.

A rig is any chip with an output and an input that someone can drive; test_lines.py runs all of it
on the simulated chip. On a machine with a real chip (a CP2112 in qemu), `check_all` runs it there,
without pytest.
"""

import errno
import select
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from validator.lane.boards.gpio.lines import ChipError, Lines, OpenLines
from validator.lane.boards.gpio.wiring import Input, Output

WAIT_S = 60.0  # for an event that has to come; far above what a slow machine needs
NO_SUCH_LABEL = "no such chip"


@dataclass(frozen=True)
class ChipRig:
    """One chip, and the hand at its wires.

    Attributes:
        label: of the chip.
        open_lines: opens lines on it.
        output: the number of a line to drive.
        input: the number of a line whose contact `press` closes.
        level: reads the electrical level of the output, as a meter would.
        press: closes or opens the contact at the input, which then pulls the line low.
        unplug: pulls the chip out, and returns when it is gone.
        replug: plugs it in, and returns when it is there.
    """

    label: str
    open_lines: OpenLines
    output: int
    input: int
    level: Callable[[], bool]
    press: Callable[[bool], None]
    unplug: Callable[[], None]
    replug: Callable[[], None]

    def both(self) -> Lines:
        """Open the output, and the input with its contact active."""
        return self.open_lines(self.label, (Output(self.output),), (self.contact(),))

    def contact(self) -> Input:
        """The input: active while its contact is closed."""
        return Input(self.input, active_low=True, bias="pull-up", debounce_ms=5)


def refused(call: Callable[[], object], *numbers: int) -> None:
    """Check that a call is refused, by one of these errors of the kernel or in words."""
    refusal: Exception | None = None
    try:
        call()
    except (ChipError, OSError) as error:
        refusal = error
    assert refusal is not None, "it was not refused"
    if isinstance(refusal, OSError):
        assert refusal.errno in numbers, refusal
    else:
        assert str(refusal)
        assert "\n" not in str(refusal)


def next_edge(lines: Lines) -> tuple[int, bool, int]:
    """Wait on the descriptor for one edge, and return it."""
    poll = select.poll()
    poll.register(lines.fileno(), select.POLLIN)
    deadline = time.monotonic() + WAIT_S
    while True:
        edges = lines.edges()
        if edges:
            assert len(edges) == 1, edges
            return edges[0]
        assert time.monotonic() < deadline, "no edge came"
        poll.poll(max(0.0, deadline - time.monotonic()) * 1e3)


def an_output_is_off_at_first_and_follows(rig: ChipRig) -> None:
    for active_low in (False, True):
        lines = rig.open_lines(rig.label, (Output(rig.output, active_low),), ())
        for on in (False, True, False):
            if on:
                lines.set({rig.output: True})
            assert rig.level() is (on is not active_low)
            assert lines.get([rig.output]) == {rig.output: on}
            if on:
                lines.set({rig.output: False})
        lines.close()
        lines.close()


def an_input_reports_each_edge_once_with_a_monotonic_stamp(rig: ChipRig) -> None:
    lines = rig.both()
    for closed in (True, False, True, False):
        before_ns = time.monotonic_ns()
        rig.press(closed)
        line, is_active, stamp_ns = next_edge(lines)
        assert (line, is_active) == (rig.input, closed)
        assert before_ns <= stamp_ns <= time.monotonic_ns()
        assert lines.get([rig.input]) == {rig.input: closed}
        assert list(lines.edges()) == [], "it never blocks, and an edge comes once"
    lines.close()


def a_line_that_is_held_is_refused(rig: ChipRig) -> None:
    lines = rig.both()
    refused(rig.both, errno.EBUSY)
    lines.close()
    rig.both().close()


def what_is_not_there_is_refused(rig: ChipRig) -> None:
    refused(lambda: rig.open_lines(NO_SUCH_LABEL, (Output(0),), ()), errno.ENODEV, errno.ENOENT)
    refused(lambda: rig.open_lines(rig.label, (Output(1_000),), ()), errno.EINVAL)


def an_unplugged_chip_is_an_error_and_is_found_again_by_its_label(rig: ChipRig) -> None:
    lines = rig.both()
    rig.unplug()
    refused(lambda: lines.set({rig.output: True}), errno.ENODEV)
    refused(lambda: lines.get([rig.output]), errno.ENODEV)
    rig.replug()  # while the old lines are held: it has another number now
    again = rig.both()
    again.set({rig.output: True})
    assert rig.level()
    again.set({rig.output: False})
    again.close()
    lines.close()


CHECKS: Sequence[Callable[[ChipRig], None]] = (
    an_output_is_off_at_first_and_follows,
    an_input_reports_each_edge_once_with_a_monotonic_stamp,
    a_line_that_is_held_is_refused,
    what_is_not_there_is_refused,
    an_unplugged_chip_is_an_error_and_is_found_again_by_its_label,
)


def check_all(rig: ChipRig, done: Callable[[str], None] = print) -> None:
    """Run every check, and name each that holds."""
    for check in CHECKS:
        check(rig)
        done(check.__name__)
