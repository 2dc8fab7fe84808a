"""The network between the demo's gate and its city, to cut and restore. The city's server runs on.

    network = Network(city_port)         # the gate gets network.port instead of the city's
    network.cut()                        # no byte passes, connections are refused
    network.restore()
    network.close()

A cut is as at the gate's own plug: open connections are reset at once, new ones are refused.
A thread of its own carries the bytes and does not interpret them.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any

_HOST = "127.0.0.1"
_STEP_BYTES = 1 << 16
_DONE_S = 30.0  # a cut takes milliseconds; the demo must not hang if it fails
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: drop what is under way, and reset


class Network:
    """A TCP relay to one port of this machine; up at first, until `close`."""

    def __init__(self, city_port: int) -> None:
        """Listen on a free port, and relay to `city_port`. Raises OSError."""
        self._city_port = city_port
        # Keeps the port during a cut, so that the kernel gives it to no other program.
        self._reserved = _bound(0)
        self.port: int = self._reserved.getsockname()[1]
        self.state = "cut"
        """`up` or `cut`."""
        self._server: asyncio.Server | None = None
        self._carrying: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._thread.start()
        self.restore()

    def cut(self) -> None:
        """Stop listening and reset every connection; return when all have ended."""
        self._do(self._cut())
        self.state = "cut"

    def restore(self) -> None:
        """Listen again."""
        self._do(self._restore())
        self.state = "up"

    def close(self) -> None:
        """Cut it and end the thread."""
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._reserved.close()

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(_DONE_S)

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._carrying:
            writer.transport.abort()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _restore(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, sock=_bound(self.port))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 — this is one
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.ExitStack() as held:
            self._hold(writer, held)
            with contextlib.suppress(OSError):  # one end has gone: the other is closed too
                to_city = await asyncio.open_connection(_HOST, self._city_port)
                self._hold(to_city[1], held)
                if self._server is not None:
                    await asyncio.gather(_carry(reader, to_city[1]), _carry(to_city[0], writer))

    def _hold(self, writer: asyncio.StreamWriter, held: contextlib.ExitStack) -> None:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._carrying.add(writer)
        held.callback(self._carrying.discard, writer)
        held.callback(writer.transport.abort)


async def _carry(from_: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    """Copy bytes until the end of input. Raises OSError when either end has gone."""
    while data := await from_.read(_STEP_BYTES):
        to.write(data)
        await to.drain()
    with contextlib.suppress(OSError):
        to.write_eof()


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((_HOST, port))
    except OSError:
        bound.close()
        raise
    return bound
