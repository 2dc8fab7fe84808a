"""The guard of a page on this machine: which requests pass, and the headers of each answer."""

import asyncio
from collections.abc import Mapping

import pytest

from tests.support.web.asgi import Answered, ask
from validator.console.guard import Guard, Message, Receive, Scope, Send, answer

OURS = "http://localhost:8021/state"
ELSEWHERE = "http://evil.example"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers everybody, and would share with everybody."""
    del receive
    careless = [
        (b"Access-Control-Allow-Origin", b"*"),
        (b"Content-Security-Policy", b"default-src *"),
        (b"x-path", scope["path"].encode()),
    ]
    await answer(send, 200, "asked", careless)


def asked(
    method: str = "GET",
    url: str = OURS,
    headers: Mapping[str, str] | None = None,
    *,
    port: int = 8021,
) -> Answered:
    return ask(Guard(app, port=port, names=["gate-3.example.org"]), method, url, headers)


@pytest.mark.parametrize(
    "host",
    ["localhost", "LocalHost", "127.0.0.1", "[::1]", "gate-3.example.org", "GATE-3.example.org"],
)
def test_our_own_names_may_be_called(host: str) -> None:
    assert asked(headers={"Host": f"{host}:8021"}).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost",
        "localhost:8020",
        "localhost:80",
        "localhost:08021",
        "localhost.:8021",
        "localhost:8021.evil.example",
        "localhost:8021@evil.example",
        "evil.example:8021",
        "evil.localhost:8021",
        "127.0.0.1.evil.example:8021",
        "127.1:8021",
        "2130706433:8021",
        "0.0.0.0:8021",
        "[::]:8021",
        "::1:8021",
        "localhost:8021 ",
        "localhost:8021, evil.example",
        "gate-3.example.org",
        "sub.gate-3.example.org:8021",
    ],
)
def test_a_name_that_is_not_ours_is_refused_as_a_rebound_one_would_be(host: str) -> None:
    answered = asked(headers={"Host": host})
    assert (answered.status, answered.body) == (421, b"this name is not one of ours\n")


@pytest.mark.parametrize(
    "hosts", [[], ["localhost:8021", "localhost:8021"], ["localhost:8021", "evil.example"]]
)
def test_a_request_without_a_host_or_with_two_is_refused(hosts: list[str]) -> None:
    scope = {
        "type": "http",
        "method": "GET",
        "headers": [(b"host", host.encode()) for host in hosts],
    }
    assert _raw(scope)[0]["status"] == 421


def test_a_browser_leaves_out_the_port_of_http() -> None:
    assert asked(headers={"Host": "localhost"}, port=80).status == 200
    assert asked(headers={"Host": "localhost:80"}, port=80).status == 200


@pytest.mark.parametrize(
    "origin",
    [
        ELSEWHERE,
        "null",
        "",
        "https://localhost:8021",
        "http://localhost:8020",
        "http://localhost:8021/",
        "http://localhost",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_an_origin_that_is_not_ours_is_refused(method: str, origin: str) -> None:
    headers = {
        "Origin": origin,
        "Content-Type": "application/json",
        "Sec-Fetch-Site": "same-origin",
    }
    assert asked(method, headers=headers).status == 403


@pytest.mark.parametrize(
    "site", ["cross-site", "same-site", "", "other", "same-origin, cross-site"]
)
@pytest.mark.parametrize("mode", ["cors", "no-cors", "websocket", ""])
def test_what_another_site_s_page_fetches_is_refused(site: str, mode: str) -> None:
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": "empty"}
    assert asked(headers=headers).status == 403


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_our_own_page_and_a_typed_address_may_ask(site: str) -> None:
    assert asked(headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "cors"}).status == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_to_us_may_be_followed_but_not_into_a_frame_and_not_with_a_form(site: str) -> None:
    link = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert asked(headers=link).status == 200
    assert asked(headers=link | {"Sec-Fetch-Dest": "iframe"}).status == 403
    assert asked("POST", headers=link | {"Content-Type": "application/json"}).status == 403


def test_a_change_needs_our_origin_and_json() -> None:
    ours = {"Origin": "http://localhost:8021"}
    assert (
        asked("POST", headers=ours | {"Content-Type": "application/json; charset=utf-8"}).status
        == 200
    )
    assert asked("POST", headers={"Content-Type": "application/json"}).status == 403
    assert asked("POST", headers=ours).status == 415


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/jsonp",
        "",
    ],
)
def test_what_a_form_of_another_site_could_send_is_no_change(kind: str) -> None:
    assert (
        asked("POST", headers={"Origin": "http://localhost:8021", "Content-Type": kind}).status
        == 415
    )


@pytest.mark.parametrize("headers", [{}, {"Host": "evil.example"}, {"Origin": ELSEWHERE}])
def test_every_answer_keeps_other_sites_out_whatever_the_application_sends(
    headers: dict[str, str],
) -> None:
    told = asked(headers=headers).headers
    assert told["content-security-policy"] == (
        "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
    assert told["x-content-type-options"] == "nosniff"
    assert told["referrer-policy"] == "no-referrer"
    assert told["cross-origin-resource-policy"] == "same-origin"
    assert not [name for name in told if name.startswith("access-control")]


def test_a_web_socket_is_closed_and_a_lifespan_is_the_application_s_own() -> None:
    assert _raw({"type": "websocket", "headers": []}) == [{"type": "websocket.close", "code": 1008}]
    assert _raw({"type": "lifespan", "path": "/"})[0]["status"] == 200


def _raw(scope: Scope) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def run() -> None:
        await Guard(app, port=8021)(scope, receive, send)

    asyncio.run(run())
    return sent
