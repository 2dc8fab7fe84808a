"""One request's answer of the tests' web server (web_server.py): a right one, or a named fault."""

import hashlib
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from tests.support.web.asgi import Answered

PORTAL = b"<!DOCTYPE html><html><title>Welcome to the station's WiFi</title></html>"
NOT_FOUND = b"<html><head><title>404 Not Found</title></head></html>\r\n".ljust(
    153
)  # as long as nginx's
_TEXTS = {200: "OK", 206: "Partial Content", 302: "Found", 304: "Not Modified", 404: "Not Found"}


class Fault(Enum):
    """What the server does wrong."""

    CAPTIVE_PORTAL = auto()  # 200 with a web page, with the content type of one
    HTML_AS_FILE = auto()  # 200 with a web page, with the content type of the file
    REDIRECT = auto()  # 302 to a web page
    REDIRECT_ENDLESS = auto()  # 302 with a body that never ends
    LOGIN_REQUIRED = auto()  # 511
    NOT_FOUND = auto()
    FORBIDDEN = auto()
    TOO_MANY = auto()  # 429, Retry-After 7
    TOO_MANY_UNTIL = auto()  # 429, Retry-After two minutes behind its Date
    UNAVAILABLE = auto()  # 503, Retry-After an hour behind its Date
    BROKEN = auto()  # 500
    PROXY_LOGIN = auto()  # 407
    NO_TUNNEL = auto()  # 403, to CONNECT
    ENDLESS_BODY = auto()  # chunked, as fast as it is taken, without an end
    ENDLESS_HEADERS = auto()
    ENDLESS_CONTINUE = auto()  # 100 Continue again and again
    OVERLONG = auto()  # a thousand bytes more than the file, with Content-Length
    OVERLONG_CHUNKED = auto()  # likewise, in chunks without a length
    DRIP_BODY = auto()  # a byte each drip_s
    DRIP_HEADERS = auto()
    DRIP_STATUS = auto()
    DRIP_CHUNK_SIZE = auto()
    CUT = auto()  # the connection ends after cut_after_bytes of the body
    TORN = auto()  # the connection ends after cut_after_bytes of head and body
    CUT_CHUNKED = auto()  # as CUT, in chunks without a length
    STALL = auto()  # silence after cut_after_bytes of the body
    RESET = auto()  # closed as soon as the request is there
    CLOSES = auto()  # a right answer, and the connection closed, without a word about it before
    IGNORES_RANGE = auto()  # 200 and everything
    CHUNKED = auto()  # right, in chunks
    WRONG_RANGE = auto()  # 206 of another place
    WRONG_TOTAL = auto()  # 206 of another length
    RANGE_UNASKED = auto()  # 206 to whatever is asked
    RANGE_REFUSED = auto()  # 416 to every range
    NOT_MODIFIED = auto()  # 304 to whatever is asked
    GZIP = auto()  # an encoding that was not asked for
    COOKIE = auto()  # right, with a cookie
    TAMPERED = auto()  # the first byte is another
    HOSTILE_TAG = auto()  # right, with an ETag of 4,000 characters
    GARBAGE = auto()  # no HTTP
    RAW = auto()  # the file is all that is sent, head and body, and then the connection ends
    SILENT = auto()  # accepts and never answers
    HALF_CLOSED = auto()  # shuts its sending side down, and goes on reading


class Asked(NamedTuple):
    """A request; `target` has no leading slash, `headers` have lower-case names."""

    method: str
    target: str
    headers: Mapping[str, str]
    connection: int


_PAGE = "text/html; charset=utf-8"
_PLAIN: Mapping[Fault, tuple[int, bytes, Mapping[str, str], str]] = {
    Fault.CAPTIVE_PORTAL: (200, PORTAL, {}, _PAGE),
    Fault.HTML_AS_FILE: (200, b"\r\n" + PORTAL, {}, "application/json"),
    Fault.REDIRECT: (302, PORTAL, {"Location": "http://127.0.0.1:9/login"}, _PAGE),
    Fault.LOGIN_REQUIRED: (511, PORTAL, {}, _PAGE),
    Fault.NOT_FOUND: (404, NOT_FOUND, {}, _PAGE),
    Fault.NO_TUNNEL: (403, b"", {}, _PAGE),
    Fault.FORBIDDEN: (403, NOT_FOUND, {}, _PAGE),
    Fault.TOO_MANY: (429, b"", {"Retry-After": "7"}, _PAGE),
    Fault.TOO_MANY_UNTIL: (429, b"", {"Retry-After": "Sun, 06 Nov 1994 08:51:37 GMT"}, _PAGE),
    Fault.UNAVAILABLE: (503, b"", {"Retry-After": "Sun, 06 Nov 1994 09:49:37 GMT"}, _PAGE),
    Fault.BROKEN: (500, b"Traceback (most recent call last):\n", {}, "text/plain"),
    Fault.PROXY_LOGIN: (407, b"", {"Proxy-Authenticate": 'Basic realm="who"'}, _PAGE),
    Fault.NOT_MODIFIED: (304, b"", {}, ""),
}


