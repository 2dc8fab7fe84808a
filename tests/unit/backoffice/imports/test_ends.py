"""How late a card's end may be: the same at each hour of the day, and never too late to publish."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import backoffice.home
from backoffice.home.config import RuleConfig
from backoffice.imports.ends import latest_end_unix_s
from backoffice.publishing.epochs import segment_epoch
from tests.support.city.segment_making import until_units
from turnike_demo.city.people import ISOLATION_S, SUSPENDED_UNIT_S
from validator.domain.rules import Effect
from validator.lists.segment_builder import UNITS_MAX

HOUR_S = 3_600
DAY_S = 24 * HOUR_S
MONDAY_UNIX_S = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp())
HOURS = [MONDAY_UNIX_S + minute * 60 for minute in range(0, 24 * 60, 7)]


def rule(unit_s: int) -> RuleConfig:
    return RuleConfig(name="suspended", effect=Effect.REFUSE, until_unit_s=unit_s)


@given(st.integers(0, 1 << 39), st.integers(1, DAY_S), st.integers(-HOUR_S, 60 * DAY_S))
def test_an_end_that_is_taken_can_be_published_by_a_clock_an_hour_behind_and_any_time_after(
    now_unix_s: int, unit_s: int, later_s: int
) -> None:
    latest = latest_end_unix_s(rule(unit_s), now_unix_s)
    assert until_units(latest, segment_epoch(now_unix_s + later_s, unit_s), unit_s) <= UNITS_MAX


@pytest.mark.parametrize(
    ("unit_s", "days"), [(60, 44), (HOUR_S, 7 * 365)], ids=["suspended", "staff"]
)
def test_the_examples_sentence_about_ends_is_true_at_every_hour_of_the_day(
    unit_s: int, days: int
) -> None:
    example = msgspec.toml.decode(
        (Path(backoffice.home.__file__).parent / "backoffice.example.toml").read_bytes()
    )
    assert unit_s in {one["until_unit_s"] for one in example["rules"]}
    for now_unix_s in HOURS:
        assert latest_end_unix_s(rule(unit_s), now_unix_s) >= now_unix_s + days * DAY_S


def test_the_demo_can_be_started_at_every_hour_of_the_day() -> None:
    for now_unix_s in HOURS:
        assert latest_end_unix_s(rule(SUSPENDED_UNIT_S), now_unix_s) >= now_unix_s + ISOLATION_S
