"""The publisher's clock: a jump ahead publishes and deletes nothing, and what was built by a clock that ran ahead is built again."""

import os
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from backoffice.office_clock import ClockError
from backoffice.pieces import DAY_S, HOUR_S
from backoffice.report_store import ReportStore
from backoffice.roles import sign_timestamp
from tests.gate_courier import Gate
from tests.publishing_rig import PublishingOffice, view
from tests.town import uid
from validator.courier_ports import SourceState

SHELVES = next(filter(os.path.isdir, ["/dev/shm"]), None)  # noqa: S108  # thousands of fsyncs
CARDS = tuple(map(uid, range(8)))
YEAR_S = 365 * DAY_S
SYNCHRONISED = '{"lanes": [{"clock_synchronised": true}]}'
COUNTED = '{"lanes": [{"clock_synchronised": false}]}'


@pytest.fixture
def town() -> Iterator[PublishingOffice]:
    """A town with a staff card, a suspended one and a matched one, all with ends, of which a list is public."""
    with tempfile.TemporaryDirectory(prefix="clock-", dir=SHELVES) as folder:
        made = PublishingOffice(Path(folder))
        made.issue(*CARDS)
        made.change("suspended", CARDS[0], made.now_unix_s + 20 * DAY_S)
        made.change("staff", CARDS[1], made.now_unix_s + 20 * DAY_S)
        made.change("matched", CARDS[2], made.now_unix_s + 20 * DAY_S)
        made.publish()
        made.clock_is_right = False
        yield made
        made.close()


def published_ahead(town: PublishingOffice, ahead_s: int) -> None:
    """A publication by a clock that runs ahead by so much, and of which a person says that it is right; then the clock is right again."""
    right_unix_s = town.now_unix_s
    town.now_unix_s += ahead_s
    town.city.say_right(town.now_unix_s)
    town.publish()
    town.now_unix_s = right_unix_s


def repaired(town: PublishingOffice) -> None:
    """What the runbook says is to be done when the clock is right again."""
    town.city.rotate("timestamp", now_unix_s=town.now_unix_s)
    town.publish()


def gates_say_what_the_registry_says(town: PublishingOffice, *gates: Gate) -> None:
    """Each of these, and a new one."""
    new = town.gate(f"new-{next(_NUMBERS)}")
    for gate in (*gates, new):
        gate.clock.unix_s = town.now_unix_s
        status = gate.poll()
        assert status.state is SourceState.FRESH, status
        assert gate.rules is not None
        seen = view(town.published)
        assert seen is not None
        assert gate.version == seen.manifest.list_version
        town.assert_says(gate.rules)
    new.web.close()


_NUMBERS = count(1)


# A jump ahead


@pytest.mark.parametrize("ahead_s", [DAY_S + 1, 40 * DAY_S, 10 * YEAR_S])
def test_a_clock_that_jumped_ahead_publishes_signs_and_claims_nothing(
    town: PublishingOffice, ahead_s: int
) -> None:
    before, right_unix_s = view(town.published), town.now_unix_s
    town.change("suspended", CARDS[3], right_unix_s + 4 * HOUR_S)
    town.now_unix_s += ahead_s
    with pytest.raises(ClockError, match=r"last signature is of .*publish --clock-is-right"):
        town.publish()
    with pytest.raises(ClockError):
        sign_timestamp(town.office, town.now_unix_s)
    assert view(town.published) == before
    assert (town.registry.claimed(), town.registry.publications.building()) == (1, None)
    town.now_unix_s = right_unix_s + 60
    assert town.publish().version == 2
    gates_say_what_the_registry_says(town)


def test_what_a_refused_clock_says_is_the_same_line_all_day(town: PublishingOffice) -> None:
    said = set()
    for seconds in (40 * DAY_S, 60, 5 * HOUR_S):
        town.now_unix_s += seconds
        with pytest.raises(ClockError) as error:
            town.publish()
        said.add(str(error.value))
    assert len(said) == 1


def test_a_city_that_slept_for_a_week_goes_on_when_a_person_says_that_its_clock_is_right(
    town: PublishingOffice,
) -> None:
    town.now_unix_s += 7 * DAY_S
    town.city.say_right(town.now_unix_s)
    town.now_unix_s += 600  # typed before the publisher that watches comes round
    assert town.publish().version == 2
    gates_say_what_the_registry_says(town)


def test_that_a_clock_was_right_says_nothing_of_a_later_jump(town: PublishingOffice) -> None:
    town.now_unix_s += 7 * DAY_S
    town.city.say_right(town.now_unix_s)
    town.publish()
    town.now_unix_s += 2 * DAY_S
    with pytest.raises(ClockError):
        town.publish()


