"""Nothing older than what was accepted is accepted, unless a newer root replaced the keys."""

import pytest

from validator.domain.floor import BelowFloorError, Floor, RoleKeys, RoleVersions, raised

KEYS = RoleKeys(("t",), ("s",), ("g",))


def seen(
    *versions: int, list_version: int = 40, signed: int = 1_000, keys: RoleKeys = KEYS, era: int = 0
) -> Floor:
    return Floor(RoleVersions(*versions), keys, list_version, signed, era)


FLOOR = seen(2, 30, 20, 10, era=1)


def test_a_new_gate_accepts_what_it_sees_and_its_era_is_that_root() -> None:
    assert raised(None, seen(3, 30, 20, 10)) == seen(3, 30, 20, 10, era=3)


def test_what_is_newer_in_every_role_becomes_the_floor() -> None:
    assert raised(FLOOR, seen(3, 31, 21, 11, list_version=41, signed=1_001)) == seen(
        3, 31, 21, 11, list_version=41, signed=1_001, era=1
    )


@pytest.mark.parametrize(
    ("replayed", "what"),
    [
        (seen(1, 30, 20, 10), "root 1"),
        (seen(2, 29, 20, 10), "timestamp 29"),
        (seen(2, 30, 19, 10), "snapshot 19"),
        (seen(2, 30, 20, 9), "targets 9"),
        (seen(2, 31, 21, 11, list_version=39), "list 39"),
        (seen(2, 31, 21, 11, signed=999), "signed time 999"),
    ],
)
def test_what_is_older_in_one_respect_is_a_replay(replayed: Floor, what: str) -> None:
    with pytest.raises(BelowFloorError, match=what):
        raised(FLOOR, replayed)


def test_a_fast_forward_is_over_once_the_key_of_that_role_alone_is_replaced() -> None:
    stolen = seen(2, 10**12, 20, 10, signed=10**10, era=1)
    with pytest.raises(BelowFloorError):
        raised(stolen, seen(3, 31, 20, 10))
    healed = raised(stolen, seen(3, 31, 20, 10, keys=KEYS._replace(timestamp=("new",))))
    assert (healed.versions.timestamp, healed.signed_unix_s, healed.era) == (31, 1_000, 1)


def test_replacing_the_keys_of_targets_begins_an_era_and_voids_the_list_version() -> None:
    stolen = seen(2, 30, 20, 10**12, list_version=10**12, era=1)
    healed = raised(
        stolen, seen(3, 31, 21, 11, list_version=41, keys=KEYS._replace(targets=("new",)))
    )
    assert (healed.list_version, healed.era) == (41, 3)


def test_other_keys_without_a_newer_root_void_nothing() -> None:
    with pytest.raises(BelowFloorError, match="timestamp"):
        raised(FLOOR, seen(2, 29, 20, 10, keys=KEYS._replace(timestamp=("new",))))


def test_the_floor_of_the_root_is_never_void() -> None:
    with pytest.raises(BelowFloorError, match="root"):
        raised(FLOOR, seen(1, 31, 21, 11, keys=RoleKeys(("a",), ("b",), ("c",))))
