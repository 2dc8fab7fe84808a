"""The web client against a server that answers small files wrongly, late or not at all."""

import hashlib
import os
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.gate.web_states import LIMITS, SLOW, SMALL, large, small, state, unhurried
from tests.support.web.web_server import Fault, WebServer
from validator.courier.web.client import Answer, Web
from validator.errors import RemoteError, SourceState


class TestSmallFile:
    """Metadata, manifests, indexes."""

    def test_comes_with_its_tag_and_is_not_sent_again_while_it_is_the_same(
        self, server: WebServer, web: Web
    ) -> None:
        first = web.get(f"{server.url}small.json", len(SMALL))
        assert first is not None
        assert first.content == SMALL
        assert web.get(f"{server.url}small.json", len(SMALL), first.etag) is None
        server.files["small.json"] = b"{}"
        changed = web.get(f"{server.url}small.json", len(SMALL), first.etag)
        assert changed is not None
        assert changed.content == b"{}"
        assert web.connections == 1

    def test_is_asked_for_with_three_headers(self, server: WebServer, web: Web) -> None:
        small(server, web)
        assert server.asked[0].headers == {
            "host": f"127.0.0.1:{server.port}",
            "accept-encoding": "identity",
            "user-agent": "turnike",
        }

    def test_an_error_leaves_the_connection_in_use(self, server: WebServer, web: Web) -> None:
        for _ in range(3):
            with pytest.raises(RemoteError):
                web.get(f"{server.url}none.json", 1_000)
            small(server, web)
        assert web.connections == 1

    def test_counts_what_it_receives_and_sends(self, server: WebServer, web: Web) -> None:
        small(server, web)
        assert 150 < web.received_bytes < 400 + len(SMALL)
        assert 80 < web.sent_bytes < 150

    @pytest.mark.parametrize(
        "fault", [Fault.CHUNKED, Fault.CLOSES, Fault.COOKIE, Fault.IGNORES_RANGE]
    )
    def test_comes_from_a_server_with_other_manners(
        self, server: WebServer, web: Web, fault: Fault
    ) -> None:
        server.faults["*"] = fault
        for _ in range(3):
            assert web.get(f"{server.url}small.json", len(SMALL)) == Answer(SMALL, "")

    def test_a_cookie_is_not_sent_back(self, server: WebServer, web: Web) -> None:
        server.faults["*"] = Fault.COOKIE
        small(server, web)
        small(server, web)
        assert "cookie" not in server.asked[1].headers

    def test_a_tag_of_four_thousand_characters_is_not_sent_back(
        self, server: WebServer, web: Web
    ) -> None:
        server.faults["*"] = Fault.HOSTILE_TAG
        assert small(server, web) == Answer(SMALL, "")

    def test_a_kept_connection_that_the_server_closed_is_no_fault(
        self, server: WebServer, web: Web
    ) -> None:
        small(server, web)
        server.drop_connections()
        assert small(server, web) is not None
        assert web.connections == 2

    def test_a_kept_connection_that_breaks_when_it_is_used_is_no_fault_either(
        self, server: WebServer, web: Web
    ) -> None:
        small(server, web)
        server.faults["*"] = Fault.RESET
        with pytest.raises(RemoteError) as error:
            small(server, web)
        assert state(error, server) is SourceState.UNREACHABLE
        assert [asked.connection for asked in server.asked] == [0, 0, 1]

    def test_the_environment_is_not_asked(
        self, server: WebServer, web: Web, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        small(server, web)
        assert "authorization" not in server.asked[0].headers


ANSWERS = {
    Fault.CAPTIVE_PORTAL: SourceState.NOT_OURS,
    Fault.HTML_AS_FILE: SourceState.NOT_OURS,
    Fault.REDIRECT: SourceState.NOT_OURS,
    Fault.REDIRECT_ENDLESS: SourceState.NOT_OURS,
    Fault.LOGIN_REQUIRED: SourceState.NOT_OURS,
    Fault.NOT_FOUND: SourceState.NOT_OURS,
    Fault.FORBIDDEN: SourceState.NOT_OURS,
    Fault.RANGE_UNASKED: SourceState.NOT_OURS,
    Fault.NOT_MODIFIED: SourceState.NOT_OURS,
    Fault.GZIP: SourceState.NOT_OURS,
    Fault.GARBAGE: SourceState.NOT_OURS,
    Fault.ENDLESS_HEADERS: SourceState.NOT_OURS,
    Fault.ENDLESS_CONTINUE: SourceState.NOT_OURS,
    Fault.PROXY_LOGIN: SourceState.PROXY,
    Fault.TOO_MANY: SourceState.BUSY,
    Fault.UNAVAILABLE: SourceState.BUSY,
    Fault.BROKEN: SourceState.BUSY,
    Fault.ENDLESS_BODY: SourceState.REFUSED,
    Fault.OVERLONG: SourceState.REFUSED,
    Fault.OVERLONG_CHUNKED: SourceState.REFUSED,
    Fault.RESET: SourceState.UNREACHABLE,
    Fault.CUT: SourceState.UNREACHABLE,
    Fault.CUT_CHUNKED: SourceState.UNREACHABLE,
}


@pytest.mark.parametrize(("fault", "meaning"), ANSWERS.items())
def test_a_small_file_answered_wrongly_has_a_state(
    server: WebServer, web: Web, fault: Fault, meaning: SourceState
) -> None:
    server.cut_after_bytes = 5
    server.faults["*"] = fault
    with pytest.raises(RemoteError) as error:
        small(server, web)
    assert state(error, server) is meaning
    assert web.received_bytes < 100_000
    server.faults.clear()
    assert small(server, web) is not None


@pytest.mark.parametrize("fault", SLOW)
def test_a_small_file_that_drips_is_given_up(server: WebServer, hurried: Web, fault: Fault) -> None:
    server.files["small.json"] = b"{" * 10_000  # so that nothing ends by itself before the deadline
    server.cut_after_bytes = 5
    server.faults["*"] = fault
    with pytest.raises(RemoteError) as error:
        hurried.get(f"{server.url}small.json", 50)
    assert state(error, server) in (SourceState.SLOW, SourceState.REFUSED)


@pytest.mark.parametrize("fault", SLOW)
def test_a_large_file_that_drips_is_given_up(
    server: WebServer, hurried: Web, fault: Fault, tmp_path: Path
) -> None:
    server.faults["*"] = fault
    with pytest.raises(RemoteError) as error:
        large(server, hurried, tmp_path)
    assert state(error, server) is SourceState.SLOW


def test_silence_ends_a_request_long_before_its_deadline(server: WebServer, tmp_path: Path) -> None:
    web = Web(limits=replace(LIMITS, silence_s=0.1, answer_s=200.0, window_s=200.0))
    server.faults["*"] = Fault.STALL
    server.cut_after_bytes = 5
    with pytest.raises(RemoteError, match=r"silent for 0\.1 s"):
        small(server, web)
    with pytest.raises(RemoteError, match=r"silent for 0\.1 s"):
        large(server, web, tmp_path)


def test_a_dripping_request_does_not_keep_the_next_one_from_its_time(
    server: WebServer, hurried: Web
) -> None:
    server.faults["*"] = Fault.DRIP_HEADERS
    with pytest.raises(RemoteError):
        small(server, hurried)
    server.faults.clear()
    unhurried(hurried)
    assert small(server, hurried) == Answer(SMALL, f'"{hashlib.sha256(SMALL).hexdigest()[:16]}"')


@pytest.mark.parametrize(
    ("fault", "seconds"), [(Fault.TOO_MANY, 7.0), (Fault.UNAVAILABLE, 3_600.0), (Fault.BROKEN, 0.0)]
)
def test_retry_after_is_read_in_seconds_by_the_servers_own_clock(
    server: WebServer, web: Web, fault: Fault, seconds: float
) -> None:
    server.faults["*"] = fault
    with pytest.raises(RemoteError) as error:
        small(server, web)
    assert error.value.retry_after_s == seconds


class TestNoWay:
    """No server at the address, or one that does not answer."""

    def test_no_server_listens(self, web: Web) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        with pytest.raises(RemoteError, match="connection refused") as error:
            web.get(f"http://127.0.0.1:{port}/x", 10)
        assert state(error) is SourceState.UNREACHABLE

    @pytest.mark.parametrize("name", ["lists.invalid", f"{'x' * 64}.invalid", "..invalid"])
    def test_no_such_name(self, web: Web, name: str) -> None:
        with pytest.raises(RemoteError) as error:
            web.get(f"http://{name}/x", 10)
        assert state(error) in (SourceState.UNREACHABLE, SourceState.NOT_OURS)

    def test_a_name_of_a_hundred_dead_addresses_costs_four(
        self, monkeypatch: pytest.MonkeyPatch, web: Web
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = taken.getsockname()
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)] * 100
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_named: found)
        connect = socket.socket.connect
        tried = []

        def counted(self: socket.socket, where: object) -> None:
            tried.append(1)
            connect(self, where)  # type: ignore[arg-type]  # an address

        monkeypatch.setattr(socket.socket, "connect", counted, raising=False)
        with pytest.raises(RemoteError):
            web.get("http://lists.example.org/x", 10)
        assert len(tried) == LIMITS.addresses_max

    @pytest.mark.parametrize(
        ("fault", "meaning"),
        [
            (Fault.GARBAGE, SourceState.NOT_OURS),
            (Fault.DRIP_HEADERS, SourceState.NOT_OURS),
            (Fault.RESET, SourceState.UNREACHABLE),
        ],
    )
    def test_the_server_does_not_speak_tls(
        self, server: WebServer, web: Web, fault: Fault, meaning: SourceState
    ) -> None:
        server.accepting = fault
        with pytest.raises(RemoteError) as error:
            web.get(f"https://127.0.0.1:{server.port}/x", 10)
        assert state(error, server) is meaning

    def test_the_server_never_finishes_the_tls_handshake(
        self, server: WebServer, hurried: Web
    ) -> None:
        server.accepting = Fault.SILENT
        with pytest.raises(RemoteError, match="no answer") as error:
            hurried.get(f"https://127.0.0.1:{server.port}/x", 10)
        assert state(error, server) is SourceState.UNREACHABLE

    def test_many_errors_leave_nothing_open(self, server: WebServer, web: Web) -> None:
        def descriptors() -> int:
            return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # a count is wanted, not paths

        faults = [Fault.CUT, Fault.CAPTIVE_PORTAL, Fault.GARBAGE, Fault.NOT_FOUND, Fault.RESET]
        server.cut_after_bytes = 5
        before = 0
        for number in range(50):
            server.faults["*"] = faults[number % len(faults)]
            with pytest.raises(RemoteError):
                small(server, web)
            before = before or descriptors()
        web.close()
        server.drop_connections()
        assert descriptors() <= before + 60  # the server's threads may still be closing theirs
        assert threading.active_count() < 100
