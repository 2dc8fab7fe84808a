"""What is signed and published: by the newest root's keys, and by which clock."""

from itertools import combinations
from pathlib import Path
from threading import Event, Thread

import pytest
from tuf.api.exceptions import ExpiredMetadataError

from backoffice.home.folder import Expiries, Home, put
from backoffice.home.steps import finished
from backoffice.signing import keys, roles, roots
from backoffice.signing import published_state as standing
from backoffice.signing.clock import ClockError
from backoffice.signing.keys import KeyFileError
from backoffice.signing.roles import RoleError
from backoffice.signing.roots import RootError
from tests.support.city.backoffice_rig import DAY_S, NOW_UNIX_S, City, Client, manifest
from tests.support.city.signing_kills import floor_of, tree
from validator.domain.floor import RoleVersions, raised
from validator.errors import OperatorError

ONLINE_SETS = [roles_ for count in (1, 2, 3) for roles_ in combinations(keys.ONLINE_ROLES, count)]


def test_before_the_first_root_nothing_is_signed(tmp_path: Path) -> None:
    with pytest.raises(RootError, match="no root is in force yet"):
        finished(roles.publication_steps(City(tmp_path).home, manifest(1), NOW_UNIX_S))


def test_what_is_published_is_what_a_gate_sees(city: City, client: Client) -> None:
    published = city.publish(1)
    seen = client.refresh()
    assert seen.versions == published.versions == RoleVersions(1, 1, 1, 1)
    assert seen.manifest == manifest(1) == standing.published_manifest(city.home)
    assert seen.signed_unix_s == NOW_UNIX_S


def test_the_metadata_is_small(city: City) -> None:
    """A gate fetches timestamp at every change of it: these are the bytes of a day."""
    for number in range(1, 4):
        city.publish(number)
    files = city.publish(1_000_000).files
    assert list(files) == ["4.targets.json", "4.snapshot.json", "timestamp.json"]
    assert files["timestamp.json"] < 600
    assert files["4.snapshot.json"] < 1_024
    assert files["4.targets.json"] < 1_024


def test_publishing_the_same_list_again_changes_nothing(city: City) -> None:
    first = city.publish(1)
    before = tree(city.home.published)
    assert city.publish(1) == roles.Publication(first.versions, {})
    assert tree(city.home.published) == before


def test_before_the_first_publication_there_is_nothing_to_sign_again(city: City) -> None:
    assert roles.sign_timestamp(city.home, NOW_UNIX_S) == roles.Publication(
        RoleVersions(1, 0, 0, 0), {}
    )
    assert standing.published_manifest(city.home) is None


def test_timestamp_alone_is_signed_again_after_a_third_of_its_validity(city: City) -> None:
    city.publish(1)
    assert not roles.sign_timestamp(city.home, NOW_UNIX_S + 2 * 3_600 - 1).files
    again = roles.sign_timestamp(city.home, NOW_UNIX_S + 2 * 3_600)
    assert list(again.files) == ["timestamp.json"]
    assert again.versions == RoleVersions(1, 2, 1, 1)


def test_a_city_where_nothing_changes_for_weeks_never_lets_anything_expire(
    city: City, client: Client
) -> None:
    city.publish(1)
    for now_unix_s in range(NOW_UNIX_S, NOW_UNIX_S + 50 * DAY_S, 5 * 3_600):
        roles.sign_timestamp(city.home, now_unix_s)
    seen = client.refresh(now_unix_s + 3_600)
    assert seen.manifest == manifest(1)
    assert seen.versions.targets == seen.versions.snapshot == 8


def test_a_shorter_validity_in_the_configuration_comes_into_force_at_once(
    city: City, client: Client
) -> None:
    city.publish(1)
    home = Home(city.home.folder, city.home.published, Expiries(timestamp_s=3_600))
    assert list(roles.sign_timestamp(home, NOW_UNIX_S).files) == ["timestamp.json"]
    with pytest.raises(ExpiredMetadataError):
        client.refresh(NOW_UNIX_S + 3_600)


