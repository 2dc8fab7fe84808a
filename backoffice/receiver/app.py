"""The receiving side as a web application: gates enrol, upload reports, and say how they fare. Stateless; reports/store.py remembers.

    routes = Receiver(store, limits, now_unix_s, KeyDelivery(office)).routes   # mounted by web_app.py

Whoever sends is a stranger until the signature says otherwise (validator/reports/signed_request.py); bodies are bounded before and after they are
unpacked. Nothing here can open what is sealed, and nothing is logged of a body. `/v1/openapi.json` describes it; a test holds it to that.
"""

import asyncio
import time
import zlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from backoffice.home.folder import CLOCK_UNIX_S_MIN
from backoffice.home.receiver_names import ReceiverNames, UnknownHostError
from backoffice.receiver.key_delivery import KeyDelivery, sealed_to
from backoffice.receiver.openapi import OPENAPI
from backoffice.receiver.refusals import RefusedError, path_of, refusal
from backoffice.registry.database import RegistryError
from backoffice.reports.store import REJECTED, Answer, EnrolmentError, ReportStore
from validator.errors import one_line
from validator.reports.receiver_answer import MARK, MARK_VALUE, Reason, plain
from validator.reports.sealed_keys import SealedKey
from validator.reports.signed_request import (
    PublicKeyOf,
    SignatureError,
    Speaker,
    UnknownGateError,
    verify,
)
from validator.reports.stored_report import StoredReport

GATE_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z"
REPORT_ID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z"
RETRY_AFTER_S = 30


@dataclass(frozen=True, slots=True)
class ReceiverLimits:
    """What one request, and one gate, may cost."""

    packed_bytes_max: int = 256 << 10  # two hundred reports are 40 KiB
    body_bytes_max: int = 1 << 20
    batch_max: int = 200
    status_bytes_max: int = 64 << 10
    requests_max: int = 64  # in work at once; for one more there is no thread
    bodies_max: int = 1_024  # coming in at once: 256 MiB at most
    body_s: float = 30.0  # for the whole of it: 9 KB/s for the largest
    requests_per_minute: int = (
        2_000  # a gate that drains 100,000 reports sends 500 in less than a minute
    )
    gates_remembered: int = 100_000


