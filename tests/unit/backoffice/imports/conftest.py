"""Fixtures that the tests of this folder share."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.city.desk import SHELVES, Desk


@pytest.fixture
def desk() -> Iterator[Desk]:
    with TemporaryDirectory(dir=SHELVES) as home:
        yield Desk(Path(home))
