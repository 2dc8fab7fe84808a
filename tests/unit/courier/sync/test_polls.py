"""What a poll accepts, fetches and installs, and in which order."""

import pytest

from tests.support.gate.courier_world import (
    DAY,
    HOUR,
    KEYS,
    MINUTES,
    NOW_UNIX_S,
    OTHER_KEY,
    POLL_S,
    RULE,
    SNAPSHOT,
    FakeMetadata,
    World,
    in_step,
    piece,
    state,
)
from validator.courier.list_sync import REQUEST_COST_BYTES, SyncStatus
from validator.courier.ports import Signed
from validator.domain.floor import RoleVersions
from validator.errors import RemoteError, SourceState
from validator.lists.piece_index import PieceIndex
from validator.lists.piece_index import encode as encode_index


def test_a_new_gate_accepts_before_it_fetches_and_fetches_all_before_it_installs() -> None:
    world = World()
    world.offered["staff"] = [piece(0, 2, rule="staff")]
    status, wait_s = world.courier().poll()
    assert world.taken() == [
        "ask",
        "accept 10",
        "index",
        "fetch 0-3",
        "fetch 3-8",
        "fetch 8-9",
        "fetch 9-10",
        "fetch 0-2",
        "install 10",
        "tidy",
    ]
    assert status == SyncStatus(SourceState.FRESH, "", NOW_UNIX_S, NOW_UNIX_S, 10, 10)
    assert wait_s == POLL_S


def test_when_nothing_is_new_nothing_is_written_and_nothing_fetched() -> None:
    world = in_step()
    assert state(world) == (SourceState.FRESH, "")
    assert world.taken() == ["ask"]


def test_a_gate_in_step_takes_the_one_new_piece_and_no_index() -> None:
    world = in_step()
    world.publish(11, MINUTES[5])
    assert state(world) == (SourceState.FRESH, "")
    assert world.taken() == ["ask", "accept 11", "fetch 10-11", "install 11", "tidy"]


def test_a_gate_that_missed_as_many_versions_as_the_manifest_names_needs_no_index() -> None:
    world = in_step(named=2)
    world.publish(12, MINUTES[5], MINUTES[6])
    state(world)
    assert world.taken() == ["ask", "accept 12", "fetch 10-11", "fetch 11-12", "install 12", "tidy"]


def test_a_gate_that_missed_more_asks_for_the_index() -> None:
    world = in_step(named=1)
    world.publish(12, MINUTES[5], MINUTES[6])
    state(world)
    assert world.taken() == [
        "ask",
        "accept 12",
        "index",
        "fetch 10-11",
        "fetch 11-12",
        "install 12",
        "tidy",
    ]


def test_a_version_that_changes_no_card_is_installed_without_a_piece() -> None:
    world = in_step()
    world.publish(11)
    assert state(world) == (SourceState.FRESH, "")
    assert world.taken() == ["ask", "accept 11", "install 11", "tidy"]
    world.publish(12, piece(10, 12))
    state(world)
    assert world.taken() == ["ask", "accept 12", "fetch 10-12", "install 12", "tidy"]


def test_what_a_request_costs_decides_between_one_large_piece_and_many_small_ones() -> None:
    many = [piece(at, at + 1, 150) for at in range(10, 13)]
    dear = 3 * (150 + REQUEST_COST_BYTES)
    for bytes_, fetched in (
        (dear - REQUEST_COST_BYTES + 1, ["fetch 10-11", "fetch 11-12", "fetch 12-13"]),
        (dear - REQUEST_COST_BYTES - 1, ["fetch 10-13"]),
    ):
        world = in_step(named=1)
        world.publish(13, *many, piece(10, 13, bytes_))
        state(world)
        assert [step for step in world.taken() if step.startswith("fetch")] == fetched


def test_a_re_signed_timestamp_alone_raises_the_floor_and_the_clock() -> None:
    world = in_step(versions=RoleVersions(1, 111, 110, 110), signed_unix_s=NOW_UNIX_S + 100)
    assert state(world) == (SourceState.FRESH, "")
    assert world.taken() == ["ask", "accept 10"]
    assert world.clock.begun[-1] == NOW_UNIX_S + 100
    assert world.store.accepted is not None
    assert (world.store.accepted.boot_id, world.store.accepted.boottime_ns) == ("this boot", 77)


def test_a_rule_that_is_new_begins_at_its_snapshot_and_the_others_go_on() -> None:
    world = in_step()
    world.publish(11, piece(0, 11, rule="staff"), rule="staff")
    assert state(world) == (SourceState.FRESH, "")
    assert world.taken() == ["ask", "accept 11", "fetch 0-11", "install 11", "tidy"]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (
            {"versions": RoleVersions(1, 109, 110, 110)},
            "timestamp 109 was offered, 110 was accepted before",
        ),
        (
            {"versions": RoleVersions(1, 110, 109, 110)},
            "snapshot 109 was offered, 110 was accepted before",
        ),
        (
            {"versions": RoleVersions(1, 110, 110, 109)},
            "targets 109 was offered, 110 was accepted before",
        ),
        ({"list_version": 9}, "list 9 was offered, 10 was accepted before"),
        (
            {"signed_unix_s": NOW_UNIX_S - 6, "issued_unix_s": NOW_UNIX_S - 6},
            f"signed time {NOW_UNIX_S - 6} was offered, {NOW_UNIX_S - 5} was accepted before",
        ),
    ],
)
def test_an_older_state_of_the_city_is_a_replay_and_the_list_stays(
    fields: dict[str, object], problem: str
) -> None:
    world = in_step(**fields)
    if "list_version" in fields:
        world.offered = {RULE: [SNAPSHOT, DAY, HOUR]}
    before = world.store.accepted
    status, _ = world.courier().poll()
    assert status == SyncStatus(SourceState.REPLAYED, problem, NOW_UNIX_S, NOW_UNIX_S, 10, 10)
    assert world.taken() == ["ask"]
    assert world.store.accepted is before


