"""Who may ask a page that is served on this machine: ASGI middleware before a whole application. Neither the pages nor what is on them is its affair.

    app = Guard(app, port=8021, names=["gate-3.example.org"])

A browser on this machine reaches a loopback address whatever page it shows, so being bound to loopback keeps nobody's page out. Three things do:
* the Host header must be a name of ours: a hostile name that resolves to this machine (DNS rebinding) is no name of ours (421);
* a request that another site's page makes is refused by its Origin and its Sec-Fetch-Site; following a link to us is not (403);
* a POST needs our Origin and JSON, which a form of another site cannot send (403, 415).
Every answer tells the browser to load nothing from elsewhere, to show us in no frame and to give nothing to other sites.
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
_SHARING = b"access-control-"  # what would let another site read an answer


class Guard:
    """An ASGI application that asks `app` only what it may be asked."""

    def __init__(self, app: App, *, port: int, names: Iterable[str] = ()) -> None:
        """`port` is the one that browsers name; `names` are host names or addresses by which they may call besides loopback's, [::1] in brackets."""
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
        """Status and words, or None if it may ask. A header that comes twice is as bad as one that is wrong."""
        hosts, origins, sites = (
            _all(headers, name) for name in (b"host", b"origin", b"sec-fetch-site")
        )
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return 421, "this name is not one of ours"
        if any(origin not in self._origins for origin in origins):
            return 403, "another site may not ask"
        # same-site is not enough: every port of this machine, whoever serves there, is the same site.
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
    """One line of text, and no more."""
    body = f"{words}\n".encode()
    told = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": body})


def _all(headers: Headers, wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name.lower() == wanted]


def _follows_link(method: str, headers: Headers) -> bool:
    """Whether a person goes there from another page, in a window of its own: that page learns nothing of the answer."""
    modes, places = _all(headers, b"sec-fetch-mode"), _all(headers, b"sec-fetch-dest")
    return method in ("GET", "HEAD") and modes == [b"navigate"] and places == [b"document"]


def _is_json(types: list[bytes]) -> bool:
    return len(types) == 1 and types[0].split(b";")[0].strip().lower() == b"application/json"


def _with_headers(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            told = [
                header for header in message.get("headers", ()) if not _is_ours(header[0].lower())
            ]
            message = {**message, "headers": [*told, *ANSWER_HEADERS]}
        await send(message)

    return guarded


def _is_ours(name: bytes) -> bool:
    return name in _OURS_ALONE or name.startswith(_SHARING)
