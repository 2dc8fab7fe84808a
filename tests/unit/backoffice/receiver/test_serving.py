"""How the processes of `turnike-backoffice serve` share connections; whole in tests/processes."""

import asyncio
import socket
from contextlib import ExitStack

from starlette.applications import Starlette

from backoffice.receiver.serving import SharingServer, listener

AT_ONCE = 32
MORE = 100
TURNS = 3  # of this process, before another one accepts
LIMIT_S = 90.0


def test_a_process_leaves_connections_to_those_beside_it_and_the_queue_stays_long() -> None:
    with ExitStack() as stack:
        listening = stack.enter_context(listener("127.0.0.1", 0))

        def call() -> socket.socket:
            return stack.enter_context(socket.create_connection(listening.getsockname(), LIMIT_S))

        async def one_of_several() -> int:
            for _ in range(AT_ONCE):
                call()
            server = SharingServer(Starlette())
            server.config.load()
            server.lifespan = server.config.lifespan_class(server.config)
            await server.startup([listening])
            for _ in range(TURNS):
                await asyncio.sleep(0)
            for _ in range(MORE):
                call()  # no process accepts meanwhile: there is room, or this would hang
            left = beside(stack, listening)
            for _ in range(AT_ONCE):
                await asyncio.sleep(0)  # it ends only what it has begun
            await server.shutdown([listening])
            return left

        assert asyncio.run(one_of_several()) >= MORE + AT_ONCE // 2


def beside(stack: ExitStack, listening: socket.socket) -> int:
    """How many connections another process gets, if it is quick."""
    listening.setblocking(False)
    got = 0
    while True:
        try:
            stack.enter_context(listening.accept()[0])
        except BlockingIOError:
            return got
        got += 1
