"""The web client's ways: TLS and proxies."""

import socket
import time
from pathlib import Path

import pytest

from tests.support.gate.web_states import CONTENT, SHORT, SLOW, SMALL, large, small, state
from tests.support.web.web_server import Authority, Fault, WebServer
from validator.courier.web.client import Web
from validator.errors import RemoteError, SourceState


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
