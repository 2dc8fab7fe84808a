"""The console's web server against callers that send nothing, half a request or too much.

And against those that take nothing of their answer.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from validator.console import web_server
from validator.console.guard import Receive, Scope, Send, answer
from validator.console.web_server import CONNECTIONS_MAX, HEADERS_BYTES_MAX, WebServer, listening

WAIT_S = 90.0
GOOD = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
STREAM = b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Served:
    """A server with one short answer and one stream without an end."""

    def __init__(self) -> None:
        self.streams = 0
        self.port = 0
        self._changed = asyncio.Condition()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/stream":
            await answer(send, 200, "here")
            return
        await self._count(1)
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while not leaving.done():
                await send({"type": "http.response.body", "body": b"x" * 4_096, "more_body": True})
                await asyncio.sleep(0)
        finally:
            leaving.cancel()
            await self._count(-1)

    async def call(self) -> Streams:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def say(self, data: bytes) -> bytes:
        """Everything that is answered until the other side hangs up."""
        reader, writer = await self.call()
        writer.write(data)
        told = await read(reader)
        writer.close()
        return told

    async def wait_for_streams(self, count: int) -> None:
        async with asyncio.timeout(WAIT_S), self._changed:
            await self._changed.wait_for(lambda: self.streams == count)

    async def _count(self, more: int) -> None:
        async with self._changed:
            self.streams += more
            self._changed.notify_all()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def read(reader: asyncio.StreamReader) -> bytes:
    """All, or what came before the connection was broken."""
    told = b""
    async with asyncio.timeout(WAIT_S):
        try:
            while part := await reader.read(65_536):
                told += part
        except ConnectionResetError:
            pass
    return told


def serve(test: Callable[[Served], Awaitable[None]]) -> None:
    async def run(listener: socket.socket) -> None:
        served = Served()
        served.port = listener.getsockname()[1]
        began = asyncio.Event()
        server = WebServer(served, began=began.set, ends=lambda: None)
        serving = asyncio.create_task(server.serve([listener]))
        await began.wait()
        try:
            await test(served)
        finally:
            server.should_exit = True
            await serving

    with listening("127.0.0.1", 0) as listener:
        asyncio.run(run(listener))


async def is_well(served: Served) -> bool:
    return (await served.say(GOOD)).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 2 * HEADERS_BYTES_MAX,
        b"GET /" + b"a" * 2 * HEADERS_BYTES_MAX,
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * HEADERS_BYTES_MAX,
    ],
)
def test_what_is_no_request_is_refused_and_hung_up_on(said: bytes) -> None:
    async def test(served: Served) -> None:
        told = await served.say(said)
        assert not told or told.startswith(b"HTTP/1.1 400 ")
        assert await is_well(served)

    serve(test)


def test_who_asks_for_nothing_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_server, "PATIENCE_S", 0.2)

    async def test(served: Served) -> None:
        for said in (b"", b"GET / HT", GOOD[:-2]):
            assert await served.say(said) == b""
        assert await is_well(served)

    serve(test)


def test_who_asks_byte_by_byte_gets_no_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_server, "PATIENCE_S", 0.2)

    async def test(served: Served) -> None:
        reader, writer = await served.call()
        reading = asyncio.create_task(read(reader))
        while not reading.done():
            writer.write(b"a")
            await asyncio.sleep(0.01)
        writer.close()
        assert reading.result() == b""

    serve(test)


def test_a_stream_that_is_read_goes_on_however_long_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_server, "PATIENCE_S", 2.0)

    async def test(served: Served) -> None:
        reader, writer = await served.call()
        writer.write(STREAM)
        until_s = asyncio.get_running_loop().time() + 2.5
        async with asyncio.timeout(WAIT_S):
            while asyncio.get_running_loop().time() < until_s:
                assert await reader.read(65_536)
        assert served.streams == 1
        writer.close()
        await served.wait_for_streams(0)

    serve(test)


def test_who_takes_nothing_of_what_it_asked_for_is_hung_up_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web_server, "PATIENCE_S", 3.0)

    async def test(served: Served) -> None:
        with socket.create_connection(("127.0.0.1", served.port)) as deaf:
            deaf.sendall(STREAM)
            await served.wait_for_streams(1)
            assert await is_well(served)
            await served.wait_for_streams(0)

    serve(test)


def test_many_callers_that_send_nothing_keep_no_other_out() -> None:
    async def test(served: Served) -> None:
        reader, writer = await served.call()
        writer.write(STREAM)
        await served.wait_for_streams(1)
        silent = [await served.call() for _ in range(3 * CONNECTIONS_MAX)]
        assert await is_well(served)
        assert await read(silent[0][0]) == b"", "the first that came is the first that must go"
        assert await reader.read(1), "who is being answered is not hung up on"
        for _, each in (*silent, (reader, writer)):
            each.close()

    serve(test)


def test_requests_one_after_the_other_are_answered_on_one_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web_server, "PATIENCE_S", 5.0)

    async def test(served: Served) -> None:
        told = await served.say(GOOD.replace(b"Connection: close\r\n", b"") * 20 + GOOD)
        assert told.count(b"HTTP/1.1 200 OK\r\n") == 21

    serve(test)
