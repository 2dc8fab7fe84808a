"""The board on GPIO lines, in simulated time on simulated chips."""

import errno
from collections.abc import Iterator
from dataclasses import replace

import pytest

from firmware_sim.gpio.chips import Change, Chip, Chips
from tests.support.devices.gpio_gate import (
    ALONE,
    EMERGENCY,
    FORCED,
    MS,
    RED,
    RELAY,
    SENSOR,
    TAMPER,
    WIRED,
    Gate,
)
from validator.domain.events import (
    BoardBack,
    BoardLost,
    Closed,
    Emergency,
    Forced,
    NotPassed,
    Passed,
    Tamper,
)
from validator.domain.outcomes import Outcome
from validator.lane.boards.gpio.board import GpioBoard
from validator.lane.boards.gpio.wiring import Input, Output, Wiring


@pytest.fixture
def wiring() -> Wiring:
    """What is wired; a test with another wiring parametrises this."""
    return WIRED


@pytest.fixture
def gate(wiring: Wiring) -> Iterator[Gate]:
    gate = Gate(wiring)
    events = gate.run()
    assert isinstance(events[0], BoardBack)
    yield gate
    gate.board.close()
    assert not any(gate.chip.high.values())


def test_a_held_relay_is_on_until_the_passenger_is_through(gate: Gate) -> None:
    gate.open(7)
    assert gate.on(RELAY)
    assert gate.run(400) == []
    (passed,) = gate.press(SENSOR)
    assert isinstance(passed, Passed)
    assert (passed.tap, passed.after_ms) == (7, 420)  # the kernel's debounce is in it
    assert gate.changes(RELAY) == [(0, True), (420, False)]


def test_a_held_relay_goes_off_in_time_and_the_end_waits_for_the_sensor_to_settle(
    gate: Gate,
) -> None:
    gate.open(7, 1_000)
    events = gate.run(2_000)
    assert gate.changes(RELAY) == [(0, True), (1_000, False)]
    assert events == [NotPassed(7, 1_001_500 * MS)]


def test_a_passenger_who_turned_the_arms_as_they_locked_has_passed(gate: Gate) -> None:
    gate.open(7, 1_000)
    gate.run(995)
    (passed,) = gate.press(SENSOR)
    assert isinstance(passed, Passed)
    assert passed.after_ms == 1_015
    assert gate.run(3_000) == []


@pytest.mark.parametrize("wiring", [replace(WIRED, hold_max_ms=2_000)])
def test_no_caller_holds_the_relay_longer_than_the_limit(gate: Gate) -> None:
    gate.open(7, 60_000)
    gate.run(5_000)
    assert gate.changes(RELAY) == [(0, True), (2_000, False)]


@pytest.mark.parametrize("wiring", [replace(WIRED, pulse_ms=300)])
def test_a_pulse_is_short_and_the_passage_goes_on(gate: Gate) -> None:
    gate.open(7, 3_000)
    assert gate.run(2_900) == []
    assert gate.changes(RELAY) == [(0, True), (300, False)]
    (passed,) = gate.press(SENSOR)
    assert isinstance(passed, Passed)
    assert passed.after_ms == 2_920


@pytest.mark.parametrize("wiring", [replace(WIRED, pulse_ms=300)])
def test_two_pulses_are_two_edges_for_a_turnstile_that_counts_them(gate: Gate) -> None:
    gate.open(1)
    gate.run(200)
    gate.press(SENSOR, 30)  # through, while the pulse is still on
    locked_ms = gate.changes(RELAY)[-1][0]
    gate.open(2)
    gate.run(400)
    on, off = gate.changes(RELAY)[2:]
    assert on == (locked_ms + 100, True)
    assert off == (locked_ms + 400, False)
    (passed,) = gate.press(SENSOR)
    assert isinstance(passed, Passed)
    assert passed.tap == 2


def test_the_same_tap_opens_once(gate: Gate) -> None:
    for _ in range(3):
        gate.open(7)
    gate.press(SENSOR)
    gate.open(7)
    assert not gate.on(RELAY)
    assert len(gate.changes(RELAY)) == 2


def test_an_open_in_a_passage_ends_that_one_and_holds_its_own_time(gate: Gate) -> None:
    gate.open(1, 1_000)
    gate.run(900)
    gate.open(2, 1_000)
    assert gate.run(400) == [NotPassed(1, 1_000_900 * MS)]
    assert gate.on(RELAY)
    (passed,) = gate.press(SENSOR)
    assert isinstance(passed, Passed)
    assert passed.tap == 2


