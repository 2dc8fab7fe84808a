"""A program: the back office's web application over a published folder, with traffic counted.

    python -m benchmarks.lists.web FOLDER

Its first line is its address. It answers each line of standard input by one JSON object: requests,
and bytes of the TCP streams both ways since the start, headers included. It runs at the lowest
priority, since a city's server does not run on the gate's CPUs.
"""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path
from threading import Thread
from typing import cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from backoffice.receiver.web_app import app

NICE = 19
KEEP_ALIVE_S = 3_600  # longer than any measurement: nginx keeps a connection over a poll too


class Passed:
    """What has passed since the start."""

    def __init__(self) -> None:
        self.requests = self.received_bytes = self.sent_bytes = 0

    def line(self) -> str:
        """One JSON object for the benchmark."""
        return json.dumps({"event": "passed", **vars(self)})


PASSED = Passed()


class _Counted:
    """A transport that counts what is written."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """See asyncio.Transport."""
        PASSED.sent_bytes += len(data)
        self._transport.write(data)


class CountingProtocol(H11Protocol):
    """Uvicorn's HTTP, with the bytes counted. A client here sends one whole request at a time."""

    def connection_made(  # type: ignore[override]  # as uvicorn has it
        self, transport: asyncio.Transport
    ) -> None:
        """See asyncio.Protocol."""
        super().connection_made(cast("asyncio.Transport", _Counted(transport)))

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        PASSED.requests += 1
        PASSED.received_bytes += len(data)
        super().data_received(data)


def _answer() -> None:
    for _ in sys.stdin:
        print(PASSED.line(), flush=True)


def main() -> None:
    """Serve until a signal."""
    os.nice(NICE)
    options = uvicorn.Config(
        app(Path(sys.argv[1])),
        http=CountingProtocol,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    # Named as TCP: asyncio does not recognise a socket that is TCP by default, and leaves Nagle's
    # algorithm on, which costs 40 ms an answer.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        print(f"http://127.0.0.1:{listening.getsockname()[1]}/", flush=True)
        Thread(target=_answer, daemon=True).start()
        uvicorn.Server(options).run(sockets=[listening])


if __name__ == "__main__":
    main()
