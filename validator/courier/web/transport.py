"""Sockets that keep a pace, and the requests adapter that is made of them.

The time-outs of requests start again with each byte, and header lines are read in C. So a server
that drips a byte now and then holds a client for ever. Here every read of a socket first asks the
Pace how long it may wait. `socket.SocketIO` calls `recv_into` for the buffered reader, so headers,
chunk sizes and bodies all pass through it. The socket's time-out bounds a TLS read or handshake as
a whole.

A second thread that shuts the socket down at the deadline was refused: it would race with the next
request on a kept connection. The resolver cannot be bounded from here: resolv.conf bounds it, by
default at 30 s.
"""

import io
import logging
import socket
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError, NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context

from validator.errors import SourceState
from validator.formats.web_address import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from _typeshed import ReadableBuffer, WriteableBuffer


_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python has no name for

# Below this level it logs hostile headers with a traceback.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class WebLimits:
    """How much and how long a web server may take from this gate, in bytes and seconds."""

    connect_s: float = 10.0  # one address; three tries of TCP, after 1, 3 and 7 s, fall into it
    addresses_max: int = 4  # of a name: a hundred dead addresses would cost a quarter of an hour
    silence_s: float = 10.0  # without a byte, and for a whole TLS handshake
    # From the request to the last byte, and a second more for each bytes_s_min it may have.
    answer_s: float = 20.0
    # A large file has no deadline, but a lowest mean speed in each window of this length.
    window_s: float = 30.0
    bytes_s_min: int = 1_024  # a quarter of GPRS; a slower server is assumed to stall on purpose
    header_bytes_max: int = 1 << 14  # of an answer; a static server's are 300
    drained_bytes_max: int = 1 << 13  # of an error's text; a longer one closes the connection
    # A broken download is resumed at once only if it brought so many, else at the next poll.
    again_bytes_min: int = 1 << 16


class PaceError(Exception):
    """The request takes too long or brings too much.

    The text continues a line that begins with the address.
    """

    def __init__(self, state: SourceState, text: str) -> None:
        super().__init__(text)
        self.state = state


class Pace:
    """Bounds the time and the bytes of the present request, and counts bytes.

    One for all connections of one thread.
    """

    def __init__(
        self, limits: WebLimits, monotonic_s: "Callable[[], float]" = time.monotonic
    ) -> None:
        self.limits = limits
        self._monotonic_s = monotonic_s
        self.received_bytes = 0
        self.sent_bytes = 0
        self.connections = 0
        self.answered_bytes = 0
        """The bytes of the present answer, headers included."""
        self.at_least_unix_s: int | None = None
        """The time that it is at least; None where the system's clock is right."""
        self._bytes_max = 0
        self._ends_s = 0.0
        self._is_whole = True
        self._window_bytes = 0

    def begin(self, bytes_max: int, *, large: bool) -> None:
        """Start a request for at most `bytes_max` bytes; `large` bounds its speed, not its time."""
        limits = self.limits
        self.answered_bytes = self._window_bytes = 0
        # The reader may take some of the body with the headers.
        self._bytes_max = limits.header_bytes_max + io.DEFAULT_BUFFER_SIZE
        self._is_whole = not large
        length_s = limits.window_s if large else limits.answer_s + bytes_max / limits.bytes_s_min
        self._ends_s = self._monotonic_s() + length_s

    def body(self, bytes_max: int) -> None:
        """Allow a body of `bytes_max` bytes: the headers are complete."""
        chunk_lines = bytes_max // 16 + io.DEFAULT_BUFFER_SIZE
        self._bytes_max = self.answered_bytes + bytes_max + chunk_lines

    def wait_s(self) -> float:
        """The seconds that the next step may wait, above 0. Raises PaceError."""
        left_s = self._ends_s - self._monotonic_s()
        if left_s <= 0 and not self._is_whole:
            self._judge_window()
            left_s = self.limits.window_s
        if left_s <= 0:
            raise PaceError(SourceState.SLOW, "too slow, the answer was not complete in time")
        return min(left_s, self.limits.silence_s)

    def waited(self, waited_s: float) -> None:
        """Note a wait without a byte. Raises PaceError if it was too long."""
        if waited_s >= self.limits.silence_s:
            raise PaceError(SourceState.SLOW, f"silent for {self.limits.silence_s:g} s")

    def received(self, count: int) -> None:
        """Count received bytes. Raises PaceError if they are too many."""
        self.received_bytes += count
        self.answered_bytes += count
        self._window_bytes += count
        if self.answered_bytes > self._bytes_max:
            raise PaceError(SourceState.NOT_OURS, f"more than {self._bytes_max} bytes, and no end")

    def is_over(self, certificate: "Mapping[str, Any]") -> bool:
        """Whether the certificate has expired for certain."""
        end, at_least_unix_s = certificate.get("notAfter"), self.at_least_unix_s
        if end is None or at_least_unix_s is None:
            return False
        return ssl.cert_time_to_seconds(end) < at_least_unix_s

    def _judge_window(self) -> None:
        limits = self.limits
        if self._window_bytes < limits.window_s * limits.bytes_s_min:
            raise PaceError(
                SourceState.SLOW, f"too slow, {self._window_bytes} bytes in {limits.window_s:g} s"
            )
        self._window_bytes = 0
        self._ends_s = self._monotonic_s() + limits.window_s


