"""Damage and disks: what the courier repairs, fetches again, and reports."""

import pytest

from tests.support.gate.courier_world import (
    KEY,
    MINUTES,
    RULE,
    VERSIONS,
    World,
    in_step,
    piece,
    state,
)
from validator.errors import RemoteError, SourceState


def test_a_disk_that_cannot_keep_what_is_accepted_ends_the_poll_before_anything_is_fetched() -> (
    None
):
    world = World()
    world.fails["accept"] = OSError(28, "No space left on device", "accepted.json")
    assert state(world) == (
        SourceState.DISK,
        "accepted.json: No space left on device; check the disk",
    )
    assert world.taken() == ["ask"]


def test_a_damaged_list_is_fetched_again_in_the_same_poll_and_logged() -> None:
    world = in_step()
    world.lists.damaged = ["base.seg"]
    courier = world.courier()
    status, _ = courier.poll()
    assert (status.state, status.list_version) == (SourceState.FRESH, 10)
    assert world.taken()[:2] == ["ask", "index"]
    assert courier.mended == ["base.seg: damaged, and replaced"]


def test_what_was_written_again_of_the_floor_is_logged_and_nothing_else_happens() -> None:
    world = in_step()
    world.store.damaged = ["accepted.json: its checksum does not match; written again"]
    courier = world.courier()
    assert courier.poll()[0].state is SourceState.FRESH
    assert (world.taken(), courier.mended) == (
        ["ask"],
        ["accepted.json: its checksum does not match; written again"],
    )


def test_a_list_that_a_lane_refuses_is_read_again_once_and_the_courier_is_not_fresh_meanwhile() -> (
    None
):
    world = in_step()
    courier = world.courier()
    world.lanes.refuse[1, 10] = "lane 1: list version 10 is not used"
    for steps in (["doubt", "ask"], ["ask"], ["ask"]):
        status, _ = courier.poll()
        assert (status.state, status.problem) == (
            SourceState.DISK,
            "lane 1: list version 10 is not used",
        )
        assert world.taken() == steps
    world.lanes.refuse[1, 10] = "lane 2: list version 10 is not used"
    courier.poll()
    assert world.taken() == ["doubt", "ask"], "another complaint is worth another scan"
    world.lanes.refuse.clear()
    assert courier.poll()[0].state is SourceState.FRESH


def test_what_a_lane_refuses_for_its_files_is_fetched_in_the_same_poll() -> None:
    world = in_step()
    courier = world.courier()
    world.lanes.refuse[1, 10], world.lists.damaged = (
        "lane 1: list version 10 is not used",
        ["base.seg"],
    )
    status, _ = courier.poll()
    assert (status.state, status.list_version) == (SourceState.FRESH, 10)
    assert world.taken()[:3] == ["doubt", "ask", "index"]


def test_a_lane_that_refuses_the_list_before_does_not_keep_the_next_one_from_being_fresh() -> None:
    world = in_step()
    world.lanes.refuse[1, 10] = "lane 1: list version 10 is not used"
    world.publish(11, MINUTES[5])
    assert state(world) == (SourceState.FRESH, "")


def test_a_held_list_whose_key_is_gone_is_not_fresh() -> None:
    world = in_step()
    world.held_keys = set()
    found, problem = state(world)
    assert found is SourceState.NO_KEY
    assert problem.endswith("which this gate does not hold; put it into list.keys")
    world.held_keys = {KEY}
    assert state(world) == (SourceState.FRESH, "")


def test_a_repair_that_fails_keeps_no_list_away_and_is_logged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = in_step()
    world.publish(11, MINUTES[5])

    def refuses(*, suspect: bool = False) -> list[str]:
        del suspect
        raise OSError(30, "Read-only file system", "base.seg")

    monkeypatch.setattr(world.lists, "mend", refuses)
    status, _ = world.courier().poll()
    wanted = (SourceState.DISK, "base.seg: Read-only file system; check the disk", 11)
    assert (status.state, status.problem, status.list_version) == wanted


def test_a_fault_of_ours_is_one_line_without_its_words_and_the_next_poll_goes_on() -> None:
    world = in_step()
    courier = world.courier()
    world.fails["ask"] = RuntimeError("words of a stranger")
    status, _ = courier.poll()
    assert status.state is SourceState.DISK
    assert status.problem.startswith(
        "a fault of this program: RuntimeError in courier_world.py, line "
    )
    assert "stranger" not in status.problem
    world.fails.clear()
    assert courier.poll()[0].state is SourceState.FRESH


def test_an_older_list_than_the_one_held_is_a_replay_whatever_the_floor_is() -> None:
    world = in_step()
    older, signed_unix_s, offered = (
        world.store.accepted,
        world.signed_unix_s,
        list(world.offered[RULE]),
    )
    world.publish(11, MINUTES[5])
    state(world)
    world.store.accepted = older
    world.list_version, world.versions, world.offered = 10, VERSIONS, {RULE: offered}
    world.signed_unix_s = world.issued_unix_s = signed_unix_s
    assert state(world) == (SourceState.REPLAYED, "list 10 was offered, 11 is held here")


def test_the_lanes_are_informed_once_a_list_is_installed_and_only_then() -> None:
    world = in_step()
    world.lanes.informed.clear()
    courier = world.courier()
    courier.poll()
    assert world.lanes.informed == [], "nothing has changed"
    world.publish(11, piece(10, 11))
    world.fails["install"] = RemoteError(SourceState.DISK, "the disk is full")
    courier.poll()
    assert world.lanes.informed == [], "the list was not installed"
    world.fails.clear()
    courier.poll()
    assert world.lanes.informed == [(1, 11)]


def test_the_lanes_are_informed_of_a_list_that_is_installed_again_at_the_start() -> None:
    world = in_step()
    world.publish(11, piece(10, 11))
    world.courier().poll()
    world.lists.power_cut()
    world.lanes.informed.clear()
    world.courier().replay()
    assert world.lanes.informed == [(1, 11)]
