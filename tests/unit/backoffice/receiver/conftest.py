"""A receiver in memory, for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backoffice.reports.store import ReportStore
from tests.support.city.receiver_city import City


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    with ReportStore.open(f"sqlite:///{tmp_path / 'registry.db'}") as store:
        yield City(store)
