"""By which address a gate calls the receiver, and through which proxies.

What works is delivered; what cannot is reported with who answered and why.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from backoffice.home.config import load
from backoffice.home.receiver_names import ReceiverNames
from backoffice.receiver.app import HOSTS_SAID_MAX, Receiver, ReceiverLimits
from backoffice.receiver.web_app import app
from backoffice.reports.store import ReportStore
from tests.support.gate.reports import NOW_UNIX_S, stored
from tests.support.web.asgi import ask
from tests.support.web.web_server import WebServer
from validator.courier.ports import Result
from validator.courier.receiver_client import ReceiverClient
from validator.courier.web.client import StatusError, Web
from validator.errors import ConfigError, RemoteError, SourceState
from validator.formats.web_address import parse_address
from validator.programs.enrolment import EnrolmentError, enrol

KEY = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
Change = Callable[[Scope], None]


def host(name: str) -> Change:
    """A proxy that puts another host into the request."""

    def changed(scope: Scope) -> None:
        kept = [each for each in scope["headers"] if each[0] != b"host"]
        scope["headers"] = [(b"host", name.encode()), *kept]

    return changed


def path(of: str, to: str) -> Change:
    """A web server that puts one path in place of another."""

    def changed(scope: Scope) -> None:
        moved = scope["path"].replace(of, to, 1)
        scope["path"], scope["raw_path"] = moved, moved.encode()

    return changed


class World:
    """A gate, a receiver, and a proxy between."""

    def __init__(self, folder: Path, store: ReportStore, server: WebServer) -> None:
        self.folder = folder
        self.store = store
        self.server = server
        self.said: list[str] = []
        self.web = Web()

    def stands(self, addresses: Sequence[str], *between: Change) -> None:
        """A receiver of these addresses; {} is the server's own authority."""
        named = [parse_address(self.here(each)) for each in addresses]
        names, limits = ReceiverNames(named), ReceiverLimits()
        receiver = Receiver(
            self.store, limits, lambda: NOW_UNIX_S, names=names, say=self.said.append
        )
        whole = app(self.folder / "published", receiver.routes)

        async def reached(scope: Scope, receive: Receive, send: Send) -> None:
            for change in between:
                change(scope)
            await whole(scope, receive, send)

        self.server.app = reached

    def here(self, text: str) -> str:
        """The text with the server's own host and port in it."""
        return text.format(f"127.0.0.1:{self.server.port}")

    def sends(self, url: str = "http://{}/") -> Result:
        """Send one report."""
        self.store.enrol(
            "gate",
            self.store.invite("gate", NOW_UNIX_S),
            KEY.public_key().public_bytes_raw(),
            NOW_UNIX_S,
        )
        return self.send(url)

    def send(self, url: str = "http://{}/") -> Result:
        """The same of a gate that is enrolled, or is not."""
        client = ReceiverClient(self.here(url), self.web, "gate", KEY, lambda: NOW_UNIX_S)
        (answer,) = client.send([stored(1)]).values()
        return answer.result

    def refused(self, url: str = "http://{}/") -> StatusError:
        """The gate's error: one line, and nothing was stored."""
        with pytest.raises(StatusError) as caught:
            self.sends(url)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 400
        assert self.store.count() == 0
        return caught.value


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ReportStore.open(f"sqlite:///{tmp_path / 'registry.db'}") as store, WebServer() as server:
        made = World(tmp_path, store, server)
        yield made
        made.web.close()


@pytest.mark.parametrize(
    ("addresses", "url", "between"),
    [
        ([], "http://{}/", []),
        (["http://{}/"], "http://{}", []),
        (["http://{}/turnike/"], "http://{}/turnike", []),
        (["http://{}/turnike/"], "http://{}/turnike/", [path("/turnike/", "/")]),
        (["http://{}/a/", "http://{}/b/c/"], "http://{}/b/c/", [path("/b/c/", "/")]),
        (["http://{}/a/", "http://{}/b/c/"], "http://{}/b/c/", []),
        (["http://{}/v1/"], "http://{}/v1/", []),
        (["http://{}/", "http://other.example/"], "http://{}/", []),
    ],
)
def test_a_receiver_that_knows_its_addresses_is_reached_at_each(
    world: World, addresses: list[str], url: str, between: list[Change]
) -> None:
    world.stands(addresses, *between)
    assert world.sends(url) is Result.STORED
    assert world.said == []


