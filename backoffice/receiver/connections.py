"""The receiver's connections: uvicorn's, with a limit on every wait for the client.

    connection = bounded(ConnectionLimits())      # for uvicorn.Config(http=…); one a server

uvicorn ends only connections that are idle after an answer. A connection that sends nothing at
first, a head or body that arrives byte by byte, and an answer that the client does not read would
each hold a descriptor for ever.
"""

import asyncio
import resource
import socket
import struct
from dataclasses import dataclass, replace
from enum import Enum
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

GATES_MAX = 20_000  # gates that return at once, each with a connection that it keeps
OTHERS = 480  # connections of other clients
CONNECTIONS_MAX = GATES_MAX + OTHERS
FILES_KEPT = 256  # descriptors for the database, published files, and the process itself
HEAD_BYTES_MAX = 16_384  # a gate's has 700


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The limits of one connection, and of all. Each time starts again with the next request."""

    connections_max: int = CONNECTIONS_MAX
    head_s: float = 15.0  # from a request's first byte, or the connection's start, to its head
    body_s: float = 45.0  # the receiver answers 408 after 30; this ends clients that go on
    untaken_s: float = 60.0  # the client must read 16 KiB or more of an answer in this time
    keep_alive_s: int = 75  # longer than a gate's poll, so that a poll needs no new connection


class _Waits(Enum):
    """What a connection waits for from its client."""

    NOTHING = "nothing"
    HEAD = "the head of a request"
    BODY = "the rest of a request"
    ROOM = "room for an answer"
    NEXT = "the next request"


class BoundedConnection(H11Protocol):
    """A connection of uvicorn's with a limit on every wait for the client."""

    limits: ClassVar[ConnectionLimits]
    idle: ClassVar[dict["BoundedConnection", None]]
    """The connections that wait for their next request, the longest wait first."""

    _waits = _Waits.NOTHING
    _timer: asyncio.TimerHandle | None = None

    def connection_made(  # type: ignore[override]  # as uvicorn's
        self, transport: asyncio.Transport
    ) -> None:
        """See uvicorn."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections_max:
            # End an idle connection to make room; if all are busy, end the new one.
            next(iter(self.idle), self).end()
        self._judge()

    def connection_lost(self, exc: Exception | None) -> None:
        """See uvicorn."""
        super().connection_lost(exc)
        self._wait_for(_Waits.NOTHING)

    def data_received(self, data: bytes) -> None:
        """See uvicorn."""
        super().data_received(data)
        self._judge()

    def on_response_complete(self) -> None:
        """See uvicorn."""
        super().on_response_complete()
        self._judge()

    def pause_writing(self) -> None:
        """See uvicorn."""
        super().pause_writing()
        self._judge()

    def resume_writing(self) -> None:
        """See uvicorn."""
        super().resume_writing()
        self._judge()

    def timeout_keep_alive_handler(self) -> None:
        """See uvicorn."""
        super().timeout_keep_alive_handler()
        self._judge()

    def end(self) -> None:
        """Break the connection off at once.

        Unsent data is dropped: the kernel would offer it for many minutes more.
        """
        self.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.transport.abort()

    def _judge(self) -> None:
        """Set the timer for what the connection waits for now.

        A wait that goes on keeps its end.
        """
        self._wait_for(self._waited())

    def _waited(self) -> _Waits:
        if self.transport.is_closing():  # it closes only when the client has read everything
            return _Waits.ROOM if self.transport.get_write_buffer_size() else _Waits.NOTHING
        if self.flow.write_paused:
            return _Waits.ROOM
        if self.conn.their_state is h11.SEND_BODY:
            return _Waits.BODY
        if self.conn.their_state is not h11.IDLE:
            return _Waits.NOTHING
        begun, _ = self.conn.trailing_data
        return _Waits.HEAD if begun or self.cycle is None else _Waits.NEXT

    def _wait_for(self, waits: _Waits) -> None:
        if waits is self._waits:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waits = waits
        self.idle.pop(self, None)
        if waits is _Waits.NEXT:
            self.idle[self] = None  # uvicorn ends it after keep_alive_s
            return
        limits = {
            _Waits.HEAD: self.limits.head_s,
            _Waits.BODY: self.limits.body_s,
            _Waits.ROOM: self.limits.untaken_s,
        }
        if waits in limits:
            self._timer = self.loop.call_later(limits[waits], self.end)


def bounded(limits: ConnectionLimits) -> type[BoundedConnection]:
    """The class of one server's connections."""
    return type("Connection", (BoundedConnection,), {"limits": limits, "idle": {}})


def files_allowed(wanted: int) -> int:
    """Raise this process's limit of descriptors to `wanted` if it may. Returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    infinite = resource.RLIM_INFINITY
    if soft == infinite or soft >= wanted:
        return wanted
    raised = wanted if hard == infinite else min(hard, wanted)
    if raised > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    return max(raised, soft)


def for_gates(gates: int) -> ConnectionLimits:
    """The limits of a receiver for so many gates at once."""
    return ConnectionLimits(connections_max=gates + OTHERS)


def limits_here(limits: ConnectionLimits) -> tuple[ConnectionLimits, str]:
    """The limits that this process's descriptors allow.

    Returns:
        The limits, and a line for the operator if they had to be lowered, else "".
    """
    wanted = limits.connections_max + FILES_KEPT
    allowed = files_allowed(wanted)
    if allowed >= wanted:
        return limits, ""
    fewer = max(allowed - FILES_KEPT, allowed // 2)
    line = (
        f"may open {allowed:,} files, and {limits.connections_max - OTHERS:,} gates at once"
        f" (--gates) need {wanted:,}: set LimitNOFILE= in the unit, or ulimit -n; until then it"
        f" keeps {fewer:,} connections, and other gates must try again"
    )
    return replace(limits, connections_max=fewer), line
