"""The receiver against gates that are honest, hasty, faulty, stolen, or none at all."""

import asyncio
import gzip
import json
from collections.abc import Coroutine, Mapping
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from backoffice.receiver.app import Receiver, ReceiverLimits
from backoffice.registry.database import RegistryError
from tests.support.city.receiver_city import HOST, KEY, LIMITS, OTHER, City, results
from tests.support.gate.reports import NOW_UNIX_S, stored
from tests.support.web.asgi import Answered, ask
from validator.reports.signed_request import sign
from validator.reports.stored_report import StoredReport


def test_a_batch_is_stored_and_a_second_copy_is_known(city: City) -> None:
    assert results(city.upload(stored(1), stored(2))) == ["stored", "stored"]
    assert results(city.upload(stored(2), stored(3))) == ["already", "stored"]
    assert city.store.count() == 3


def test_an_answer_names_every_report_that_was_sent(city: City) -> None:
    told = city.upload(stored(1), stored(2, gate_id="another")).json["results"]
    assert {each["id"] for each in told} == {
        stored(1).report_id,
        stored(2, gate_id="another").report_id,
    }


def test_a_gate_cannot_speak_for_another(city: City) -> None:
    assert city.upload(stored(1), key=OTHER).status == 401
    assert results(city.upload(stored(1, gate_id="another"))) == ["rejected"]
    assert city.post("/v1/gates/another/status", b"{}").status == 403
    assert city.store.count() == 0


def test_a_stolen_gate_is_refused(city: City) -> None:
    city.store.strike_off("gate", NOW_UNIX_S)
    assert city.upload(stored(1)).status == 401


@pytest.mark.parametrize(
    "change",
    [
        {"signature": "gate=:AAAA:"},
        {"content-digest": "sha-256=:AAAA:"},
        {"content-type": "text/plain"},
        {"host": "elsewhere.example.org"},
        {"signature-input": ""},
    ],
)
def test_a_request_that_was_changed_on_the_way_is_refused(
    change: Mapping[str, str], city: City
) -> None:
    assert city.post("/v1/reports", b'{"reports":[]}', change=change).status == 401


def test_a_server_whose_clock_was_never_set_dates_no_report(city: City) -> None:
    city.now_unix_s = 1_000
    answered = city.upload(stored(1))
    assert (answered.status, "retry-after" in answered.headers) == (503, True)
    assert city.store.count() == 0
    city.now_unix_s = NOW_UNIX_S
    assert results(city.upload(stored(1))) == ["stored"]


def test_an_upload_to_one_path_is_no_upload_to_another(city: City) -> None:
    body = gzip.compress(b"{}")
    headers = sign(
        "POST",
        f"{HOST}/v1/reports",
        {"content-type": "a", "content-encoding": "gzip"},
        body,
        KEY,
        "gate",
        NOW_UNIX_S,
    )
    assert ask(city.app, "POST", f"{HOST}/v1/gates/gate/status", headers, body).status == 401


def test_one_report_that_is_none_is_rejected_and_the_rest_are_stored(city: City) -> None:
    bad = json.loads(stored(2).json()) | {"seq": -1}
    answered = city.upload(stored(1), bad, stored(3))
    assert sorted(results(answered)) == ["rejected", "stored", "stored"]
    (refused,) = [each for each in answered.json["results"] if each["result"] == "rejected"]
    assert refused["id"] == stored(2).report_id
    assert "seq" in refused["reason"]