def test_that_a_wrong_clock_was_right_is_forgotten_when_it_is_set_back(town: PublishingOffice) -> None:
    published_ahead(town, 40 * DAY_S)
    repaired(town)
    town.now_unix_s += 2 * DAY_S
    with pytest.raises(ClockError):
        town.publish()


def test_a_lost_timestamp_does_not_let_a_jump_pass(town: PublishingOffice) -> None:
    (town.office.metadata / "timestamp.json").unlink()
    town.now_unix_s += 40 * DAY_S
    with pytest.raises(ClockError):
        town.publish()


# What is deleted by the clock


def snapshot_ahead(town: PublishingOffice, ahead_s: int) -> int:
    """A publication ahead that makes a snapshot of each rule; how many rows it deleted."""
    held = sum(1 for each in town.rules for _ in town.registry.members(each.name))
    town.rotate_fingerprint_key()
    published_ahead(town, ahead_s)
    return held - sum(1 for each in town.rules for _ in town.registry.members(each.name))


def test_no_row_is_deleted_by_a_clock_that_no_gate_confirms(town: PublishingOffice) -> None:
    assert snapshot_ahead(town, 40 * DAY_S) == 0
    repaired(town)
    gates_say_what_the_registry_says(town)


def test_no_row_is_deleted_by_a_clock_ahead_of_all_gates(town: PublishingOffice) -> None:
    with ReportStore.open(town.config.database_url) as store:
        store.set_status("gate", town.now_unix_s, town.now_unix_s, SYNCHRONISED)
    assert snapshot_ahead(town, 40 * DAY_S) == 0


def test_a_gate_that_counts_from_the_citys_wrong_time_is_no_witness_beside_one_that_is_synchronised(
    town: PublishingOffice,
) -> None:
    wrong_unix_s = town.now_unix_s + 40 * DAY_S
    with ReportStore.open(town.config.database_url) as store:
        store.set_status("right", town.now_unix_s, town.now_unix_s, SYNCHRONISED)
        store.set_status("wrong", wrong_unix_s, wrong_unix_s, COUNTED)
        assert store.witnessed() == (town.now_unix_s, wrong_unix_s)
    assert snapshot_ahead(town, 40 * DAY_S) == 0


def test_gates_that_all_count_from_the_citys_wrong_time_confirm_nothing(town: PublishingOffice) -> None:
    wrong_unix_s = town.now_unix_s + 40 * DAY_S
    with ReportStore.open(town.config.database_url) as store:
        store.set_status("wrong", wrong_unix_s, wrong_unix_s, COUNTED)
    assert snapshot_ahead(town, 40 * DAY_S) == 0


def test_what_ended_is_deleted_when_gates_confirm_the_time(town: PublishingOffice) -> None:
    town.now_unix_s += 40 * DAY_S
    with ReportStore.open(town.config.database_url) as store:
        store.set_status("gate", town.now_unix_s, town.now_unix_s, SYNCHRONISED)
    assert snapshot_ahead(town, 0) == 3


# What was built by a clock that ran ahead


@pytest.mark.parametrize("ahead_s", [5 * HOUR_S])
@pytest.mark.parametrize("with_snapshot", [False, True], ids=["changes", "snapshot"])
def test_a_card_suspended_for_hours_stays_suspended_though_the_clock_ran_ahead(
    town: PublishingOffice, ahead_s: int, *, with_snapshot: bool
) -> None:
    followed, missed = town.gate("followed"), town.gate("missed")
    for gate in (followed, missed):
        gate.clock.synchronised = False  # a synchronised one refuses what is signed so far ahead
        gate.poll()
    town.now_unix_s += 60
    town.change("suspended", CARDS[3], town.now_unix_s + 4 * HOUR_S)
    town.publish()
    followed.poll()
    if with_snapshot:
        town.rotate_fingerprint_key()
        followed.hold(town.key)
        missed.hold(town.key)
    town.change("suspended", CARDS[4], town.now_unix_s + 4 * HOUR_S)
    published_ahead(town, ahead_s)
    assert followed.poll().state is SourceState.FRESH
    town.now_unix_s += 600
    repaired(town)
    for _ in range(2):
        town.now_unix_s += 60
        town.change("suspended", CARDS[5], town.now_unix_s + 4 * HOUR_S)
        town.publish()
        for gate in (followed, missed):
            gate.clock.boottime_s += 60
        followed.clock.synchronised = missed.clock.synchronised = True
        gates_say_what_the_registry_says(town, followed, missed)
        assert followed.holds("suspended", CARDS[3])
        assert missed.holds("suspended", CARDS[4])
