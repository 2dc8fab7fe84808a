"""The receiver ends connections that never finish what they began, and leaves the others alone."""

import asyncio
import resource
import select
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from backoffice.receiver.connections import (
    CONNECTIONS_MAX,
    FILES_KEPT,
    GATES_MAX,
    HEAD_BYTES_MAX,
    ConnectionLimits,
    for_gates,
    limits_here,
)
from backoffice.receiver.serving import SharingServer, listener

FAR_S = 3_600.0  # a limit that no test reaches
NEAR_S = 0.3
WAIT_S = 60.0
PATIENT = ConnectionLimits(head_s=FAR_S, body_s=FAR_S, untaken_s=FAR_S)
GOOD = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
LARGE = b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Served:
    """A server to call, with a short answer and one of many megabytes."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def call(self, data: bytes = b"") -> Streams:
        """Call, and send this."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        return reader, writer

    async def is_ended(self, caller: Streams) -> None:
        """Wait until the other side has hung up on it."""
        reader, writer = caller
        async with asyncio.timeout(WAIT_S):
            try:
                while await reader.read(65_536):
                    pass
            except ConnectionResetError:
                pass
        await hung_up(writer)

    async def answers(self, caller: Streams | None = None) -> Streams:
        """Ask, and read the whole answer."""
        reader, writer = caller or await self.call()
        writer.write(GOOD)
        async with asyncio.timeout(WAIT_S):
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert await reader.readexactly(4) == b"here"
        return reader, writer


async def hung_up(writer: asyncio.StreamWriter) -> None:
    """Hang up, and let the socket go."""
    writer.close()
    with suppress(ConnectionResetError):
        await writer.wait_closed()


def serve(limits: ConnectionLimits, test: Callable[[Served], Awaitable[None]]) -> None:
    async def small(_request: Request) -> Response:
        return Response(b"here")

    async def large(_request: Request) -> Response:
        return Response(bytes(64 << 20))

    async def body(request: Request) -> Response:
        with suppress(ClientDisconnect):
            await request.body()
        return Response(b"here")

    routes = [Route("/", small), Route("/large", large), Route("/", body, methods=["POST"])]

    async def run(listening: socket.socket) -> None:
        server = SharingServer(Starlette(routes=routes), limits)
        serving = asyncio.create_task(server.serve([listening]))
        try:
            await test(Served(listening.getsockname()[1]))
        finally:
            server.should_exit = True
            await serving

    with listener("127.0.0.1", 0) as listening:
        asyncio.run(run(listening))


@pytest.mark.parametrize("said", [b"", b"P", HEAD[:-2], GOOD[:-1]])
def test_a_head_that_never_ends_is_not_waited_for(said: bytes) -> None:
    async def test(served: Served) -> None:
        await served.is_ended(await served.call(said))
        if said:  # after a whole request too
            await served.is_ended(await served.call(GOOD + said))
        await hung_up((await served.answers())[1])

    serve(replace(PATIENT, head_s=NEAR_S), test)


def test_a_head_that_comes_byte_by_byte_gets_no_more_time() -> None:
    async def test(served: Served) -> None:
        reader, writer = await served.call()
        ended = asyncio.ensure_future(reader.read())
        async with asyncio.timeout(WAIT_S):
            while not ended.done():
                writer.write(b"P")
                await asyncio.wait([ended], timeout=NEAR_S / 10)
        with pytest.raises(ConnectionResetError):
            await ended
        await hung_up(writer)

    serve(replace(PATIENT, head_s=NEAR_S), test)


@pytest.mark.parametrize("said", [HEAD, HEAD + b"12345678"])
def test_a_body_that_never_ends_is_not_waited_for(said: bytes) -> None:
    async def test(served: Served) -> None:
        await served.is_ended(await served.call(said))
        await hung_up((await served.answers())[1])

    serve(replace(PATIENT, body_s=NEAR_S), test)


def test_a_body_that_goes_on_after_its_answer_is_not_waited_for() -> None:
    """A post to a path that takes nothing is answered before its body is there."""

    async def test(served: Served) -> None:
        await served.is_ended(await served.call(HEAD.replace(b"POST / ", b"POST /none ")))

    serve(replace(PATIENT, body_s=NEAR_S), test)


