"""The web client against a real server with the faults of networks, servers and attackers."""

import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.web.web_server import Authority, Fault, WebServer
from validator.courier.web.client import Answer, Web, WebLimits
from validator.errors import RemoteError, SourceState

# Small, so that a test which meets a limit is quick; far above what loopback needs on a slow day
# wherever a limit must not be met.
LIMITS = WebLimits()
SHORT = replace(LIMITS, answer_s=0.3, silence_s=0.2, window_s=0.25, bytes_s_min=20_000)
CONTENT = b'{"signed": "' + b"0123456789" * 30_000 + b'"}'
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SMALL = b'{"small": true}'


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
SLOW = [
    Fault.DRIP_BODY,
    Fault.DRIP_HEADERS,
    Fault.DRIP_STATUS,
    Fault.DRIP_CHUNK_SIZE,
    Fault.STALL,
    Fault.SILENT,
]


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


class TestTls:
    """Whom to trust."""

    def test_the_configured_authority_is_trusted(self, tmp_path: Path) -> None:
        authority = Authority(tmp_path)
        with WebServer(files={"small.json": SMALL}, tls=authority.context()) as server:
            web = Web(str(authority.file))
            for _ in range(3):
                assert small(server, web) is not None
            assert web.connections == 1
            web.close()

    @pytest.mark.parametrize("fault", [*SLOW, Fault.CUT])
    def test_the_pace_holds_inside_tls_too(self, tmp_path: Path, fault: Fault) -> None:
        authority = Authority(tmp_path)
        files = {"small.json": SMALL, "large.wire": CONTENT}
        with WebServer(files=files, tls=authority.context()) as server:
            web = Web(str(authority.file))
            small(server, web)
            web._pace.limits = (
                SHORT  # not before the handshake, which may take its time on a slow day
            )
            server.faults["*"] = fault
            with pytest.raises(RemoteError) as error:
                large(server, web, tmp_path)
            expected = SourceState.UNREACHABLE if fault is Fault.CUT else SourceState.SLOW
            assert state(error, server) is expected
            web.close()

    def test_a_certificate_of_another_authority_is_refused(self, tmp_path: Path) -> None:
        ours, theirs = Authority(tmp_path), Authority(tmp_path, "Another")
        with WebServer(files={"small.json": SMALL}, tls=theirs.context()) as server:
            for ca_file in (str(ours.file), None):
                with pytest.raises(RemoteError, match="certificate refused") as error:
                    small(server, Web(ca_file))
                assert state(error, server) is SourceState.TLS

    def test_a_certificate_of_another_name_is_refused(self, tmp_path: Path) -> None:
        authority = Authority(tmp_path)
        with WebServer(tls=authority.context(["lists.example.org"])) as server:
            web = Web(str(authority.file))
            web.check_dates(0)
            with pytest.raises(RemoteError, match=r"not valid for '127\.0\.0\.1'") as error:
                small(server, web)
            assert state(error, server) is SourceState.TLS

    def test_an_expired_certificate_is_refused_unless_this_gate_cannot_know_the_time(
        self, tmp_path: Path
    ) -> None:
        authority = Authority(tmp_path)
        with WebServer(files={"small.json": SMALL}, tls=authority.context(days_left=-1)) as server:
            web = Web(str(authority.file))
            with pytest.raises(RemoteError, match="expired") as error:
                small(server, web)
            assert state(error, server) is SourceState.TLS
            web.check_dates(int(time.time()) - 30 * 86_400)
            assert small(server, web) is not None
            web.close()
            for at_least_unix_s in (
                None,
                int(time.time()),  # at least, as the city has signed
            ):
                web.check_dates(at_least_unix_s)
                with pytest.raises(RemoteError, match="expired") as error:
                    small(server, web)
                assert state(error, server) is SourceState.TLS
            web.check_dates(None)
            with pytest.raises(RemoteError, match="expired"):
                small(server, web)

    @pytest.mark.parametrize("content", [None, b"", b"no certificate"])
    def test_authorities_that_are_of_no_use_are_reported_at_the_start(
        self, tmp_path: Path, content: bytes | None
    ) -> None:
        path = tmp_path / "ca.pem"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ValueError, match=r"ca\.pem: .*PEM"):
            Web(str(path))

    def test_authorities_that_vanish_later_are_a_state(self, tmp_path: Path) -> None:
        authority = Authority(tmp_path)
        with WebServer(tls=authority.context()) as server:
            web = Web(str(authority.file))
            authority.file.unlink()
            with pytest.raises(RemoteError) as error:
                small(server, web)
            assert state(error, server) is SourceState.TLS


