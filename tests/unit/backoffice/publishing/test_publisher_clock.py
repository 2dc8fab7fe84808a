"""The publisher's clock: a jump ahead publishes and deletes nothing.

What was built by a clock that ran ahead is built again.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace

from backoffice.publishing.fingerprints import CardsError
from backoffice.publishing.pieces import DAY_S, HOUR_S
from backoffice.reports.store import ReportStore
from backoffice.signing.clock import ClockError
from backoffice.signing.roles import RoleError, sign_timestamp
from tests.support.city.published_view import named_files, view
from tests.support.city.publishing_rig import PublishingOffice
from tests.support.city.registry_reads import members, remove_state
from tests.support.city.statuses import set_status
from tests.support.city.town import uid
from tests.support.gate.gate_courier import Gate
from validator.domain.decision import Verdict
from validator.errors import SourceState

SHELVES = next(filter(os.path.isdir, ["/dev/shm"]), None)  # noqa: S108  # thousands of fsyncs
CARDS = tuple(map(uid, range(8)))
YEAR_S = 365 * DAY_S
SYNCHRONISED = '{"lanes": [{"clock_synchronised": true}]}'
COUNTED = '{"lanes": [{"clock_synchronised": false}]}'


@pytest.fixture
def town() -> Iterator[PublishingOffice]:
    """A city with a staff, a suspended and a matched card, all with ends, and a public list."""
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
    """Publish by a clock that is ahead and confirmed; then the clock is right again."""
    right_unix_s = town.now_unix_s
    town.now_unix_s += ahead_s
    town.city.say_right(town.now_unix_s)
    town.publish()
    town.now_unix_s = right_unix_s


def repaired(town: PublishingOffice) -> None:
    """The runbook's steps for a clock that is right again."""
    town.city.rotate("timestamp", now_unix_s=town.now_unix_s)
    town.publish()


def wait(town: PublishingOffice, seconds: int, *gates: Gate) -> None:
    """Time goes by."""
    town.now_unix_s += seconds
    for gate in gates:
        gate.clock.wait(seconds)


def gates_say_what_the_registry_says(town: PublishingOffice, *gates: Gate) -> None:
    """Each of these, and a new one."""
    new = town.gate(f"new-{next(_NUMBERS)}")
    for gate in (*gates, new):
        if gate.clock.synchronised:
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
    with pytest.raises((ClockError, RoleError)):  # in ten years its root has expired
        sign_timestamp(town.home, town.now_unix_s)
    assert view(town.published) == before
    assert (town.registry.claimed(), town.registry.publications.building()) == (1, None)
    town.now_unix_s = right_unix_s + 60
    assert town.publish().version == 2
    gates_say_what_the_registry_says(town)


def test_the_line_about_a_refused_clock_is_the_same_all_day(town: PublishingOffice) -> None:
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


def test_a_confirmed_clock_confirms_no_later_jump(town: PublishingOffice) -> None:
    town.now_unix_s += 7 * DAY_S
    town.city.say_right(town.now_unix_s)
    town.publish()
    town.now_unix_s += 2 * DAY_S
    with pytest.raises(ClockError):
        town.publish()


def test_that_a_wrong_clock_was_right_is_forgotten_when_it_is_set_back(
    town: PublishingOffice,
) -> None:
    published_ahead(town, 40 * DAY_S)
    repaired(town)
    town.now_unix_s += 2 * DAY_S
    with pytest.raises(ClockError):
        town.publish()


