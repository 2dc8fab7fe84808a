"""Kills, losses and thieves: what is published stays whole, and versions never fall."""

import shutil
from collections.abc import Iterator

import pytest
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # re-exports none
from tuf.api.exceptions import BadVersionNumberError, RepositoryError
from tuf.api.metadata import Metadata, Timestamp  # type: ignore[attr-defined]  # likewise

from backoffice.home.folder import Home
from backoffice.signing import keys, roles
from backoffice.signing.roles import RoleError
from tests.support.city.backoffice_rig import DAY_S, NOW_UNIX_S, City, Client, manifest
from tests.support.city.signing_kills import floor_of, tree
from validator.domain.floor import RoleVersions, raised
from validator.errors import OperatorError


def killed(steps: Iterator[str], after: int) -> bool:
    """Run so many steps and no more; whether there was still something to do."""
    for _ in range(after):
        if next(steps, None) is None:
            return False
    return next(steps, None) is not None


STEPS = range(24)


@pytest.mark.parametrize("steps", STEPS)
def test_a_publication_killed_anywhere_is_whole_and_the_next_run_finishes_it(
    city: City, client: Client, steps: int
) -> None:
    city.publish(1)
    client.refresh()
    killed(roles.publication_steps(city.home, manifest(2), NOW_UNIX_S), steps)
    between = client.refresh()
    assert between.manifest in (manifest(1), manifest(2))
    city.publish(2)
    seen = client.refresh()
    assert seen.manifest == manifest(2)
    assert all(
        after >= before for after, before in zip(seen.versions, between.versions, strict=True)
    )
    assert not city.publish(2).files


def test_the_kills_above_cut_everywhere(city: City) -> None:
    city.publish(1)
    steps = list(roles.publication_steps(city.home, manifest(2), NOW_UNIX_S))
    assert len(steps) < len(STEPS)
    assert [step for step in steps if step.startswith("renamed")][-1] == "renamed timestamp.json"


@pytest.mark.parametrize("steps", range(12))
def test_killed_at_every_attempt_versions_rise_and_no_published_file_changes(
    city: City, client: Client, steps: int
) -> None:
    first = city.publish(1)
    seen_files: dict[str, bytes] = tree(city.home.published)
    for attempt in range(5):
        killed(roles.publication_steps(city.home, manifest(2), NOW_UNIX_S + attempt), steps)
        files = tree(city.home.published)
        immutable = [name for name in files if name.split("/")[-1][0] in "0123456789abcdef"]
        assert all(files[name] == seen_files.get(name, files[name]) for name in immutable)
        seen_files |= files
    last = city.publish(2, NOW_UNIX_S + 9)
    assert all(after >= before for after, before in zip(last.versions, first.versions, strict=True))
    assert client.refresh(NOW_UNIX_S + 9).manifest == manifest(2)


@pytest.mark.parametrize("steps", range(40))
def test_an_acceptance_killed_anywhere_is_finished_by_the_next_publication(
    city: City, client: Client, steps: int
) -> None:
    city.publish(1)
    client.refresh()
    draft = city.signed(city.following(*keys.ONLINE_ROLES), "ab")
    before = city.root
    killed(city.accept_steps(draft), steps)
    in_force = city.root.version == 2
    city.publish(2)
    seen = client.refresh()
    assert seen.manifest == manifest(2)
    assert seen.versions.root == (2 if in_force else 1)
    assert seen.keys == {
        role: tuple((draft.signed if in_force else before).roles[role].keyids)
        for role in keys.ONLINE_ROLES
    }
    city.accept(draft)  # the operator, who does not know how far it came
    assert client.refresh().versions.root == 2


def test_the_kills_of_an_acceptance_cut_everywhere(city: City) -> None:
    city.publish(1)
    steps = list(city.accept_steps(city.signed(city.following(*keys.ONLINE_ROLES), "ab")))
    assert len(steps) < 40


LOST = {
    "the targets metadata": lambda home: [home.metadata / "3.targets.json"],
    "the snapshot": lambda home: [home.metadata / "3.snapshot.json"],
    "timestamp": lambda home: [home.metadata / "timestamp.json"],
    "all metadata but the roots": lambda home: [*home.metadata.glob("*[pts].json")],
    "what the home remembers": lambda home: [home.folder / "versions.json"],
    "the root": lambda home: [home.metadata / "1.root.json"],
    "the manifest": lambda home: [*home.targets.iterdir()],
}


@pytest.mark.parametrize("lost", LOST)
def test_versions_never_fall_whatever_a_person_deletes(
    city: City, client: Client, lost: str
) -> None:
    for number in range(1, 4):
        city.publish(number)
    client.refresh()
    for path in LOST[lost](city.home):
        path.unlink()
    published = city.publish(4)
    assert published.versions >= RoleVersions(1, 4, 4, 4)
    assert client.refresh().manifest == manifest(4)


