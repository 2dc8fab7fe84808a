"""Registries for the tests of the contract: each on SQLite and on a real PostgreSQL server."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from tempfile import TemporaryDirectory, mkdtemp

import pytest

from backoffice.registry.registry import (
    Registry,
)
from tests.support.city.postgres_server import postgres_server

# Memory, if there is some: the tests call fsync hundreds of times.
SCRATCH = next(filter(os.path.isdir, ["/dev/shm"]), None)  # noqa: S108


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def new_database(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """Return a function that makes an empty database and returns its URL."""
    with ExitStack() as stack:
        if request.param == "postgresql":
            yield stack.enter_context(postgres_server()).new_database
        else:
            folder = stack.enter_context(TemporaryDirectory(dir=SCRATCH))
            yield lambda: f"sqlite:///{mkdtemp(dir=folder)}/registry.db"


@pytest.fixture
def url(new_database: Callable[[], str]) -> str:
    return new_database()


@pytest.fixture
def registry(url: str) -> Iterator[Registry]:
    with Registry.open(url) as opened_registry:
        yield opened_registry
