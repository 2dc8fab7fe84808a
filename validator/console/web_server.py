"""The console's web server: uvicorn, with limits on slow, silent and too many connections.

    with listening(host, port) as socket:
        await WebServer(app, began=…, ends=…).serve([socket])

It knows nothing of what `app` answers.
"""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from validator.console.guard import App

CONNECTIONS_MAX = 64  # 32 pages, and as many other requests
PATIENCE_S = 15.0  # with a connection that sends no whole request, or reads no answer
HEADERS_BYTES_MAX = 16_384  # a browser sends 1 KB
WRITE_BYTES_MAX = 32_768  # unsent to a slow page, besides the kernel's buffer: ten states
KEEP_ALIVE_S = 10
GRACE_S = 1


class WebServer(uvicorn.Server):
    """Serves `app` until a signal or `should_exit`."""

    def __init__(self, app: App, *, began: Callable[[], None], ends: Callable[[], None]) -> None:
        """`began` is called once requests are served, `ends` when streams must end."""
        self._began = began
        self._ends = ends
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                http=_Connection,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level="error",  # strangers send invalid requests without end
                access_log=False,
                proxy_headers=False,
                server_header=False,
                h11_max_incomplete_event_size=HEADERS_BYTES_MAX,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=GRACE_S,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        await super().startup(sockets)
        self._began()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        self._ends()
        await super().shutdown(sockets)


class _Connection(H11Protocol):
    """uvicorn's, with a limit on waiting for a whole request and for the client to read."""

    since_s = 0.0
    _patience: asyncio.TimerHandle | None = None

    def connection_made(  # type: ignore[override]  # as uvicorn's
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        self.since_s = self.loop.time()
        transport.set_write_buffer_limits(WRITE_BYTES_MAX)
        if len(self.connections) > CONNECTIONS_MAX:
            _make_room(self, self.connections)
        self._judge()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._calm()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._judge()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._judge()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._judge()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._judge()

    @property
    def is_answered(self) -> bool:
        """Whether no request waits for its answer."""
        return self.cycle is None or self.cycle.response_complete

    def _judge(self) -> None:
        if self.transport.is_closing() or not (self.is_answered or self.flow.write_paused):
            self._calm()
        elif self._patience is None:
            self._patience = self.loop.call_later(PATIENCE_S, self.transport.abort)

    def _calm(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


def _make_room(newest: _Connection, connections: "set[Any]") -> None:
    """Abort the oldest idle connection, or, if none is idle, the new one."""
    others = (other for other in connections if other is not newest and other.is_answered)
    min(others, key=lambda other: float(other.since_s), default=newest).transport.abort()


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Listen at this address.

    Args:
        host: an IPv4 or IPv6 address.
        port: 0 for any free one.

    Raises:
        OSError: the address is in use, or not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's delay (40 ms an event) off only for a socket with this protocol.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(CONNECTIONS_MAX)
        yield listener