@pytest.mark.parametrize("rotated", ONLINE_SETS, ids=" ".join)
def test_rotated_keys_are_followed_by_a_gate_that_began_with_the_first_root(
    city: City, client: Client, tmp_path: Path, rotated: tuple[str, ...]
) -> None:
    city.publish(1)
    before = client.refresh()
    city.rotate(*rotated)
    after = client.refresh()
    assert after.versions.root == 2
    assert after.manifest == before.manifest
    assert {role for role in keys.ONLINE_ROLES if after.keys[role] != before.keys[role]} == set(
        rotated
    )
    city.publish(2)
    assert client.refresh() == Client(city.home, tmp_path / "new gate").refresh()
    assert len(list(city.home.retired_keys.iterdir())) == len(rotated)


def test_until_the_root_is_accepted_the_old_key_goes_on_signing(city: City, client: Client) -> None:
    city.publish(1)
    draft = city.following("timestamp")
    city.publish(2)
    assert client.refresh().versions == RoleVersions(1, 2, 2, 2)
    city.accept(city.signed(draft, "ac"))
    assert client.refresh().versions == RoleVersions(2, 3, 2, 2)


def test_root_keys_and_threshold_are_replaced_and_gates_follow(city: City, client: Client) -> None:
    city.publish(1)
    expires_unix_s = NOW_UNIX_S + 365 * DAY_S
    add = [city.root_key("d"), city.root_key("e")]
    draft = roots.next_root(city.root, expires_unix_s, remove=["a"], add=add, threshold=3)
    with pytest.raises(RootError, match="of root 1's keys 0 of 2 signed"):
        city.accept(city.signed(draft, "de"))
    city.accept(city.signed(draft, "bcd"))
    assert client.refresh().versions.root == 2
    again = roots.next_root(city.root, expires_unix_s)
    city.accept(city.signed(again, "bde"))
    assert client.refresh().versions == RoleVersions(3, 1, 1, 1)


def test_a_root_is_renewed_in_the_last_moment_and_not_after_it(city: City, client: Client) -> None:
    last_unix_s = NOW_UNIX_S + 365 * DAY_S - 1
    city.publish(1, last_unix_s)
    client.refresh(last_unix_s)
    with pytest.raises(RoleError, match="root 1 expired on 2028-01-15: renew it with rotate root"):
        roles.sign_timestamp(city.home, last_unix_s + 1)
    with pytest.raises(ExpiredMetadataError):
        client.refresh(last_unix_s + 1)
    city.rotate(now_unix_s=last_unix_s + 1)
    assert client.refresh(last_unix_s + 1).versions.root == 2


def test_a_key_that_the_root_does_not_name_signs_nothing(city: City, client: Client) -> None:
    city.publish(1)
    (city.home.online_keys / "snapshot.pem").unlink()
    stranger = keys.make_online_key(city.home, "snapshot")
    with pytest.raises(KeyFileError) as caught:
        city.publish(2)
    assert "no key of snapshot here is one that root 1 names" in str(caught.value)
    assert f"snapshot.pem is {stranger.keyid[:16]}" in str(caught.value)
    assert client.refresh().manifest == manifest(1)


@pytest.mark.parametrize("damage", ["not there", "empty", "readable by others"])
def test_a_key_that_is_damaged_is_replaced_by_rotating_it(
    city: City, client: Client, damage: str
) -> None:
    city.publish(1)
    path = city.home.online_keys / "snapshot.pem"
    match damage:
        case "not there":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case _:
            path.chmod(0o644)
    with pytest.raises(KeyFileError, match="no key of snapshot here is one that root 1 names"):
        city.publish(2)
    city.rotate("snapshot")
    city.publish(2)
    assert client.refresh().manifest == manifest(2)


def test_timestamp_is_signed_again_on_a_machine_that_lacks_the_key_of_targets(
    city: City, client: Client
) -> None:
    city.publish(1)
    (city.home.online_keys / "targets.pem").unlink()
    roles.sign_timestamp(city.home, NOW_UNIX_S + 3 * 3_600)
    assert client.refresh(NOW_UNIX_S + 3 * 3_600).versions.timestamp == 2


def test_the_list_version_never_falls(city: City) -> None:
    city.publish(7)
    for version in (6, 7):
        with pytest.raises(RoleError, match=f"list {version} would follow list 7"):
            finished(
                roles.publication_steps(
                    city.home, manifest(version, NOW_UNIX_S + 1), NOW_UNIX_S + 1
                )
            )