def test_two_lists_under_one_version_are_refused() -> None:
    world = in_step(offered={RULE: [SNAPSHOT, DAY, HOUR, *MINUTES[:4], piece(9, 10, 201)]})
    assert state(world) == (SourceState.REFUSED, "two different lists are signed as version 10")
    assert world.taken() == ["ask"]


def test_a_key_of_another_era_may_sign_another_list_under_a_version_that_was_there() -> None:
    world = in_step(versions=RoleVersions(2, 110, 110, 1), role_keys=KEYS._replace(targets=("g2",)))
    world.offered = {RULE: [piece(0, 10, 8_000)]}
    assert state(world) == (SourceState.FRESH, "")
    assert world.taken() == ["ask", "keep root 2", "accept 10", "fetch 0-10", "install 10", "tidy"]
    assert world.lists.held == (2, 10)


def test_an_absurdly_high_version_is_overcome_by_replacing_the_stolen_key() -> None:
    world = in_step(versions=RoleVersions(1, 111, 111, 1 << 52), list_version=1 << 52)
    world.offered = {RULE: [piece(0, 1 << 52, 8_000)]}
    assert state(world) == (SourceState.FRESH, "")
    world.versions, world.list_version = RoleVersions(1, 112, 112, 112), 11
    world.offered = {RULE: [piece(0, 11, 8_000)]}
    assert state(world)[0] is SourceState.REPLAYED
    world.versions, world.role_keys = RoleVersions(2, 112, 112, 112), KEYS._replace(targets=("g2",))
    assert state(world) == (SourceState.FRESH, "")
    assert world.lists.held == (2, 11)


def test_a_list_under_a_key_that_is_not_held_is_accepted_and_waits_for_the_key() -> None:
    world = in_step(fingerprint_key=OTHER_KEY)
    world.publish(11)
    world.offered = {RULE: [piece(0, 11, 8_000)]}
    status, _ = world.courier().poll()
    assert (status.state, status.list_version, status.accepted_version) == (
        SourceState.NO_KEY,
        10,
        11,
    )
    assert OTHER_KEY in status.problem
    assert world.taken() == ["ask", "accept 11"]
    world.held_keys.add(OTHER_KEY)
    assert state(world) == (SourceState.FRESH, "")
    assert world.taken() == ["ask", "fetch 0-11", "install 11", "tidy"]


def test_a_newer_root_is_kept_also_when_what_follows_is_refused() -> None:
    world = in_step(versions=RoleVersions(2, 110, 110, 110))
    world.fails["ask"] = RemoteError(SourceState.FROZEN, "expired")
    assert state(world)[0] is SourceState.FROZEN
    assert (world.taken(), world.store.root) == (["keep root 2"], b"root 2")


def test_a_manifest_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    world = in_step()
    monkeypatch.setattr(
        FakeMetadata,
        "signed",
        lambda *_: Signed(world.versions, KEYS, NOW_UNIX_S, b"{}", b"root", NOW_UNIX_S + 1),
    )
    found, problem = state(world)
    assert found is SourceState.REFUSED
    assert problem.startswith("not a manifest")


def test_a_list_without_an_index_serves_those_whom_it_names_enough() -> None:
    world = in_step(has_index=False)
    world.publish(11, MINUTES[5])
    assert state(world) == (SourceState.FRESH, "")
    assert state(World(has_index=False)) == (SourceState.REFUSED, "the list names no index")


def test_an_index_that_is_none_or_leaves_a_rule_out_or_leads_nowhere_is_refused() -> None:
    world = World()
    world.pieces.bad_index = b"[]"
    assert state(world)[0] is SourceState.REFUSED
    world.pieces.bad_index = encode_index(PieceIndex({"staff": (piece(0, 10),)}))
    assert state(world) == (SourceState.REFUSED, "the index does not name the pieces of suspended")
    world.pieces.bad_index = encode_index(PieceIndex({RULE: (SNAPSHOT, DAY)}))
    assert state(world) == (SourceState.REFUSED, "the pieces on offer do not lead to list 10")
    assert world.lists.held == (0, 0)


def test_pieces_beyond_the_list_are_not_taken_from_an_index() -> None:
    world = World()
    newer = piece(0, 11, 150)
    world.pieces.bad_index = encode_index(PieceIndex({RULE: (piece(0, 10, 300), newer)}))
    world.offered[RULE].append(piece(0, 10, 300))
    assert state(world) == (SourceState.FRESH, "")
    assert world.taken() == ["ask", "accept 10", "index", "fetch 0-10", "install 10", "tidy"]


@pytest.mark.parametrize("failing", ["ask", "accept", "index", "fetch 3-8", "install"])
def test_whatever_fails_the_next_poll_goes_on_with_what_was_fetched(failing: str) -> None:
    world = World()
    world.fails[failing] = RemoteError(SourceState.UNREACHABLE, "it broke")
    courier = world.courier()
    status, wait_s = courier.poll()
    assert (status.state, status.problem, status.list_version) == (
        SourceState.UNREACHABLE,
        "it broke",
        0,
    )
    assert wait_s == POLL_S
    broken = world.taken()
    del world.fails[failing]
    assert courier.poll()[0].state is SourceState.FRESH
    fetched = [step for step in [*broken, *world.taken()] if step.startswith("fetch")]
    assert fetched == ["fetch 0-3", "fetch 3-8", "fetch 8-9", "fetch 9-10"], "none of them twice"
    assert world.lists.held == (1, 10)
