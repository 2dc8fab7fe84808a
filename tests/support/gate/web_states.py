"""Contents, limits and states for tests of the web client."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.web.web_server import Fault, WebServer
from validator.courier.web.client import Answer, Web, WebLimits
from validator.errors import RemoteError, SourceState

# Small, so that a test which meets a limit is quick; far above what loopback needs on a slow day
# wherever a limit must not be met.
LIMITS = WebLimits()


SHORT = replace(LIMITS, answer_s=0.3, silence_s=0.2, window_s=0.25, bytes_s_min=20_000)


CONTENT = b'{"signed": "' + b"0123456789" * 30_000 + b'"}'


SHA256 = hashlib.sha256(CONTENT).hexdigest()


SMALL = b'{"small": true}'


def unhurried(web: Web) -> None:
    """What must succeed now may take its time on a slow day."""
    web._pace.limits = LIMITS


def small(server: WebServer, web: Web) -> Answer | None:
    return web.get(f"{server.url}small.json", 1_000)


def large(server: WebServer, web: Web, folder: Path) -> bytes:
    path = folder / "large.wire"
    web.download(f"{server.url}large.wire", path, len(CONTENT), SHA256)
    return path.read_bytes()


def state(error: pytest.ExceptionInfo[RemoteError], server: WebServer | None = None) -> SourceState:
    """The state of an error, whose text must be one clear line about where it happened."""
    text = str(error.value)
    assert text.isprintable()
    assert len(text) < 200
    assert server is None or text.startswith(f"127.0.0.1:{server.port}/")
    return error.value.state


SLOW = [
    Fault.DRIP_BODY,
    Fault.DRIP_HEADERS,
    Fault.DRIP_STATUS,
    Fault.DRIP_CHUNK_SIZE,
    Fault.STALL,
    Fault.SILENT,
]
