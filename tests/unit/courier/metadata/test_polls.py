"""What a poll of the city's signed metadata brings, and what it costs."""

import errno
from pathlib import Path

import pytest
from tuf.api.metadata import (  # type: ignore[attr-defined]  # it re-exports none of them
    Delegations,
    MetaFile,
    Signed,
    Snapshot,
    Targets,
)
from tuf.ngclient.updater import Updater

from tests.support.city.tuf_making import (
    HOUR_S,
    MANIFEST,
    NOW_UNIX_S,
    TufRepository,
)
from tests.support.gate.metadata_source import FIRST, SECOND, manifest_path, refusal
from tests.support.machine.planting import PLANTS, PRECIOUS, Plant
from tests.support.web.web_server import Fault, WebServer
from validator.courier.signed_metadata import TufMetadata
from validator.courier.web.client import Web
from validator.domain.floor import RoleKeys, RoleVersions
from validator.errors import RemoteError, SourceState


def asked(server: WebServer) -> list[str]:
    """What was asked for since the last time."""
    paths = [path.removeprefix("metadata/") for path in server.paths()]
    server.asked.clear()
    return paths


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