def test_what_is_no_manifest_is_not_published(city: City) -> None:
    with pytest.raises(RoleError, match="not a manifest"):
        finished(roles.publication_steps(city.home, b"{}", NOW_UNIX_S))
    assert sorted(path.name for path in city.home.published.rglob("*.json")) == ["1.root.json"]


def test_a_list_that_is_issued_after_it_is_signed_is_not_published(city: City) -> None:
    with pytest.raises(RoleError, match="issued later than it is signed, which every gate refuses"):
        finished(roles.publication_steps(city.home, manifest(1, NOW_UNIX_S + 1), NOW_UNIX_S))


def test_a_clock_set_back_a_little_does_not_take_the_signed_time_back(
    city: City, client: Client
) -> None:
    city.publish(1)
    city.publish(2, NOW_UNIX_S - 200)
    assert client.refresh().signed_unix_s == NOW_UNIX_S
    assert not roles.sign_timestamp(city.home, NOW_UNIX_S - 200).files


def test_a_clock_set_back_far_signs_nothing_until_the_key_is_rotated(
    city: City, client: Client
) -> None:
    city.publish(1, NOW_UNIX_S + 90 * DAY_S)  # the clock was wrong, and every gate believes it now
    with pytest.raises(ClockError, match="or, if it was wrong then, rotate timestamp"):
        city.publish(2)
    wrong = client.refresh(NOW_UNIX_S + 90 * DAY_S)
    city.rotate("timestamp")
    city.publish(2)
    seen = client.refresh()
    assert (seen.manifest, seen.signed_unix_s) == (manifest(2), NOW_UNIX_S)
    accepted = raised(raised(None, floor_of(wrong, 1)), floor_of(seen, 2))
    assert accepted.signed_unix_s == NOW_UNIX_S


def test_what_nothing_names_any_more_goes_after_a_day_and_roots_stay(
    city: City, client: Client
) -> None:
    city.publish(1)
    city.rotate("snapshot")
    for number in range(2, 6):
        city.publish(number)
    made_unix_s = int((city.home.metadata / "timestamp.json").stat().st_mtime)
    assert not standing.prune(city.home, made_unix_s + DAY_S - 60)
    gone = standing.prune(city.home, made_unix_s + DAY_S + 60)
    assert len(gone) == 4 + 5 + 4  # targets 1 to 4, snapshot 1 to 5, manifests 1 to 4
    assert {path.name for path in city.home.metadata.iterdir()} == {
        "1.root.json",
        "2.root.json",
        "5.targets.json",
        "6.snapshot.json",
        "timestamp.json",
    }
    assert client.refresh().manifest == manifest(5)


def test_what_a_crash_left_half_written_goes_with_the_next_publication(city: City) -> None:
    city.publish(1)
    (city.home.metadata / ".new-2.targets.json").write_bytes(b"{")
    (city.home.targets / f".new-{'0' * 64}.manifest.json").write_bytes(b"{")
    assert len(standing.prune(city.home, NOW_UNIX_S)) == 2


def test_nothing_is_pruned_while_what_is_public_cannot_be_read(city: City) -> None:
    city.publish(1)
    city.publish(2)
    (city.home.metadata / "2.snapshot.json").unlink()
    assert not standing.prune(city.home, 1 << 40)


def test_a_second_command_waits_until_the_first_has_let_go(city: City) -> None:
    waits, order = Event(), []

    def second() -> None:
        with city.home.hold(waits.set):
            order.append("second")

    with city.home.hold():
        thread = Thread(target=second)
        thread.start()
        assert waits.wait(90)
        order.append("first")
    thread.join(90)
    assert order == ["first", "second"]
    with city.home.hold(lambda: order.append("waited")):
        assert order == ["first", "second"]


def test_a_draft_is_put_on_a_stick_that_knows_no_modes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_fd: int, _mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.fchmod", refuse)
    put(tmp_path / "draft.json", b"{}")
    assert [path.name for path in tmp_path.iterdir()] == ["draft.json"]


def test_a_folder_that_is_no_home_is_one_line(tmp_path: Path) -> None:
    home = Home(tmp_path / "nowhere", tmp_path)
    with pytest.raises(OperatorError, match="nowhere: is no home of a back office"), home.hold():
        pass
