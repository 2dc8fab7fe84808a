"""The line between the demo's gate and its city, to be cut and mended. The server behind it runs on.

    network = Network(city_port)         # the gate is given network.port instead of the city's
    network.cut()                        # nothing passes any more, neither way, and nobody answers
    network.mend()
    network.close()

Cut as at the gate's own plug: what was under way ends at once, and a new connection finds nobody.
A thread of its own carries bytes; it knows nothing of what they mean.
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
_END_S = 30.0  # cutting and mending take milliseconds; a demo must not hang on them
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: what is on its way is thrown away


class Network:
    """The line, from its making, when it is up, to `close`."""

    def __init__(self, city_port: int) -> None:
        """`city_port` of this machine is where the city answers. Raises OSError."""
        self._city_port = city_port
        # Keeps the port while nobody listens there, so that no other program is given it.
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
        self.mend()

    def cut(self) -> None:
        """Let nothing pass. Returns when every connection has ended."""
        self._do(self._cut())
        self.state = "cut"

    def mend(self) -> None:
        """Let all pass again."""
        self._do(self._mend())
        self.state = "up"

    def close(self) -> None:
        """Cut it for good."""
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._reserved.close()

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(_END_S)

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._carrying:
            writer.transport.abort()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _mend(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, sock=_bound(self.port))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 — this is one
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.ExitStack() as held:
            self._hold(writer, held)
            with contextlib.suppress(OSError):  # one of the two has gone: the other is let go
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
    """All that comes, until its end. Raises OSError when either has gone."""
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
