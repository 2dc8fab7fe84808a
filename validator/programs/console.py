"""The console process: receives each lane's events, sends them to the pages, serves the pages.

It has one thread. If any part fails, the process ends and systemd starts it again.
"""

import asyncio
import signal
import socket
from contextlib import ExitStack, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import FrameType

from validator.config import Config, ConsoleConfig
from validator.console.assets import assets
from validator.console.gate import Gate, Lane
from validator.console.guard import Guard
from validator.console.lane_line import lane_says
from validator.console.lane_words import Tap
from validator.console.site import Site
from validator.console.web_server import WebServer, listening
from validator.errors import StartError
from validator.host.log import JsonLog
from validator.host.process import tell_systemd

STEP_S = 1.0  # between two messages to a page about changes that are not notable


def serve(config: Config, log_fd: int) -> None:
    """Serve the status page of one gate until SIGTERM or SIGINT; the log goes to `log_fd`.

    Raises:
        StartError: there is no [console] table, or its address cannot be listened on.
    """
    settings = config.console
    if settings is None:
        raise StartError("there is no [console] table; config/validator.example.toml explains it")
    with ExitStack() as stack:
        try:
            listener = stack.enter_context(listening(*settings.address))
        except OSError as error:
            raise StartError(f"console.listen: {settings.listen}: {error.strerror}") from error
        asyncio.run(_Console(config.gate_id, settings, JsonLog(log_fd)).serve(listener))


class _Console:
    """The gate's state, the pages that show it, and the tasks that keep them current."""

    def __init__(self, gate_id: str, settings: ConsoleConfig, log: JsonLog) -> None:
        self._settings = settings
        self._log = log
        self._paths = [Path(lane) for lane in settings.lanes]
        self._gate = Gate(gate_id, version("turnike"), self._paths)
        self._site = Site(self._gate, assets())
        self._notable = asyncio.Event()

    async def serve(self, listener: socket.socket) -> None:
        """Serve until a signal. A part that fails ends all of it."""
        host, port = listener.getsockname()[:2]
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        server = WebServer(
            Guard(self._site, port=port, names=self._settings.names),
            began=partial(self._began, address),
            ends=self._site.pages.end,
        )
        _listen_to_signals(server)
        async with asyncio.TaskGroup() as group:
            lanes = zip(self._gate.lanes, self._paths, strict=True)
            others = [group.create_task(self._follow(lane, path)) for lane, path in lanes]
            others.append(group.create_task(self._publish()))
            await server.serve([listener])
            tell_systemd("STOPPING=1")
            for other in others:
                other.cancel()

    def _began(self, address: str) -> None:
        self._log.line(
            {
                "event": "started",
                **self._gate.head,
                "address": address,
                "lanes": self._settings.lanes,
            }
        )
        tell_systemd("READY=1")

    async def _follow(self, lane: Lane, path: Path) -> None:
        async for said in lane_says(path):
            before = lane.up, lane.problem
            if lane.take(said):
                self._notable.set()
            if isinstance(said, Tap):
                self._site.send_tap(lane, said)
            if (lane.up, lane.problem) != before:
                fields = {
                    "lane": lane.number,
                    "socket": lane.socket,
                    "up": lane.up,
                    "problem": lane.problem,
                }
                self._log.line({"event": "lane", **fields})

    async def _publish(self) -> None:
        """Send changes to the pages: at once if they are notable, else once a second."""
        sent: object = None
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(STEP_S):
                    await self._notable.wait()
            self._notable.clear()
            if self._site.pages and (still := self._gate.still()) != sent:
                sent = still
                self._site.pages.state_changed()


def _listen_to_signals(server: WebServer) -> None:
    """End the server on SIGTERM and SIGINT.

    uvicorn handles both while it serves, and raises the signal again afterwards for the handler
    that was there before: this one, so that the process ends without an error.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