def test_who_goes_through_without_an_open_forced_the_arms(gate: Gate) -> None:
    assert [type(event) for event in gate.press(SENSOR)] == [Forced]
    gate.open(7)
    gate.press(SENSOR)
    assert [type(event) for event in gate.press(SENSOR)] == [Forced], "a second person, or tailgate"


def test_an_edge_from_before_the_open_is_no_passage_of_it(gate: Gate) -> None:
    gate.chip.press(SENSOR, closed=True)
    gate.now_ns += 30 * MS  # the kernel has its edge; the loop has not read it
    gate.now_ns += 1
    gate.open(7)
    assert [type(event) for event in gate.run(5)] == [Forced]
    assert gate.on(RELAY), "the passenger of the tap is still to come"


def test_a_loop_that_stood_still_counts_who_went_through_meanwhile(gate: Gate) -> None:
    gate.open(7, 1_000)
    gate.now_ns += 800 * MS
    gate.chip.press(SENSOR, closed=True)
    gate.now_ns += 5_000 * MS
    (passed,) = [event for event in gate.run() if not isinstance(event, BoardBack)]
    assert isinstance(passed, Passed)
    assert passed.after_ms == 820
    assert not gate.on(RELAY)


def test_contact_bounce_is_one_passage(gate: Gate) -> None:
    gate.open(7)
    for closed in (True, False, True, False, True):
        gate.chip.press(SENSOR, closed=closed)
        assert gate.run(5) == []
    assert [type(event) for event in gate.run(50)] == [Passed]


@pytest.mark.parametrize("wiring", [ALONE])
def test_without_a_sensor_the_end_is_told_when_the_arms_lock(gate: Gate) -> None:
    gate.open(7, 1_000)
    gate.open(7, 1_000)
    assert gate.run(2_000) == [Closed(7, 1_001_000 * MS)]
    gate.open(8)
    gate.open(9)
    assert gate.run(1) == [Closed(8, 1_002_000 * MS)]


@pytest.mark.parametrize("wiring", [replace(WIRED, forced=Input(FORCED))])
def test_with_an_alarm_of_its_own_the_turnstile_alone_reports_force(gate: Gate) -> None:
    assert gate.press(SENSOR) == []
    assert [type(event) for event in gate.press(FORCED)] == [Forced]


def test_an_emergency_ends_a_passage_and_nobody_counts_until_it_is_over(gate: Gate) -> None:
    gate.open(7)
    gate.chip.press(EMERGENCY, closed=True)
    assert [type(event) for event in gate.run(50)] == [Emergency]
    assert not gate.on(RELAY), "the hardware frees the arms, not this relay"
    assert gate.press(SENSOR) == []
    gate.open(8)
    assert gate.run(5_000) == [NotPassed(8, gate.now_ns - 5_000 * MS)]
    assert not gate.on(RELAY)
    gate.chip.press(EMERGENCY, closed=False)
    (over,) = gate.run(50)
    assert isinstance(over, Emergency)
    assert not over.on
    gate.open(9)
    assert gate.on(RELAY)


def test_the_state_at_the_start_is_reported(wiring: Wiring) -> None:
    gate = Gate(wiring)
    gate.chip.press(EMERGENCY, closed=True)
    gate.chip.press(TAMPER, closed=True)
    events = gate.run(50)
    assert [type(event) for event in events] == [BoardBack, Emergency, Tamper]
    assert events[1:] == [Emergency(True, 1_000_000 * MS), Tamper(True, 1_000_000 * MS)]
    gate.open(7)
    assert [type(event) for event in gate.run(5)] == [NotPassed]
    gate.board.close()


def test_a_state_whose_edge_was_lost_is_read_again(gate: Gate) -> None:
    gate.chip.press(TAMPER, closed=True)
    gate.now_ns += 30 * MS
    gate.chip.requests[0].edges()  # the kernel had no room for it
    events = gate.run(600)
    assert [(type(event), getattr(event, "on", None)) for event in events] == [(Tamper, True)]


