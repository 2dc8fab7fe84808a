"""`turnike-backoffice serve`: web server and receiver on a listening socket, in one process or in several that share it.

    with listener(host, port) as listening:
        serve(config, listening, workers, say, ready)        # until SIGTERM or SIGINT

Each process has a connection to the database of its own; the receiver remembers nothing else (backoffice/receiver/app.py).
"""

import ctypes
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette

from backoffice.home.config import Config
from backoffice.receiver.app import Receiver
from backoffice.receiver.connections import (
    GATES_MAX,
    HEAD_BYTES_MAX,
    ConnectionLimits,
    bounded,
    for_gates,
    limits_here,
)
from backoffice.receiver.key_delivery import KeyDelivery
from backoffice.receiver.web_app import app
from backoffice.reports.store import ReportStore
from validator.errors import OperatorError

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

GRACE_S = 2
QUEUE = 2_048  # connections that wait to be accepted; the kernel keeps fewer if net.core.somaxconn is less
_PR_SET_PDEATHSIG = 1

Say = Callable[[str], None]


@contextmanager
def listener(host: str, port: int) -> Iterator[socket.socket]:
    """Somewhere to be called; port 0 takes a free one. Raises OperatorError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # Named, since asyncio turns Nagle's delay off only for a socket that says that it is TCP: 40 ms an answer.
        with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host, port))
            listening.listen(QUEUE)
            yield listening
    except OSError as error:
        raise OperatorError(f"port {port} of {host}: {error.strerror}") from error


def serve(
    config: "Config",
    listening: socket.socket,
    workers: int,
    say: Say,
    ready: Callable[[], None],
    gates: int = GATES_MAX,
) -> None:
    """Answer until SIGTERM or SIGINT; `ready` is called when all is well. Raises OperatorError, also if one of several processes ends: whoever started this starts it anew."""
    ReportStore.open(
        config.reports_url
    ).close()  # what is wrong with the database is said here, and its tables are made once
    KeyDelivery(config.home, say).lacking(())  # and what is wrong with the keys
    limits, line = limits_here(for_gates(gates))
    if line:
        say(line)
    if workers == 1:
        ready()
        _work(config, listening, say, limits)
        return
    # uvicorn would do the same for an application that it can import by name, which one of a home and a database is not.
    forked = multiprocessing.get_context("fork")
    parent = os.getpid()
    running: list[BaseProcess] = [
        forked.Process(
            target=_work_for, args=(parent, config, listening, say, limits), name=f"worker {number}"
        )
        for number in range(1, workers + 1)
    ]
    try:
        for process in running:
            process.start()
        signal.signal(signal.SIGTERM, _interrupt)  # not before: a fork would inherit it
        ready()
        ended = wait([process.sentinel for process in running])
        gone = next(process for process in running if process.sentinel in ended)
        gone.join()
        raise OperatorError(
            f"{gone.name} of {workers} has ended with code {gone.exitcode}; so do the others"
        )
    except KeyboardInterrupt:
        pass
    finally:
        for process in running:
            if process.is_alive():
                process.terminate()
        for process in running:
            process.join()


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _work_for(
    parent: int, config: Config, listening: socket.socket, say: Say, limits: ConnectionLimits
) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == parent:  # else it was killed in between
        signal.signal(
            signal.SIGINT, signal.SIG_IGN
        )  # Ctrl-C reaches all of them; the first tells the others
        _work(config, listening, say, limits)


class SharingServer(uvicorn.Server):
    """uvicorn's, that leaves connections for the processes beside it.

    asyncio accepts as many at once as the queue is long: whoever woke first had them all, for as long as the web server in front keeps them.
    """

    def __init__(
        self,
        application: Starlette,
        limits: ConnectionLimits = ConnectionLimits(),  # noqa: B008  # frozen
    ) -> None:
        """Nothing is served before `run`."""
        super().__init__(
            uvicorn.Config(
                application,
                http=bounded(limits),
                ws="none",
                h11_max_incomplete_event_size=HEAD_BYTES_MAX,
                log_level="error",  # of what strangers send wrong there is no end
                access_log=False,
                server_header=False,
                lifespan="off",
                backlog=1,
                timeout_keep_alive=limits.keep_alive_s,
                timeout_graceful_shutdown=GRACE_S,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn. The queue, which it has made as short, is made long again."""
        await super().startup(sockets)
        for listening in sockets or ():
            listening.listen(QUEUE)


def _work(config: Config, listening: socket.socket, say: Say, limits: ConnectionLimits) -> None:
    with ReportStore.open(config.reports_url) as store:
        receiver = Receiver(
            store, keys=KeyDelivery(config.home, say), names=config.receiver_names, say=say
        )
        server = SharingServer(app(config.home.published, receiver.routes), limits)

        def end(*_: object) -> None:
            server.should_exit = True

        # A signal that comes before uvicorn listens must not get lost. It ends in its own time, and then raises it again: to end so is no fault.
        signal.signal(signal.SIGTERM, end)
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listening])
