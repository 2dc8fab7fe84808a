"""A gate that lacks nothing, for tests of `turnike check`."""

from pathlib import Path

import pytest

from tests.support.city.backoffice_rig import City
from tests.support.city.list_making import (
    KEY,
    NOW_UNIX_S,
    install,
)
from tests.support.gate.checked_gate import TABLE, SetClock, in_memory
from tests.support.machine.programs import lane_config
from validator import check
from validator.config import Config, load
from validator.host.durable import put_secret
from validator.lists.fingerprint_keys import format_key_file


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The root of a city, in force for a year from NOW."""
    city = City.founded(tmp_path_factory.mktemp("city"), NOW_UNIX_S)
    return (city.home.roots / "1.root.json").read_bytes()


@pytest.fixture
def config(tmp_path: Path, root: bytes, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A gate with keys, a list, a folder that counts as memory-backed, a courier, no devices."""
    for name in ("lists", "recent", "keys"):
        (tmp_path / name).mkdir()
    put_secret(tmp_path / "keys" / "fleet.key", format_key_file(KEY))
    (tmp_path / "root.json").write_bytes(root)
    install(tmp_path / "lists", 1, (TABLE,))
    courier = f'[courier]\nurl = "https://lists.example/"\nroot = "{tmp_path}/root.json"'
    path = lane_config(tmp_path, more=courier)
    path.write_text(path.read_text().replace("grounds = true", "grounds = false"))
    path.write_text(path.read_text().replace("[list]", f'[list]\nrecent = "{tmp_path}/recent"'))
    monkeypatch.setattr(check, "Clock", SetClock)
    monkeypatch.setattr(check, "examine_devices", lambda _: iter(()))
    in_memory(monkeypatch, "recent")
    return load(path)