class _PacedSocket(socket.socket):
    pace: Pace

    def recv_into(self, buffer: "WriteableBuffer", nbytes: int = 0, flags: int = 0) -> int:
        """As socket.socket, at this pace."""
        while True:
            self.settimeout(wait_s := self.pace.wait_s())
            try:
                count = super().recv_into(buffer, nbytes, flags)
            except TimeoutError:
                self.pace.waited(wait_s)
            else:
                self.pace.received(count)
                return count

    def sendall(self, data: "ReadableBuffer", flags: int = 0) -> None:
        """As socket.socket, at this pace."""
        self.settimeout(self.pace.wait_s())
        super().sendall(data, flags)
        self.pace.sent_bytes += memoryview(data).nbytes


class _PacedTlsSocket(ssl.SSLSocket):
    pace: Pace

    def recv_into(
        self, buffer: "WriteableBuffer", nbytes: int | None = None, flags: int = 0
    ) -> int:
        """As ssl.SSLSocket, at this pace."""
        while True:
            self.settimeout(wait_s := self.pace.wait_s())
            try:
                count = super().recv_into(buffer, nbytes, flags)
            except TimeoutError:
                self.pace.waited(wait_s)
            else:
                self.pace.received(count)
                return count

    def sendall(self, data: "ReadableBuffer", flags: int = 0) -> None:
        """As ssl.SSLSocket, at this pace."""
        self.settimeout(self.pace.wait_s())
        super().sendall(data, flags)
        self.pace.sent_bytes += memoryview(data).nbytes


class _PacedConnection(HTTPConnection):
    pace: Pace

    def _new_conn(self) -> socket.socket:
        """Connect to one of the first few addresses of the name.

        urllib3 tries them all, each with the whole time-out.
        """
        self.pace.connections += 1
        try:
            found = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            cause = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
            raise NameResolutionError(self.host, self, cause) from error
        problem: OSError = OSError("the name has no address")
        for family, kind, protocol, _, address in found[: self.pace.limits.addresses_max]:
            try:
                return self._connected(_PacedSocket(family, kind, protocol), address)
            except OSError as error:
                problem = error
        raise NewConnectionError(self, str(problem)) from problem

    def _connected(self, sock: _PacedSocket, address: Any) -> _PacedSocket:
        sock.pace = self.pace
        try:
            for option in self.socket_options or ():
                sock.setsockopt(*option)
            sock.settimeout(min(self.pace.limits.connect_s, self.pace.wait_s()))
            sock.connect(address)
            sock.settimeout(self.pace.wait_s())  # for the whole of a TLS handshake
        except BaseException:
            sock.close()
            raise
        return sock


class _PacedTlsConnection(_PacedConnection, HTTPSConnection):
    def connect(self) -> None:
        """Connect, through the proxy if there is one, and shake hands."""
        HTTPSConnection.connect(self)
        if isinstance(self.sock, _PacedTlsSocket):
            self.sock.pace = self.pace
            if self.pace.is_over(self.sock.getpeercert() or {}):
                self.close()
                raise _expired(self.pace.at_least_unix_s or 0)


def _expired(at_least_unix_s: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError("certificate verify failed")
    least = datetime.fromtimestamp(at_least_unix_s, UTC)
    error.verify_message = (
        f"certificate has expired: it is {least:%Y-%m-%d} at least, as the city has signed"
    )
    return error


class _Pool(HTTPConnectionPool):
    pace: Pace
    ConnectionCls = _PacedConnection

    def _new_conn(self) -> Any:
        connection = super()._new_conn()
        connection.pace = self.pace  # type: ignore[attr-defined]  # it is of ConnectionCls
        return connection


class _TlsPool(HTTPSConnectionPool):
    pace: Pace
    ConnectionCls = _PacedTlsConnection

    def _new_conn(self) -> Any:
        connection = super()._new_conn()
        connection.pace = self.pace  # type: ignore[attr-defined]  # it is of ConnectionCls
        return connection


class PacedAdapter(HTTPAdapter):
    """The requests adapter whose every connection keeps the pace."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._context = create_urllib3_context()
        self._context.sslsocket_class = _PacedTlsSocket
        super().__init__(pool_connections=2, pool_maxsize=1)

    def check_dates(self, at_least_unix_s: int | None) -> None:
        """See Web.check_dates."""
        self._pace.at_least_unix_s = at_least_unix_s
        flags = self._context.verify_flags
        self._context.verify_flags = ssl.VerifyFlags(
            flags & ~_NO_CHECK_TIME if at_least_unix_s is None else flags | _NO_CHECK_TIME
        )

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        """As HTTPAdapter, with connections that keep the pace."""
        super().init_poolmanager(
            connections, maxsize, block, ssl_context=self._context, **pool_kwargs
        )
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """As HTTPAdapter, with connections that keep the pace."""
        manager = super().proxy_manager_for(proxy, ssl_context=self._context, **proxy_kwargs)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
        return manager

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """As HTTPAdapter, but requests to this machine bypass the proxy.

        The proxy would send them to itself, in clear text.
        """
        if is_loopback(urlsplit(request.url or "").hostname or ""):
            kwargs["proxies"] = {}
        return super().send(request, *args, **kwargs)

    def get_connection_with_tls_context(
        self,
        request: PreparedRequest,
        verify: Any,
        proxies: "Mapping[str, str] | None" = None,
        cert: Any = None,
    ) -> Any:
        """As HTTPAdapter, with a pool that keeps the pace."""
        pool = super().get_connection_with_tls_context(
            request, verify, dict(proxies) if proxies else None, cert
        )
        pool.pace = self._pace  # type: ignore[attr-defined]  # it is one of the two pools above
        return pool
