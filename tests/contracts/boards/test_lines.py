"""The simulated chips keep what lines.Lines promises, and refuse what a kernel refuses."""

import errno
import select
from collections.abc import Callable

import pytest

from firmware_sim.gpio.chips import EDGES_MAX, Chip, Chips
from tests.contracts.boards.lines_contract import CHECKS, ChipRig, refused
from validator.lane.boards.gpio.wiring import Input, Output

OUTPUT, INPUT = 2, 3


def chip_rig(chip: Chip, chips: Chips) -> ChipRig:
    return ChipRig(
        label=chip.label,
        open_lines=chips.open_lines,
        output=OUTPUT,
        input=INPUT,
        level=lambda: chip.high[OUTPUT],
        press=lambda closed: void(chip.press(INPUT, closed=closed)),
        unplug=lambda: chips.unplug(chip),
        replug=lambda: chips.plug(chip),
    )


def void(_: object) -> None:
    """Drop a value."""


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_simulated_chip(check: Callable[[ChipRig], None]) -> None:
    chip = Chip("simulated")
    check(chip_rig(chip, Chips(chip)))
    assert chip.requests == []


def test_an_input_is_not_driven_and_a_line_is_asked_for_once() -> None:
    chip = Chip("simulated")
    chips = Chips(chip)
    lines = chips.open_lines("simulated", (Output(OUTPUT),), (Input(INPUT),))
    refused(lambda: lines.set({INPUT: True}), errno.EPERM)
    refused(lambda: chips.open_lines("simulated", (Output(4), Output(4)), ()), errno.EINVAL)
    lines.close()


def test_a_chip_without_interrupts_gives_no_edges() -> None:
    chips = Chips(Chip("simulated", has_interrupts=False))
    refused(lambda: chips.open_lines("simulated", (), (Input(INPUT),)), errno.ENXIO)
    chips.open_lines("simulated", (Output(OUTPUT),), ()).close()


def test_a_level_shorter_than_the_debounce_is_no_edge() -> None:
    now_ns = 0
    chip = Chip("simulated", clock=lambda: now_ns)
    lines = Chips(chip).open_lines("simulated", (), (Input(INPUT, debounce_ms=10),))
    chip.press(INPUT, closed=True)
    now_ns = 9_999_999
    chip.press(INPUT, closed=False)
    now_ns = 50_000_000
    assert list(lines.edges()) == []
    chip.press(INPUT, closed=True)
    now_ns = 60_000_000
    assert list(lines.edges()) == [(INPUT, True, 60_000_000)]
    lines.close()


def test_more_edges_than_the_kernel_keeps_lose_the_oldest() -> None:
    chip = Chip("simulated")
    lines = Chips(chip).open_lines("simulated", (), (Input(INPUT, debounce_ms=0),))
    for number in range(EDGES_MAX + 10):
        chip.press(INPUT, closed=number % 2 == 0)
    edges = lines.edges()
    assert len(edges) == EDGES_MAX
    assert edges[-1][1] is False
    lines.close()


@pytest.mark.parametrize("strict", [True, False])
def test_after_its_holder_an_output_stays_or_falls_with_a_strict_kernel(*, strict: bool) -> None:
    chip = Chip("simulated", strict=strict)
    lines = Chips(chip).open_lines("simulated", (Output(OUTPUT),), ())
    lines.set({OUTPUT: True})
    lines.close()
    assert chip.high[OUTPUT] is not strict


def test_a_descriptor_is_readable_only_while_an_edge_waits() -> None:
    chip = Chip("simulated")
    lines = Chips(chip).open_lines("simulated", (), (Input(INPUT, debounce_ms=0),))
    poll = select.poll()
    poll.register(lines.fileno(), select.POLLIN)
    assert poll.poll(0) == []
    chip.press(INPUT, closed=True)
    assert poll.poll(60_000)
    lines.edges()
    assert poll.poll(0) == []
    lines.close()
