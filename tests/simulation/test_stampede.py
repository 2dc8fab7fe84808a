"""The stampede (stampede.py) of a small city: every report arrives, and the load stays bounded."""

from math import sqrt

import pytest

from backoffice.receiver.app import RETRY_AFTER_S
from tests.simulation.stampede import OUTAGE_S, Outcome, Plan, run, show
from validator.courier.waits import STATUS_S, STATUS_S_MAX, WAIT_S_MAX

GATES = 600
# A wait is drawn from zero to five minutes, so a gate comes every two and a half minutes on
# average, with a batch and a status.
COMING_BACK = GATES / (WAIT_S_MAX / 2) * 2
STATUSES = GATES / STATUS_S


def chance(mean: float) -> float:
    """What independent gates, so many a second on average, do not pass in any second of an hour."""
    return mean + 5 * sqrt(mean)


def everything_is_in(outcome: Outcome) -> bool:
    assert outcome.reports > GATES
    return outcome.waiting == 0 and len(outcome.city.stored) == outcome.reports


def test_a_server_that_comes_back_meets_gates_one_by_one() -> None:
    outcome = run(Plan(gates=GATES))
    assert everything_is_in(outcome)
    assert outcome.peak[0] <= chance(COMING_BACK + STATUSES)
    assert outcome.city.last_stored_s <= WAIT_S_MAX + 60
    assert outcome.longest_s <= WAIT_S_MAX + 1
    assert 0 < outcome.city.copies < outcome.reports / 20, (
        "some answers were lost, and what came again was known"
    )


def test_a_server_that_is_away_is_asked_no_more_often_than_gates_wait() -> None:
    outcome = run(Plan(gates=GATES))
    hour = range(int(-OUTAGE_S / 2), 0)
    assert max(map(outcome.per_second, hour)) <= chance(COMING_BACK / 2)
    assert outcome.city.arrived["reports"].total() > GATES


def test_a_server_that_bears_half_of_what_comes_gets_every_report_all_the_same() -> None:
    outcome = run(Plan(gates=GATES, capacity=int(STATUSES / 2)))
    city = outcome.city
    assert everything_is_in(outcome)
    assert city.arrived["turned away"].total() > 0
    assert city.last_stored_s < 3 * 3_600
    assert outcome.peak[0] <= chance(COMING_BACK + STATUSES)
    assert outcome.longest_s <= max(WAIT_S_MAX + RETRY_AFTER_S + 1, STATUS_S_MAX + 1)


def test_gates_whose_power_comes_back_come_once_each_and_then_each_minute() -> None:
    outcome = run(Plan(gates=GATES, power=True))
    assert everything_is_in(outcome)
    assert outcome.city.last_stored_s <= 120
    assert outcome.peak[0] <= chance(2 * STATUSES)


@pytest.mark.parametrize("power", [False, True])
def test_the_curve_shows_what_happened_and_a_seed_makes_it_the_same_again(power: bool) -> None:
    plan = Plan(gates=50, power=power)
    lines = list(show(run(plan)))
    assert lines == list(show(run(plan)))
    assert lines != list(show(run(Plan(gates=50, power=power, seed=2))))
    assert "0 reports left on gates" in lines[-1]
    assert "peak" in lines[-2]
