"""The receiving side as a web application: gates enrol, upload reports, and say how they fare. Stateless; reports/store.py remembers.

    routes = Receiver(store, limits, now_unix_s, KeyDelivery(home)).routes   # mounted by web_app.py

Whoever sends is a stranger until the signature says otherwise (validator/reports/signed_request.py); bodies are bounded before and after they are
unpacked. Nothing here can open what is sealed, and nothing is logged of a body. `/v1/openapi.json` describes it; a test holds it to that.
"""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import UNSET
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from backoffice.home.folder import CLOCK_UNIX_S_MIN
from backoffice.home.receiver_names import ReceiverNames, UnknownHostError
from backoffice.receiver.bodies import Places, TooManyError, read_body, unpacked
from backoffice.receiver.key_delivery import KeyDelivery, sealed_to
from backoffice.receiver.messages import (
    Kept,
    answer_fields,
    held_keys,
    read_batch,
    read_enrolment,
    read_reports,
    read_status,
)
from backoffice.receiver.openapi import OPENAPI
from backoffice.receiver.refusals import RefusedError, path_of, refusal
from backoffice.registry.database import RegistryError
from backoffice.reports.store import EnrolmentError, ReportStore
from validator.reports.receiver_answer import MARK, MARK_VALUE, Reason, plain
from validator.reports.signed_request import (
    PublicKeyOf,
    SignatureError,
    Speaker,
    UnknownGateError,
    verify,
)

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
        self._in_work, self._coming = Places(limits.requests_max), Places(limits.bodies_max)
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
        told = read_enrolment(body)
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
        content = unpacked(request, packed, self._limits.body_bytes_max)
        raw = read_batch(content)
        if len(raw) > self._limits.batch_max:
            raise HTTPException(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {self._limits.batch_max} reports"
            )
        good, answers = read_reports(raw)
        if good:
            answers |= await run_in_threadpool(
                self._store.add, speaker.gate_id, good, self._now_unix_s()
            )
        results = [
            {"id": report_id, **answer_fields(answer)} for report_id, answer in answers.items()
        ]
        return JSONResponse({"results": results})

    async def status(self, request: Request, packed: bytes) -> Response:
        """Keep how a gate fares; the answer brings the fingerprint keys that it lacks."""
        speaker = await self._speaker(request, packed)
        if speaker.gate_id != request.path_params["gate_id"]:
            raise HTTPException(HTTPStatus.FORBIDDEN, "a gate speaks for itself alone")
        content = unpacked(request, packed, self._limits.body_bytes_max)
        if len(content) > self._limits.status_bytes_max:
            raise HTTPException(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"more than {self._limits.status_bytes_max} bytes",
            )
        told = read_status(content)
        kept = await run_in_threadpool(self._keep, speaker, told)
        return Response(msgspec.json.encode(kept), media_type="application/json")

    def _keep(self, speaker: Speaker, told: dict[str, Any]) -> Kept:
        status = msgspec.json.encode(told).decode()
        heard = self._store.keep_status(speaker, self._now_unix_s(), status)
        next_nonce = UNSET if heard.next_nonce is None else heard.next_nonce
        keys = self._keys.lacking(held_keys(told)) if self._keys else None
        if not keys:
            return Kept(heard.kept, UNSET if keys is None else [], next_nonce)
        public_key = self._store.public_key(
            speaker.gate_id
        )  # asked again: it may have been struck off since
        return Kept(heard.kept, sealed_to(public_key, keys) if public_key else [], next_nonce)

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
                body = await read_body(request, bytes_max, self._limits.body_s, self._coming)
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
            except TooManyError:
                return _later("too many at once")
            except ClientDisconnect:
                return Response(status_code=HTTPStatus.BAD_REQUEST)  # for nobody

        return guarded

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


def _later(error: str) -> Response:
    headers = {"retry-after": str(RETRY_AFTER_S)}
    return JSONResponse({"error": error}, HTTPStatus.SERVICE_UNAVAILABLE, headers=headers)


def _key_id(signature_input: str) -> str:
    """The gate that a signature names, to look its key up; whether it has signed is seen then."""
    _, found, rest = signature_input.partition(';keyid="')
    return rest.partition('"')[0][:64] if found else ""
