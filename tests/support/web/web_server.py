"""A web server for tests, on loopback, with the faults of networks, servers and attackers.

    with WebServer(folder) as server:                       # or server.files["a/b.json"] = b"..."
        server.faults["a/b.json"] = Fault.CAPTIVE_PORTAL    # of one path; "*" is for all
        server.accepting = Fault.SILENT                     # from the first byte of a connection on
        fetch(server.url + "a/b.json")
        server.asked                                        # what was asked for, in order
        server.app = app                                    # ASGI: receives each POST; its answers
                                                            # may be spoilt too

    authority = Authority(folder)
    with WebServer(folder, tls=authority.context()) as server: ...   # trusted by authority.file

It serves static files as a CDN does, keeps connections, and knows If-None-Match and Range. All its
threads have ended at the end of the `with` block.
"""

import itertools
import socket
import ssl
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from starlette.types import ASGIApp

from tests.support.web.asgi import Answered, ask
from tests.support.web.web_authority import Authority
from tests.support.web.web_faults import Asked, Exchange, Fault

__all__ = ["Asked", "Authority", "Fault", "WebServer"]


@dataclass
class WebServer:
    """One server on a free port of 127.0.0.1."""

    folder: Path | None = None
    tls: ssl.SSLContext | None = None
    tunnel_tls: ssl.SSLContext | None = None
    """If given, it is a proxy: it answers CONNECT, and then answers as the server behind it."""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    accepting: Fault | None = None
    asked: list[Asked] = field(default_factory=list)
    drip_s: float = 0.01
    cut_after_bytes: int = 1_000
    app: ASGIApp | None = None
    loses_posts: bool = False
    """True: a fault drops a POST before the application sees it. False: it drops the answer."""

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        """The TCP port of the server."""
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The address of the server, with a slash at the end."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/"

    def paths(self) -> list[str]:
        """The targets that were asked for, in order."""
        return [asked.target for asked in self.asked]

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._acceptor.join()
        self.drop_connections()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def drop_connections(self) -> None:
        """Break every connection that is open now."""
        with self._lock:
            for sock in self._open:
                with suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)  # of what is below TLS

    def content(self, target: str) -> bytes | None:
        """The file of this name, or None."""
        if target in self.files:
            return self.files[target]
        path = self.folder / target if self.folder else None
        return path.read_bytes() if path and path.is_file() else None

    def _accept(self) -> None:
        for number in itertools.count():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._converse, args=(sock, number), daemon=True)
            self._threads = [each for each in self._threads if each.is_alive()] + [thread]
            thread.start()

    def _converse(self, sock: socket.socket, number: int) -> None:
        with ExitStack() as stack, suppress(OSError):  # the other side may go at any time
            line = self._kept(stack, sock)
            if self.accepting is not None:
                self._exchange(line, Asked("", "", {}, number), self.accepting).answer()
                return
            if self.tls:
                line = self._secured(stack, line, self.tls)
            while asked := _request(line, number):
                body = _body(line, asked)
                self.asked.append(asked)
                if asked.method == "CONNECT" and self.tunnel_tls and "*" not in self.faults:
                    line.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    line = self._secured(stack, line, self.tunnel_tls)
                    continue
                fault = self.faults.get(asked.target, self.faults.get("*"))
                answered = (
                    self._posted(asked, body) if fault is None or not self.loses_posts else None
                )
                if not self._exchange(line, asked, fault, answered).answer():
                    return

    def _kept(self, stack: ExitStack, sock: socket.socket) -> socket.socket:
        """Keep the socket until its connection ends, so that `drop_connections` can break it."""
        stack.enter_context(sock)
        with self._lock:
            self._open.add(sock)
        stack.callback(self._forget, sock)
        if self._stopping.is_set():
            raise ConnectionAbortedError
        return sock

    def _secured(self, stack: ExitStack, line: socket.socket, tls: ssl.SSLContext) -> socket.socket:
        secured = tls.wrap_socket(line, server_side=True, do_handshake_on_connect=False)
        self._kept(stack, secured)
        secured.do_handshake()
        return secured

    def _forget(self, sock: socket.socket) -> None:
        with self._lock:
            self._open.discard(sock)

    def _posted(self, asked: Asked, body: bytes) -> Answered | None:
        """The application's answer to a POST."""
        if self.app is None or asked.method != "POST":
            return None
        scheme = "https" if self.tls or self.tunnel_tls else "http"
        url = f"{scheme}://{asked.headers['host']}/{asked.target}"
        return ask(self.app, "POST", url, asked.headers, body)

    def _exchange(
        self,
        sock: socket.socket,
        asked: Asked,
        fault: Fault | None,
        answered: Answered | None = None,
    ) -> Exchange:
        content = answered.body if answered else self.content(asked.target)
        cut = self.cut_after_bytes
        return Exchange(
            sock, asked, content, fault, self.drip_s, cut, self._stopping.wait, answered
        )


def _body(line: socket.socket, asked: Asked) -> bytes:
    """The body of a request by its Content-Length; without one the body is empty."""
    missing = int(asked.headers.get("content-length", "0"))
    body = bytearray()
    while len(body) < missing:
        part = line.recv(missing - len(body))
        if not part:
            raise ConnectionAbortedError
        body += part
    return bytes(body)


def _request(line: socket.socket, number: int) -> Asked | None:
    """The next request on a connection, None at its end.

    It is read byte by byte, so that no byte of a TLS hello behind it is read.
    """
    with line.makefile("rb", buffering=0) as file:
        read = iter(lambda: file.readline(8192).rstrip(b"\r\n"), b"")
        lines = [each.decode("latin-1") for each in read]
    if not lines:
        return None
    method, target, _ = lines[0].split(" ")
    headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in lines[1:])}
    if "://" in target:  # a proxy is asked for whole addresses
        target = target.split("/", 3)[3]
    return Asked(method, target.lstrip("/"), headers, number)
