"""A server of a small and a large file, and a client whose limits a test can meet."""

from collections.abc import Iterator

import pytest

from tests.support.gate.web_states import CONTENT, SHORT, SMALL
from tests.support.web.web_server import WebServer
from validator.courier.web.client import Web


@pytest.fixture
def server(server: WebServer) -> WebServer:
    server.files = {"small.json": SMALL, "large.wire": CONTENT}
    return server


@pytest.fixture
def hurried() -> Iterator[Web]:
    """With limits that a test can afford to meet."""
    web = Web(limits=SHORT)
    yield web
    web.close()
