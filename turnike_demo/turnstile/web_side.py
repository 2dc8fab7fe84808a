"""The web side of the virtual turnstile: hands out the page, tells every page the scene, and passes on what a visitor does. A thread of its own.

    turnstile = Turnstile(port)          # bound; the address is known
    ear.attend(turnstile)                # Heard("visitor", {"event": "verb", "verb": …, "answer": …}), {"event": "page"} for each page that opens
    turnstile.publish({…})               # to every page, with the time at which it is told; only the newest counts
    turnstile.close()

It holds no scene of its own and decides nothing: what a verb does, and whether it may be done, the demo's own thread says.
"""

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from turnike_demo.children import Heard, Mailbox
from turnike_demo.turnstile import verbs
from validator.console.assets import FOLDER as SHARED_FOLDER
from validator.console.assets import assets
from validator.console.guard import Guard
from validator.console.web_server import WebServer, listening

PORT = 8020
PAGES_MAX = 32
ANSWER_S = (
    10.0  # the demo's own thread answers in milliseconds, unless it waits for a child that ends
)
HEARTBEAT_S = 15.0
_HOST = "127.0.0.1"
FOLDER = Path(__file__).parent / "page"
PAGE = "turnstile.html"


class Turnstile:
    """The server, from its making to `close`. Everything but `_App` is for the thread that made it."""

    def __init__(self, port: int) -> None:
        """Listen on this port of this machine, or on another if somebody has it. Pages come from now on."""
        self._stack = ExitStack()
        listener = _listener(self._stack, port)
        self._port: int = listener.getsockname()[1]
        self._mailbox = Mailbox()
        self._app = _App(self._mailbox.put)
        guarded = Guard(self._app.asgi(), port=self._port)
        self._server = WebServer(guarded, began=self._app.begin, ends=self._app.end)
        serve = partial(asyncio.run, self._server.serve([listener]))
        self._thread = threading.Thread(target=serve, name="turnstile", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{_HOST}:{self._port}/"

    def fileno(self) -> int:
        """See children.Source."""
        return self._mailbox.fileno()

    def hear(self) -> Iterator[Heard]:
        """See children.Source."""
        return self._mailbox.hear()

    def publish(self, scene: Mapping[str, object]) -> None:
        """Tell every page, and every page that comes, this scene. It is not to be changed after."""
        self._app.publish(scene)

    def close(self) -> None:
        """End it. Pages see the connection end."""
        self._server.should_exit = True
        self._thread.join()
        self._stack.close()
        self._mailbox.close()


class _App:
    """What is answered. For the server's thread, but for `publish`."""

    def __init__(self, tell: Callable[[Heard], None]) -> None:
        self._tell = tell
        self._loop: asyncio.AbstractEventLoop | None = None
        self._assets = {**assets(SHARED_FOLDER), **assets(FOLDER)}
        self._scene: Mapping[str, object] = {}
        self._is_over = False
        self._pages: set[asyncio.Event] = set()  # each set when there is another scene

    def asgi(self) -> Starlette:
        """The application."""
        return Starlette(
            routes=[
                Route("/", self._page),
                Route("/static/{name:path}", self._static),
                Route("/events", self._events),
                Route("/do", self._do, methods=["POST"]),
            ]
        )

    def begin(self) -> None:
        """The loop runs."""
        self._loop = asyncio.get_running_loop()

    def publish(self, scene: Mapping[str, object]) -> None:
        """See Turnstile. Before the loop runs there is no page to wake."""
        self._scene = scene
        if self._loop is not None:
            with suppress(RuntimeError):  # the server has ended
                self._loop.call_soon_threadsafe(self._wake)

    def end(self) -> None:
        """Let every page go."""
        self._is_over = True
        self._wake()

    def _wake(self) -> None:
        for page in self._pages:
            page.set()

    async def _page(self, request: Request) -> Response:
        return self._file(PAGE, request)

    async def _static(self, request: Request) -> Response:
        return self._file(request.path_params["name"], request)

    def _file(self, name: str, request: Request) -> Response:
        """One of the files that are shipped, as they were when the demo began."""
        asset = self._assets.get(name)
        if asset is None:
            return Response(status_code=404)
        kept = {"etag": asset.tag.decode(), "cache-control": "no-cache"}
        if asset.tag.decode() in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=kept)
        return Response(asset.content, headers=kept | {"content-type": asset.type.decode()})

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
        told: Mapping[str, object] = {}
        try:
            yield b"retry: 1000\n\n"
            while not self._is_over:
                if self._scene and self._scene is not told:
                    told = self._scene
                    yield b"event: scene\ndata: " + _encoded(told) + b"\n\n"
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

        def answer_here(refusal: str) -> None:
            if not answered.done():
                answered.set_result(refusal)

        def answer(refusal: str) -> None:
            """From the demo's thread; empty when it is done."""
            with suppress(RuntimeError):  # the server has ended
                loop.call_soon_threadsafe(answer_here, refusal)

        self._tell(Heard("visitor", {"event": "verb", "verb": verb, "answer": answer}))
        try:
            refusal = await asyncio.wait_for(answered, ANSWER_S)
        except TimeoutError:
            return JSONResponse({"problem": "the demo does not answer; try again"}, 503)
        return JSONResponse({"refusal": refusal}, 409) if refusal else Response(status_code=204)


def _listener(stack: ExitStack, port: int) -> socket.socket:
    """A socket of this machine alone, at this port or at any."""
    try:
        return stack.enter_context(listening(_HOST, port))
    except OSError:
        return stack.enter_context(listening(_HOST, 0))


def _encoded(scene: Mapping[str, object]) -> bytes:
    """A scene as a page gets it now: the same one may be told much later to a page that opens then."""
    told = {"now_unix_s": time.time(), **scene}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
