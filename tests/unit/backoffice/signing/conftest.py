"""Fixtures that the tests of this folder share."""

from pathlib import Path

import pytest

from tests.support.city.backoffice_rig import City, Client


@pytest.fixture
def city(tmp_path: Path) -> City:
    """A city whose root 1 is in force and which published nothing yet."""
    return City.founded(tmp_path)


@pytest.fixture
def client(city: City, tmp_path: Path) -> Client:
    """A gate's client that began with root 1."""
    return Client(city.home, tmp_path / "gate")
