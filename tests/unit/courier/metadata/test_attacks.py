"""Attacks on the signed metadata: none is accepted."""

from dataclasses import replace
from pathlib import Path

import pytest
from tuf.api.metadata import (  # type: ignore[attr-defined]  # it re-exports none of them
    Signed,
    Snapshot,
    Timestamp,
)

from tests.support.city.tuf_making import (
    MANIFEST,
    NOW_UNIX_S,
    ONLINE,
    TufRepository,
    new_signer,
)
from tests.support.gate.metadata_source import FIRST, SECOND, manifest_path, refusal
from tests.support.web.web_server import Fault, WebServer
from validator.courier.signed_metadata import TufMetadata
from validator.courier.web.client import Web, WebLimits
from validator.domain.floor import RoleVersions
from validator.errors import RemoteError, SourceState

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
