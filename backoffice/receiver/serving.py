"""`turnike-backoffice serve`: web server and receiver on one socket, in one process or several.

    with listener(host, port) as listening:
        serve(config, listening, workers, say, ready)        # until SIGTERM or SIGINT

Each process has its own connection to the database; the receiver keeps no other state (app.py).
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
QUEUE = 2_048  # connections that wait to be accepted; net.core.somaxconn may allow fewer
_PR_SET_PDEATHSIG = 1

Say = Callable[[str], None]


@contextmanager
def listener(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket; port 0 takes a free one. Raises OperatorError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # IPPROTO_TCP is given, since asyncio turns Nagle's delay off only for a socket with it: the
        # delay is 40 ms an answer.
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
    """Answer requests until SIGTERM or SIGINT.

    Args:
        config: The configuration.
        listening: The socket of `listener`.
        workers: How many processes.
        say: Takes a line for the operator.
        ready: Called when requests are answered.
        gates: How many gates may call at once.

    Raises:
        OperatorError: It could not start, or one of several processes ended.
    """
    # Report errors of the database and the keys before the start, and make the tables once.
    ReportStore.open(config.reports_url).close()
    KeyDelivery(config.home, say).lacking(())
    limits, line = limits_here(for_gates(gates))
    if line:
        say(line)
    if workers == 1:
        ready()
        _work(config, listening, say, limits)
        return
    _serve_forked(config, listening, workers, say, ready, limits)


def _serve_forked(
    config: Config,
    listening: socket.socket,
    workers: int,
    say: Say,
    ready: Callable[[], None],
    limits: ConnectionLimits,
) -> None:
    """Answer requests in several processes until a signal, or until one of them ends."""
    # uvicorn starts processes only for an application that it can import by name; this one has a
    # home and a database.
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
            f"{gone.name} of {workers} has ended with code {gone.exitcode}; the others end too"
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
        # Ctrl-C reaches all processes; the first process ends the others.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _work(config, listening, say, limits)


class SharingServer(uvicorn.Server):
    """uvicorn's server, which leaves connections for the other processes.

    asyncio accepts as many connections at once as the queue is long. The process that woke first
    would take them all, for as long as the web server in front keeps them.
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
                log_level="error",  # invalid requests of strangers would fill the log
                access_log=False,
                server_header=False,
                lifespan="off",
                backlog=1,
                timeout_keep_alive=limits.keep_alive_s,
                timeout_graceful_shutdown=GRACE_S,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn. Sets the queue, which uvicorn has made short, to its length again."""
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

        # A signal before uvicorn listens must not get lost. uvicorn ends in its own time and raises
        # the signal again, which is no error.
        signal.signal(signal.SIGTERM, end)
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listening])
