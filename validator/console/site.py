"""What the console serves, as an ASGI application. Every request only reads.

| path | answer |
|---|---|
| `/`, `/static/FILE` | the page and its files |
| `/events` | server-sent events: `gate` and `tap`, see below |
| `/state` | the gate's state once |
| `/day` | latencies of 24 hours in slots of 5 minutes, of the last hour in slots of 30 s |
| `/metrics` | for Prometheus |

An event `gate` has the whole state: at once after a notable change, else at most once a second. An
event `tap` comes for each tap. guard.py decides who may ask.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from validator.console.assets import PAGE, Asset
from validator.console.day import FINE_STEP_S, STEP_S
from validator.console.gate import Gate, Lane
from validator.console.guard import Headers, Receive, Scope, Send, answer
from validator.console.lane_words import Tap
from validator.console.metrics import METRICS_TYPE, metrics_text
from validator.console.pages import PAGES_MAX, Pages

_JSON = b"application/json"
_NEVER_KEPT = (b"cache-control", b"no-store")
_STATIC = "/static/"


class Site:
    """The application."""

    def __init__(self, gate: Gate, assets: Mapping[str, Asset]) -> None:
        self.pages = Pages(lambda: msgspec.json.encode(gate.state()))
        self._gate = gate
        self._assets = assets

    def send_tap(self, lane: Lane, tap: Tap) -> None:
        """Send a tap to all pages."""
        if len(self.pages):
            self.pages.send_tap(
                msgspec.json.encode({"lane": lane.number, **msgspec.structs.asdict(tap)})
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["method"] not in ("GET", "HEAD"):
            await answer(send, 405, "this page only shows", [(b"allow", b"GET, HEAD")])
            return
        match scope["path"]:
            case "/events":
                await self._events(scope["method"], receive, send)
            case "/state":
                await _send(send, _JSON, msgspec.json.encode(self._gate.state()))
            case "/day":
                await _send(send, _JSON, msgspec.json.encode(self._day()))
            case "/metrics":
                await _send(send, METRICS_TYPE.encode(), metrics_text(self._gate))
            case path:
                await self._file(
                    PAGE if path == "/" else path.removeprefix(_STATIC),
                    path,
                    scope["headers"],
                    send,
                )

    def _day(self) -> dict[str, Any]:
        hour = {"step_s": FINE_STEP_S, "slots": self._gate.hour()}
        return {"step_s": STEP_S, "slots": self._gate.day(), "hour": hour}

    async def _file(self, name: str, path: str, headers: Headers, send: Send) -> None:
        asset = self._assets.get(name)
        if asset is None or path not in ("/", _STATIC + name) or (path != "/" and name == PAGE):
            await answer(send, 404, "there is no such page")
            return
        kept = [
            (b"etag", asset.tag),
            (b"cache-control", b"no-cache"),
        ]  # stored, and checked for a change at each use
        if any(name.lower() == b"if-none-match" and asset.tag in value for name, value in headers):
            await send({"type": "http.response.start", "status": 304, "headers": kept})
            await send({"type": "http.response.body"})
            return
        await _send(send, asset.type, asset.content, kept)

    async def _events(self, method: str, receive: Receive, send: Send) -> None:
        page = self.pages.open()
        if page is None:
            await answer(
                send, 503, f"{PAGES_MAX} pages are open, which is enough", [(b"retry-after", b"5")]
            )
            return
        leaving = asyncio.create_task(_left(receive))
        leaving.add_done_callback(lambda _: page.end())
        try:
            headers = [(b"content-type", b"text/event-stream"), _NEVER_KEPT]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            if method == "GET":
                async for part in page:
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body"})
        finally:
            leaving.cancel()
            self.pages.closed(page)


async def _left(receive: Receive) -> None:
    """Return once the client has disconnected, as the server reports it."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, kind: bytes, body: bytes, headers: Headers | None = None) -> None:
    sent: list[Any] = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    sent += [_NEVER_KEPT] if headers is None else headers
    await send({"type": "http.response.start", "status": 200, "headers": sent})
    await send({"type": "http.response.body", "body": body})
