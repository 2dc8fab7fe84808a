"""The bytes of a request on the line, checked against its signature: host and path as sent."""

import socket
import threading
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from validator.courier.receiver_client import ReceiverClient
from validator.courier.web.client import Web
from validator.reports.signed_request import verify

KEY = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
NOW_UNIX_S = 1_800_000_000
KEPT = (
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"kept":true}'
)
LIMIT_S = 60.0


class Line:
    """A server that keeps the bytes of one request."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.head = self.body = b""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        sock, _ = self._listener.accept()
        with sock, sock.makefile("rb") as file:
            sock.settimeout(LIMIT_S)
            lines = list(iter(file.readline, b"\r\n"))
            self.head = b"".join(lines)
            length = next(
                int(each[15:]) for each in lines if each.lower().startswith(b"content-length:")
            )
            self.body = file.read(length)
            sock.sendall(KEPT)

    def close(self) -> None:
        """End."""
        self._thread.join(LIMIT_S)
        self._listener.close()


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """Whatever a name is, it is here."""
    made = Line()
    here = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", made.port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kinds: here)
    yield made
    made.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://reports.example.org",
        "http://reports.example.org/turnike",
        "http://Reports.EXAMPLE.org:80/",
        "http://reports.example.org:8080/",
        "http://[2001:DB8::1]:8080/",
        "http://reports.example.org/%7Egate/",
        "http://reports.example.org/%c5%9f/",
        "http://reports.example.org/ş/",
        "http://reports.example.org/a b/",
        "http://reports.example.org/a/../b/./",
        "http://reports.example.org//a//b/",
        "http://reports.example.org/%2e%2e/%41/",
        "http://şehir.example/",
        "http://İSTANBUL.example/",
        "http://reports.example.org./",
        "http://gate:secret@reports.example.org/",
    ],
)
def test_a_signature_fits_the_bytes_that_were_sent(line: Line, url: str) -> None:
    """Also of addresses that a configuration refuses: nothing here relies on that."""
    web = Web()
    ReceiverClient(url, web, "gate", KEY, lambda: NOW_UNIX_S).tell_status({})
    web.close()
    line.close()
    request, *rest = line.head.decode("ascii").splitlines()
    method, target, _ = request.split(" ")
    headers = dict(each.split(": ", 1) for each in rest)
    lower = {name.lower(): value for name, value in headers.items()}
    assert len(lower) == len(rest), "no header twice"
    assert target.endswith("/v1/gates/gate/status")
    public = {"gate": KEY.public_key().public_bytes_raw()}
    url_received = f"http://{lower['host']}{target}"
    speaker = verify(method, url_received, lower, line.body, public.get)
    assert (speaker.gate_id, speaker.created_unix_s) == ("gate", NOW_UNIX_S)