@pytest.mark.parametrize(
    ("name", "is_known"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:8080", True),
        ("[::1]:8080", True),
        ("LOCALHOST:1", True),
        ("127.0.0.1.example.org", False),
        ("localhost.example.org", False),
        ("localhost@example.org", False),
        ("[::1", False),
        ("", False),
        ("10.0.0.1", False),
        ("a b", False),
        ("localhost:", False),
    ],
)
def test_without_addresses_it_is_this_machines_alone(
    world: World, name: str, is_known: bool
) -> None:
    world.stands([])
    assert world.server.app is not None
    answered = ask(world.server.app, "POST", "http://127.0.0.1/v1/reports", {"host": name})
    assert answered.status == (401 if is_known else 421)


@pytest.mark.parametrize(
    "name", ["reports.example.org", "Reports.Example.org:443", "REPORTS.example.org"]
)
def test_a_host_is_the_same_in_any_case_and_with_its_own_port(world: World, name: str) -> None:
    world.stands(["https://reports.example.org/"], host(name))
    assert "the back office does not know this gate's key" not in str(world.refused())
    assert world.said == [], "it is called so, and what was signed is another host"


@pytest.mark.parametrize(
    ("addresses", "between", "told"),
    [
        # As nginx does without proxy_set_header Host.
        ([], host("127.0.0.1:8080"), "sent host {} and the receiver got 127.0.0.1:8080"),
        (["http://{}/"], host("localhost"), "sent host {} and the receiver got localhost"),
        (
            ["http://{}/", "http://upstream/"],
            host("upstream"),
            "sent host {} and the receiver got upstream",
        ),
        (
            [],
            path("/v1", "/turnike/v1"),
            "sent path /v1/reports and the receiver got /turnike/v1/reports",
        ),
        (
            ["http://{}/turnike/"],
            path("/v1", "/turnike/v1"),
            "and the receiver got /turnike/v1/reports",
        ),
    ],
)
def test_what_was_changed_on_the_way_is_reported_with_both_spellings(
    world: World, addresses: list[str], between: Change, told: str
) -> None:
    world.stands(addresses, between)
    error = world.refused()
    assert error.state is SourceState.REFUSED
    assert world.here(told) in str(error)
    assert "enroll" not in str(error)


def test_a_prefix_that_the_receiver_does_not_know_is_reported(world: World) -> None:
    """The address that was accepted, enrolled, and never delivered a report."""
    world.stands([], path("/turnike/", "/"))
    token = world.store.invite("gate", NOW_UNIX_S)
    with pytest.raises(
        EnrolmentError, match="sent path /turnike/v1/enrol and the receiver got /v1/enrol"
    ):
        enrol("gate", world.here("http://{}/turnike/"), world.folder / "gate.pem", token, world.web)
    assert world.store.public_key("gate") is None
    world.stands(["http://{}/turnike/"], path("/turnike/", "/"))
    enrol("gate", world.here("http://{}/turnike/"), world.folder / "gate.pem", token, world.web)
    assert world.store.public_key("gate"), "the token was not used up"


def test_a_host_that_is_none_of_its_own_is_refused_and_logged_once(
    world: World,
) -> None:
    world.stands(["https://reports.example.org/"], host("attacker.example"))
    error = world.refused()
    assert error.status == 421
    assert "attacker.example" in str(error)
    token = world.store.invite("new", NOW_UNIX_S)
    with pytest.raises(EnrolmentError, match="the receiver answered 421"):
        enrol("new", world.server.url, world.folder / "gate.pem", token, world.web)
    for _ in range(2):
        world.refused()
    reports, enrolled = world.said
    assert reports.startswith("no address of this receiver is attacker.example/v1/reports: ")
    assert enrolled.startswith("no address of this receiver is attacker.example/v1/enrol: ")


def test_a_path_is_held_against_its_signature_as_its_bytes_came(world: World) -> None:
    """`%72` is an r to a router, and not to the signer."""

    def escaped(scope: Scope) -> None:
        scope["raw_path"] = b"/v1/%72eports"

    world.stands([], escaped)
    assert "sent path /v1/reports and the receiver got /v1/%72eports" in str(world.refused())