def test_an_answer_that_no_caller_takes_is_given_up() -> None:
    async def test(served: Served) -> None:
        with socket.create_connection(("127.0.0.1", served.port)) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            sock.sendall(LARGE)
            sock.setblocking(False)
            poll, loop = select.poll(), asyncio.get_running_loop()
            poll.register(sock, 0)  # an error alone: that the other side has broken it off
            assert await loop.run_in_executor(None, poll.poll, WAIT_S * 1_000)

    serve(replace(PATIENT, untaken_s=NEAR_S), test)


def test_one_who_asks_whole_requests_keeps_the_connection() -> None:
    async def test(served: Served) -> None:
        caller = await served.answers()
        for _ in range(5):
            await asyncio.sleep(NEAR_S / 2)  # longer, all in all, than any one wait may be
            caller = await served.answers(caller)
        await hung_up(caller[1])

    serve(replace(PATIENT, head_s=NEAR_S, body_s=NEAR_S, untaken_s=NEAR_S), test)


def test_one_that_is_idle_after_its_answer_is_ended_in_its_own_time() -> None:
    async def test(served: Served) -> None:
        await served.is_ended(await served.answers())

    serve(replace(PATIENT, keep_alive_s=1), test)


def test_when_there_is_no_room_the_one_that_is_idle_longest_makes_some() -> None:
    async def test(served: Served) -> None:
        first, second = await served.answers(), await served.answers()
        third = await served.answers()
        await served.is_ended(first)
        for caller in (second, third):
            await hung_up((await served.answers(caller))[1])

    serve(replace(PATIENT, connections_max=2), test)


def test_when_all_are_busy_the_new_one_has_to_come_again() -> None:
    async def test(served: Served) -> None:
        busy = [await served.answers(), await served.answers()]
        for _, writer in busy:
            writer.write(HEAD)
        await asyncio.sleep(0)
        async with asyncio.timeout(WAIT_S):
            while True:  # until both heads are there, one that is idle makes room
                caller = await served.call(GOOD)
                if await ended(caller):
                    break
        for caller in busy:
            caller[1].write(b"123456789")
            assert (await caller[0].readuntil(b"here")).startswith(b"HTTP/1.1 200 OK")
            await hung_up(caller[1])

    async def ended(caller: Streams) -> bool:
        try:
            return not await caller[0].readuntil(b"here")
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return True
        finally:
            await hung_up(caller[1])

    serve(replace(PATIENT, connections_max=2), test)


def test_a_head_without_an_end_is_refused_by_its_size() -> None:
    async def test(served: Served) -> None:
        await served.is_ended(
            await served.call(b"GET / HTTP/1.1\r\nX: " + b"x" * 2 * HEAD_BYTES_MAX)
        )

    serve(PATIENT, test)


@pytest.fixture
def files() -> Iterator[Callable[[int], None]]:
    """Sets how many descriptors this process may have at first, and puts it back."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda soft: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_limit_of_descriptors_is_raised_as_far_as_it_is_needed(
    files: Callable[[int], None],
) -> None:
    files(1_024)
    wanted = replace(PATIENT, connections_max=1_000)
    assert limits_here(wanted) == (wanted, "")
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 1_000 + FILES_KEPT


def test_so_many_gates_need_so_many_connections_and_another_caller_asks_too() -> None:
    assert for_gates(GATES_MAX) == ConnectionLimits()
    assert for_gates(100).connections_max == 100 + CONNECTIONS_MAX - GATES_MAX


def test_where_it_cannot_be_raised_there_are_fewer_connections_and_a_line() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        pytest.skip("descriptors without a limit: ulimit -Hn 20000 before the tests")
    limits, line = limits_here(replace(PATIENT, connections_max=hard))
    assert limits == replace(PATIENT, connections_max=hard - FILES_KEPT)
    assert line.startswith(f"may open {hard:,} files, and ")
    assert "LimitNOFILE= in the unit" in line