@dataclass
class Exchange:
    """One request and its answer."""

    sock: socket.socket
    asked: Asked
    content: bytes | None
    fault: Fault | None
    drip_s: float
    cut_after_bytes: int
    stopping: Callable[[float], bool]
    answered: Answered | None = None
    """The answer of an application to this POST, if it has one."""

    def answer(self) -> bool:
        """Send the answer. Returns True if the connection goes on."""
        match self.fault:
            case None if self.answered:
                return self._application(self.answered)
            case None:
                return self._file()
            case Fault.GARBAGE:
                self.sock.sendall(b"220 mail.example.org ESMTP\r\n\r\n")
                return False
            case Fault.RAW:
                self.sock.sendall(self.content or b"")
                return False
            case Fault.RESET:
                return False
            case Fault.SILENT:
                return self._silent()
            case Fault.TORN:
                self.sock.sendall(self._whole()[: self.cut_after_bytes])
                return False
            case Fault.HALF_CLOSED:
                self.sock.shutdown(socket.SHUT_WR)
                return self._silent()
        if self.fault in _PLAIN:
            return self._send(*_PLAIN[self.fault])
        return self._changed_file(self.fault)

    def _changed_file(self, fault: Fault) -> bool:
        """Send the file with the fault in it, or in the way it comes."""
        for kind in (self._without_end, self._broken_off, self._other_range, self._other_content):
            goes_on = kind(fault)
            if goes_on is not None:
                return goes_on
        return self._file()

    def _without_end(self, fault: Fault) -> bool | None:
        """Send without an end, or a byte at a time."""
        content = self.content or b""
        match fault:
            case Fault.ENDLESS_BODY | Fault.REDIRECT_ENDLESS:
                status = 302 if fault is Fault.REDIRECT_ENDLESS else 200
                self._head(status, {"Transfer-Encoding": "chunked", "Location": "/"})
                return self._endless(b"4000\r\n%b\r\n" % bytes(0x4000))
            case Fault.ENDLESS_HEADERS:
                self.sock.sendall(b"HTTP/1.1 200 OK\r\n")
                return self._endless(b"X-%b: y\r\n" % (b"x" * 8_000))
            case Fault.ENDLESS_CONTINUE:
                return self._endless(b"HTTP/1.1 100 Continue\r\n\r\n" * 500)
            case Fault.DRIP_BODY:
                self._head(200, {"Content-Length": str(len(content))})
                return self._drip(content)
            case Fault.DRIP_HEADERS:
                self.sock.sendall(b"HTTP/1.1 200 OK\r\n")
                return self._drip(b"X-Slow: and slow\r\n" * 10_000)
            case Fault.DRIP_STATUS:
                return self._drip(b"HTTP/1.1 200 " + b"O" * 10_000)
            case Fault.DRIP_CHUNK_SIZE:
                self._head(200, {"Transfer-Encoding": "chunked"})
                return self._drip(b"1;" + b"x" * 10_000)
        return None

    def _broken_off(self, fault: Fault) -> bool | None:
        """Send a part of the file, then silence or the end of the connection."""
        start, content = self._wanted()
        part, status = content[start:], 206 if start else 200
        cut = part[: self.cut_after_bytes]
        match fault:
            case Fault.CUT | Fault.STALL:
                self._head(status, self._range(start, content) | {"Content-Length": str(len(part))})
                self.sock.sendall(cut)
                return self._silent() if fault is Fault.STALL else False
            case Fault.CUT_CHUNKED:
                self._head(status, self._range(start, content) | {"Transfer-Encoding": "chunked"})
                self.sock.sendall(b"%x\r\n%b\r\n" % (len(cut), cut))
                return False
            case Fault.CLOSES:
                self._send(status, part, self._range(start, content))
                return False
        return None

    def _other_range(self, fault: Fault) -> bool | None:
        """Answer another range than was asked for."""
        start, content = self._wanted()
        part, status, length = content[start:], 206 if start else 200, len(content)
        match fault:
            case Fault.RANGE_REFUSED if "range" in self.asked.headers:
                return self._send(416, b"", {"Content-Range": f"bytes */{length}"})
            case Fault.IGNORES_RANGE | Fault.RANGE_REFUSED:
                return self._send(200, content)
            case Fault.WRONG_RANGE:
                return self._send(status, part, self._range(start + 1 if start else 0, content))
            case Fault.WRONG_TOTAL:
                return self._send(status, part, self._range(start, content + b"more"))
            case Fault.RANGE_UNASKED:
                return self._send(
                    206, part, {"Content-Range": f"bytes {start}-{length - 1}/{length}"}
                )
        return None

    def _other_content(self, fault: Fault) -> bool | None:
        """Send other bytes or headers than the file's."""
        start, content = self._wanted()
        part, status = content[start:], 206 if start else 200
        match fault:
            case Fault.OVERLONG:
                return self._send(200, content + bytes(1_000))
            case Fault.OVERLONG_CHUNKED:
                return self._chunked(content + bytes(1_000))
            case Fault.CHUNKED:
                return self._chunked(content)
            case Fault.GZIP:
                return self._send(200, content, {"Content-Encoding": "gzip"})
            case Fault.COOKIE:
                return self._send(200, content, {"Set-Cookie": "who=you; Path=/"})
            case Fault.HOSTILE_TAG:
                return self._send(200, content, {"ETag": '"%s"' % ("x" * 4_000)})
            case Fault.TAMPERED if content:
                tampered = bytes([part[0] ^ 1]) + part[1:]
                return self._send(status, tampered, self._range(start, content))
        return None

    def _wanted(self) -> tuple[int, bytes]:
        """Where the wanted range begins, and the content of the file."""
        content = self.content or b""
        return self._start(content), content

    def _application(self, answered: Answered) -> bool:
        """Send the answer of the application."""
        headers = dict(answered.headers)
        headers.pop("content-length", None)
        kind = headers.pop("content-type", _PAGE)
        return self._send(answered.status, answered.body, headers, kind)

    def _whole(self) -> bytes:
        """A right answer, head and body."""
        content = self.content or b""
        headers = {"Content-Type": "application/json", "Content-Length": str(len(content))}
        return _head(200, headers) + content

    def _file(self) -> bool:
        """Send the file as a static server should."""
        content = self.content
        if content is None:
            return self._send(404, NOT_FOUND, kind=_PAGE)
        tag = _tag(content)
        if self.asked.headers.get("if-none-match") == tag:
            return self._send(304, b"", {"ETag": tag})
        start = self._start(content)
        status = 206 if start else 200
        return self._send(status, content[start:], self._range(start, content) | {"ETag": tag})

    def _start(self, content: bytes) -> int:
        wanted = self.asked.headers.get("range", "bytes=0-")
        return min(int(wanted.removeprefix("bytes=").rstrip("-")), len(content))

    @staticmethod
    def _range(start: int, content: bytes) -> dict[str, str]:
        return (
            {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        )

    def _send(
        self,
        status: int,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        kind: str = "application/json",
    ) -> bool:
        length = {} if status == 304 else {"Content-Type": kind, "Content-Length": str(len(body))}
        self.sock.sendall(_head(status, {**length, **(headers or {})}) + body)
        return True

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.sock.sendall(_head(status, headers))

    def _chunked(self, body: bytes) -> bool:
        chunks = [body[at : at + 700] for at in range(0, len(body), 700)]
        coded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""])
        self.sock.sendall(_head(200, {"Transfer-Encoding": "chunked"}) + coded)
        return True

    def _drip(self, content: bytes) -> bool:
        for byte in content:
            self.sock.sendall(bytes([byte]))
            if self.stopping(self.drip_s):
                break
        return False

    def _endless(self, again: bytes) -> bool:
        while not self.stopping(0):
            self.sock.sendall(again)
        return False

    def _silent(self) -> bool:
        """Send nothing until the client closes, or the server ends."""
        while self.sock.recv(4096):
            pass
        return False


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    """The head of an answer, as long as nginx's, so that bytes counted in tests mean something."""
    usual = {
        "Server": "nginx/1.22.1",
        "Date": "Sun, 06 Nov 1994 08:49:37 GMT",
        "Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT",
        "Connection": "keep-alive",
    }
    lines = [
        f"HTTP/1.1 {status} {_TEXTS.get(status, 'Whatever')}",
        *(f"{name}: {value}" for name, value in (usual | dict(headers)).items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _tag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:16]}"'
