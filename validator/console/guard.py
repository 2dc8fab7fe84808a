"""Who may ask a page that this machine serves: ASGI middleware before a whole application.

    app = Guard(app, port=8021, names=["gate-3.example.org"])

It knows neither the pages nor what they show. A browser on this machine reaches a loopback address
whatever page it shows, so binding to loopback keeps no other site's page out. Three checks do:
* The Host header must be one of our names. A hostile name that resolves to this machine (DNS
  rebinding) is not one: 421.
* Origin and Sec-Fetch-Site give a request away that another site's page makes: 403. Following a
  link to us is allowed.
* A POST needs our Origin and JSON, which a form of another site cannot send: 403, 415.

The headers of every answer let the browser load nothing from elsewhere, show us in no frame and
give nothing to other sites.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
HTTP_PORT = 80  # a browser leaves it out
POLICY = b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
ANSWER_HEADERS: Headers = [
    (b"content-security-policy", POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_OURS_ALONE = tuple(name for name, _ in ANSWER_HEADERS)
_SHARING = b"access-control-"  # headers that let another site read an answer


class Guard:
    """An ASGI application that passes on to `app` only requests from our own pages."""

    def __init__(self, app: App, *, port: int, names: Iterable[str] = ()) -> None:
        """Guard `app`.

        Args:
            app: the application.
            port: the port in the browser's address.
            names: further host names or addresses of ours, IPv6 in brackets; loopback's are known.
        """
        self._app = app
        hosts = {name.lower() for name in (*LOOPBACK_NAMES, *names)}
        self._hosts = {f"{host}:{port}".encode() for host in hosts}
        if port == HTTP_PORT:
            self._hosts |= {host.encode() for host in hosts}
        self._origins = {b"http://" + host for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] != "http":
            await self._app(scope, receive, send)
        else:
            guarded = _with_headers(send)
            refused = self._refused(scope["method"], scope["headers"])
            if refused is None:
                await self._app(scope, receive, guarded)
            else:
                await answer(guarded, *refused)

    def _refused(self, method: str, headers: Headers) -> tuple[int, str] | None:
        """Return status and text of a refusal, or None. A header sent twice is a wrong one."""
        hosts, origins, sites = (
            _all(headers, name) for name in (b"host", b"origin", b"sec-fetch-site")
        )
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return 421, "this name is not one of ours"
        if any(origin not in self._origins for origin in origins):
            return 403, "another site may not ask"
        # same-site is not enough: every port of this machine is the same site.
        if any(site not in (b"same-origin", b"none") for site in sites) and not _follows_link(
            method, headers
        ):
            return 403, "another site may not ask"
        if method == "POST" and len(origins) != 1:
            return 403, "a change needs an Origin"
        if method == "POST" and not _is_json(_all(headers, b"content-type")):
            return 415, "a change is JSON"
        return None


async def answer(
    send: Send, status: int, words: str, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Answer with one line of text."""
    body = f"{words}\n".encode()
    sent = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": body})


def _all(headers: Headers, wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name.lower() == wanted]


def _follows_link(method: str, headers: Headers) -> bool:
    """Return whether a person follows a link: the page with the link sees none of the answer."""
    modes, places = _all(headers, b"sec-fetch-mode"), _all(headers, b"sec-fetch-dest")
    return method in ("GET", "HEAD") and modes == [b"navigate"] and places == [b"document"]


def _is_json(types: list[bytes]) -> bool:
    return len(types) == 1 and types[0].split(b";")[0].strip().lower() == b"application/json"


def _with_headers(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            sent = [
                header for header in message.get("headers", ()) if not _is_ours(header[0].lower())
            ]
            message = {**message, "headers": [*sent, *ANSWER_HEADERS]}
        await send(message)

    return guarded


def _is_ours(name: bytes) -> bool:
    return name in _OURS_ALONE or name.startswith(_SHARING)
