"""The web side of the virtual turnstile: hands out the page, tells every page the scene, and passes on what a visitor does. A thread of its own.

    turnstile = Turnstile(port)          # bound; the address is known
    ear.attend(turnstile)                # Heard("visitor", {"event": "verb", "verb": …, "answer": …}), {"event": "page"} for each page that opens
    turnstile.publish(b"{…}")            # to every page; only the newest counts
    turnstile.close()

It holds no scene of its own and decides nothing: what a verb does, and whether it may be done, the demo's own thread says.
"""

import asyncio
import json
import os
import queue
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from validator.console.guard import Guard
from validator.demo import verbs
from validator.demo.children import Heard

PORT = 8020
PAGES_MAX = 32
ANSWER_S = 10.0  # the demo's own thread answers in milliseconds, unless it waits for a child that ends
HEARTBEAT_S = 15.0
GRACE_S = 1
_HOST = "127.0.0.1"
_READ_BYTES = 4_096
_HERE = Path(__file__).parent
FOLDERS = (_HERE / "page", _HERE.parent / "console" / "page")
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
}
PAGE = "turnstile.html"

Answer = Callable[[str], None]


class Turnstile:
    """The server, from its making to `close`. Everything but `_App` is for the thread that made it."""

    def __init__(self, port: int) -> None:
        """Listen on this port of this machine, or on another if somebody has it. Pages come from now on."""
        self._socket = _listening(port)
        self._port: int = self._socket.getsockname()[1]
        self._readable, self._writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        self._app = _App(self._tell)
        self._server = uvicorn.Server(
            uvicorn.Config(
                Guard(self._app.asgi(), port=self._port),
                log_level="warning",
                access_log=False,
                server_header=False,
                lifespan="off",
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        self._thread = threading.Thread(target=self._serve, name="turnstile", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{_HOST}:{self._port}/"

    def fileno(self) -> int:
        """See children.Source."""
        return self._readable

    def hear(self) -> Iterator[Heard]:
        """See children.Source."""
        with suppress(BlockingIOError):
            os.read(self._readable, _READ_BYTES)
        while not self._heard.empty():
            yield self._heard.get()

    def publish(self, scene: bytes) -> None:
        """Tell every page, and every page that comes, this scene: one JSON object in one line."""
        self._app.publish(scene)

    def close(self) -> None:
        """End it. Pages see the connection end."""
        self._app.end()
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
        os.close(self._readable)
        os.close(self._writable)

    def _serve(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._app.begin())
            runner.run(self._server.serve(sockets=[self._socket]))

    def _tell(self, heard: Heard) -> None:
        """From the server's thread to the demo's. A full pipe has woken it already."""
        self._heard.put(heard)
        with suppress(BlockingIOError):
            os.write(self._writable, b"\0")


class _App:
    """What is answered. For the server's thread, but for `publish` and `end`."""

    def __init__(self, tell: Callable[[Heard], None]) -> None:
        self._tell = tell
        self._loop: asyncio.AbstractEventLoop | None = None
        self._begun = threading.Event()
        self._scene = b""
        self._is_over = False
        self._pages: set[asyncio.Event] = set()  # each set when there is another scene

    def asgi(self) -> Starlette:
        """The application."""
        return Starlette(
            routes=[
                Route("/", self._page),
                Route("/static/{name}", self._static),
                Route("/events", self._events),
                Route("/do", self._do, methods=["POST"]),
            ]
        )

    async def begin(self) -> None:
        """The loop runs."""
        self._loop = asyncio.get_running_loop()
        self._begun.set()

    def publish(self, scene: bytes) -> None:
        """See Turnstile."""
        self._scene = scene
        self._wake()

    def end(self) -> None:
        """Let every page go."""
        self._is_over = True
        self._wake()

    def _wake(self) -> None:
        self._begun.wait()
        assert self._loop is not None  # noqa: S101 — it has begun
        with suppress(RuntimeError):  # the server has ended
            self._loop.call_soon_threadsafe(self._wake_pages)

    def _wake_pages(self) -> None:
        for page in self._pages:
            page.set()

    async def _page(self, _request: Request) -> Response:
        return _file(PAGE)

    async def _static(self, request: Request) -> Response:
        return _file(request.path_params["name"])

    async def _events(self, _request: Request) -> Response:
        if len(self._pages) >= PAGES_MAX:
            return Response(status_code=503)
        self._tell(Heard("visitor", {"event": "page"}))
        return StreamingResponse(
            self._scenes(), media_type="text/event-stream", headers={"cache-control": "no-store"}
        )

    async def _scenes(self) -> AsyncIterator[bytes]:
        news = asyncio.Event()
        self._pages.add(news)
        told = b""
        try:
            yield b"retry: 1000\n\n"
            while not self._is_over:
                if self._scene is not told:
                    told = self._scene
                    yield b"event: scene\ndata: " + told + b"\n\n"
                try:
                    await asyncio.wait_for(news.wait(), HEARTBEAT_S)
                except TimeoutError:
                    yield b":\n\n"
                news.clear()
        finally:
            self._pages.discard(news)

    async def _do(self, request: Request) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > verbs.VERB_BYTES_MAX:
                break
        try:
            verb = verbs.read(bytes(body))
        except verbs.VerbError as error:
            return JSONResponse({"problem": str(error)}, 422)
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[str] = loop.create_future()

        def answer_here(problem: str) -> None:
            if not answered.done():
                answered.set_result(problem)

        def answer(problem: str) -> None:
            """From the demo's thread."""
            with suppress(RuntimeError):  # the server has ended
                loop.call_soon_threadsafe(answer_here, problem)

        self._tell(Heard("visitor", {"event": "verb", "verb": verb, "answer": answer}))
        try:
            problem = await asyncio.wait_for(answered, ANSWER_S)
        except TimeoutError:
            return JSONResponse({"problem": "the demo does not answer; try again"}, 503)
        return JSONResponse({"problem": problem}, 409) if problem else Response(status_code=204)


def _file(name: str) -> Response:
    """One of the files that are shipped: names come from the folders, never from who asks."""
    for folder in FOLDERS:
        for path in folder.glob("*"):
            if path.name == name and path.suffix in TYPES:
                return Response(
                    path.read_bytes(),
                    headers={"content-type": TYPES[path.suffix], "cache-control": "no-cache"},
                )
    return Response(status_code=404)


def _listening(port: int) -> socket.socket:
    """A socket of this machine alone. Named TCP, since asyncio turns Nagle's delay off only for what says that it is."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((_HOST, port))
    except OSError:
        listening.bind((_HOST, 0))
    listening.listen()
    return listening


def encode(scene: dict[str, object], unix_s: float) -> bytes:
    """A scene as pages get it."""
    return json.dumps({"now_unix_s": unix_s, **scene}, ensure_ascii=False, separators=(",", ":")).encode()
