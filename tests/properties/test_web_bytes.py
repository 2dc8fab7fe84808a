"""Any bytes of a server give a file or a RemoteError, and the HTTP client goes on working."""

import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.web.web_server import Fault, WebServer
from validator.courier.web.client import Answer, Web
from validator.errors import RemoteError

CONTENT = b'{"right": true}' * 40
SHA256 = sha256(CONTENT).hexdigest()

_STATUS = [
    b"HTTP/1.1 200 OK",
    b"HTTP/1.1 206 Partial Content",
    b"HTTP/1.0 200 OK",
    b"HTTP/1.1 304 Not Modified",
    b"HTTP/1.1 302 Found",
    b"HTTP/1.1 416 x",
    b"HTTP/1.1 200",
    b"HTTP/1.1 999 x",
    b"HTTP/1.1 -1 x",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK",
    b"HTTP/9.9 200 OK",
    b"HTTP/1.1 \xff\xfe OK",
]
_HEADERS = [
    b"Content-Length: 600",
    b"Content-Length: 15",
    b"Content-Length: -5",
    b"Content-Length: 1, 2",
    b"Content-Length: " + b"9" * 5_000,
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Content-Encoding: gzip",
    b"Content-Type: text/html",
    b"Content-Type: \xff",
    b"Location: http://[::1",
    b"Location: \xff\xfe",
    b"Set-Cookie: a=b; expires=\xff; Max-Age=9e999",
    b"Content-Range: bytes 100-599/600",
    b"Content-Range: bytes 100-99999999999999999999/600",
    b'ETag: "\xe4"',
    b"Retry-After: Sun, 99 Nov 99999 00:00:00 GMT",
    b"Connection: close",
    b" folded",
    b"no colon",
    b": nameless",
    b"\x00: \x00",
]
_BODIES = [
    CONTENT,
    CONTENT[100:],
    b"f\r\n" + CONTENT[:15] + b"\r\n0\r\n\r\n",
    b"zz\r\n",
    b"-1\r\n\r\n",
    b"",
    b"<html>",
]
_answers = st.builds(
    lambda status, headers, body: b"\r\n".join([status, *headers, b"", body]),
    st.sampled_from(_STATUS),
    st.lists(st.sampled_from(_HEADERS), max_size=4),
    st.sampled_from(_BODIES) | st.binary(max_size=300),
)


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    with WebServer(files={"right": CONTENT}, faults={"hostile": Fault.RAW}) as server:
        yield server


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with Web() as opened:
        yield opened


@given(sent=_answers | st.binary(max_size=300))
def test_any_bytes_are_a_small_file_or_a_remote_error(
    server: WebServer, web: Web, sent: bytes
) -> None:
    server.files["hostile"] = sent
    try:
        answer = web.get(f"{server.url}hostile", 1_000, '"tag"')
    except RemoteError as error:
        assert str(error).isprintable()  # noqa: PT017  # either way is right
    else:
        assert answer is None or len(answer.content) <= 1_000
    right = web.get(f"{server.url}right", 1_000)
    assert isinstance(right, Answer)
    assert right.content == CONTENT


@given(sent=_answers, begun=st.sampled_from([0, 100]))
def test_any_bytes_are_the_signed_file_or_a_remote_error(
    server: WebServer, web: Web, sent: bytes, begun: int
) -> None:
    server.files["hostile"] = sent
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        if begun:
            path.with_name("file.part").write_bytes(CONTENT[:begun])
        try:
            web.download(f"{server.url}hostile", path, len(CONTENT), SHA256)
        except RemoteError:
            assert not path.exists()
        else:
            assert path.read_bytes() == CONTENT