def test_versions_that_no_file_has_are_not_begun_again(city: City) -> None:
    city.publish(1)
    (city.home.folder / "versions.json").unlink()
    (city.home.metadata / "timestamp.json").unlink()
    with pytest.raises(OperatorError, match=r"versions\.json is gone, and so is timestamp\.json"):
        city.publish(2)


@pytest.mark.parametrize("content", [b"", b"\0" * 40, b'{"timestamp": -1}', b'{"targets": "3"}'])
def test_spoiled_remembered_versions_are_one_line(city: City, content: bytes) -> None:
    city.publish(1)
    (city.home.folder / "versions.json").write_bytes(content)
    with pytest.raises(
        OperatorError, match=r"versions\.json: cannot be read; put it back from a backup"
    ) as caught:
        city.publish(2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", [b"", b"{}", b"\0" * 496, b"[" * 50_000, b"x" * 100_000])
@pytest.mark.parametrize("name", ["timestamp.json", "1.snapshot.json", "1.targets.json"])
def test_damaged_metadata_is_restored_by_the_next_publication(
    city: City, client: Client, name: str, damage: bytes
) -> None:
    city.publish(1)
    client.refresh()
    (city.home.metadata / name).write_bytes(damage)
    city.publish(2)
    assert client.refresh().manifest == manifest(2)


def test_damage_that_only_a_publication_can_repair_is_reported(city: City) -> None:
    city.publish(1)
    (city.home.metadata / "1.targets.json").unlink()
    with pytest.raises(
        RoleError, match=r"what timestamp\.json names is gone or damaged; publish again"
    ):
        roles.sign_timestamp(city.home, NOW_UNIX_S)


def test_a_strangers_timestamp_in_the_published_folder_is_not_believed(
    city: City, client: Client
) -> None:
    city.publish(1)
    path = city.home.metadata / "timestamp.json"
    forged = Metadata[Timestamp].from_bytes(path.read_bytes())
    forged.signed.version = 1 << 60
    forged.sign(CryptoSigner.generate_ed25519())
    path.write_bytes(forged.to_bytes())
    assert city.publish(1).versions == RoleVersions(1, 2, 2, 2)
    assert client.refresh().versions.timestamp == 2


def thief_publishes(city: City, version: int) -> dict[str, bytes]:
    """A thief of all online keys signs absurd versions. Returns what the city had published."""
    home = city.home
    honest = tree(home.published)
    remembered = (home.folder / "versions.json").read_bytes()
    (home.folder / "versions.json").write_text(
        f'{{"timestamp":{version},"snapshot":{version},"targets":{version}}}'
    )
    city.publish(version, NOW_UNIX_S + 300 * DAY_S)
    (home.folder / "versions.json").write_bytes(remembered)
    return honest


def put_back(home: Home, honest: dict[str, bytes]) -> None:
    shutil.rmtree(home.metadata)
    for name, content in honest.items():
        path = home.published / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


def test_a_fast_forward_attack_is_healed_by_rotating_the_keys(city: City, client: Client) -> None:
    city.publish(1)
    before = raised(None, floor_of(client.refresh(), 1))
    honest = thief_publishes(city, 1 << 40)
    forwarded = client.refresh(NOW_UNIX_S + 300 * DAY_S)
    floor = raised(before, floor_of(forwarded, 1 << 40))
    put_back(city.home, honest)
    city.publish(2)
    with pytest.raises(BadVersionNumberError):
        client.refresh()
    city.rotate(*keys.ONLINE_ROLES)
    healed = client.refresh()
    assert healed.manifest == manifest(2)
    assert healed.versions < RoleVersions(2, 1_000, 1_000, 1_000)
    healed_floor = raised(floor, floor_of(healed, 2))
    assert (healed_floor.list_version, healed_floor.era) == (2, 2)


def test_rotating_timestamp_alone_does_not_heal_what_was_done_with_the_key_of_snapshot(
    city: City, client: Client
) -> None:
    city.publish(1)
    client.refresh()
    honest = thief_publishes(city, 1 << 40)
    client.refresh(NOW_UNIX_S + 300 * DAY_S)
    put_back(city.home, honest)
    city.rotate("timestamp")
    with pytest.raises(RepositoryError):
        client.refresh()


def test_the_last_version_there_is_is_reported_and_not_passed(city: City) -> None:
    (city.home.folder / "versions.json").write_text(f'{{"timestamp":{(1 << 53) - 1}}}')
    with pytest.raises(RoleError, match="timestamp has reached the highest version"):
        city.publish(1)