@pytest.mark.parametrize(
    ("active_low", "rest"), [(False, False), (True, True)], ids=["high", "low"]
)
def test_the_polarity_of_each_line_is_its_own(active_low: bool, rest: bool) -> None:
    gate = Gate(replace(ALONE, release=Output(RELAY, active_low), red=Output(RED)))
    gate.run()
    assert gate.on(RELAY) is rest
    gate.open(7)
    assert gate.on(RELAY) is not rest
    gate.board.close()
    assert gate.on(RELAY) is rest


def test_a_contact_that_opens_is_an_input_that_reports_a_broken_wire() -> None:
    gate = Gate(replace(ALONE, emergency=Input(EMERGENCY, active_low=False)))
    gate.chip.press(EMERGENCY, closed=True)
    assert gate.run()[1] == Emergency(False, gate.now_ns)
    gate.chip.press(EMERGENCY, closed=False)
    assert gate.run(50) == [Emergency(True, gate.now_ns - 30 * MS)]
    gate.board.close()


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.EBUSY, "a line is in use by another program"),
        (errno.ENXIO, "an input line reports no edges"),
        (errno.EINVAL, "it refuses these settings"),
        (errno.EACCES, "it may not be opened; is deploy/udev in place"),
        (errno.ENODEV, "no chip has this label"),
        (errno.EIO, "its lines cannot be had (Input/output error)"),
    ],
)
def test_what_the_chip_refuses_is_one_line_that_says_what_to_do(number: int, told: str) -> None:
    def refuse(*_: object) -> Iterator[None]:
        raise OSError(number, "")

    now_ns = 0
    board = GpioBoard(WIRED, refuse, lambda: now_ns)  # type: ignore[arg-type]  # it only raises
    lost = board.take()
    assert isinstance(lost, BoardLost)
    assert lost.reason.startswith("board at chip sim: ")
    assert told in lost.reason
    now_ns = board.deadline_ns()
    assert 0 < now_ns <= 2_000 * MS
    assert board.take() is None, "each reason once"


def test_a_second_lane_is_refused_and_served_when_the_first_has_gone(gate: Gate) -> None:
    second = GpioBoard(WIRED, gate.chips.open_lines, lambda: gate.now_ns)
    lost = second.take()
    assert isinstance(lost, BoardLost)
    assert "in use" in lost.reason
    gate.board.close()
    gate.now_ns = second.deadline_ns()
    assert isinstance(second.take(), BoardBack)
    second.close()


def test_a_chip_comes_back_under_another_number_and_the_relay_is_off(gate: Gate) -> None:
    gate.open(7)
    gate.chips.unplug(gate.chip)
    gate.chips.plug(gate.chip)
    assert gate.chip.number == 1, "its old number is held by the request of before"
    lost, back, *_ = gate.run(2_000)
    assert isinstance(lost, BoardLost)
    assert "went away" in lost.reason
    assert isinstance(back, BoardBack)
    assert back.at_ns - lost.at_ns <= 250 * MS
    assert not gate.on(RELAY)
    gate.open(8)
    assert gate.on(RELAY)


def test_two_chips_of_one_label_are_no_answer_to_which(wiring: Wiring) -> None:
    chips = Chips(Chip("sim"), Chip("sim"))
    board = GpioBoard(wiring, chips.open_lines, lambda: 0)
    assert isinstance(board.take(), BoardLost)


def test_a_killed_lane_leaves_the_relay_as_it_was_and_the_next_one_lets_it_fall() -> None:
    # What a Pi's kernel does without strict_gpiod; docs/boards.md says what hardware has to do.
    gate = Gate(ALONE)
    gate.run()
    gate.open(7)
    gate.chip.requests[0].close()  # SIGKILL: the kernel closes the descriptor
    assert gate.on(RELAY)
    after = GpioBoard(ALONE, gate.chips.open_lines, lambda: gate.now_ns)
    after.take()
    assert not gate.on(RELAY)
    assert gate.chip.history[-1] == Change(gate.now_ns, RELAY, False)
    after.close()


def test_an_open_while_the_board_is_lost_is_not_done_later(gate: Gate) -> None:
    gate.chips.unplug(gate.chip)
    gate.run(600)
    gate.open(7)
    gate.board.show(Outcome.ADMITTED, 1_000, 0)
    gate.chips.plug(gate.chip)
    gate.run(600)
    assert not any(gate.chip.high.values())
    gate.open(7)
    assert gate.on(RELAY), "the tap was never acted on"
