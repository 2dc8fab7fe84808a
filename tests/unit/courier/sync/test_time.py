"""Times that run ahead or behind: what the courier believes of a signed time."""

import pytest

from tests.support.gate.courier_world import (
    KEYS,
    MINUTES,
    NOW,
    NOW_UNIX_S,
    World,
    in_step,
    state,
)
from validator.domain.floor import RoleKeys, RoleVersions
from validator.domain.trusted_time import AHEAD_S_MAX, Now, SystemClock, TimeBasis
from validator.errors import SourceState


def test_a_timestamp_signed_a_day_ahead_of_a_synchronised_clock_is_refused() -> None:
    ahead = NOW_UNIX_S + AHEAD_S_MAX
    assert (
        state(in_step(versions=RoleVersions(1, 111, 110, 110), signed_unix_s=ahead))[0]
        is SourceState.FRESH
    )
    world = in_step(versions=RoleVersions(1, 111, 110, 110), signed_unix_s=ahead + 1)
    found, problem = state(world)
    assert found is SourceState.REFUSED
    assert "more than a day ahead" in problem
    assert world.taken() == ["ask"]


def test_unsynchronised_a_time_may_be_ahead_by_the_validity_of_all_that_signed_it() -> None:
    world = in_step(
        versions=RoleVersions(1, 111, 110, 110), now=Now(NOW_UNIX_S, synchronised=False)
    )
    world.signed_unix_s = world.expires_unix_s
    found, problem = state(world)
    assert found is SourceState.REFUSED
    assert "a clock that ran ahead has signed it" in problem
    assert world.taken() == ["ask"]
    world.signed_unix_s = world.expires_unix_s - 1
    assert state(world) == (SourceState.FRESH, "")


def test_a_list_without_a_signed_time_cannot_be_issued_further_ahead_either() -> None:
    world = in_step(
        versions=RoleVersions(1, 111, 110, 110), now=Now(NOW_UNIX_S, synchronised=False)
    )
    world.publish(11, MINUTES[5])
    world.signed_unix_s, world.issued_unix_s = 0, world.expires_unix_s
    assert state(world)[0] is SourceState.REFUSED


def test_two_steps_ahead_do_not_lead_further_than_one() -> None:
    """A synchronised clock below the floor decides nothing, but is evidence against a time."""
    ahead = NOW_UNIX_S + AHEAD_S_MAX
    world = in_step(versions=RoleVersions(1, 111, 110, 110), signed_unix_s=ahead)
    assert state(world) == (SourceState.FRESH, "")
    world.now = Now(ahead, synchronised=False)
    world.system = SystemClock(NOW_UNIX_S, synchronised=True, boottime_ns=77)
    world.versions, world.signed_unix_s = RoleVersions(1, 112, 110, 110), ahead + 1
    assert state(world)[0] is SourceState.REFUSED
    world.system = SystemClock(NOW_UNIX_S + 1, synchronised=True, boottime_ns=77)
    assert state(world) == (SourceState.FRESH, "")


@pytest.mark.parametrize("role_keys", [KEYS, KEYS._replace(timestamp=("t2",))])
def test_a_time_service_that_is_a_day_behind_what_the_city_signed_is_not_believed(
    role_keys: RoleKeys,
) -> None:
    """Under new keys too, as long as they confirm the time that was accepted before."""
    behind = SystemClock(NOW_UNIX_S - 6 - AHEAD_S_MAX, synchronised=True, boottime_ns=77)
    versions = RoleVersions(2, 111, 110, 110)
    world = in_step(versions=versions, role_keys=role_keys, system=behind, expires_unix_s=1 << 40)
    world.now = Now(NOW_UNIX_S, synchronised=False)
    world.signed_unix_s = NOW_UNIX_S + 400 * AHEAD_S_MAX
    assert state(world) == (SourceState.FRESH, "")


@pytest.mark.parametrize(("before_s", "found"), [(6, SourceState.REFUSED), (5, SourceState.FRESH)])
def test_a_time_that_the_next_keys_contradict_is_no_evidence_against_a_synchronised_clock(
    before_s: int, found: SourceState
) -> None:
    """Accepted was signed at NOW - 5: a clock a day below is wrong, if that is confirmed."""
    world = in_step()
    world.publish(11, MINUTES[5])
    world.versions, world.role_keys = (
        RoleVersions(2, 111, 111, 111),
        KEYS._replace(timestamp=("t2",)),
    )
    world.issued_unix_s = world.signed_unix_s = NOW_UNIX_S - before_s
    world.system = SystemClock(NOW_UNIX_S - 7 - AHEAD_S_MAX, synchronised=True, boottime_ns=77)
    state_, problem = state(world)
    assert (state_, "a day ahead" in problem) == (found, found is SourceState.REFUSED)


def test_the_metadata_source_receives_what_the_time_rests_on() -> None:
    world = World()
    assert state(world) == (SourceState.FRESH, "")
    assert world.bases == [None]
    state(world)
    world.system = SystemClock(NOW_UNIX_S - 5, synchronised=False, boottime_ns=77)
    state(world)
    assert world.bases[1:] == [TimeBasis(1, ("t1",), NOW_UNIX_S), TimeBasis(1, ("t1",), 0)]


def test_a_list_issued_after_it_was_signed_is_refused() -> None:
    world = in_step(issued_unix_s=NOW_UNIX_S - 4)
    assert state(world) == (SourceState.REFUSED, "the list was issued after it was signed")


def test_a_timestamp_without_a_time_counts_as_signed_when_the_list_was_issued() -> None:
    world = World(signed_unix_s=0)
    assert state(world) == (SourceState.FRESH, "")
    assert world.store.accepted is not None
    assert world.store.accepted.signed_unix_s == NOW_UNIX_S - 5


def test_a_state_that_began_while_the_time_was_ahead_has_lasted_since_the_time_was_healed() -> None:
    world = in_step()
    courier = world.courier()
    world.now = Now(NOW_UNIX_S + 9 * AHEAD_S_MAX, synchronised=False)
    assert courier.poll()[0].since_unix_s == NOW_UNIX_S + 9 * AHEAD_S_MAX
    world.now = NOW
    assert courier.poll()[0].since_unix_s == NOW_UNIX_S
    world.now = Now(NOW_UNIX_S + 60, synchronised=True)
    assert courier.poll()[0].since_unix_s == NOW_UNIX_S