class TestProxy:
    """A proxy between."""

    def test_the_configured_one_is_used(self, server: WebServer) -> None:
        web = Web(proxy=server.url)
        answer = web.get("http://lists.example.org/small.json", 100)
        assert answer is not None
        assert answer.content == SMALL
        assert server.asked[0].headers["host"] == "lists.example.org"
        web.close()

    @pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
    def test_this_machine_is_asked_without_it(self, server: WebServer, name: str) -> None:
        """`http://127.0.0.1/` is allowed since no machine is between; a proxy would be one."""
        with WebServer() as proxy:
            web = Web(proxy=proxy.url)
            assert web.get(f"http://{name}:{server.port}/small.json", 100) is not None
            assert proxy.asked == []
            web.close()

    def test_tls_goes_through_it_unbroken(self, tmp_path: Path) -> None:
        authority = Authority(tmp_path)
        context = authority.context(["lists.example.org"])
        with WebServer(files={"small.json": SMALL}, tunnel_tls=context) as server:
            web = Web(str(authority.file), server.url)
            for _ in range(2):
                assert web.get("https://lists.example.org/small.json", 100) is not None
            assert server.paths() == ["lists.example.org:443", "small.json", "small.json"]
            web.close()

    def test_one_that_breaks_tls_is_refused(self, tmp_path: Path) -> None:
        ours, theirs = Authority(tmp_path), Authority(tmp_path, "Proxy")
        with WebServer(tunnel_tls=theirs.context(["lists.example.org"])) as server:
            with pytest.raises(RemoteError) as error:
                Web(str(ours.file), server.url).get("https://lists.example.org/small.json", 100)
            assert state(error) is SourceState.TLS

    @pytest.mark.parametrize("fault", [Fault.NO_TUNNEL, Fault.PROXY_LOGIN])
    def test_one_that_does_not_let_us_through_is_a_state(
        self, server: WebServer, fault: Fault
    ) -> None:
        server.faults["*"] = fault
        with pytest.raises(RemoteError) as error:
            Web(proxy=server.url).get("https://lists.example.org/small.json", 100)
        assert state(error) is SourceState.PROXY

    @pytest.mark.parametrize("fault", [Fault.SILENT, Fault.DRIP_HEADERS, Fault.DRIP_STATUS])
    def test_one_that_drips_is_given_up(self, server: WebServer, fault: Fault) -> None:
        server.faults["*"] = fault
        with pytest.raises(RemoteError) as error:
            Web(proxy=server.url, limits=SHORT).get("https://lists.example.org/small.json", 100)
        assert state(error) is SourceState.SLOW

    def test_one_that_is_not_there_is_a_state_and_its_password_is_not_shown(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        with pytest.raises(RemoteError) as error:
            Web(proxy=f"http://gate:secret@127.0.0.1:{port}").get(
                "https://lists.example.org/x", 100
            )
        assert state(error) is SourceState.PROXY
        assert "secret" not in str(error.value)

    def test_one_behind_tls_is_refused_at_the_start(self) -> None:
        with pytest.raises(ValueError, match=r"127\.0\.0\.1:1: a proxy is reached by http://"):
            Web(proxy="https://a:b@127.0.0.1:1")


class TestLargeFile:
    """Pieces: megabytes over lines that break."""

    def test_arrives_whole_and_leaves_no_part(
        self, server: WebServer, web: Web, tmp_path: Path
    ) -> None:
        assert large(server, web, tmp_path) == CONTENT
        assert [path.name for path in tmp_path.iterdir()] == ["large.wire"]

    def test_goes_on_where_a_power_cut_left_it(
        self, server: WebServer, web: Web, tmp_path: Path
    ) -> None:
        (tmp_path / "large.wire.part").write_bytes(CONTENT[:200_000])
        assert large(server, web, tmp_path) == CONTENT
        assert server.asked[0].headers["range"] == "bytes=200000-"
        assert web.received_bytes < len(CONTENT) - 200_000 + 1_000

    def test_that_was_whole_before_the_power_cut_asks_for_nothing(
        self, server: WebServer, web: Web, tmp_path: Path
    ) -> None:
        (tmp_path / "large.wire.part").write_bytes(CONTENT)
        assert large(server, web, tmp_path) == CONTENT
        assert server.asked == []

    def test_of_which_too_much_is_there_begins_again(
        self, server: WebServer, web: Web, tmp_path: Path
    ) -> None:
        (tmp_path / "large.wire.part").write_bytes(CONTENT + b"more")
        assert large(server, web, tmp_path) == CONTENT

    def test_comes_at_once_as_long_as_each_connection_brings_enough(
        self, server: WebServer, web: Web, tmp_path: Path
    ) -> None:
        server.cut_after_bytes = LIMITS.again_bytes_min
        server.faults["*"] = Fault.CUT
        assert large(server, web, tmp_path) == CONTENT
        assert len(server.asked) == -(-len(CONTENT) // LIMITS.again_bytes_min)

    @pytest.mark.parametrize("fault", [Fault.CUT, Fault.CUT_CHUNKED])
    def test_comes_poll_by_poll_when_connections_bring_little(
        self, server: WebServer, web: Web, tmp_path: Path, fault: Fault
    ) -> None:
        server.cut_after_bytes = 60_000
        server.faults["*"] = fault
        for _ in range(len(CONTENT) // 60_000):
            with pytest.raises(RemoteError, match="broke") as error:
                large(server, web, tmp_path)
            assert state(error, server) is SourceState.UNREACHABLE
        assert large(server, web, tmp_path) == CONTENT
        assert len(server.asked) == len(CONTENT) // 60_000 + 1

    @pytest.mark.parametrize(
        "fault",
        [
            Fault.IGNORES_RANGE,
            Fault.CHUNKED,
            Fault.WRONG_RANGE,
            Fault.WRONG_TOTAL,
            Fault.RANGE_REFUSED,
            Fault.OVERLONG_CHUNKED,
        ],
    )
    def test_begins_again_at_a_server_that_does_not_continue(
        self, server: WebServer, web: Web, tmp_path: Path, fault: Fault
    ) -> None:
        (tmp_path / "large.wire.part").write_bytes(CONTENT[:1_000])
        server.faults["*"] = fault
        assert large(server, web, tmp_path) == CONTENT

    @pytest.mark.parametrize(
        ("fault", "meaning"),
        [
            (Fault.CAPTIVE_PORTAL, SourceState.NOT_OURS),
            (Fault.HTML_AS_FILE, SourceState.REFUSED),
            (Fault.REDIRECT, SourceState.NOT_OURS),
            (Fault.REDIRECT_ENDLESS, SourceState.NOT_OURS),
            (Fault.NOT_FOUND, SourceState.NOT_OURS),
            (Fault.NOT_MODIFIED, SourceState.NOT_OURS),
            (Fault.OVERLONG, SourceState.REFUSED),
            (Fault.GARBAGE, SourceState.NOT_OURS),
            (Fault.ENDLESS_HEADERS, SourceState.NOT_OURS),
            (Fault.TOO_MANY, SourceState.BUSY),
        ],
    )
    def test_keeps_what_it_has_through_answers_of_others(
        self, server: WebServer, web: Web, tmp_path: Path, fault: Fault, meaning: SourceState
    ) -> None:
        part = tmp_path / "large.wire.part"
        part.write_bytes(CONTENT[:1_000])
        server.faults["*"] = fault
        with pytest.raises(RemoteError) as error:
            large(server, web, tmp_path)
        assert state(error, server) is meaning
        assert part.read_bytes() == CONTENT[:1_000]
        assert web.received_bytes < 100_000

    @pytest.mark.parametrize("fault", [Fault.TAMPERED, Fault.ENDLESS_BODY])
    def test_of_other_bytes_is_refused_and_nothing_of_it_stays(
        self, server: WebServer, web: Web, tmp_path: Path, fault: Fault
    ) -> None:
        server.faults["*"] = fault
        with pytest.raises(RemoteError) as error:
            large(server, web, tmp_path)
        assert state(error, server) is SourceState.REFUSED
        assert list(tmp_path.iterdir()) == []
        server.faults.clear()
        assert large(server, web, tmp_path) == CONTENT

    def test_whose_part_is_damaged_is_refused_once_and_then_fetched_again(
        self, server: WebServer, web: Web, tmp_path: Path
    ) -> None:
        (tmp_path / "large.wire.part").write_bytes(bytes(1_000))
        with pytest.raises(RemoteError) as error:
            large(server, web, tmp_path)
        assert state(error, server) is SourceState.REFUSED
        assert large(server, web, tmp_path) == CONTENT

    def test_that_stalls_is_gone_on_with_at_the_next_poll(
        self, server: WebServer, hurried: Web, tmp_path: Path
    ) -> None:
        server.faults["*"] = Fault.STALL
        with pytest.raises(RemoteError) as error:
            large(server, hurried, tmp_path)
        assert state(error, server) is SourceState.SLOW
        server.faults.clear()
        unhurried(hurried)
        assert large(server, hurried, tmp_path) == CONTENT
        assert server.asked[-1].headers["range"] == "bytes=1000-"

    def test_follows_no_symbolic_link(self, server: WebServer, web: Web, tmp_path: Path) -> None:
        (tmp_path / "precious").write_bytes(b"mine")
        (tmp_path / "large.wire.part").symlink_to(tmp_path / "precious")
        assert large(server, web, tmp_path) == CONTENT
        assert (tmp_path / "precious").read_bytes() == b"mine"

    def test_a_folder_that_is_not_there_is_reported_as_the_disks_fault(
        self, server: WebServer, web: Web, tmp_path: Path
    ) -> None:
        with pytest.raises(RemoteError, match="No such file") as error:
            large(server, web, tmp_path / "none")
        assert state(error) is SourceState.DISK

    def test_a_full_disk_is_reported_and_the_part_stays(
        self, server: WebServer, web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = os.write
        full = OSError(28, "No space left on device")

        def fills_up(fd: int, data: bytes) -> int:
            if (tmp_path / "large.wire.part").stat().st_size > 100_000:
                raise full
            return write(fd, data)

        monkeypatch.setattr(os, "write", fills_up)
        with pytest.raises(
            RemoteError, match=r"large\.wire\.part: No space left on device; check"
        ) as error:
            large(server, web, tmp_path)
        assert state(error) is SourceState.DISK
        monkeypatch.undo()
        assert large(server, web, tmp_path) == CONTENT
        assert "range" in server.asked[-1].headers