def test_hosts_without_end_are_not_remembered_without_end(world: World) -> None:
    world.stands([])
    assert world.server.app is not None
    for number in range(2 * HOSTS_SAID_MAX):
        told = {"host": f"\x1b[2J\u202e{number}.example".encode().decode("latin-1")}
        answered = ask(world.server.app, "POST", "http://127.0.0.1/v1/reports", told)
        assert answered.status == 421
        assert answered.json["checked"]["authority"].isprintable()
    assert len(world.said) == HOSTS_SAID_MAX
    assert all(line.isprintable() and line.isascii() for line in world.said)


def test_a_gate_that_is_not_known_is_asked_to_enrol_and_one_with_another_key_too(
    world: World,
) -> None:
    world.stands([])
    with pytest.raises(StatusError, match="does not know this gate's key; turnike enroll"):
        world.send()
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    world.store.enrol("gate", world.store.invite("gate", NOW_UNIX_S), other, NOW_UNIX_S)
    with pytest.raises(StatusError, match=r"it holds another key of this gate \(turnike enroll\)"):
        world.send()


EDGE = [
    HTMLResponse("<html>403</html>", 403),
    JSONResponse({"error": "gate 'gate' is not known here"}, 401),
    JSONResponse({"error": "unauthorized", "checked": {"method": "POST"}}, 401),
    Response(b"", 403),
    HTMLResponse("<html>nginx</html>", 404),
    Response(b"", 405),
    Response(b"", 421),
    Response(b"", 451),
    HTMLResponse("<html>bad gateway</html>", 502),
    HTMLResponse("<html>timeout</html>", 504),
    Response(b"", 429, {"retry-after": "7"}),
    RedirectResponse("https://login.example/\x1b[2J", 302),
    RedirectResponse("/v1/reports/", 307),
]


@pytest.mark.parametrize("answer", EDGE, ids=lambda each: str(each.status_code))
def test_an_answer_that_is_not_the_receivers_is_named_so_without_advice_about_keys(
    world: World, answer: Response
) -> None:
    world.server.app = answering(answer)
    error = world.refused()
    status = answer.status_code
    assert (
        f"something between, not the receiver, answered {'a redirect' if status < 400 else status}"
        in str(error)
    )
    assert "enroll" not in str(error)
    busy = status in (429, 502, 504)
    assert error.state is (SourceState.BUSY if busy else SourceState.NOT_OURS)
    assert error.retry_after_s == (7 if status == 429 else 0)
    with pytest.raises(EnrolmentError, match="something between, not the receiver"):
        enrol("gate", world.server.url, world.folder / "gate.pem", "token", world.web)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"status":"ok"}', b"[]", b'{"results": 5}'])
def test_a_good_answer_that_is_none_of_the_receivers_is_named_so_too(
    world: World, body: bytes
) -> None:
    world.server.app = answering(Response(body, 200, media_type="application/json"))
    with pytest.raises(
        RemoteError, match="something between, not the receiver, answered what no"
    ) as caught:
        world.sends()
    assert caught.value.state is SourceState.NOT_OURS


@pytest.mark.parametrize(
    "address", ["reports.example.org", "https://şehir.example/", "https://a.example/%7E/"]
)
def test_an_address_that_no_gate_could_have_is_refused_in_the_configuration(
    tmp_path: Path, address: str
) -> None:
    (tmp_path / "backoffice.toml").write_text(
        f'[receiver]\naddresses = ["{address}"]\n'
        '[[rules]]\nname = "a"\neffect = "refuse"\nuntil_unit_s = 60\n'
    )
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert f"receiver.addresses: {address!r}" in str(caught.value)
    assert str(caught.value).isprintable()


def answering(response: Response) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await response(scope, receive, send)

    return answer


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"[" * 3_000,
        b'{"error": 5}',
        b'{"error": "\\u001b[2J\\u202e\\nforged", "reason": "no such", "checked": null}',
        (
            b'{"error": "", "checked": {"method": "POST", '
            b'"authority": "\\u001b]0;x\\u0007", "path": "/\\n"}}'
        ),
    ],
)
def test_any_answer_with_the_receivers_name_is_shown_in_one_printable_line(
    world: World, body: bytes
) -> None:
    world.server.app = answering(Response(body, 401, {"turnike-receiver": "1"}))
    assert world.refused().state is SourceState.REFUSED