@pytest.mark.parametrize("later_s", [0, HOUR_S, DAY_S - HOUR_S])
def test_a_clock_that_takes_the_same_wrong_time_again_is_refused_again(
    town: PublishingOffice, later_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A battery clock that is wrong at each start: a confirmation before its repair is void."""
    published_ahead(town, 40 * DAY_S)
    with monkeypatch.context() as patched:  # no person confirms the clock in the ceremony
        patched.setattr(town.city, "say_right", lambda _now_unix_s: None)
        repaired(town)
    town.now_unix_s += later_s + 40 * DAY_S
    with pytest.raises(ClockError, match="the last signature is of"):
        town.publish()


def test_a_lost_timestamp_does_not_let_a_jump_pass(town: PublishingOffice) -> None:
    (town.home.metadata / "timestamp.json").unlink()
    town.now_unix_s += 40 * DAY_S
    with pytest.raises(ClockError):
        town.publish()


# What is deleted by the clock


def snapshot_ahead(town: PublishingOffice, ahead_s: int) -> int:
    """A publication ahead that makes a snapshot of each rule; how many rows it deleted."""
    held = sum(1 for each in town.rules for _ in members(town.registry, each.name))
    town.rotate_fingerprint_key()
    published_ahead(town, ahead_s)
    return held - sum(1 for each in town.rules for _ in members(town.registry, each.name))


def test_no_row_is_deleted_by_a_clock_that_no_gate_confirms(town: PublishingOffice) -> None:
    assert snapshot_ahead(town, 40 * DAY_S) == 0
    repaired(town)
    gates_say_what_the_registry_says(town)


def test_no_row_is_deleted_by_a_clock_ahead_of_all_gates(town: PublishingOffice) -> None:
    with ReportStore.open(town.config.database_url) as store:
        set_status(store, "gate", town.now_unix_s, town.now_unix_s, SYNCHRONISED)
    assert snapshot_ahead(town, 40 * DAY_S) == 0


def test_a_gate_that_counts_from_the_citys_wrong_time_is_no_witness_beside_one_that_is_synchronised(
    town: PublishingOffice,
) -> None:
    wrong_unix_s = town.now_unix_s + 40 * DAY_S
    with ReportStore.open(town.config.database_url) as store:
        set_status(store, "right", town.now_unix_s, town.now_unix_s, SYNCHRONISED)
        set_status(store, "wrong", wrong_unix_s, wrong_unix_s, COUNTED)
        assert store.witnessed() == (town.now_unix_s, wrong_unix_s)
    assert snapshot_ahead(town, 40 * DAY_S) == 0


def test_gates_that_all_count_from_the_citys_wrong_time_confirm_nothing(
    town: PublishingOffice,
) -> None:
    wrong_unix_s = town.now_unix_s + 40 * DAY_S
    with ReportStore.open(town.config.database_url) as store:
        set_status(store, "wrong", wrong_unix_s, wrong_unix_s, COUNTED)
    assert snapshot_ahead(town, 40 * DAY_S) == 0


def test_what_ended_is_deleted_when_gates_confirm_the_time(town: PublishingOffice) -> None:
    town.now_unix_s += 40 * DAY_S
    with ReportStore.open(town.config.database_url) as store:
        set_status(store, "gate", town.now_unix_s, town.now_unix_s, SYNCHRONISED)
    assert snapshot_ahead(town, 0) == 3


# What was built by a clock that ran ahead


@pytest.mark.parametrize("ahead_s", [5 * HOUR_S, 20 * HOUR_S, 40 * DAY_S, YEAR_S, 10 * YEAR_S])
@pytest.mark.parametrize("with_snapshot", [False, True], ids=["changes", "snapshot"])
@pytest.mark.parametrize("synchronised", [False, True], ids=["counting", "synchronised"])
def test_a_card_suspended_for_hours_stays_suspended_though_the_clock_ran_ahead(
    town: PublishingOffice, ahead_s: int, *, with_snapshot: bool, synchronised: bool
) -> None:
    followed, missed = town.gate("followed"), town.gate("missed")
    for gate in (followed, missed):
        gate.clock.synchronised = synchronised
        gate.poll()
    wait(town, 60, followed, missed)
    town.change("suspended", CARDS[3], town.now_unix_s + 4 * HOUR_S)
    town.publish()
    followed.poll()
    if with_snapshot:
        town.rotate_fingerprint_key()
        followed.hold(town.key)
        missed.hold(town.key)
    town.change("suspended", CARDS[4], town.now_unix_s + 4 * HOUR_S)
    town.city.rotate(now_unix_s=town.now_unix_s + ahead_s)  # a person renews the root by that clock
    published_ahead(town, ahead_s)
    followed.poll()
    wait(town, 600, followed, missed)
    repaired(town)
    gates_say_what_the_registry_says(town, followed, missed)
    for _ in range(2):
        wait(town, 60, followed, missed)
        town.change("suspended", CARDS[5], town.now_unix_s + 4 * HOUR_S)
        town.publish()
        gates_say_what_the_registry_says(town, followed, missed)
        for gate in (followed, missed):
            for card in CARDS[3:6]:
                assert gate.decides(card).verdict is Verdict.DENY


@pytest.mark.parametrize("with_snapshot", [False, True], ids=["changes", "snapshot"])
@pytest.mark.parametrize("ahead_s", [5 * HOUR_S, 20 * HOUR_S, DAY_S])
def test_a_clock_less_than_a_day_ahead_forgets_no_end_and_nothing_is_built_again(
    town: PublishingOffice, ahead_s: int, *, with_snapshot: bool
) -> None:
    gate = town.gate()
    gate.poll()
    town.change("suspended", CARDS[3], town.now_unix_s + HOUR_S)
    town.publish()
    gate.poll()
    if with_snapshot:
        town.rotate_fingerprint_key()
        gate.hold(town.key)
    town.change("suspended", CARDS[4])
    town.now_unix_s += ahead_s
    town.publish()
    town.now_unix_s -= ahead_s
    gate.poll()
    assert gate.rules is not None
    assert gate.version == 3
    town.assert_says(gate.rules)
    town.city.rotate("timestamp", now_unix_s=town.now_unix_s)
    assert town.publish().built == ()
    gates_say_what_the_registry_says(town, gate)


def test_two_jumps_that_are_each_less_than_a_day_are_found_and_what_they_built_is_built_again(
    town: PublishingOffice,
) -> None:
    gate = town.gate()
    gate.clock.synchronised = False
    gate.poll()
    town.change("suspended", CARDS[3], town.now_unix_s + HOUR_S)
    town.publish()
    for card in CARDS[4:6]:
        town.now_unix_s += 20 * HOUR_S
        town.change("suspended", card)
        town.publish()
        gate.poll()
    town.now_unix_s -= 40 * HOUR_S
    town.city.rotate("timestamp", now_unix_s=town.now_unix_s)
    why = town.publish().why
    assert "suspended begins again: some of it was built by a clock that ran ahead" in why
    assert "matched begins again" not in " ".join(why), "none of its pieces was built then"
    gates_say_what_the_registry_says(town, gate)


@pytest.mark.parametrize("behind_s", [5 * HOUR_S, 20 * HOUR_S, 40 * DAY_S, YEAR_S, 10 * YEAR_S])
def test_a_clock_that_went_back_and_was_believed_is_healed_by_confirming_it_again(
    town: PublishingOffice, behind_s: int
) -> None:
    followed, missed = town.gate("followed"), town.gate("missed")
    for gate in (followed, missed):
        gate.clock.synchronised = False
        gate.poll()
    right_unix_s = town.now_unix_s
    town.now_unix_s -= behind_s
    town.change("suspended", CARDS[0])
    with pytest.raises(ClockError, match="later than this clock shows"):
        town.publish()
    town.city.rotate("timestamp", now_unix_s=town.now_unix_s)
    with suppress(CardsError):  # ends of today lie too far after that year
        town.publish()
    followed.poll()
    town.now_unix_s = right_unix_s + 600
    if behind_s > DAY_S:
        with pytest.raises((ClockError, RoleError)):  # its root has expired, too
            town.publish()
        town.city.rotate(now_unix_s=town.now_unix_s)
        town.city.say_right(town.now_unix_s)
    town.publish()
    gates_say_what_the_registry_says(town, followed, missed)


@pytest.mark.parametrize("steps", range(1, 60, 3))
def test_a_publication_by_a_clock_ahead_that_is_killed_anywhere_is_healed(
    town: PublishingOffice, steps: int
) -> None:
    town.change("suspended", CARDS[3], town.now_unix_s + 4 * HOUR_S)
    right_unix_s = town.now_unix_s
    town.now_unix_s += 40 * DAY_S
    town.city.say_right(town.now_unix_s)
    town.publish_killed(steps)
    town.now_unix_s = right_unix_s + 60
    repaired(town)
    gates_say_what_the_registry_says(town)


# What is deleted, and when


def files(town: PublishingOffice) -> set[Path]:
    return {
        path
        for each in ("segments", "indexes", "targets")
        for path in (town.published / each).iterdir()
    }


@pytest.mark.parametrize("off_s", [40 * DAY_S, -40 * DAY_S, 10 * YEAR_S, -10 * YEAR_S])
def test_what_a_wrong_clock_has_dated_goes_a_day_after_the_clock_is_right(
    town: PublishingOffice, off_s: int
) -> None:
    right_unix_s = town.now_unix_s
    town.now_unix_s += off_s
    town.city.rotate("timestamp", now_unix_s=town.now_unix_s)
    for card in CARDS[3:5]:
        town.rotate_fingerprint_key()
        remove_state(town.registry, "suspended", CARDS[0])
        town.change("suspended", card)
        town.rules = tuple(replace(each, until_unit_s=DAY_S) for each in town.rules)
        town.city.say_right(town.now_unix_s)
        with suppress(CardsError):
            town.publish()
    before = files(town)
    town.now_unix_s = right_unix_s
    town.city.rotate("timestamp", now_unix_s=right_unix_s)
    town.city.say_right(right_unix_s)
    town.publish()
    assert before <= files(town), "a gate may be in the middle of it"
    for _ in range(3):
        town.now_unix_s += 13 * HOUR_S
        town.publish()
    left = before & files(town) - set(named_files(town.published))
    assert {path.parent.name for path in left} <= {"indexes"}, (
        "one goes a day after the next, and none was made"
    )