class Enrolment(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of an enrolment."""

    gate_id: Annotated[str, Meta(pattern=GATE_ID)]
    token: Annotated[str, Meta(min_length=1, max_length=128)]
    public_key: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


class _Named(Struct, frozen=True):
    """As much of a report as an answer needs."""

    report_id: Annotated[str, Meta(pattern=REPORT_ID)]


class _Batch(Struct, frozen=True, forbid_unknown_fields=True):
    reports: tuple[msgspec.Raw, ...]


class _Kept(Struct, frozen=True):
    """The answer to a status. Without `fingerprint_keys` none are given out from here."""

    kept: bool
    fingerprint_keys: list[SealedKey] | UnsetType = UNSET
    next_nonce: str | UnsetType = UNSET


_batch = msgspec.json.Decoder(_Batch, strict=True)
_named = msgspec.json.Decoder(_Named, strict=True)
_report = msgspec.json.Decoder(StoredReport, strict=True)
_enrolment = msgspec.json.Decoder(Enrolment, strict=True)
_object = msgspec.json.Decoder(dict[str, Any], strict=True)

Endpoint = Callable[[Request, bytes], Awaitable[Response]]
Guarded = Callable[[Request], Awaitable[Response]]
ANY_HOST = ReceiverNames((), any_host=True)
HOSTS_SAID_MAX = 8  # unknown hosts that are reported to the operator, of each process


class Receiver:
    """The endpoints, on one store. Any number of processes may run one each."""

    def __init__(
        self,
        store: ReportStore,
        limits: ReceiverLimits = ReceiverLimits(),
        now_unix_s: Callable[[], int] = lambda: int(time.time()),
        keys: KeyDelivery | None = None,
        names: ReceiverNames = ANY_HOST,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        """Without `keys` gates are given no fingerprint keys.

        `names` are the addresses by which gates call it; `say` is told in a line of a host that is none of them.
        """
        self._names = names
        self._say = say
        self._unknown_hosts: set[str] = set()
        self._store = store
        self._keys = keys
        self._limits = limits
        self._now_unix_s = now_unix_s
        self._in_work, self._coming = _Places(limits.requests_max), _Places(limits.bodies_max)
        self._asked: OrderedDict[str, tuple[int, int]] = (
            OrderedDict()
        )  # gate → minute, requests in it

    @property
    def routes(self) -> list[Route]:
        """To be mounted, under each path by which the receiver is called."""
        limits = self._limits
        posts: tuple[tuple[str, Endpoint, int], ...] = (
            ("v1/enrol", self.enrol, limits.status_bytes_max),
            ("v1/reports", self.reports, limits.packed_bytes_max),
            ("v1/gates/{gate_id}/status", self.status, limits.packed_bytes_max),
        )
        routes = []
        for prefix in self._names.prefixes:
            routes += [
                Route(prefix + path, self._guarded(endpoint, bytes_max, prefix), methods=["POST"])
                for path, endpoint, bytes_max in posts
            ]
            routes.append(Route(f"{prefix}v1/openapi.json", self.page, methods=["GET"]))
        return routes

    async def page(self, _request: Request) -> Response:
        """What this is, as OpenAPI says it."""
        return JSONResponse(OPENAPI)

    async def enrol(self, request: Request, body: bytes) -> Response:
        """Let a gate speak that has a token.

        A gate signs this too, with the key that it enrols (older ones do not): what a proxy changes on the way it would
        change of every report, and so nothing is enrolled.
        """
        try:
            told = _enrolment.decode(body)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise _bad(f"no enrolment: {one_line(error)}") from None
        public_key = bytes.fromhex(told.public_key)
        if "signature" in request.headers:
            self._verified(
                request, body, lambda gate_id: public_key if gate_id == told.gate_id else None
            )
        try:
            is_new = await run_in_threadpool(
                self._store.enrol, told.gate_id, told.token, public_key, self._now_unix_s()
            )
        except EnrolmentError as error:
            raise HTTPException(HTTPStatus.FORBIDDEN, str(error)) from None
        answer = {"gate_id": told.gate_id} | ({} if is_new else {"already": True})
        return JSONResponse(answer, HTTPStatus.CREATED)

    async def reports(self, request: Request, packed: bytes) -> Response:
        """Take a batch of reports; the answer says what became of each."""
        speaker = await self._speaker(request, packed)
        content = self._unpacked(request, packed)
        try:
            raw = _batch.decode(content).reports
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise _bad(f"no batch of reports: {one_line(error)}") from None
        if len(raw) > self._limits.batch_max:
            raise HTTPException(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {self._limits.batch_max} reports"
            )
        good, answers = _parsed(raw)
        if good:
            answers |= await run_in_threadpool(
                self._store.add, speaker.gate_id, good, self._now_unix_s()
            )
        results = [{"id": report_id, **_told(answer)} for report_id, answer in answers.items()]
        return JSONResponse({"results": results})

    async def status(self, request: Request, packed: bytes) -> Response:
        """Keep how a gate fares; the answer brings the fingerprint keys that it lacks."""
        speaker = await self._speaker(request, packed)
        if speaker.gate_id != request.path_params["gate_id"]:
            raise HTTPException(HTTPStatus.FORBIDDEN, "a gate speaks for itself alone")
        content = self._unpacked(request, packed)
        if len(content) > self._limits.status_bytes_max:
            raise HTTPException(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"more than {self._limits.status_bytes_max} bytes",
            )
        try:
            told = _object.decode(content)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise _bad(f"no status: {one_line(error)}") from None
        kept = await run_in_threadpool(self._keep, speaker, told)
        return Response(msgspec.json.encode(kept), media_type="application/json")

    def _keep(self, speaker: Speaker, told: dict[str, Any]) -> _Kept:
        status = msgspec.json.encode(told).decode()
        heard = self._store.keep_status(speaker, self._now_unix_s(), status)
        next_nonce = UNSET if heard.next_nonce is None else heard.next_nonce
        keys = self._keys.lacking(_held(told)) if self._keys else None
        if not keys:
            return _Kept(heard.kept, UNSET if keys is None else [], next_nonce)
        public_key = self._store.public_key(
            speaker.gate_id
        )  # asked again: it may have been struck off since
        return _Kept(heard.kept, sealed_to(public_key, keys) if public_key else [], next_nonce)

    def _guarded(self, endpoint: Endpoint, bytes_max: int, prefix: str = "/") -> Guarded:
        """Every fault as JSON, in one line; one request too many, and a database that is away, are a 503 that says when to come again.

        A body that dawdles holds up nobody: only once it is there does its request count as one in work.
        """

        async def guarded(request: Request) -> Response:
            request.state.urls = ()
            answer = await answered(request)
            answer.headers[MARK] = MARK_VALUE
            return answer

        async def answered(request: Request) -> Response:
            if (
                self._now_unix_s() < CLOCK_UNIX_S_MIN
            ):  # what it dates would be over as soon as it is set
                return _later("this server's clock is not set")
            try:
                request.state.urls = self._called(request, prefix)
                body = await self._body(request, bytes_max)
                with self._in_work:
                    return await endpoint(request, body)
            except RefusedError as error:
                return refusal(request, error)
            except HTTPException as error:
                return JSONResponse(
                    {"error": error.detail}, error.status_code, headers=error.headers
                )
            except RegistryError:
                return _later("the database is away")
            except _TooManyError:
                return _later("too many at once")
            except ClientDisconnect:
                return Response(status_code=HTTPStatus.BAD_REQUEST)  # for nobody

        return guarded

    async def _body(self, request: Request, bytes_max: int) -> bytes:
        """The bytes of the body, never more than so many in memory, nor for longer than it may take."""
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > bytes_max:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {bytes_max} bytes")
        body = bytearray()
        with self._coming:
            try:
                async with asyncio.timeout(self._limits.body_s):
                    async for part in request.stream():
                        body += part
                        if len(body) > bytes_max:
                            raise HTTPException(
                                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {bytes_max} bytes"
                            )
            except TimeoutError:
                headers = {"connection": "close"}
                raise HTTPException(
                    HTTPStatus.REQUEST_TIMEOUT, "the body did not come in time", headers
                ) from None
        return bytes(body)

    async def _speaker(self, request: Request, packed: bytes) -> Speaker:
        """Which gate has signed this."""
        keys: dict[str, bytes | None] = {}
        named = _key_id(request.headers.get("signature-input", ""))
        if named:
            keys[named] = await run_in_threadpool(self._store.public_key, named)
        speaker = self._verified(request, packed, keys.get)
        if self._is_too_much(speaker.gate_id):
            headers = {"retry-after": str(RETRY_AFTER_S)}
            raise HTTPException(
                HTTPStatus.TOO_MANY_REQUESTS, "too many requests in a minute", headers
            )
        return speaker

    def _called(self, request: Request, prefix: str) -> tuple[str, ...]:
        """The addresses, as a gate may have signed them, to which this request was sent. Raises RefusedError."""
        host, path = request.headers.get("host", ""), path_of(request)
        try:
            return self._names.urls(
                host, request.scope.get("scheme", "http"), prefix, path.removeprefix(prefix)
            )
        except UnknownHostError:
            error = f"no address of this receiver is {host}{path}"
            line = plain(
                f"{error}: a request came so; [receiver] addresses in backoffice.toml names them all"
            )
            if line not in self._unknown_hosts and len(self._unknown_hosts) < HOSTS_SAID_MAX:
                self._unknown_hosts.add(line)
                self._say(line)
            raise RefusedError(HTTPStatus.MISDIRECTED_REQUEST, error, Reason.ADDRESS) from None

    @staticmethod
    def _verified(request: Request, packed: bytes, public_key_of: PublicKeyOf) -> Speaker:
        """Who has signed this for an address of ours. Raises RefusedError."""
        refused: SignatureError | None = None
        for url in request.state.urls:
            try:
                return verify(request.method, url, dict(request.headers), packed, public_key_of)
            except SignatureError as error:
                refused = error
        reason = Reason.UNKNOWN_GATE if isinstance(refused, UnknownGateError) else Reason.SIGNATURE
        raise RefusedError(HTTPStatus.UNAUTHORIZED, str(refused), reason)

    def _is_too_much(self, gate_id: str) -> bool:
        """Count this request. In this process alone: the limit is against a gate that has gone mad, and need not be exact."""
        minute = self._now_unix_s() // 60
        before, count = self._asked.pop(gate_id, (minute, 0))
        count = count + 1 if before == minute else 1
        self._asked[gate_id] = (minute, count)
        if len(self._asked) > self._limits.gates_remembered:
            self._asked.popitem(last=False)
        return count > self._limits.requests_per_minute

    def _unpacked(self, request: Request, packed: bytes) -> bytes:
        """The body as JSON text, never more than the limit whatever it is packed from."""
        if request.headers.get("content-encoding", "identity") != "gzip":
            raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a body is packed with gzip")
        inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            content = inflate.decompress(packed, self._limits.body_bytes_max + 1)
        except zlib.error as error:
            raise _bad(f"not gzip: {one_line(error)}") from None
        if len(content) > self._limits.body_bytes_max:
            raise HTTPException(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"more than {self._limits.body_bytes_max} bytes",
            )
        if not inflate.eof or inflate.unused_data:
            raise _bad("not one whole gzip stream")
        return content


class _TooManyError(Exception):
    """There is no place for one more."""


class _Places:
    """So many requests at once. For one event loop."""

    def __init__(self, count: int) -> None:
        self._free = count

    def __enter__(self) -> None:
        """Take a place. Raises _TooManyError, at once."""
        if self._free <= 0:
            raise _TooManyError
        self._free -= 1

    def __exit__(self, *exception: object) -> None:
        self._free += 1


def _later(error: str) -> Response:
    headers = {"retry-after": str(RETRY_AFTER_S)}
    return JSONResponse({"error": error}, HTTPStatus.SERVICE_UNAVAILABLE, headers=headers)


def _parsed(raw: tuple[msgspec.Raw, ...]) -> tuple[list[StoredReport], dict[str, Answer]]:
    """The reports that are some, and an answer for each that is none but has an id. Raises HTTPException for one without: nothing can be said of it."""
    good: list[StoredReport] = []
    answers: dict[str, Answer] = {}
    for each in raw:
        try:
            named = _named.decode(each)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise _bad(f"a report without an id: {one_line(error)}") from None
        try:
            good.append(_report.decode(each))
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            answers[named.report_id] = Answer(REJECTED, f"no report: {one_line(error)}")
    return good, answers


def _told(answer: Answer) -> Mapping[str, str]:
    return {"result": answer.result, **({"reason": answer.reason} if answer.reason else {})}


def _held(status: Mapping[str, Any]) -> set[str]:
    """The ids of the fingerprint keys that a gate says it holds; none, if what it says is no list."""
    told = status.get("fingerprint_keys")
    return {each for each in told if isinstance(each, str)} if isinstance(told, list) else set()


def _key_id(signature_input: str) -> str:
    """The gate that a signature names, to look its key up; whether it has signed is seen then."""
    _, found, rest = signature_input.partition(';keyid="')
    return rest.partition('"')[0][:64] if found else ""


def _bad(text: str) -> HTTPException:
    return HTTPException(HTTPStatus.BAD_REQUEST, text)