def test_a_faulty_gate_is_asked_to_wait_and_the_others_are_answered(city: City) -> None:
    answers = [city.upload() for _ in range(LIMITS.requests_per_minute + 1)]
    assert [answered.status for answered in answers[-2:]] == [200, 429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert city.upload(stored(1, gate_id="another"), gate_id="another", key=OTHER).status == 200
    city.now_unix_s += 60
    assert city.upload(stored(1)).status == 200


def test_a_status_is_kept_and_an_older_one_is_not(city: City) -> None:
    assert city.post("/v1/gates/gate/status", b'{"list_version": 7}', created_unix_s=100).json == {
        "kept": True
    }
    assert city.post("/v1/gates/gate/status", b'{"list_version": 6}', created_unix_s=99).json == {
        "kept": False
    }
    rows = {row["gate_id"]: row["status"] for row in city.store.gate_rows()}
    assert rows["gate"] == '{"list_version":7}'


def enrolment(city: City, **fields: str) -> Answered:
    return ask(city.app, "POST", f"{HOST}/v1/enrol", {}, json.dumps(fields).encode())


def test_a_gate_enrols_with_its_token_and_its_reports_are_taken(city: City) -> None:
    key = Ed25519PrivateKey.generate()
    token, public = city.store.invite("new", NOW_UNIX_S), key.public_key().public_bytes_raw().hex()
    assert enrolment(city, gate_id="new", token=token[1:], public_key=public).status == 403
    assert enrolment(city, gate_id="gate", token=token, public_key=public).status == 403
    assert enrolment(city, gate_id="new", token=token, public_key=public[:-2]).status == 400
    assert enrolment(city, gate_id="../new", token=token, public_key=public).status == 400
    assert enrolment(city, gate_id="new", token=token, public_key=public).status == 201
    assert results(city.upload(stored(1, gate_id="new"), gate_id="new", key=key)) == ["stored"]


def test_a_database_that_is_away_asks_the_gate_to_come_again(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise RegistryError("the disk is full")

    monkeypatch.setattr(city.store, "add", away)
    answered = city.upload(stored(1))
    assert (answered.status, "retry-after" in answered.headers) == (503, True)
    assert b"disk" not in answered.body


def test_it_describes_itself(city: City) -> None:
    page = ask(city.app, "GET", f"{HOST}/v1/openapi.json").json
    assert set(page["paths"]) == {
        "/v1/enrol",
        "/v1/reports",
        "/v1/gates/{gate_id}/status",
        "/v1/gates/{gate_id}/learned",
        "/v1/openapi.json",
    }
    assert set(page["components"]["schemas"]["Report"]["properties"]) == set(
        StoredReport.__struct_fields__
    )


def test_a_status_dated_in_the_future_silences_no_later_one(city: City) -> None:
    years_ahead = NOW_UNIX_S + 10 * 365 * 86_400
    assert city.post("/v1/gates/gate/status", b"{}", created_unix_s=years_ahead).json["kept"]
    city.now_unix_s += 2 * 86_400
    assert city.post("/v1/gates/gate/status", b"{}", created_unix_s=city.now_unix_s).json["kept"]


REQUEST = {"type": "http", "method": "POST", "headers": []}


class _Sender:
    """A client whose body comes when the test sends it."""

    def __init__(self) -> None:
        self.comes = asyncio.Event()
        self.is_gone = False

    async def receive(self) -> Message:
        await self.comes.wait()
        if self.is_gone:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": b"whole", "more_body": False}


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_more_requests_at_once_than_it_can_work_on_are_asked_to_come_later() -> None:
    receiver = Receiver(cast("Any", None), ReceiverLimits(requests_max=2))

    async def overloaded() -> list[tuple[int, str | None]]:
        may_end = asyncio.Event()

        async def slow(_request: Request, body: bytes) -> Response:
            await may_end.wait()
            return Response(body)

        def ask() -> Coroutine[Any, Any, Response]:
            sender = _Sender()
            sender.comes.set()
            return cast("Coroutine[Any, Any, Response]", asked(Request(REQUEST, sender.receive)))

        asked = receiver._guarded(slow, 100)
        in_work = [asyncio.ensure_future(ask()) for _ in range(2)]
        await _settled()
        refused = await ask()
        may_end.set()
        done = [refused, *[await one for one in in_work], await ask()]
        return [(answer.status_code, answer.headers.get("retry-after")) for answer in done]

    assert asyncio.run(overloaded()) == [(503, "30"), (200, None), (200, None), (200, None)]


def test_slow_bodies_block_no_other_gate_and_are_not_waited_for_for_ever() -> None:
    receiver = Receiver(cast("Any", None), ReceiverLimits(requests_max=1, bodies_max=4, body_s=0.2))

    async def dawdled() -> tuple[list[int], int, int, int]:
        async def endpoint(_request: Request, body: bytes) -> Response:
            return Response(body)

        asked = receiver._guarded(endpoint, 100)
        senders = [_Sender() for _ in range(4)]
        waiting = [
            asyncio.ensure_future(asked(Request(REQUEST, sender.receive))) for sender in senders[:3]
        ]
        await _settled()
        senders[3].comes.set()
        quick = await asked(Request(REQUEST, senders[3].receive))
        fourth = asyncio.ensure_future(asked(Request(REQUEST, _Sender().receive)))
        await _settled()
        fifth = await asked(Request(REQUEST, _Sender().receive))
        senders[0].is_gone = True
        senders[0].comes.set()
        gone = await waiting[0]
        late = [(await one).status_code for one in (*waiting[1:], fourth)]
        return late, quick.status_code, fifth.status_code, gone.status_code

    assert asyncio.run(dawdled()) == ([408, 408, 408], 200, 503, 400)
