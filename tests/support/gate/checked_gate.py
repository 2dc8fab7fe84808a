"""A gate that `turnike check` checks: its findings, and the courier's files on it."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.city.list_making import (
    KEY,
    NOW_UNIX_S,
    manifest_of,
    segment_bytes,
)
from validator import check
from validator.check import courier as check_courier
from validator.config import Config
from validator.courier.store.accepted_store import DiskAcceptedStore
from validator.domain.floor import Floor, RoleKeys, RoleVersions
from validator.domain.trusted_time import SystemClock
from validator.host.clock import Clock
from validator.ipc.accepted import Accepted
from validator.lists.fingerprint_keys import key_id
from validator.lists.manifest import encode
from validator.lists.segment import NO_END

TABLE = segment_bytes({1: NO_END})
STATUS = {
    "state": "fresh",
    "problem": "",
    "since_unix_s": NOW_UNIX_S,
    "polled_unix_s": NOW_UNIX_S,
    "list_version": 7,
}
WELL = {"courier", "root", "accepted", "folders", "certificates"}


class SetClock(Clock):
    """A system whose clock shows what the test sets."""

    unix_s, is_synchronised = NOW_UNIX_S + 60, True

    def system(self) -> SystemClock:
        """See Clock."""
        return SystemClock(self.unix_s, self.is_synchronised, 0)


def in_memory(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let the folders of these names be memory-backed, and no others."""

    def is_one(folder: Path) -> bool:
        folder.stat()
        return folder.name in names

    monkeypatch.setattr(check_courier, "is_in_memory", is_one)


def found(config: Config, subject: str) -> list[tuple[str, str]]:
    """Mark and text of each finding about it, every one of which fits on a line."""
    findings: list[check.Finding] = list(check.examine(config))
    assert all(finding.text.isprintable() for finding in findings)
    return [(finding.mark, finding.text) for finding in findings if finding.subject == subject]


def left(config: Config, **fields: Any) -> None:
    """Write the courier's status."""
    (Path(config.list.recent) / "courier.json").write_text(
        json.dumps(STATUS | {"disk_bytes": 9} | fields)
    )


def set_courier(config: Config, **fields: Any) -> Config:
    """The same gate with another [courier]."""
    assert config.courier is not None
    return replace(config, courier=replace(config.courier, **fields))


def keep(config: Config, **fields: Any) -> None:
    """Write a whole file of what the courier accepted."""
    manifest = encode(
        replace(manifest_of(7, (TABLE,)), fingerprint_key=key_id(fields.pop("key", KEY)).hex())
    )
    versions, keys = RoleVersions(1, 5, 4, 3), RoleKeys(("a1",), ("b2",), ("c3",))
    of = Accepted.of(Floor(versions, keys, 7, NOW_UNIX_S, era=1), manifest, "another", 5)
    DiskAcceptedStore(Path(config.list.folder)).accept(replace(of, **fields))


def accepted(config: Config, signed_unix_s: int) -> None:
    """Write what the courier accepted."""
    fields = {
        "signed_unix_s": signed_unix_s,
        "boot_id": "another",
        "boottime_ns": 5,
        "manifest": "{}",
    }
    (Path(config.list.folder) / "accepted.json").write_text(json.dumps(fields))
