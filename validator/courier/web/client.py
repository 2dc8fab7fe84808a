"""Fetches files from a web server that may be slow, broken or hostile. For one thread.

    web = Web(ca_file="/etc/turnike/ca.pem")
    answer = web.get(url, 4096, etag)             # Answer, or None: not modified
    web.download(url, path, bytes_, sha256)       # path is whole and right; resumes a broken one

Every failure is a RemoteError: a state, and one line that begins with host and path. No request
takes longer than its WebLimits. Redirects are not followed, cookies not kept, and the environment
(proxies, netrc, REQUESTS_CA_BUNDLE, which would override `verify`) is ignored. Nothing is decoded,
so no answer is larger than its bytes on the line.
"""

import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import urlsplit

import requests
import urllib3
from urllib3.exceptions import SystemTimeWarning

from validator.courier.disk import disk_errors
from validator.courier.web.errors import (
    OnTheLine,
    StatusError,
    host,
    not_ours,
    place,
    refused,
    status_error,
)
from validator.courier.web.part import Part
from validator.courier.web.transport import Pace, PacedAdapter, WebLimits
from validator.errors import RemoteError, SourceState
from validator.host.durable import sync_folder

__all__ = ["Answer", "StatusError", "Web", "WebLimits"]

PART = ".part"  # what the name of a file ends with while it is being downloaded
_STEP_BYTES = 1 << 16
_REFUSAL_BYTES_MAX = 2_048  # of the answer that gives the reason of a refusal
_ETAG_CHARS_MAX = 128  # sent back at each poll; nginx's have 20
_CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)", re.ASCII)
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')


class Answer(NamedTuple):
    """An answer: its bytes, and its ETag for the next request (empty if it has none)."""

    content: bytes
    etag: str


