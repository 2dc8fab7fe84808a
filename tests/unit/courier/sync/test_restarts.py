"""The courier's waits, its start after a power cut, and with a spoiled accepted store."""

from random import Random

import pytest

from tests.support.gate.courier_world import (
    DAY,
    HOUR,
    MIDDLE,
    MINUTES,
    NOW_UNIX_S,
    POLL_S,
    RULE,
    SNAPSHOT,
    World,
    in_step,
    state,
)
from validator.courier.list_sync import SyncStatus
from validator.courier.waits import BUSY_WAIT_S_MAX, JITTER, RETRY_AFTER_S_MAX
from validator.domain.floor import RoleVersions
from validator.domain.trusted_time import Now
from validator.errors import RemoteError, SourceState


def test_a_state_counts_from_when_it_began() -> None:
    world = in_step()
    courier = world.courier()
    assert courier.poll()[0].since_unix_s == NOW_UNIX_S
    world.fails["ask"] = RemoteError(SourceState.FROZEN, "expired")
    world.now = Now(NOW_UNIX_S + 30, synchronised=True)
    assert courier.poll()[0].since_unix_s == NOW_UNIX_S + 30
    world.now = Now(NOW_UNIX_S + 60, synchronised=True)
    world.fails["ask"] = RemoteError(SourceState.FROZEN, "expired still")
    status, _ = courier.poll()
    assert (status.problem, status.since_unix_s, status.polled_unix_s) == (
        "expired still",
        NOW_UNIX_S + 30,
        NOW_UNIX_S + 60,
    )


def test_regular_waits_are_jittered_evenly_around_the_poll_interval() -> None:
    world, random = in_step(), Random(1)
    courier = world.courier([random.random() for _ in range(997)])
    waits_s = [courier.poll()[1] for _ in range(997)]
    assert min(waits_s) >= POLL_S * (1 - JITTER)
    assert max(waits_s) <= POLL_S * (1 + JITTER)
    assert len(set(waits_s)) == 997
    assert sum(waits_s) / 997 == pytest.approx(POLL_S, rel=0.02)


def test_from_a_busy_server_a_gate_steps_back_further_each_time_up_to_a_limit() -> None:
    world = World()
    world.fails["ask"] = RemoteError(SourceState.BUSY, "busy")
    lowest = world.courier([0.0])
    assert [lowest.poll()[1] for _ in range(6)] == [POLL_S * (1 - JITTER)] * 6
    highest = world.courier([1.0])
    longest_s = POLL_S * (1 + JITTER)
    assert [highest.poll()[1] for _ in range(6)] == [
        longest_s + more_s for more_s in (30, 60, 120, 240, BUSY_WAIT_S_MAX, BUSY_WAIT_S_MAX)
    ]
    world.fails.clear()
    assert highest.poll()[1] == longest_s
    world.fails["ask"] = RemoteError(SourceState.BUSY, "busy again")
    assert highest.poll()[1] == longest_s + POLL_S, "it begins again"


def test_what_a_busy_server_asks_for_is_waited_and_no_more_than_an_hour() -> None:
    for asked_s, waited_s in ((600, 600), (1e9, RETRY_AFTER_S_MAX), (1, POLL_S)):
        world = World()
        world.fails["ask"] = RemoteError(SourceState.BUSY, "busy", asked_s)
        _, wait_s = world.courier().poll()
        assert wait_s == waited_s + POLL_S * MIDDLE


def test_retry_after_of_a_server_that_is_not_busy_counts_for_nothing() -> None:
    world = World()
    world.fails["ask"] = RemoteError(SourceState.NOT_OURS, "a portal", 3_000)
    assert world.courier().poll()[1] == POLL_S


def test_at_start_a_gate_installs_again_from_its_pieces_what_a_power_cut_took_out_of_memory() -> (
    None
):
    world = in_step()
    for version, minute in ((11, MINUTES[5]), (12, MINUTES[6])):
        world.publish(version, minute)
        state(world)
    world.taken()
    world.lists.power_cut()
    assert world.lists.held == (1, 10)
    status = world.courier().replay()
    assert status == SyncStatus(
        SourceState.UNREACHABLE, "not asked yet", NOW_UNIX_S, NOW_UNIX_S, 12, 12
    )
    assert world.taken() == ["install 12", "tidy"]
    assert world.pieces.kept[RULE] == [MINUTES[5], MINUTES[6]], (
        "they are needed at the next power cut"
    )


