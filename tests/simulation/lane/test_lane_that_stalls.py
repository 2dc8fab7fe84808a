"""A lane that stalls for eight seconds never opens late, at whichever reading of its clock.

A stopped process, a machine that swaps or a frozen container does this to a gate: all that the
lane knows is eight seconds old. The test stalls at each reading in turn, in simulated time.
"""

from collections import deque
from collections.abc import Callable
from random import Random

import pytest

from tests.simulation.lane.simulated_gate import (
    GOOD,
    MS,
    START_NS,
    SUSPENDED,
    S,
    SimulatedReader,
    World,
    card,
    simulated,
)
from validator.domain.events import CardSeen, ReaderBack, ReaderEvent
from validator.domain.outcomes import Outcome
from validator.lane.loop import Lane

STILL_NS = 8 * S
TAP_NS = START_NS + 3 * S
READINGS_MAX = 400  # of the clock, from a little before the tap until its end
LATE_NS = 600 * MS


class StallingClock:
    """The lane's clock; reading number `still_at` after `from_ns` comes eight seconds late."""

    def __init__(self, world: World, from_ns: int, still_at: int) -> None:
        self.stood_still_ns = 0  # when the lane went on
        self._world = world
        self._from_ns = from_ns
        self._left = still_at

    def __call__(self) -> int:
        if self._world.now_ns >= self._from_ns:
            self._left -= 1
            if self._left == 0:
                self._world.now_ns += STILL_NS
                self.stood_still_ns = self._world.now_ns
        return self._world.now_ns


def run(events: list[ReaderEvent], still_at: int, until_ns: int) -> tuple[World, StallingClock]:
    """The world after these events, with one stall."""
    world = World(Random(still_at), 0.0)
    clock = StallingClock(world, TAP_NS - 10 * MS, still_at)
    lane, _ = simulated(world, deque([ReaderBack(START_NS), *events]))
    lane._monotonic_ns = clock
    while world.now_ns < until_ns:
        lane.turn()
    return world, clock


def opened_ns(world: World) -> list[int]:
    return [line.at_ns for line in world.lines if line.name == "open"]


def every_reading(events: list[ReaderEvent], judge: Callable[[World, StallingClock], None]) -> int:
    """Stall at each reading of the clock in turn; return how many there were."""
    for still_at in range(1, READINGS_MAX):
        world, clock = run(events, still_at, TAP_NS + 1_500 * MS)
        judge(world, clock)
        if not clock.stood_still_ns:
            return still_at
    raise AssertionError("the lane reads its clock more often than READINGS_MAX in a tap")


def test_no_stall_at_any_stage_of_a_tap_opens_for_a_card_of_before_it() -> None:
    def judge(world: World, clock: StallingClock) -> None:
        late = [at_ns for at_ns in opened_ns(world) if 0 < clock.stood_still_ns <= at_ns]
        assert late == []
        admitted = [done for done in world.taps.values() if done.tap.outcome is Outcome.ADMITTED]
        assert len(admitted) == len(opened_ns(world)), (
            "a passenger counts as admitted, and the gate never opened"
        )

    assert every_reading([CardSeen(card(GOOD[0]), TAP_NS)], judge) > 5


def test_no_stall_at_any_stage_opens_for_a_passenger_who_waited_behind_another() -> None:
    first, second = card(GOOD[0]), card(GOOD[1])

    def judge(world: World, clock: StallingClock) -> None:
        late = [at_ns for at_ns in opened_ns(world) if 0 < clock.stood_still_ns <= at_ns]
        assert late == []

    events: list[ReaderEvent] = [CardSeen(first, TAP_NS), CardSeen(second, TAP_NS + 200 * MS)]
    assert every_reading(events, judge) > 10


def test_no_stall_at_any_stage_shows_a_refusal_to_the_passenger_behind() -> None:
    def judge(world: World, clock: StallingClock) -> None:
        shown = [
            line
            for line in world.lines
            if line.name == "show" and line.details["outcome"] == "denied"
        ]
        assert [line for line in shown if 0 < clock.stood_still_ns <= line.at_ns] == []
        reported = {report.tap for report in world.reports}
        denied = {tap for tap, done in world.taps.items() if done.tap.outcome is Outcome.DENIED}
        assert reported == denied, "one report for each denial, and no other"

    assert every_reading([CardSeen(card(SUSPENDED[0]), TAP_NS)], judge) > 5


@pytest.mark.parametrize("cards", [1, 2])
def test_a_lane_that_never_stalls_serves_them_all(cards: int) -> None:
    events: list[ReaderEvent] = [
        CardSeen(card(GOOD[number]), TAP_NS + number * 200 * MS) for number in range(cards)
    ]
    world, clock = run(events, 0, TAP_NS + 2 * S)
    assert clock.stood_still_ns == 0
    assert len(opened_ns(world)) == cards


class LyingReader(SimulatedReader):
    """A reader on which one card stays: one event, and another when the lane asks again.

    Both real readers do so.
    """

    def __init__(self, plan: deque[ReaderEvent], world: World) -> None:
        super().__init__(plan, world)
        self._lies: CardSeen | None = None

    def take(self) -> ReaderEvent | None:
        event = super().take()
        self._lies = event if isinstance(event, CardSeen) else self._lies
        return event

    def forget(self) -> None:
        if self._lies is not None:
            self.plan.append(CardSeen(self._lies.card, self.world.now_ns + 100 * MS))


def run_lying(of: int, still_at: int) -> tuple[World, StallingClock, Lane]:
    """The world in which this card comes and stays for a while, with one stall."""
    world = World(Random(still_at), 0.0)
    clock = StallingClock(world, TAP_NS - 10 * MS, still_at)
    lane, _ = simulated(world, deque())
    lane._reader = LyingReader(deque([ReaderBack(START_NS), CardSeen(card(of), TAP_NS)]), world)
    lane._monotonic_ns = clock
    until_ns = TAP_NS + 1_500 * MS
    while world.now_ns < max(until_ns, clock.stood_still_ns + 1_500 * MS):
        lane.turn()
    return world, clock, lane


def test_no_stall_at_any_stage_opens_twice_for_a_card_that_lies_there() -> None:
    for still_at in range(1, READINGS_MAX):
        world, clock, _ = run_lying(GOOD[0], still_at)
        if not clock.stood_still_ns:
            assert still_at > 5
            return
        assert len(opened_ns(world)) == 1, f"with a stall at reading {still_at}"
    raise AssertionError("the lane reads its clock more often than READINGS_MAX in a tap")


def test_a_refusal_that_was_shown_too_late_or_never_is_in_no_figure_of_latency() -> None:
    for still_at in range(1, READINGS_MAX):
        world, clock, lane = run_lying(SUSPENDED[0], still_at)
        if not clock.stood_still_ns:
            return
        shown = [
            line
            for line in world.lines
            if line.name == "show" and line.details["outcome"] == "denied"
        ]
        assert lane.told.summary_us()["count"] == len(shown), f"with a stall at reading {still_at}"
    raise AssertionError("the lane reads its clock more often than READINGS_MAX in a tap")
