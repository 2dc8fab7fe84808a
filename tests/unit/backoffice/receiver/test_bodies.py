"""Bodies of gates: bombs, endless, hostile and half ones. None breaks the receiver."""

import gzip
import json
import os
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.city.receiver_city import HOST, KEY, City, results
from tests.support.gate.reports import NOW_UNIX_S, stored
from tests.support.web.asgi import ask
from validator.reports.signed_request import sign


@pytest.mark.parametrize(
    "extra", [{"uid": "04a1b2c3d4e5f6"}, {"kind": "theft"}, {"sealed": "x" * 500}, {"gate_id": 5}]
)
def test_a_report_with_other_fields_or_values_than_allowed_is_rejected(
    extra: Mapping[str, Any], city: City
) -> None:
    assert results(city.upload(json.loads(stored(1).json()) | extra)) == ["rejected"]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"null", 400),
        (b'{"reports": 5}', 400),
        (b'{"reports": [5]}', 400),
        (b'{"reports": [{"report_id": "x"}]}', 400),
        (b'{"reports": [], "more": 1}', 400),
        (b"[" * 100_000, 400),
        (b'{"reports": [' + b"{}," * 300 + b"{}]}", 413),
        (b" " * 2_000_000, 413),
    ],
)
def test_a_body_that_is_no_batch_is_refused_in_one_line(
    content: bytes, status: int, city: City
) -> None:
    answered = city.post("/v1/reports", content)
    assert answered.status == status
    assert list(answered.json) == ["error"]
    assert len(answered.body) < 300


def test_a_bomb_is_not_unpacked(city: City) -> None:
    assert city.post("/v1/reports", b"", packed=gzip.compress(bytes(50 << 20))).status == 413


@pytest.mark.parametrize(
    "packed",
    [b"", b"not gzip", gzip.compress(b"{}")[:-4], gzip.compress(b"{}") + b"more"],
    ids=[
        "nothing",
        "words",
        "cut short",
        "more behind",
    ],  # of itself it would be named by the time within
)
def test_a_body_that_is_not_one_gzip_stream_is_refused(packed: bytes, city: City) -> None:
    assert city.post("/v1/reports", b"", packed=packed).status in {400, 401}


def test_a_body_without_an_end_is_not_kept(city: City) -> None:
    parts = (os.urandom(64 << 10) for _ in range(1_000))
    read = [next(parts) for _ in range(20)]
    answered = ask(city.app, "POST", f"{HOST}/v1/reports", {"content-encoding": "gzip"}, read)
    assert answered.status == 413


def test_a_body_whose_length_is_declared_too_large_is_not_read(city: City) -> None:
    answered = ask(city.app, "POST", f"{HOST}/v1/reports", {"content-length": str(1 << 40)}, [])
    assert answered.status == 413


def test_an_unpacked_body_is_not_taken(city: City) -> None:
    headers = sign(
        "POST",
        f"{HOST}/v1/reports",
        {"content-type": "a", "content-encoding": "identity"},
        b"{}",
        KEY,
        "gate",
        NOW_UNIX_S,
    )
    assert ask(city.app, "POST", f"{HOST}/v1/reports", headers, b"{}").status == 415


def test_a_report_with_what_no_database_keeps_is_rejected_and_the_others_are_stored(
    city: City,
) -> None:
    bad = [
        json.loads(stored(seq).json()) | change
        for seq, change in enumerate(
            (
                {"rule": "a\0b"},
                {"boot_id": "boot\n"},
                {"sealed": "x\x7f"},
                {"outbox_id": "0" * 32 + "\n"},
                {"refused_before": 1 << 32},
                {"boottime_ns": 1 << 62},
            ),
            start=2,
        )
    ]
    assert results(city.upload(*bad, stored(1, boottime_ns=(1 << 62) - 1))).count(
        "rejected"
    ) == len(bad)
    newline = json.loads(stored(9).json()) | {"report_id": stored(9).report_id + "\n"}
    assert city.upload(newline).status == 400
    half_a_character = b'{"reports": [{"report_id": "\\ud800"}]}'
    assert city.post("/v1/reports", half_a_character).status == 400
    assert city.store.count() == 1


@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=9),
            lambda below: (
                st.lists(below, max_size=4)
                | st.dictionaries(
                    st.sampled_from(["reports", "report_id", "seq"]), below, max_size=3
                )
            ),
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_any_body_of_a_gate_is_answered_and_nothing_breaks(city: City, content: bytes) -> None:
    city.now_unix_s += 60
    assert city.post("/v1/reports", content).status in {200, 400, 413}
    assert city.store.count() == 0
