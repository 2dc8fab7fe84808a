"""By which time signed metadata is judged."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
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
from tests.support.gate.metadata_source import SECOND, refusal
from tests.support.web.web_server import Fault, WebServer
from validator.courier import signed_metadata as tuf_town
from validator.courier.signed_metadata import TufMetadata, set_reference_time
from validator.courier.web.client import Web
from validator.domain.floor import RoleVersions
from validator.domain.trusted_time import SIGNED_UNIX_S_END, TimeBasis
from validator.errors import SourceState


def basis_of(city: TufRepository, without_unix_s: int) -> TimeBasis:
    """What the time of a gate rests on that has accepted what is published now."""
    keys = tuple(sorted(signer.public_key.keyid for signer in city.signers["timestamp"]))
    return TimeBasis(city.versions["root"], keys, without_unix_s)


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
