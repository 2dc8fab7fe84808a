"""The last day's latencies: differences of a lane's histograms, in slots of five minutes."""

import random

import pytest

from tests.support.gate.console_lane import NOW_UNIX_S, counts
from validator.console.day import DAY_S, STEP_S, LaneDay, Slot, percentiles_us
from validator.domain.latency import LatencyHistogram

FIRST_UNIX_S = NOW_UNIX_S - NOW_UNIX_S % STEP_S
US = 1_000


def test_a_slot_holds_what_was_added_in_it_and_not_what_came_before() -> None:
    day = LaneDay()
    day.add(counts({"decided": [9 * US] * 50, "told": [90 * US] * 50}), FIRST_UNIX_S)
    assert day.slots(FIRST_UNIX_S) == [Slot(FIRST_UNIX_S, 0, (0, 0, 0), (0, 0, 0))]
    more = {"decided": [9 * US] * 50 + [20 * US], "told": [90 * US] * 50 + [200 * US]}
    day.add(counts(more), FIRST_UNIX_S + 10)
    assert day.slots(FIRST_UNIX_S + 10) == [Slot(FIRST_UNIX_S, 1, (20, 20, 20), (204, 204, 204))]


def test_what_is_added_across_an_edge_counts_where_it_was_received() -> None:
    day = LaneDay()
    told: list[int] = []
    for step in range(5):
        day.add(counts({"told": told}), FIRST_UNIX_S + step * 150)
        told += [100 * US] * (step + 1)
    assert [(slot.unix_s, slot.taps) for slot in day.slots(FIRST_UNIX_S + 600)] == [
        (FIRST_UNIX_S, 1),
        (FIRST_UNIX_S + 300, 2 + 3),
        (FIRST_UNIX_S + 600, 4),
    ]


def test_a_new_run_of_the_lane_counts_from_nothing() -> None:
    day = LaneDay()
    day.add(counts({"told": [US] * 100}, "first"), FIRST_UNIX_S)
    day.add(counts({"told": [US] * 103}, "first"), FIRST_UNIX_S + 1)
    day.add(counts({"told": [US] * 4}, "second"), FIRST_UNIX_S + 2)
    day.add(counts({"told": [US] * 5}, "second"), FIRST_UNIX_S + 3)
    assert day.slots(FIRST_UNIX_S + 3)[0].taps == 3 + 4 + 1


def test_a_new_run_that_has_already_counted_more_than_the_old_one_counts_from_nothing_too() -> None:
    day = LaneDay()
    day.add(counts({"told": [US] * 3}, "first"), FIRST_UNIX_S)
    day.add(counts({"told": [US] * 10}, "second"), FIRST_UNIX_S + 1)
    assert day.slots(FIRST_UNIX_S + 1)[0].taps == 10


def test_a_count_that_shrinks_adds_nothing() -> None:
    day = LaneDay()
    day.add(counts({"told": [US] * 10}), FIRST_UNIX_S)
    day.add(counts({"told": [US] * 3}), FIRST_UNIX_S + 1)
    assert day.slots(FIRST_UNIX_S + 1)[0].taps == 0


def test_a_day_is_kept_and_no_more() -> None:
    day = LaneDay()
    for step in range(400):
        day.add(counts({"told": [US] * step}), FIRST_UNIX_S + step * STEP_S)
    last_unix_s = FIRST_UNIX_S + 399 * STEP_S
    slots = day.slots(last_unix_s)
    assert [slot.unix_s for slot in slots] == list(
        range(last_unix_s - DAY_S + STEP_S, last_unix_s + 1, STEP_S)
    )
    assert {slot.taps for slot in slots} == {1}
    assert len(day._over) < DAY_S / STEP_S


def test_a_clock_that_was_put_right_leaves_nothing_in_the_future() -> None:
    day = LaneDay()
    day.add(counts(), FIRST_UNIX_S + 10 * DAY_S)
    day.add(counts({"told": [US]}), FIRST_UNIX_S)
    day.add(counts({"told": [US] * 2}), FIRST_UNIX_S + STEP_S)
    assert [(slot.unix_s, slot.taps) for slot in day.slots(FIRST_UNIX_S + STEP_S)] == [
        (FIRST_UNIX_S, 1),
        (FIRST_UNIX_S + STEP_S, 1),
    ]


def test_a_lane_that_never_answered_has_no_slots() -> None:
    assert LaneDay().slots(NOW_UNIX_S) == []


@pytest.mark.parametrize("number", [1, 2, 3, 99, 1_000, 10_000])
def test_percentiles_are_the_lane_s_own(number: int) -> None:
    chance = random.Random(number)
    lane = LatencyHistogram()
    for _ in range(number):
        lane.add(int(chance.lognormvariate(11, 1)))
    ours = percentiles_us(dict(lane.buckets()))
    own = lane.summary_us()
    greatest_us = lane.max_ns // US
    assert tuple(min(each, greatest_us) for each in ours) == (own["p50"], own["p99"], own["p999"])
