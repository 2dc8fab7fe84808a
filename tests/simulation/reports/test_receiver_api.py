"""The receiver conforms to its OpenAPI page, for requests that the page allows or forbids.

Every answer is one that the page describes, and none is an error of the server.
"""

import gzip
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.applications import Starlette

from backoffice.receiver.app import Receiver, ReceiverLimits
from backoffice.reports.store import ReportStore
from tests.support.gate.reports import NOW_UNIX_S
from tests.support.web.asgi import Answered, ask
from validator.reports.signed_request import sign

HOST = "https://reports.example.org"
KEY = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
GATE_ID = "gate"
REPORTS, STATUS, ENROL = "/v1/reports", "/v1/gates/{gate_id}/status", "/v1/enrol"
CONFORMS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
MANY = settings(
    max_examples=80,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
    ],
)

FEW = settings(MANY, max_examples=15)
BOTH = pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
Case = schemathesis.Case[Any]


class City:
    """A receiver that knows one gate, and its page as it hands it out."""

    def __init__(self, store: ReportStore) -> None:
        limits = ReceiverLimits(requests_per_minute=1 << 30)
        self.store = store
        self.app = Starlette(routes=Receiver(store, limits, lambda: NOW_UNIX_S).routes)
        token = store.invite(GATE_ID, NOW_UNIX_S)
        store.enrol(GATE_ID, token, KEY.public_key().public_bytes_raw(), NOW_UNIX_S)
        self.page = schemathesis.openapi.from_dict(
            ask(self.app, "GET", f"{HOST}/v1/openapi.json").json
        )

    def cases(self, path: str, mode: GenerationMode) -> st.SearchStrategy[Case]:
        """Requests as the page allows them, or as it does not."""
        return self.page[path]["POST"].as_strategy(generation_mode=mode)

    def send(self, case: Case, *, signed: bool, packed: bool = True) -> Answered:
        """Send the request of `case` as a gate would, signed and packed or not."""
        prepared = requests.Request(**case.as_transport_kwargs(base_url=HOST)).prepare()
        assert isinstance(prepared.body, bytes | str | None)
        body = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body or b""
        headers = {name.lower(): str(value) for name, value in prepared.headers.items()}
        headers.pop("content-length", None)
        headers.setdefault("content-type", "application/json")
        if packed:
            body, headers["content-encoding"] = gzip.compress(body), "gzip"
        elif signed:
            headers["content-encoding"] = "identity"
        assert prepared.url is not None
        if signed:
            headers = sign(case.method, prepared.url, headers, body, KEY, GATE_ID, NOW_UNIX_S)
        return ask(self.app, case.method, prepared.url, headers, body)


def body_of(case: Case) -> dict[str, Any]:
    """The body of a request as the page allows it."""
    assert isinstance(case.body, dict)
    return case.body


def conforms(case: Case, answered: Answered, *more: Any) -> None:
    """Hold the answer to the page."""
    headers = {name: [value] for name, value in answered.headers.items()}
    request = requests.Request(case.method, HOST).prepare()
    response = schemathesis.Response(
        answered.status, headers, answered.body, request=request, elapsed=0.0, verify=True
    )
    case.validate_response(response, checks=[*CONFORMS, *more])


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    folder = tmp_path_factory.mktemp("city")
    with ReportStore.open(f"sqlite:///{folder / 'registry.db'}") as store:
        yield City(store)


@BOTH
def test_reports(mode: GenerationMode, city: City) -> None:
    seen: set[int] = set()

    @MANY
    @given(city.cases(REPORTS, mode))
    def uploaded(case: Case) -> None:
        answered = city.send(case, signed=True)
        seen.add(answered.status)
        if mode is GenerationMode.POSITIVE:
            conforms(case, answered, positive_data_acceptance)
            sent = {each["report_id"] for each in body_of(case)["reports"]}
            assert {each["id"] for each in answered.json["results"]} == sent
        else:  # what is none among the reports is rejected one by one, in an answer that is a 200
            conforms(case, answered)

    uploaded()
    assert seen == {200} if mode is GenerationMode.POSITIVE else 400 in seen


@BOTH
def test_status(mode: GenerationMode, city: City) -> None:
    seen: set[int] = set()

    @MANY
    @given(city.cases(STATUS, mode), st.booleans())
    def told(case: Case, is_its_own: bool) -> None:
        if is_its_own:
            case.path_parameters["gate_id"] = GATE_ID
        answered = city.send(case, signed=True)
        seen.add(answered.status)
        # For the path of another gate the page describes the refusal.
        conforms(case, answered, positive_data_acceptance)

    told()
    assert seen == {200, 403} if mode is GenerationMode.POSITIVE else seen >= {400, 403}


@BOTH
def test_enrolment(mode: GenerationMode, city: City) -> None:
    seen: set[int] = set()

    @MANY
    @given(city.cases(ENROL, mode), st.booleans())
    def enrolled(case: Case, is_invited: bool) -> None:
        if is_invited and mode is GenerationMode.POSITIVE:
            body = body_of(case)
            body["token"] = city.store.invite(body["gate_id"], NOW_UNIX_S)
        answered = city.send(case, signed=False, packed=False)
        seen.add(answered.status)
        conforms(case, answered, positive_data_acceptance, negative_data_rejection)

    enrolled()
    assert seen == {201, 403} if mode is GenerationMode.POSITIVE else seen == {400}


@pytest.mark.parametrize("path", [REPORTS, STATUS])
def test_a_request_without_a_signature_is_answered_401(path: str, city: City) -> None:
    @FEW
    @given(city.cases(path, GenerationMode.POSITIVE))
    def asked(case: Case) -> None:
        answered = city.send(case, signed=False)
        assert answered.status == 401
        conforms(case, answered)

    asked()


@pytest.mark.parametrize("path", [REPORTS, STATUS])
def test_a_body_that_is_not_packed_is_refused(path: str, city: City) -> None:
    @FEW
    @given(city.cases(path, GenerationMode.POSITIVE))
    def asked(case: Case) -> None:
        if path == STATUS:
            case.path_parameters["gate_id"] = GATE_ID
        answered = city.send(case, signed=True, packed=False)
        assert answered.status == 415
        conforms(case, answered)

    asked()


@pytest.mark.parametrize("path", [REPORTS, STATUS, ENROL])
def test_a_body_that_is_too_large_is_refused(path: str, city: City) -> None:
    @FEW
    @given(city.cases(path, GenerationMode.POSITIVE))
    def asked(case: Case) -> None:
        if path == STATUS:
            case.path_parameters["gate_id"] = GATE_ID
        body_of(case)["more"] = "m" * (2 << 20)
        answered = city.send(case, signed=path != ENROL, packed=path != ENROL)
        assert answered.status == 413
        conforms(case, answered)

    asked()


@pytest.mark.parametrize("path", [REPORTS, STATUS, ENROL])
def test_another_method_is_refused_and_the_right_one_named(path: str, city: City) -> None:
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        answered = ask(city.app, method, HOST + path.format(gate_id=GATE_ID))
        assert (answered.status, answered.headers["allow"]) == (405, "POST")
