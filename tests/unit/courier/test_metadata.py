"""The city's signed metadata, as a gate sees it: attacks by their names, and what a poll costs."""

import errno
import time
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import (  # type: ignore[attr-defined]  # it does not re-export its public names
    Delegations,
    MetaFile,
    Signed,
    Snapshot,
    Targets,
    Timestamp,
)
from tuf.ngclient.updater import Updater

from tests.support.city.tuf_making import (
    DAY_S,
    HOUR_S,
    MANIFEST,
    NOW_UNIX_S,
    ONLINE,
    TufRepository,
    new_signer,
)
from tests.support.machine.planting import PLANTS, PRECIOUS, Plant
from tests.support.web.web_server import Fault, WebServer
from validator.courier import metadata as tuf_town
from validator.courier.metadata import TufMetadata, set_reference_time
from validator.courier.web.client import Web, WebLimits
from validator.domain.floor import RoleKeys, RoleVersions
from validator.domain.trusted_time import SIGNED_UNIX_S_END, TimeBasis
from validator.errors import RemoteError, SourceState

FIRST = ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"]
SECOND = b'{"list_version": 2}'
HOSTILE = [
    b"{}",
    b"{",
    b'{"signed": {}, "signatures": []}',
    b'{"signed": {"_type": "root"}, "signatures": [{"keyid": 1, "sig": 2}]}',
    (
        b'{"signed": {"_type": "timestamp", "version": true, "spec_version": "1.0", "expires": 5},'
        b' "signatures": {}}'
    ),
    b'{"a": ' + b"[" * 1_700 + b"]" * 1_700 + b"}",
    b'{"a": ' + b"9" * 3_000 + b"}",
    b'{"\xff": 1}',
    b'{"signed": null, "signatures": null}',
]


@pytest.fixture
def city(tmp_path: Path) -> TufRepository:
    return TufRepository(tmp_path / "published")


@pytest.fixture
def server(server: WebServer, city: TufRepository) -> WebServer:
    server.folder = city.folder
    return server


@pytest.fixture
def town(tmp_path: Path, city: TufRepository, server: WebServer, web: Web) -> TufMetadata:
    return TufMetadata(tmp_path / "memory", server.url, web, city.root)


def basis_of(city: TufRepository, without_unix_s: int) -> TimeBasis:
    """What the time of a gate rests on that has accepted what is published now."""
    keys = tuple(sorted(signer.public_key.keyid for signer in city.signers["timestamp"]))
    return TimeBasis(city.versions["root"], keys, without_unix_s)


def refusal(
    town: TufMetadata, now_unix_s: int = NOW_UNIX_S, basis: TimeBasis | None = None
) -> SourceState:
    """The state of a poll that must fail."""
    with pytest.raises(RemoteError) as error:
        town.signed(now_unix_s, basis)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 250
    return error.value.state


def asked(server: WebServer) -> list[str]:
    """What was asked for since the last time."""
    paths = [path.removeprefix("metadata/") for path in server.paths()]
    server.asked.clear()
    return paths


def manifest_path(manifest: bytes) -> str:
    return f"targets/{sha256(manifest).hexdigest()}.manifest.json"


