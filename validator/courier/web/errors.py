"""Turns every failure of an HTTP request into a RemoteError whose line begins with host and path.

requests, urllib3, http.client, ssl and socket each have their own exceptions, and wrap those of the
others in several ways.
"""

import http.client
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import MappingProxyType, TracebackType
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from validator.courier.web.transport import PaceError
from validator.errors import RemoteError, SourceState, one_line

_RETRY_AFTER_S_MAX = 86_400.0  # more is nonsense; courier/waits.py decides how long a gate waits
_DATES = {9, 10}  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL
_NOT_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "RECORD_LAYER_FAILURE"}


class StatusError(RemoteError):
    """The server answered with an HTTP status that is no success.

    `headers` and the first 2 KiB of the body are as they came.
    """

    def __init__(
        self,
        state: SourceState,
        text: str,
        status: int,
        retry_after_s: float = 0.0,
        headers: Mapping[str, str] = MappingProxyType({}),
        body: bytes = b"",
    ) -> None:
        super().__init__(state, text, retry_after_s)
        self.status = status
        self.headers = headers
        self.body = body


def not_ours(url: str, text: str) -> RemoteError:
    """The error for an answer that is not the city's."""
    return RemoteError(SourceState.NOT_OURS, f"{place(url)}: {text}")


def refused(url: str, text: str) -> RemoteError:
    """The error for an answer that is not what the city signed."""
    return RemoteError(SourceState.REFUSED, f"{place(url)}: {text}")


def host(url: str) -> str:
    """The host and port of an address, without a password."""
    return urlsplit(url).netloc.rpartition("@")[2]


def place(url: str) -> str:
    """The host and path of an address, without a password or a query."""
    return f"{host(url)}{urlsplit(url).path}"


def status_error(url: str, response: requests.Response, body: bytes = b"") -> StatusError:
    """The error for an answer with a status of 300 or more."""
    state, text = _meaning(url, response)
    wait_s = _retry_after_s(response) if state is SourceState.BUSY else 0.0
    line = f"{place(url)}: {text}"
    return StatusError(state, line, response.status_code, wait_s, response.headers, body)


def _meaning(url: str, response: requests.Response) -> tuple[SourceState, str]:
    status = response.status_code
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return SourceState.PROXY, "the proxy wants to know who asks"
    busy = status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if busy and status != HTTPStatus.NETWORK_AUTHENTICATION_REQUIRED:
        return SourceState.BUSY, f"busy or broken, answered {status}"
    if status >= HTTPStatus.BAD_REQUEST:
        return SourceState.NOT_OURS, f"answered {status}"
    leads = _leads_to(url, response)
    return SourceState.NOT_OURS, f"answered a redirect{f' to {leads}' if leads else ''}"


def _leads_to(url: str, response: requests.Response) -> str:
    """The host and path that a redirect names, or ""."""
    try:
        to = urljoin(url, response.headers.get("Location", ""))
        parts = urlsplit(to)
        leads = f"{parts.scheme}://{host(to)}{parts.path}" if parts.netloc and to != url else ""
    except ValueError:
        return ""
    return one_line(leads)


class OnTheLine:
    """`with OnTheLine(url):` turns every Exception in the block into a RemoteError.

    Hostile bytes pass through three libraries. What those raise is the other side's fault.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):
            state, text = _fault(error)
            raise RemoteError(state, f"{place(self._url)}: {text}") from error


def _fault(error: BaseException) -> tuple[SourceState, str]:
    """The state and the text for what the libraries raised."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, PaceError):
            return cause.state, str(cause)
    for cause in causes:
        if found := _known(cause):
            return found
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror:
            return SourceState.UNREACHABLE, _words(cause)
    if not isinstance(error, requests.RequestException) and isinstance(error, OSError):
        return SourceState.TLS, one_line(
            error
        )  # requests, of authorities that are not there any more
    return (
        SourceState.NOT_OURS,
        f"an answer that cannot be understood ({type(causes[-1]).__name__})",
    )


def _known(cause: BaseException) -> tuple[SourceState, str] | None:
    """The state and text for this one cause; None if it decides nothing."""
    match cause:
        case requests.exceptions.ProxyError() | urllib3.exceptions.ProxyError():
            inner = _words(list(_causes(cause))[-1])
            return SourceState.PROXY, f"the proxy does not let us through ({inner})"
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return SourceState.UNREACHABLE, "the connection broke"
        case ssl.SSLCertVerificationError():
            return (
                SourceState.TLS,
                f"certificate refused, {one_line(cause.verify_message)}{_by_clock(cause)}",
            )
        case ssl.SSLError():
            if cause.reason in _NOT_TLS:
                return SourceState.NOT_OURS, "what answers does not speak TLS"
            return SourceState.TLS, f"no agreement on TLS ({one_line(cause.reason or cause)})"
        case socket.gaierror():
            return SourceState.UNREACHABLE, "no address for this name"
        case ConnectionError() | http.client.IncompleteRead():
            return SourceState.UNREACHABLE, _words(cause)
        case TimeoutError():
            return SourceState.UNREACHABLE, "no answer"
        case http.client.HTTPException() | urllib3.exceptions.InvalidHeader():
            return SourceState.NOT_OURS, "what answers does not speak HTTP"
    return None


def _by_clock(error: ssl.SSLCertVerificationError) -> str:
    """Names this machine's clock, if a certificate's dates are refused: the clock may be wrong."""
    if getattr(error, "verify_code", 0) not in _DATES:
        return ""
    now = datetime.fromtimestamp(time.time(), UTC)
    return (
        f" by the clock of this machine, which says {now:%Y-%m-%d %H:%M} UTC: if that is wrong, set"
        " it (timedatectl)"
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes, outermost first.

    Libraries hide them in `args`, `reason` and `__context__`.
    """
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        cause = waiting.pop(0)
        if id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            hidden = (
                *cause.args,
                getattr(cause, "reason", None),
                cause.__cause__,
                cause.__context__,
            )
            waiting += [each for each in hidden if isinstance(each, BaseException)]


def _words(error: BaseException) -> str:
    match error:
        case http.client.RemoteDisconnected() | http.client.IncompleteRead():
            return "the connection broke"
        case OSError() if error.strerror:
            return error.strerror.lower()
    return one_line(error)


def _retry_after_s(response: requests.Response) -> float:
    """The seconds that the server asks the gate to wait; 0 if it does not ask.

    A date is compared with the server's own clock, not with the gate's.
    """
    text = response.headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return min(float(text), _RETRY_AFTER_S_MAX)
    try:
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(response.headers["Date"])
    except (ValueError, TypeError, KeyError, OverflowError):
        return 0.0
    return min(max(wait.total_seconds(), 0.0), _RETRY_AFTER_S_MAX)
