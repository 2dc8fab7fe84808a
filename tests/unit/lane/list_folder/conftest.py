"""Fixtures that the tests of this folder share."""

from pathlib import Path

import pytest

from tests.support.city.list_making import (
    install,
)
from tests.support.gate.list_folders import CHANGE, OLD, STAFF


@pytest.fixture
def two_lists(tmp_path: Path) -> Path:
    """A folder with version 1 and version 2, which shares a segment with it."""
    install(tmp_path, 1, (OLD,), (STAFF,))
    install(tmp_path, 2, (CHANGE, OLD), (STAFF,))
    return tmp_path
