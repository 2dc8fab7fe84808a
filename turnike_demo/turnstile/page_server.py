"""The turnstile's web server: serves the page, sends it the scene, and receives its verbs.

    server = PageServer(port)          # bound; the address is known
    sources.add(server)
    server.publish({…})                # the newest scene goes to every page
    server.close()

Its events are Event("visitor", {"event": "page"}) for each page that opens, and
Event("visitor", {"event": "verb", "verb": …, "answer": …}) for each verb. It runs in a thread of
its own and decides nothing: what a verb does, and whether it may be done, the demo's thread
answers by calling `answer`.
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

from turnike_demo.processes.events import Event, Mailbox
from turnike_demo.turnstile import verbs
from validator.console.assets import FOLDER as SHARED_FOLDER
from validator.console.assets import assets
from validator.console.guard import Guard
from validator.console.web_server import WebServer, listening

PORT = 8020
PAGES_MAX = 32
ANSWER_S = 10.0  # the demo answers in milliseconds, unless it waits for a child's end
HEARTBEAT_S = 15.0
_HOST = "127.0.0.1"
FOLDER = Path(__file__).parent / "page"
PAGE = "turnstile.html"


class PageServer:
    """The server, until `close`. Its methods are for the thread that made it."""

    def __init__(self, port: int) -> None:
        """Serve pages on this port of this machine, or on any other if it is taken."""
        self._stack = ExitStack()
        listener = _listener(self._stack, port)
        self._port: int = listener.getsockname()[1]
        self._mailbox = Mailbox()
        self._app = _App(self._mailbox.put)
        guarded = Guard(self._app.asgi(), port=self._port)
        self._server = WebServer(guarded, began=self._app.begin, ends=self._app.end)
        serve = partial(asyncio.run, self._server.serve([listener]))
        self._thread = threading.Thread(target=serve, name="page-server", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{_HOST}:{self._port}/"

    def fileno(self) -> int:
        """See `Source`."""
        return self._mailbox.fileno()

    def events(self) -> Iterator[Event]:
        """See `Source`."""
        return self._mailbox.events()

    def publish(self, scene: Mapping[str, object]) -> None:
        """Send this scene to every page, now and when one opens. Do not change it afterwards."""
        self._app.publish(scene)

    def close(self) -> None:
        """End the server and its connections."""
        self._server.should_exit = True
        self._thread.join()
        self._stack.close()
        self._mailbox.close()


class _App:
    """The answers to requests. For the server's thread, but for `publish`."""

    def __init__(self, put: Callable[[Event], None]) -> None:
        self._put = put
        self._loop: asyncio.AbstractEventLoop | None = None
        self._assets = {**assets(SHARED_FOLDER), **assets(FOLDER)}
        self._scene: Mapping[str, object] = {}
        self._is_over = False
        self._pages: set[asyncio.Event] = set()  # an event each, set when there is a new scene

    def asgi(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/", self._page),
                Route("/static/{name:path}", self._static),
                Route("/events", self._events),
                Route("/do", self._do, methods=["POST"]),
            ]
        )

    def begin(self) -> None:
        """Note that the server's loop runs."""
        self._loop = asyncio.get_running_loop()

    def publish(self, scene: Mapping[str, object]) -> None:
        """See PageServer. Before the loop runs there is no page to wake."""
        self._scene = scene
        if self._loop is not None:
            with suppress(RuntimeError):  # the server has ended
                self._loop.call_soon_threadsafe(self._wake)

    def end(self) -> None:
        """End the connection of every page."""
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
        """Answer with a file of the package, as it was when the demo began."""
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
        self._put(Event("visitor", {"event": "page"}))
        return StreamingResponse(
            self._scenes(), media_type="text/event-stream", headers={"cache-control": "no-store"}
        )

    async def _scenes(self) -> AsyncIterator[bytes]:
        changed = asyncio.Event()
        self._pages.add(changed)
        sent: Mapping[str, object] = {}
        try:
            yield b"retry: 1000\n\n"
            while not self._is_over:
                if self._scene and self._scene is not sent:
                    sent = self._scene
                    yield b"event: scene\ndata: " + _encoded(sent) + b"\n\n"
                try:
                    await asyncio.wait_for(changed.wait(), HEARTBEAT_S)
                except TimeoutError:
                    yield b":\n\n"
                changed.clear()
        finally:
            self._pages.discard(changed)

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
            """Answer from the demo's thread; `refusal` is empty if the verb was done."""
            with suppress(RuntimeError):  # the server has ended
                loop.call_soon_threadsafe(answer_here, refusal)

        self._put(Event("visitor", {"event": "verb", "verb": verb, "answer": answer}))
        try:
            refusal = await asyncio.wait_for(answered, ANSWER_S)
        except TimeoutError:
            return JSONResponse({"problem": "the demo does not answer; try again"}, 503)
        return JSONResponse({"refusal": refusal}, 409) if refusal else Response(status_code=204)


def _listener(stack: ExitStack, port: int) -> socket.socket:
    """Open a socket for this machine alone, at this port, or at any port if it is taken."""
    try:
        return stack.enter_context(listening(_HOST, port))
    except OSError:
        return stack.enter_context(listening(_HOST, 0))


def _encoded(scene: Mapping[str, object]) -> bytes:
    """Encode a scene with the present time: a page that opens later gets the same scene."""
    sent = {"now_unix_s": time.time(), **scene}
    return json.dumps(sent, ensure_ascii=False, separators=(",", ":")).encode()
