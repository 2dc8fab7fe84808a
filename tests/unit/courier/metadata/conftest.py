"""A city that signs, its web server, and a metadata source on it."""

from pathlib import Path

import pytest

from tests.support.city.tuf_making import (
    TufRepository,
)
from tests.support.web.web_server import WebServer
from validator.courier.signed_metadata import TufMetadata
from validator.courier.web.client import Web


@pytest.fixture
def city(tmp_path: Path) -> TufRepository:
    return TufRepository(tmp_path / "published")


@pytest.fixture
def server(server: WebServer, city: TufRepository) -> WebServer:
    server.folder = city.folder
    return server


@pytest.fixture
def town(tmp_path: Path, city: TufRepository, server: WebServer, web: Web) -> TufMetadata:
    return TufMetadata(tmp_path / "memory", server.url, web, city.root)
