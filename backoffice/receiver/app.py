"""The receiver as a web application: gates enrol, upload reports, and send their status.

    routes = Receiver(store, limits, now_unix_s, KeyDelivery(home)).routes   # mounted by web_app.py

It keeps no state; reports/store.py does. A sender is unknown until its signature is verified
(validator/reports/signed_request.py). Bodies are bounded before and after they are unpacked.
Nothing here can open what is sealed, and nothing of a body is logged. `/v1/openapi.json` describes
the receiver; a test compares the two.
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
    read_learned,
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
    """The limits of one request, and of one gate."""

    packed_bytes_max: int = 256 << 10  # two hundred reports are 40 KiB
    body_bytes_max: int = 1 << 20
    batch_max: int = 200
    status_bytes_max: int = 64 << 10
    learned_bytes_max: int = 4 << 10  # an answer to an order has 1 KiB
    requests_max: int = 64  # handled at once; there is no thread for one more
    bodies_max: int = 1_024  # arriving at once: 256 MiB at most
    body_s: float = 30.0  # for a whole body: 9 KB/s for the largest
    # A gate that drains 100,000 reports sends 500 requests in less than a minute.
    requests_per_minute: int = 2_000
    gates_remembered: int = 100_000


Endpoint = Callable[[Request, bytes], Awaitable[Response]]
Guarded = Callable[[Request], Awaitable[Response]]
ANY_HOST = ReceiverNames((), any_host=True)
HOSTS_SAID_MAX = 8  # unknown hosts that are reported to the operator, of each process


class Receiver:
    """The endpoints on one store. Any number of processes may each have one."""

    def __init__(
        self,
        store: ReportStore,
        limits: ReceiverLimits = ReceiverLimits(),
        now_unix_s: Callable[[], int] = lambda: int(time.time()),
        keys: KeyDelivery | None = None,
        names: ReceiverNames = ANY_HOST,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        """Take what the endpoints need.

        Args:
            store: Reports and gates.
            limits: What one request, and one gate, may cost.
            now_unix_s: The clock.
            keys: The fingerprint keys to send to gates; None: none.
            names: The addresses by which gates call this receiver.
            say: Takes a line for the operator about a host that is not in `names`.
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
        """The routes, under each path prefix of the receiver."""
        limits = self._limits
        posts: tuple[tuple[str, Endpoint, int], ...] = (
            ("v1/enrol", self.enrol, limits.status_bytes_max),
            ("v1/reports", self.reports, limits.packed_bytes_max),
            ("v1/gates/{gate_id}/status", self.status, limits.packed_bytes_max),
            ("v1/gates/{gate_id}/learned", self.learned, limits.packed_bytes_max),
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
        """The description of the receiver in OpenAPI."""
        return JSONResponse(OPENAPI)

    async def enrol(self, request: Request, body: bytes) -> Response:
        """Enrol a gate that has a token.

        The gate signs this request too, with the key that it enrols; older gates do not. A proxy
        that changes this request would change every report too, so nothing is enrolled then.
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
        """Store a batch of reports. The answer has the result of each."""
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
        """Keep a gate's status.

        The answer brings the fingerprint keys that the gate lacks, and an order to learn a card.
        """
        speaker, content = await self._of_itself(request, packed, self._limits.status_bytes_max)
        told = read_status(content)
        kept = await run_in_threadpool(self._keep, speaker, told)
        return Response(msgspec.json.encode(kept), media_type="application/json")

    async def learned(self, request: Request, packed: bytes) -> Response:
        """Keep a gate's answer to an order. What is sealed in it opens for the operator alone."""
        speaker, content = await self._of_itself(request, packed, self._limits.learned_bytes_max)
        answer, signed = read_learned(content)
        kept = await run_in_threadpool(self._store.put_answer, speaker.gate_id, answer, signed)
        return JSONResponse({"kept": kept})

    async def _of_itself(
        self, request: Request, packed: bytes, bytes_max: int
    ) -> tuple[Speaker, bytes]:
        """The gate that signed what the path says is its own, and the unpacked body."""
        speaker = await self._speaker(request, packed)
        if speaker.gate_id != request.path_params["gate_id"]:
            raise HTTPException(HTTPStatus.FORBIDDEN, "a gate speaks for itself alone")
        content = unpacked(request, packed, self._limits.body_bytes_max)
        if len(content) > bytes_max:
            text = f"more than {bytes_max} bytes"
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)
        return speaker, content

    def _keep(self, speaker: Speaker, told: dict[str, Any]) -> Kept:
        status = msgspec.json.encode(told).decode()
        now_unix_s = self._now_unix_s()
        heard = self._store.keep_status(speaker, now_unix_s, status)
        next_nonce = UNSET if heard.next_nonce is None else heard.next_nonce
        # A copy of a status that was sent before gets none: only the gate is to learn of it.
        order = self._store.open_order(speaker.gate_id, now_unix_s) if heard.kept else None
        learn = UNSET if order is None else order
        keys = self._keys.lacking(held_keys(told)) if self._keys else None
        if not keys:
            return Kept(heard.kept, UNSET if keys is None else [], next_nonce, learn)
        # Read again: the gate may have been struck off since.
        public_key = self._store.public_key(speaker.gate_id)
        sealed = sealed_to(public_key, keys) if public_key else []
        return Kept(heard.kept, sealed, next_nonce, learn)

    def _guarded(self, endpoint: Endpoint, bytes_max: int, prefix: str = "/") -> Guarded:
        """Wrap an endpoint: limits, addresses, and every error as JSON in one line.

        Too many requests, and an unavailable database, are a 503 with Retry-After. The whole body
        is read before a request slot is taken, so that slow uploads cannot block other gates.
        """

        async def guarded(request: Request) -> Response:
            request.state.urls = ()
            answer = await answered(request)
            answer.headers[MARK] = MARK_VALUE
            return answer

        async def answered(request: Request) -> Response:
            if self._now_unix_s() < CLOCK_UNIX_S_MIN:
                # What this clock dates would be deleted as soon as the clock is set.
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
                return _later("the database is unavailable")
            except TooManyError:
                return _later("too many at once")
            except ClientDisconnect:
                return Response(status_code=HTTPStatus.BAD_REQUEST)  # the client has gone

        return guarded

    async def _speaker(self, request: Request, packed: bytes) -> Speaker:
        """The gate that signed this request. Raises RefusedError, HTTPException."""
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
        """The URLs that the gate may have signed for this request. Raises RefusedError."""
        host, path = request.headers.get("host", ""), path_of(request)
        try:
            return self._names.urls(
                host, request.scope.get("scheme", "http"), prefix, path.removeprefix(prefix)
            )
        except UnknownHostError:
            error = f"no address of this receiver is {host}{path}"
            line = plain(
                f"{error}: a request named it; [receiver] addresses in backoffice.toml must name"
                " every address"
            )
            if line not in self._unknown_hosts and len(self._unknown_hosts) < HOSTS_SAID_MAX:
                self._unknown_hosts.add(line)
                self._say(line)
            raise RefusedError(HTTPStatus.MISDIRECTED_REQUEST, error, Reason.ADDRESS) from None

    @staticmethod
    def _verified(request: Request, packed: bytes, public_key_of: PublicKeyOf) -> Speaker:
        """The gate that signed this request for one of its URLs. Raises RefusedError."""
        refused: SignatureError | None = None
        for url in request.state.urls:
            try:
                return verify(request.method, url, dict(request.headers), packed, public_key_of)
            except SignatureError as error:
                refused = error
        reason = Reason.UNKNOWN_GATE if isinstance(refused, UnknownGateError) else Reason.SIGNATURE
        raise RefusedError(HTTPStatus.UNAUTHORIZED, str(refused), reason)

    def _is_too_much(self, gate_id: str) -> bool:
        """Count this request, and return whether the gate has sent too many in this minute.

        Counted in this process alone: the limit is against a faulty gate, and need not be exact.
        """
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
    """The gate that a signature names, to look up its key; `verify` decides whether it signed."""
    _, found, rest = signature_input.partition(';keyid="')
    return rest.partition('"')[0][:64] if found else ""