class TestPoll:
    """What is asked for, and what comes of it."""

    def test_the_first_brings_all_that_is_signed(
        self, town: TufMetadata, city: TufRepository, server: WebServer
    ) -> None:
        signed = town.signed(NOW_UNIX_S)
        assert signed.versions == RoleVersions(1, 1, 1, 1)
        assert signed.keys == RoleKeys(
            *((city.signers[role][0].public_key.keyid,) for role in RoleKeys._fields)
        )
        assert signed.signed_unix_s == NOW_UNIX_S
        assert signed.manifest == MANIFEST
        assert signed.root == city.root
        assert asked(server) == [*FIRST, manifest_path(MANIFEST)]

    def test_one_without_news_costs_two_requests_and_less_than_a_kilobyte(
        self, town: TufMetadata, server: WebServer, web: Web
    ) -> None:
        first = town.signed(NOW_UNIX_S)
        asked(server)
        received, sent = web.received_bytes, web.sent_bytes
        assert town.signed(NOW_UNIX_S) == first
        assert "if-none-match" in server.asked[1].headers
        assert asked(server) == FIRST[:2]
        assert web.received_bytes - received < 650
        assert web.sent_bytes - sent < 350
        assert web.connections == 1

    def test_one_after_a_renewed_timestamp_fetches_nothing_else(
        self, town: TufMetadata, city: TufRepository, server: WebServer
    ) -> None:
        town.signed(NOW_UNIX_S)
        asked(server)
        city.now_unix_s += HOUR_S
        city.renew()
        signed = town.signed(NOW_UNIX_S + HOUR_S)
        assert (signed.versions, signed.signed_unix_s) == (
            RoleVersions(1, 2, 1, 1),
            NOW_UNIX_S + HOUR_S,
        )
        assert asked(server) == FIRST[:2]

    def test_one_that_brings_a_list_costs_five_requests(
        self, town: TufMetadata, city: TufRepository, server: WebServer
    ) -> None:
        town.signed(NOW_UNIX_S)
        asked(server)
        city.publish(SECOND)
        signed = town.signed(NOW_UNIX_S)
        assert (signed.versions, signed.manifest) == (RoleVersions(1, 2, 2, 2), SECOND)
        assert asked(server) == [
            *FIRST[:2],
            "2.snapshot.json",
            "2.targets.json",
            manifest_path(SECOND),
        ]

    def test_the_same_manifest_signed_again_is_not_fetched_again(
        self, town: TufMetadata, city: TufRepository, server: WebServer
    ) -> None:
        town.signed(NOW_UNIX_S)
        asked(server)
        city.publish(MANIFEST)
        assert town.signed(NOW_UNIX_S).manifest == MANIFEST
        assert manifest_path(MANIFEST) not in asked(server)

    def test_a_store_that_answers_403_for_what_is_not_there_will_do(
        self, town: TufMetadata, server: WebServer
    ) -> None:
        server.faults["metadata/2.root.json"] = Fault.FORBIDDEN
        assert town.signed(NOW_UNIX_S).manifest == MANIFEST

    def test_leaves_nothing_in_the_folder(
        self, town: TufMetadata, server: WebServer, tmp_path: Path
    ) -> None:
        town.signed(NOW_UNIX_S)
        server.faults["metadata/timestamp.json"] = Fault.TAMPERED
        refusal(town)
        assert list((tmp_path / "memory").iterdir()) == []

    def test_a_timestamp_without_the_time_of_its_signature_is_accepted_as_such(
        self, town: TufMetadata, city: TufRepository
    ) -> None:
        city.signed_unix_s = None
        city.renew()
        assert town.signed(NOW_UNIX_S).signed_unix_s == 0

    @pytest.mark.parametrize(
        "said", ["1900000000", True, -1, 1 << 40, NOW_UNIX_S + 7 * HOUR_S, {}, [NOW_UNIX_S]]
    )
    def test_one_with_something_else_in_its_place_is_refused(
        self, town: TufMetadata, city: TufRepository, said: object
    ) -> None:
        city.signed_unix_s = said
        city.renew()
        assert refusal(town) is SourceState.REFUSED


