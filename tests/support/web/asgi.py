"""Call an ASGI application without a socket, as a web server would."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Scope


@dataclass(frozen=True)
class Answered:
    """The answer of the application."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


def ask(
    app: ASGIApp,
    method: str,
    url: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | Sequence[bytes] = b"",
) -> Answered:
    """Send one request; return the answer. A sequence as `body` is received part by part."""
    parts = [body] if isinstance(body, bytes) else list(body)
    scope = _scope(method, url, headers or {})
    waiting: list[Message] = [
        {"type": "http.request", "body": part, "more_body": number + 1 < len(parts)}
        for number, part in enumerate(parts)
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def asked() -> None:
        await app(scope, receive, send)

    asyncio.run(asked())
    start, *rest = sent
    answered = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return Answered(
        start["status"], answered, b"".join(message.get("body", b"") for message in rest)
    )


def _scope(method: str, url: str, headers: Mapping[str, str]) -> Scope:
    split = urlsplit(url)
    sent = {"host": split.netloc, **{name.lower(): value for name, value in headers.items()}}
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": split.scheme,
        "path": split.path,
        "raw_path": split.path.encode(),
        "query_string": split.query.encode(),
        "root_path": "",
        "headers": [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in sent.items()
        ],
        "server": (split.hostname, split.port or 443),
        "client": ("127.0.0.1", 1),
    }
