"""The receiver's connections: uvicorn's, none of which lasts without a request that comes, is worked on, and is taken.

    connection = bounded(ConnectionLimits())      # for uvicorn.Config(http=…); one a server

uvicorn ends a connection that is idle after an answer, and no other: one that says nothing at first, a head or a body
that comes byte by byte, and an answer that nobody reads would each hold a descriptor for ever.
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

GATES_MAX = 20_000  # that come back at once, each with a connection that it keeps
OTHERS = 480  # whoever else asks
CONNECTIONS_MAX = GATES_MAX + OTHERS
FILES_KEPT = 256  # descriptors for the database, published files, and the process itself
HEAD_BYTES_MAX = 16_384  # a gate's has 700


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection, and all of them, may take. Each time begins anew with the next request."""

    connections_max: int = CONNECTIONS_MAX
    head_s: float = (
        15.0  # from the first byte of a request, or from the start, to the end of its head
    )
    body_s: float = (
        45.0  # the receiver has answered 408 after 30; this is for whoever goes on regardless
    )
    untaken_s: float = (
        60.0  # without room for more of an answer: 16 KiB and more have to be taken in it
    )
    keep_alive_s: int = (
        75  # longer than a gate's poll: otherwise each poll would be a new connection
    )


class _Waits(Enum):
    """What a connection waits for from the other side."""

    NOTHING = "nothing"
    HEAD = "the head of a request"
    BODY = "the rest of a request"
    ROOM = "room for an answer"
    NEXT = "the next request"


class BoundedConnection(H11Protocol):
    """uvicorn's, whose every wait for the other side has an end."""

    limits: ClassVar[ConnectionLimits]
    idle: ClassVar[dict["BoundedConnection", None]]
    """Those that wait for their next request, the one that has done so for the longest time first."""

    _waits = _Waits.NOTHING
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """See uvicorn."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections_max:
            # One that asks for nothing makes room; if all are busy, the new one has to come again.
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
        """Break it off at once, what is on its way included: the kernel would offer that for many minutes more."""
        self.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.transport.abort()

    def _judge(self) -> None:
        """See what it waits for now; a wait that goes on keeps its end."""
        self._wait_for(self._waited())

    def _waited(self) -> _Waits:
        if self.transport.is_closing():  # it is closed only when all is taken
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
    """How many descriptors this process may have, once its limit is raised as far as that needs and may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    infinite = resource.RLIM_INFINITY
    if soft == infinite or soft >= wanted:
        return wanted
    raised = wanted if hard == infinite else min(hard, wanted)
    if raised > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    return max(raised, soft)


def for_gates(gates: int) -> ConnectionLimits:
    """The limits of a receiver to which so many gates may come back at once."""
    return ConnectionLimits(connections_max=gates + OTHERS)


def limits_here(limits: ConnectionLimits) -> tuple[ConnectionLimits, str]:
    """These limits, as far as this process may have descriptors; and a line for the operator if that is not enough."""
    wanted = limits.connections_max + FILES_KEPT
    allowed = files_allowed(wanted)
    if allowed >= wanted:
        return limits, ""
    fewer = max(allowed - FILES_KEPT, allowed // 2)
    line = (
        f"may open {allowed:,} files, and {limits.connections_max - OTHERS:,} gates at once (--gates) need {wanted:,}:"
        f" LimitNOFILE= in the unit, or ulimit -n; until then it keeps {fewer:,} connections, and others come again"
    )
    return replace(limits, connections_max=fewer), line
