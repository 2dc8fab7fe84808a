"""A city of gates, and the folder of keys of one of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backoffice.reports.store import ReportStore
from tests.support.city.backoffice_rig import City
from tests.support.gate.key_delivery import Fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with ReportStore.open(f"sqlite:///{tmp_path / 'registry.db'}") as store:
        yield Fleet(City(tmp_path), store)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "keys"
    made.mkdir()
    return made