def test_a_list_that_was_accepted_and_never_came_does_not_take_away_the_one_before_it() -> None:
    world = in_step()
    world.publish(11, MINUTES[5])
    state(world)
    world.publish(12, MINUTES[6])
    world.fails["fetch"] = RemoteError(SourceState.UNREACHABLE, "broke")
    assert state(world)[0] is SourceState.UNREACHABLE
    assert state(world)[0] is SourceState.UNREACHABLE
    world.lists.power_cut()
    assert world.lists.held == (1, 10)
    assert world.courier().replay().list_version == 11
    del world.fails["fetch"]
    assert state(world)[0] is SourceState.FRESH
    assert world.lists.held == (1, 12)


def test_a_replay_without_the_pieces_leaves_the_list_as_it_is() -> None:
    world = in_step()
    world.publish(11, MINUTES[5])
    state(world)
    world.lists.power_cut()
    world.pieces.kept.clear()
    world.taken()
    courier = world.courier()
    assert courier.replay().list_version == 10
    assert world.taken() == []
    assert courier.poll()[0] == SyncStatus(SourceState.FRESH, "", NOW_UNIX_S, NOW_UNIX_S, 11, 11)


def test_a_power_cut_between_accepting_and_fetching_loses_neither_floor_nor_list() -> None:
    world = in_step()
    world.publish(11, MINUTES[5])
    world.fails["fetch"] = RemoteError(SourceState.UNREACHABLE, "gone")
    state(world)
    world.lists.power_cut()
    world.taken()
    world.clock.begun.clear()
    courier = world.courier()
    assert world.clock.begun == [world.signed_unix_s], "the accepted time is the floor again"
    assert courier.replay() == SyncStatus(
        SourceState.UNREACHABLE, "not asked yet", NOW_UNIX_S, NOW_UNIX_S, 10, 11
    )
    world.fails.clear()
    assert courier.poll()[0].list_version == 11


def test_a_new_gate_has_nothing_to_replay() -> None:
    world = World()
    assert world.courier().replay() == SyncStatus(
        SourceState.UNREACHABLE, "not asked yet", NOW_UNIX_S, NOW_UNIX_S, 0, 0
    )
    assert (world.taken(), world.clock.begun) == ([], [])


def test_a_replay_whose_pieces_are_spoiled_is_reported_and_the_network_heals_it() -> None:
    world = in_step()
    world.publish(11, MINUTES[5])
    state(world)
    world.lists.power_cut()
    world.fails["install"] = RemoteError(
        SourceState.REFUSED, "another piece than the manifest names"
    )
    courier = world.courier()
    status = courier.replay()
    assert (status.problem, status.list_version) == ("another piece than the manifest names", 10)
    assert status.state is SourceState.UNREACHABLE, (
        "the disk is well, and the first poll fetches the piece again"
    )
    world.fails.clear()
    assert courier.poll()[0].list_version == 11


def test_a_replay_that_the_disk_does_not_let_through_leaves_the_list_as_it_is() -> None:
    world = in_step()
    world.publish(11, MINUTES[5])
    state(world)
    world.lists.power_cut()
    world.fails["install"] = OSError(5, "Input/output error")
    status = world.courier().replay()
    assert (status.state, status.list_version) == (SourceState.DISK, 10)


def test_after_a_spoiled_ledger_no_list_below_the_one_held_is_taken() -> None:
    world = in_step()
    world.store.accepted = None
    world.list_version, world.offered = 9, {RULE: [SNAPSHOT, DAY, HOUR]}
    world.versions = RoleVersions(1, 109, 109, 109)
    assert state(world) == (SourceState.REPLAYED, "list 9 was offered, 10 is held here")
    assert world.taken() == ["ask"]
    assert world.store.accepted is None


def test_after_a_spoiled_ledger_the_list_held_and_those_above_are_accepted_again() -> None:
    world = in_step()
    world.store.accepted = None
    assert state(world) == (SourceState.FRESH, "")
    assert world.taken() == ["ask", "accept 10"]
    world.store.accepted = None
    world.publish(11, MINUTES[5])
    assert state(world) == (SourceState.FRESH, "")
    assert world.taken() == ["ask", "accept 11", "fetch 10-11", "install 11", "tidy"]


def test_a_list_that_was_copied_there_by_hand_is_no_floor() -> None:
    world = World()
    world.lists.held = (0, 99)
    assert state(world) == (SourceState.FRESH, "")
    assert world.lists.held == (1, 10)


def test_pieces_are_kept_until_the_disk_has_what_they_bring() -> None:
    world = in_step()
    assert world.pieces.kept[RULE] == []
    world.publish(11, MINUTES[5])
    state(world)
    assert world.pieces.kept[RULE] == [MINUTES[5]]
    world.lists.on_disk = (world.lists.held, {RULE: 11})
    world.publish(12, MINUTES[6])
    state(world)
    assert world.pieces.kept[RULE] == [MINUTES[6]]