class TestFolder:
    """No poll depends on the content of the memory-backed folder."""

    @pytest.mark.parametrize("kind", ["file", "link", "folder", "dangling"])
    def test_anything_there_is_replaced(self, town: TufMetadata, tmp_path: Path, kind: str) -> None:
        (tmp_path / "memory").mkdir()
        (tmp_path / "precious").mkdir()
        (tmp_path / "precious" / "file").touch()
        place = tmp_path / "memory" / "tuf"
        match kind:
            case "file":
                place.write_bytes(b"garbage")
            case "link":
                place.symlink_to(tmp_path / "precious")
            case "dangling":
                place.symlink_to(tmp_path / "nowhere")
            case _:
                (place / "root_history" / "2.root.json").mkdir(parents=True)
                (place / "timestamp.json").write_bytes(b"\0" * 100)
        assert town.signed(NOW_UNIX_S).manifest == MANIFEST
        assert (tmp_path / "precious" / "file").exists()

    def test_one_that_cannot_be_made_is_reported_as_the_disks_fault(
        self, town: TufMetadata, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(path: Path, *_arguments: object, **_more: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

        with monkeypatch.context() as patched:
            patched.setattr(Path, "mkdir", full)
            assert refusal(town) is SourceState.DISK
        assert town.signed(NOW_UNIX_S).manifest == MANIFEST

    @pytest.mark.parametrize("planted", PLANTS, ids=lambda planted: planted.__name__)
    def test_anything_where_it_is_made_is_replaced(
        self, town: TufMetadata, tmp_path: Path, planted: Plant
    ) -> None:
        precious = planted(tmp_path / "memory")
        assert town.signed(NOW_UNIX_S).manifest == MANIFEST
        assert precious() == PRECIOUS

    def test_a_root_in_it_that_was_not_fetched_is_not_believed(
        self, town: TufMetadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before, refresh = town.root, Updater.refresh

        def planted(updater: Updater) -> None:
            refresh(updater)
            history = tmp_path / "memory" / "tuf" / "root_history"
            (history / "9.root.json").write_bytes(TufRepository(tmp_path / "another city").root)

        monkeypatch.setattr(Updater, "refresh", planted)
        assert town.signed(NOW_UNIX_S).root == before

    def test_its_loss_between_polls_changes_nothing(
        self, town: TufMetadata, server: WebServer, tmp_path: Path
    ) -> None:
        town.signed(NOW_UNIX_S)
        (tmp_path / "memory").rmdir()
        asked(server)
        town.signed(NOW_UNIX_S)
        assert asked(server) == FIRST[:2]


class TestTime:
    """Expiry is judged by the gate's time."""

    def test_what_has_expired_by_the_systems_clock_is_accepted_by_ours(
        self, tmp_path: Path, web: Web
    ) -> None:
        then = int(time.time()) - 400 * DAY_S
        city = TufRepository(tmp_path / "then", now_unix_s=then)
        with WebServer(city.folder) as server:
            town = TufMetadata(tmp_path / "memory", server.url, web, city.root)
            assert town.signed(then + HOUR_S).manifest == MANIFEST

    @pytest.mark.parametrize(
        ("role", "after_s"), [("timestamp", 6 * HOUR_S), ("root", 365 * DAY_S)]
    )
    def test_frozen_metadata_is_noticed_although_the_systems_clock_sees_years_left(
        self, town: TufMetadata, city: TufRepository, role: str, after_s: int
    ) -> None:
        city.expires_s = dict.fromkeys(city.expires_s, 1_000 * DAY_S) | {role: after_s}
        if role == "root":
            city.publish_root()
        city.publish(MANIFEST)
        assert town.signed(NOW_UNIX_S + after_s - 1).manifest == MANIFEST
        assert refusal(town, NOW_UNIX_S + after_s) is SourceState.FROZEN

    @pytest.mark.parametrize("role", ["snapshot", "targets"])
    def test_an_expired_role_below_a_fresh_timestamp_is_frozen_too(
        self, town: TufMetadata, city: TufRepository, role: str
    ) -> None:
        city.expires_s[role] = HOUR_S
        city.publish(MANIFEST)
        assert refusal(town, NOW_UNIX_S + HOUR_S) is SourceState.FROZEN

    def test_a_middleman_who_answers_not_modified_for_ever_only_freezes(
        self, town: TufMetadata, city: TufRepository, server: WebServer
    ) -> None:
        town.signed(NOW_UNIX_S)
        server.faults["metadata/timestamp.json"] = Fault.NOT_MODIFIED
        city.publish(SECOND)
        assert town.signed(NOW_UNIX_S).manifest == MANIFEST
        assert refusal(town, NOW_UNIX_S + 6 * HOUR_S) is SourceState.FROZEN

    def test_a_frozen_source_that_moves_on_is_fresh_again(
        self, town: TufMetadata, city: TufRepository
    ) -> None:
        town.signed(NOW_UNIX_S)
        assert refusal(town, NOW_UNIX_S + DAY_S) is SourceState.FROZEN
        city.now_unix_s += DAY_S
        city.renew()
        assert town.signed(NOW_UNIX_S + DAY_S).versions.timestamp == 2

    def test_a_root_with_other_timestamp_keys_is_judged_without_the_old_ones_times(
        self, town: TufMetadata, city: TufRepository
    ) -> None:
        """Ten years ahead, the root has expired: the last one, by which this time is void."""
        basis = basis_of(city, NOW_UNIX_S + HOUR_S)
        ahead = NOW_UNIX_S + 3_650 * DAY_S
        assert refusal(town, ahead, basis) is SourceState.FROZEN
        city.replace_keys("timestamp")
        city.renew()
        assert town.signed(ahead, basis).versions == RoleVersions(2, 2, 1, 1)
        assert (
            refusal(town, ahead, basis._replace(without_unix_s=NOW_UNIX_S + 6 * HOUR_S))
            is SourceState.FROZEN
        )
        assert town.signed(ahead, basis._replace(without_unix_s=0)).versions.root == 2
        assert refusal(town, ahead) is SourceState.FROZEN
        assert refusal(town, ahead, basis_of(city, 0)) is SourceState.FROZEN, (
            "accepted under this root"
        )

    @pytest.mark.parametrize("roles", [(), ("snapshot", "targets"), ("root",)])
    def test_another_root_voids_no_time(
        self, town: TufMetadata, city: TufRepository, roles: tuple[str, ...]
    ) -> None:
        basis = basis_of(city, 0)
        city.replace_keys(*roles)
        city.publish(MANIFEST)
        assert refusal(town, NOW_UNIX_S + 7 * HOUR_S, basis) is SourceState.FROZEN

    @pytest.mark.parametrize("count", [0, 1])
    def test_a_root_that_too_few_have_signed_voids_no_time(
        self, town: TufMetadata, city: TufRepository, count: int
    ) -> None:
        basis = basis_of(city, 0)
        city.signers["timestamp"] = [new_signer()]
        city.publish_root(city.signers["root"][:count] or [city.signers["timestamp"][0]])
        city.renew()
        assert refusal(town, NOW_UNIX_S + 7 * HOUR_S, basis) is SourceState.REFUSED

    def test_the_keys_of_a_root_that_is_put_back_void_nothing_again(
        self, town: TufMetadata, city: TufRepository
    ) -> None:
        """The basis names the root under which the time was accepted; only a later one counts."""
        city.replace_keys("timestamp")
        city.renew()
        town.signed(NOW_UNIX_S)
        later = basis_of(city, 0)._replace(root_version=2, timestamp_keys=("another",))
        assert refusal(town, NOW_UNIX_S + 7 * HOUR_S, later) is SourceState.FROZEN

    @pytest.mark.parametrize("role", ["root", *ONLINE])
    def test_what_is_signed_expires_with_the_first_of_those_that_sign(
        self, town: TufMetadata, city: TufRepository, role: str
    ) -> None:
        city.expires_s = dict.fromkeys(city.expires_s, 1_000 * DAY_S) | {role: 9 * DAY_S}
        city.publish_root()
        city.publish(MANIFEST)
        assert town.signed(NOW_UNIX_S).expires_unix_s == NOW_UNIX_S + 9 * DAY_S

    def test_no_signed_time_lies_beyond_what_every_library_can_count_on_from(
        self, town: TufMetadata, city: TufRepository
    ) -> None:
        """Years end at 9999: an accepted time must be one to judge by, to sign with and to show."""
        last = SIGNED_UNIX_S_END - 1
        city.expires_s = dict.fromkeys(city.expires_s, SIGNED_UNIX_S_END + 9 * DAY_S - NOW_UNIX_S)
        city.publish_root()
        city.signed_unix_s = last
        city.publish(MANIFEST)
        signed = town.signed(last)
        assert (signed.signed_unix_s, signed.expires_unix_s) == (last, SIGNED_UNIX_S_END)
        assert town.signed(last + 9 * DAY_S - 1).signed_unix_s == last
        city.signed_unix_s = SIGNED_UNIX_S_END
        city.renew()
        assert refusal(town, last) is SourceState.REFUSED

    def test_python_tuf_still_takes_its_time_where_we_put_it(
        self, tmp_path: Path, city: TufRepository
    ) -> None:
        (tmp_path / "tuf").mkdir()
        updater = Updater(str(tmp_path / "tuf"), "http://127.0.0.1/", bootstrap=city.root)
        inner: Any = updater._trusted_set
        assert abs(inner.reference_time.timestamp() - time.time()) < 3_600
        set_reference_time(updater, NOW_UNIX_S)
        assert updater._trusted_set.reference_time == datetime.fromtimestamp(NOW_UNIX_S, UTC)

    @pytest.mark.parametrize("moved", [object(), None])
    def test_a_release_of_python_tuf_that_takes_no_time_accepts_nothing(
        self, town: TufMetadata, monkeypatch: pytest.MonkeyPatch, moved: object
    ) -> None:
        class Moved(Updater):
            """As a later release might be."""

            def __init__(self, *args: Any, **named: Any) -> None:
                super().__init__(*args, **named)
                if moved is None:
                    del self._trusted_set
                else:
                    del self._trusted_set.reference_time

        monkeypatch.setattr(tuf_town, "Updater", Moved)
        assert refusal(town) is SourceState.REFUSED


class TestAttack:
    """By an attacker in the middle, or with stolen keys."""

    @pytest.mark.parametrize("name", [*FIRST[1:], manifest_path(MANIFEST)])
    def test_tampered(self, town: TufMetadata, city: TufRepository, name: str) -> None:
        path = city.folder / name if "/" in name else city.metadata(name)
        good = path.read_bytes()
        for at in (len(good) // 3, len(good) - 2):
            path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
            assert refusal(town) is SourceState.REFUSED
        path.write_bytes(good)
        assert town.signed(NOW_UNIX_S).manifest == MANIFEST

    @pytest.mark.parametrize("name", [*FIRST[1:], manifest_path(MANIFEST)])
    def test_truncated(self, town: TufMetadata, city: TufRepository, name: str) -> None:
        path = city.folder / name if "/" in name else city.metadata(name)
        path.write_bytes(path.read_bytes()[:-1])
        assert refusal(town) is SourceState.REFUSED

    def test_of_another_fleet(self, tmp_path: Path, web: Web, city: TufRepository) -> None:
        other = TufRepository(tmp_path / "other")
        with WebServer(other.folder) as server:
            town = TufMetadata(tmp_path / "memory", server.url, web, city.root)
            assert refusal(town) is SourceState.REFUSED

    @pytest.mark.parametrize("role", ["snapshot", "targets"])
    def test_mixed_up_files(self, town: TufMetadata, city: TufRepository, role: str) -> None:
        city.publish(SECOND)
        city.metadata(f"2.{role}.json").write_bytes(city.metadata(f"1.{role}.json").read_bytes())
        assert refusal(town) in (SourceState.REFUSED, SourceState.REPLAYED)

    def test_an_older_snapshot_under_the_newer_name(
        self, town: TufMetadata, city: TufRepository
    ) -> None:
        def no_hashes(signed: Signed) -> None:
            if isinstance(signed, Timestamp):
                signed.snapshot_meta.hashes = signed.snapshot_meta.length = None

        city.edit = no_hashes
        city.publish(SECOND)
        city.metadata("2.snapshot.json").write_bytes(city.metadata("1.snapshot.json").read_bytes())
        assert refusal(town) is SourceState.REPLAYED

    def test_an_older_root_as_the_next(self, town: TufMetadata, city: TufRepository) -> None:
        city.metadata("2.root.json").write_bytes(city.root)
        assert refusal(town) is SourceState.REPLAYED

    def test_an_older_list_is_returned_as_what_it_is_for_the_floor_to_refuse(
        self, town: TufMetadata, city: TufRepository
    ) -> None:
        old = city.metadata("timestamp.json").read_bytes()
        city.publish(SECOND)
        assert town.signed(NOW_UNIX_S).versions == RoleVersions(1, 2, 2, 2)
        city.metadata("timestamp.json").write_bytes(old)
        assert town.signed(NOW_UNIX_S).versions == RoleVersions(1, 1, 1, 1)

    @pytest.mark.parametrize("count", [0, 1])
    def test_a_root_signed_below_the_threshold(
        self, town: TufMetadata, city: TufRepository, count: int
    ) -> None:
        city.publish_root(city.signers["root"][:count] or [city.signers["timestamp"][0]])
        assert refusal(town) is SourceState.REFUSED
        assert town.root == city.root

    def test_a_root_signed_twice_by_one_key(self, town: TufMetadata, city: TufRepository) -> None:
        city.publish_root(city.signers["root"][:1] * 2)
        assert refusal(town) is SourceState.REFUSED

    def test_a_root_signed_by_its_own_new_keys_alone(
        self, town: TufMetadata, city: TufRepository
    ) -> None:
        thieves = TufRepository(city.folder.parent / "thieves")
        thieves.publish_root()
        city.metadata("2.root.json").write_bytes(thieves.metadata("2.root.json").read_bytes())
        assert refusal(town) is SourceState.REFUSED

    @pytest.mark.parametrize("role", ONLINE)
    def test_a_role_signed_by_another_roles_key(
        self, town: TufMetadata, city: TufRepository, role: str
    ) -> None:
        city.signers[role] = city.signers["targets" if role != "targets" else "snapshot"]
        city.publish(SECOND)
        assert refusal(town) is SourceState.REFUSED

    @pytest.mark.parametrize("role", ONLINE)
    def test_a_revoked_key(self, town: TufMetadata, city: TufRepository, role: str) -> None:
        town.signed(NOW_UNIX_S)
        stolen = city.signers[role]
        city.replace_keys(role)
        city.signers[role] = stolen
        city.publish(SECOND)
        assert refusal(town) is SourceState.REFUSED

    def test_a_revoked_key_stays_revoked_when_the_new_root_is_hidden_again(
        self, town: TufMetadata, city: TufRepository, server: WebServer
    ) -> None:
        city.replace_keys("timestamp")
        server.faults["metadata/timestamp.json"] = Fault.RESET
        assert refusal(town) is SourceState.UNREACHABLE
        server.faults.clear()
        server.faults["metadata/2.root.json"] = Fault.NOT_FOUND
        assert refusal(town) is SourceState.REFUSED
        assert town.root == city.metadata("2.root.json").read_bytes()

    @pytest.mark.parametrize("roles", [("timestamp",), ("snapshot", "timestamp"), ONLINE])
    def test_a_fast_forward_is_healed_by_replacing_the_keys(
        self, town: TufMetadata, city: TufRepository, roles: tuple[str, ...]
    ) -> None:
        town.signed(NOW_UNIX_S)
        before = dict(city.versions)
        city.versions |= dict.fromkeys(roles, 1_000_000_000)
        city.publish(b"a thief's list")
        assert town.signed(NOW_UNIX_S).versions.timestamp == 1_000_000_001
        city.versions = before
        city.replace_keys(*roles)
        city.publish(SECOND)
        signed = town.signed(NOW_UNIX_S)
        assert (signed.versions, signed.manifest) == (RoleVersions(2, 2, 2, 2), SECOND)

    def test_one_name_twice_by_the_thief_and_by_the_city(
        self, town: TufMetadata, city: TufRepository
    ) -> None:
        town.signed(NOW_UNIX_S)
        before = dict(city.versions)
        city.publish(b"a thief's list")
        town.signed(NOW_UNIX_S)
        city.versions = before
        city.replace_keys(*ONLINE)
        city.publish(SECOND)
        assert town.signed(NOW_UNIX_S).manifest == SECOND

    @pytest.mark.parametrize("role", ONLINE)
    def test_a_version_that_no_ledger_could_keep(
        self, town: TufMetadata, city: TufRepository, role: str
    ) -> None:
        city.versions[role] = 1 << 53
        city.publish(SECOND)
        assert refusal(town) is SourceState.REFUSED

    def test_more_keys_than_a_ledger_could_keep(
        self, town: TufMetadata, city: TufRepository
    ) -> None:
        city.signers["snapshot"] = [new_signer() for _ in range(17)]
        city.publish_root()
        city.publish(SECOND)
        assert refusal(town) is SourceState.REFUSED

    @pytest.mark.parametrize("name", ["2.root.json", *FIRST[1:]])
    @pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
    def test_hostile_json(
        self, town: TufMetadata, city: TufRepository, name: str, content: bytes
    ) -> None:
        city.metadata(name).write_bytes(content)
        assert refusal(town) is SourceState.REFUSED

    @pytest.mark.parametrize("fault", [Fault.ENDLESS_BODY, Fault.OVERLONG])
    @pytest.mark.parametrize("name", ["2.root.json", *FIRST[1:]])
    def test_endless_data(
        self,
        town: TufMetadata,
        city: TufRepository,
        server: WebServer,
        web: Web,
        name: str,
        fault: Fault,
    ) -> None:
        city.publish_root()
        server.files[f"metadata/{name}"] = b"{" + b" " * 70_000
        server.faults[f"metadata/{name}"] = fault
        assert refusal(town) in (SourceState.REFUSED, SourceState.NOT_OURS)
        assert web.received_bytes < 150_000

    def test_a_length_of_ten_gigabytes_signed_with_a_stolen_key(
        self, town: TufMetadata, city: TufRepository, server: WebServer, web: Web
    ) -> None:
        def huge(signed: Signed) -> None:
            if isinstance(signed, Timestamp):
                signed.snapshot_meta.length = 10_000_000_000
            if isinstance(signed, Snapshot):
                signed.meta["targets.json"].length = 10_000_000_000

        city.edit = huge
        city.publish(SECOND)
        server.faults["metadata/2.snapshot.json"] = Fault.OVERLONG
        server.files["metadata/2.snapshot.json"] = b"{" * 100_000
        assert refusal(town) is SourceState.REFUSED
        assert web.received_bytes < 50_000

    @pytest.mark.parametrize("fault", [Fault.DRIP_BODY, Fault.DRIP_HEADERS, Fault.SILENT])
    def test_slow_drip(
        self, tmp_path: Path, city: TufRepository, server: WebServer, fault: Fault
    ) -> None:
        web = Web(limits=replace(WebLimits(), answer_s=0.2, silence_s=0.2, bytes_s_min=1_000_000))
        town = TufMetadata(tmp_path / "memory", server.url, web, city.root)
        server.faults["metadata/timestamp.json"] = fault
        assert refusal(town) is SourceState.SLOW

    def test_a_root_that_this_gate_holds_and_that_is_none(
        self, tmp_path: Path, server: WebServer, web: Web
    ) -> None:
        for content in (b"", b"garbage", HOSTILE[2]):
            town = TufMetadata(tmp_path / "memory", server.url, web, content)
            with pytest.raises(RemoteError, match="root that this gate holds is none") as error:
                town.signed(NOW_UNIX_S)
            assert error.value.state is SourceState.REFUSED


class TestManifest:
    """The target itself."""

    def test_none_is_signed(self, town: TufMetadata, city: TufRepository) -> None:
        def without(signed: Signed) -> None:
            if isinstance(signed, Targets):
                signed.targets.clear()

        city.edit = without
        city.publish(SECOND)
        assert refusal(town) is SourceState.REFUSED

    def test_a_delegated_one_is_not_searched_for(
        self, town: TufMetadata, city: TufRepository, server: WebServer
    ) -> None:
        def delegated(signed: Signed) -> None:
            if isinstance(signed, Targets):
                signed.targets.clear()
                signed.delegations = Delegations.from_dict(
                    {
                        "keys": {},
                        "roles": [
                            {
                                "name": "other",
                                "keyids": [],
                                "threshold": 1,
                                "terminating": False,
                                "paths": ["*"],
                            }
                        ],
                    }
                )
            if isinstance(signed, Snapshot):
                signed.meta["other.json"] = MetaFile(1)

        city.edit = delegated
        city.publish(SECOND)
        assert refusal(town) is SourceState.REFUSED
        assert not any("other" in path for path in asked(server))

    def test_one_that_is_too_long_is_not_asked_for(
        self, town: TufMetadata, city: TufRepository, server: WebServer
    ) -> None:
        city.publish(b" " * 2_049)
        assert refusal(town) is SourceState.REFUSED
        assert not any(path.startswith("targets/") for path in asked(server))

    @pytest.mark.parametrize(
        "hashes", [{"sha512": "0" * 128}, {"sha256": "../" * 10}, {"sha256": "A" * 64}]
    )
    def test_one_without_a_sha256_is_not_asked_for(
        self, town: TufMetadata, city: TufRepository, server: WebServer, hashes: dict[str, str]
    ) -> None:
        def hashed(signed: Signed) -> None:
            if isinstance(signed, Targets):
                signed.targets["manifest.json"].hashes = hashes

        city.edit = hashed
        city.publish(SECOND)
        assert refusal(town) is SourceState.REFUSED
        assert not any(path.startswith("targets/") for path in asked(server))

    def test_one_that_is_missing_is_fetched_when_it_comes(
        self, town: TufMetadata, city: TufRepository
    ) -> None:
        path = city.folder / manifest_path(MANIFEST)
        path.unlink()
        assert refusal(town) is SourceState.NOT_OURS
        path.write_bytes(MANIFEST)
        assert town.signed(NOW_UNIX_S).manifest == MANIFEST


@pytest.mark.parametrize("name", ["2.root.json", *FIRST[1:]])
@pytest.mark.parametrize("fault", [Fault.CAPTIVE_PORTAL, Fault.HTML_AS_FILE, Fault.REDIRECT])
def test_a_captive_portal_at_any_step_is_not_ours(
    town: TufMetadata, server: WebServer, name: str, fault: Fault
) -> None:
    server.faults[f"metadata/{name}"] = fault
    assert refusal(town) is SourceState.NOT_OURS
    server.faults.clear()
    assert town.signed(NOW_UNIX_S).manifest == MANIFEST


@pytest.mark.parametrize("name", ["2.root.json", *FIRST[1:], manifest_path(MANIFEST)])
def test_a_busy_server_at_any_step_is_busy(town: TufMetadata, server: WebServer, name: str) -> None:
    server.faults[name if "/" in name else f"metadata/{name}"] = Fault.TOO_MANY
    with pytest.raises(RemoteError) as error:
        town.signed(NOW_UNIX_S)
    assert (error.value.state, error.value.retry_after_s) == (SourceState.BUSY, 7.0)


def test_text_that_is_no_json_is_not_ours(town: TufMetadata, city: TufRepository) -> None:
    city.metadata("timestamp.json").write_bytes(b"It works!")
    assert refusal(town) is SourceState.NOT_OURS


def test_a_gate_that_was_away_follows_every_root(
    town: TufMetadata, city: TufRepository, server: WebServer
) -> None:
    for role in ("timestamp", "root", "targets", "root"):
        city.replace_keys(role)
    city.publish(SECOND)
    signed = town.signed(NOW_UNIX_S)
    assert signed.versions == RoleVersions(5, 2, 2, 2)
    assert signed.root == city.metadata("5.root.json").read_bytes()
    assert signed.keys.timestamp == (city.signers["timestamp"][0].public_key.keyid,)
    assert asked(server)[:5] == [f"{version}.root.json" for version in (2, 3, 4, 5, 6)]
    town.signed(NOW_UNIX_S)
    assert asked(server) == ["6.root.json", "timestamp.json"]


def test_the_newest_root_is_enough_to_begin_with_next_time(
    tmp_path: Path, city: TufRepository, server: WebServer, web: Web
) -> None:
    city.replace_keys("root", "timestamp")
    city.publish(SECOND)
    first = TufMetadata(tmp_path / "memory", server.url, web, city.root).signed(NOW_UNIX_S)
    asked(server)
    again = TufMetadata(tmp_path / "memory", server.url.rstrip("/"), web, first.root)
    assert again.signed(NOW_UNIX_S) == first
    assert asked(server)[0] == "3.root.json"