class Web:
    """An HTTP client with one kept connection to each server."""

    def __init__(
        self,
        ca_file: str | None = None,
        proxy: str | None = None,
        limits: WebLimits = WebLimits(),  # noqa: B008  # frozen
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect to nothing yet.

        Args:
            ca_file: The only authorities to trust; None for those of the requests package.
            proxy: `http://host:port`, or None.
            limits: How much and how long a server may take.
            monotonic_s: The clock of those limits, in seconds.

        Raises:
            ValueError: `ca_file` or `proxy` is of no use; the text is one line.
        """
        if proxy and urlsplit(proxy).scheme != "http":
            raise ValueError(
                f"{host(proxy)}: a proxy is reached by http:// only; TLS goes through it unbroken"
            )
        if ca_file:
            _check_authorities(ca_file)
        urllib3.disable_warnings(SystemTimeWarning)  # a gate without a battery clock begins in 1970
        self.limits = limits
        self._pace = Pace(limits, monotonic_s)
        self._adapter = PacedAdapter(self._pace)
        self._session = _Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # As few headers as work, at 2,880 polls a day; some servers require a User-Agent.
        self._session.headers.clear()
        self._session.headers.update({"Accept-Encoding": "identity", "User-Agent": "turnike"})
        self._session.verify = ca_file or True
        self._session.proxies = {"http": proxy, "https": proxy} if proxy else {}
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, self._adapter)

    @property
    def received_bytes(self) -> int:
        """The bytes of all answers so far, headers included, TLS not."""
        return self._pace.received_bytes

    @property
    def sent_bytes(self) -> int:
        """The bytes of all requests so far, headers included, TLS not."""
        return self._pace.sent_bytes

    @property
    def connections(self) -> int:
        """How many connections were begun so far."""
        return self._pace.connections

    def check_dates(self, at_least_unix_s: int | None) -> None:
        """Choose by which time the certificates of new connections are judged.

        A gate whose clock is in 1970 could otherwise not learn the time from the city. Name and
        chain are checked all the same, and what counts is signed in any case.

        Args:
            at_least_unix_s: Refuse only certificates that ended before this time; None, as at the
                start, judges by the system's clock.
        """
        self._adapter.check_dates(at_least_unix_s)

    def close(self) -> None:
        """Close the kept connections."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, url: str, bytes_max: int, etag: str = "") -> Answer | None:
        """Fetch a small file of at most `bytes_max` bytes.

        Returns None if it still has this `etag`. Raises RemoteError.
        """
        headers = {"If-None-Match": etag} if etag else {}
        with self._asked(url, headers, bytes_max, large=False) as response:
            if response.status_code == HTTPStatus.NOT_MODIFIED and etag:
                self._drain(response)
                return None
            _require_ok(url, response)
            if (length := _length(response) or 0) > bytes_max:
                raise refused(url, f"{length} bytes long, where {bytes_max} are the most")
            content = bytearray()
            for step in self._steps(response, bytes_max + 1):
                content += step
                _check_kind(url, content)
                if len(content) > bytes_max:
                    raise refused(url, f"more than {bytes_max} bytes long")
            return Answer(bytes(content), _tag(response))

    def post(self, url: str, body: bytes, headers: Mapping[str, str], bytes_max: int) -> bytes:
        """Send a body, which may be sent twice. Returns the answer of at most `bytes_max` bytes.

        Raises:
            StatusError: The status is not 200 or 201.
            RemoteError: Any other failure.
        """
        with self._asked(url, headers, bytes_max, large=False, body=body) as response:
            if response.status_code not in (HTTPStatus.OK, HTTPStatus.CREATED):
                raise not_ours(url, f"answered {response.status_code}, which was not asked for")
            content = bytearray()
            for step in self._steps(response, bytes_max + 1):
                content += step
                if len(content) > bytes_max:
                    raise refused(url, f"more than {bytes_max} bytes long")
            return bytes(content)

    def download(self, url: str, path: Path, bytes_: int, sha256: str) -> None:
        """Download a file of `bytes_` bytes with this sha256 to `path`, durably.

        A broken download stays in `path` + ".part" and is resumed from any server: the hash decides
        what it must become. If that is wrong, the disk may have spoilt what an earlier call left,
        which is no fault of the server: it is fetched once more, from the start. A line that breaks
        after it brought enough is used again at once. There is no deadline, only a lowest speed.
        Raises RemoteError.
        """
        part_path = path.with_name(path.name + PART)
        with disk_errors(part_path), closing(Part(part_path, bytes_)) as part:
            resumed = part.length > 0
            self._complete(url, part)
            if resumed and part.sha256() != sha256:
                part.empty()
                self._complete(url, part)
            if part.sha256() != sha256:
                part_path.unlink()
                raise refused(url, "not the bytes whose sha256 is signed")
            part.sync()
            part_path.rename(path)
            sync_folder(path.parent)

    def _complete(self, url: str, part: Part) -> None:
        """Request what is missing, over as many connections as each bring enough."""
        while part.length < part.bytes_max:
            before = part.length
            try:
                self._go_on(url, part)
            except RemoteError as error:
                broken = error.state in (SourceState.UNREACHABLE, SourceState.SLOW)
                if not broken or part.length - before < self.limits.again_bytes_min:
                    raise

    def _go_on(self, url: str, part: Part) -> None:
        """Request the missing bytes, or all if the server does not continue there."""
        if part.length and self._continue(url, part):
            return
        with self._asked(url, {}, part.bytes_max, large=True) as response:
            self._fill_from_start(url, response, part)

    def _continue(self, url: str, part: Part) -> bool:
        """Request the missing bytes. False, with nothing changed, if the server sends others."""
        headers = {"Range": f"bytes={part.length}-"}
        try:
            with self._asked(url, headers, part.bytes_max, large=True) as response:
                if response.status_code == HTTPStatus.PARTIAL_CONTENT:
                    if not _continues(response, part):
                        return False
                    self._fill(url, response, part, from_start=False)
                    return True
                self._fill_from_start(url, response, part)
                return True
        except StatusError as error:
            if error.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return False
            raise

    def _fill_from_start(self, url: str, response: requests.Response, part: Part) -> None:
        _require_ok(url, response)
        if _length(response) not in (None, part.bytes_max):
            raise refused(url, f"{_length(response)} bytes long, signed are {part.bytes_max}")
        self._fill(url, response, part, from_start=True)

    def _fill(self, url: str, response: requests.Response, part: Part, *, from_start: bool) -> None:
        for step in self._steps(response, _STEP_BYTES):
            if from_start:
                _check_kind(url, step)
                part.empty()  # not before: a captive portal's page must not cost what was fetched
                from_start = False
            part.append(step)
            if part.length == part.bytes_max:
                return
        raise RemoteError(
            SourceState.UNREACHABLE,
            f"{place(url)}: broke off at {part.length} of {part.bytes_max} bytes",
        )

    @contextmanager
    def _asked(
        self,
        url: str,
        headers: Mapping[str, str],
        bytes_max: int,
        *,
        large: bool,
        body: bytes | None = None,
    ) -> Iterator[requests.Response]:
        """The answer to one request, below status 300 or 304.

        A connection whose answer is not read to its end is closed. Raises StatusError, RemoteError.
        """
        with closing(self._send(url, headers, bytes_max, large=large, body=body)) as response:
            status = response.status_code
            if status >= HTTPStatus.MULTIPLE_CHOICES and status != HTTPStatus.NOT_MODIFIED:
                begun = bytearray()
                with suppress(RemoteError):
                    self._drain(response, begun)
                raise status_error(url, response, bytes(begun))
            kind = response.headers.get("Content-Type", "")
            if kind.lower().startswith("text/html"):
                raise not_ours(url, "answered with a web page")
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise not_ours(url, "answered in an encoding that was not asked for")
            self._pace.body(bytes_max)
            yield response

    def _send(
        self,
        url: str,
        headers: Mapping[str, str],
        bytes_max: int,
        *,
        large: bool,
        body: bytes | None,
    ) -> requests.Response:
        while True:
            connections = self._pace.connections
            self._pace.begin(bytes_max, large=large)
            try:
                return self._begun(url, headers, body)
            except RemoteError as error:
                # A kept connection that the server closed meanwhile breaks at the first use.
                # That is no fault: the request is sent once more.
                kept = self._pace.connections == connections and not self._pace.answered_bytes
                if not kept or error.state is not SourceState.UNREACHABLE:
                    raise

    def _begun(self, url: str, headers: Mapping[str, str], body: bytes | None) -> requests.Response:
        method = "GET" if body is None else "POST"
        with OnTheLine(url):
            return self._session.request(
                method, url, headers=dict(headers), data=body, stream=True, timeout=None
            )

    def _steps(self, response: requests.Response, bytes_max: int) -> Iterator[bytes]:
        step = b"..."
        while step:
            with OnTheLine(response.url):
                # read1, since read would wait until the buffer is full.
                step = response.raw.read1(min(bytes_max, _STEP_BYTES), decode_content=False)
            if step:
                yield step

    def _drain(self, response: requests.Response, body: bytearray | None = None) -> None:
        """Read the rest of an answer, so that the connection can be kept. Raises RemoteError.

        The first 2 KiB go into `body`, if there is one. The pace ends a long answer.
        """
        self._pace.body(self.limits.drained_bytes_max)
        for step in self._steps(response, _STEP_BYTES):
            if body is not None:
                body += step[: _REFUSAL_BYTES_MAX - len(body)]


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """None, so that no redirect is followed.

        `allow_redirects=False` is not enough: requests then still reads the whole body.
        """


def _continues(response: requests.Response, part: Part) -> bool:
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if match is None or int(match[1]) != part.length:
        return False
    return int(match[2]) < part.bytes_max and match[3] in ("*", str(part.bytes_max))


def _require_ok(url: str, response: requests.Response) -> None:
    if response.status_code != HTTPStatus.OK:
        raise not_ours(url, f"answered {response.status_code}, which was not asked for")


def _check_kind(url: str, content: bytes | bytearray) -> None:
    """Refuse a web page, which no file of the city begins like.

    Captive portals answer with one, and some give it another content type.
    """
    if content.lstrip(b"\xef\xbb\xbf\r\n\t ").startswith(b"<"):
        raise not_ours(url, "answered with a web page")


def _check_authorities(ca_file: str) -> None:
    try:
        ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise ValueError(
            f"{ca_file}: {error.strerror or error}; write a file of certificates in PEM"
        ) from None


def _length(response: requests.Response) -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text) else None


def _tag(response: requests.Response) -> str:
    tag = response.headers.get("ETag", "")
    return tag if len(tag) <= _ETAG_CHARS_MAX and _ETAG.fullmatch(tag) else ""
