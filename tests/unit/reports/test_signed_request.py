"""A signature proves the gate, the request and the receiver that it was made for."""

from collections.abc import Mapping

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from validator.reports.signed_request import SignatureError, Speaker, sign, verify

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))
KEYS = {
    "gate-1": KEY.public_key().public_bytes_raw(),
    "gate-2": OTHER.public_key().public_bytes_raw(),
}
URL = "https://reports.example.org/v1/reports"
BODY = b"\x1f\x8b body"
HEADERS = {"content-type": "application/json", "content-encoding": "gzip"}
NOW_UNIX_S = 1_800_000_000


def signed(key: Ed25519PrivateKey = KEY, gate_id: str = "gate-1") -> dict[str, str]:
    made = sign("POST", URL, HEADERS, BODY, key, gate_id, NOW_UNIX_S)
    return {name.lower(): value for name, value in made.items()}


def _without(name: str) -> dict[str, str]:
    """The signed headers without this one."""
    return {other: value for other, value in signed().items() if other != name}


def _input(old: str, new: str) -> dict[str, str]:
    """The signed headers, with this part of `signature-input` replaced."""
    headers = signed()
    return headers | {"signature-input": headers["signature-input"].replace(old, new)}


def test_a_signed_request_names_the_gate_and_its_time() -> None:
    assert verify("POST", URL, signed(), BODY, KEYS.get) == Speaker("gate-1", NOW_UNIX_S)


def test_a_proxy_that_ends_tls_changes_nothing() -> None:
    assert (
        verify("POST", URL.replace("https", "http"), signed(), BODY, KEYS.get).gate_id == "gate-1"
    )


def test_an_old_signature_of_a_gate_whose_clock_is_behind_is_one() -> None:
    made = sign("POST", URL, HEADERS, BODY, KEY, "gate-1", 86_400)
    assert (
        verify(
            "POST", URL, {name.lower(): value for name, value in made.items()}, BODY, KEYS.get
        ).created_unix_s
        == 86_400
    )


@pytest.mark.parametrize(
    ("method", "url", "headers", "body"),
    [
        ("PUT", URL, signed(), BODY),
        ("POST", URL.replace("/v1/reports", "/v1/gates/gate-1/status"), signed(), BODY),
        ("POST", URL.replace("reports.example", "evil.example"), signed(), BODY),
        ("POST", URL, signed(), BODY + b"!"),
        ("POST", URL, signed() | {"content-encoding": "identity"}, BODY),
        ("POST", URL, signed() | {"content-type": "text/plain"}, BODY),
        ("POST", URL, signed(OTHER), BODY),
        ("POST", URL, signed(gate_id="gate-3"), BODY),
        ("POST", URL, HEADERS, BODY),
        ("POST", URL, _without("content-digest"), BODY),
        ("POST", URL, _input('"content-digest"', ""), BODY),
        ("POST", URL, _input("gate-1", "gate-2"), BODY),
        ("POST", URL, _input("turnike-gate", "other"), BODY),
        ("POST", URL, signed() | {"signature": "gate=:AAAA:"}, BODY),
        ("POST", URL, signed() | {"signature-input": "x" * 5_000}, BODY),
    ],
    ids=[
        "another method", "another path", "another host", "another body", "another encoding",
        "another type", "another gate's key",
        "an unknown gate", "unsigned", "without a digest", "digest not covered",
        "another gate's name", "another purpose", "an invalid signature",
        "endless header",
    ],
)  # fmt: skip
def test_anything_else_is_refused(
    method: str, url: str, headers: Mapping[str, str], body: bytes
) -> None:
    with pytest.raises(SignatureError):
        verify(method, url, headers, body, KEYS.get)


def test_a_gate_that_was_struck_off_is_refused() -> None:
    with pytest.raises(SignatureError, match="not known here"):
        verify("POST", URL, signed(), BODY, lambda _gate_id: None)


headers = st.dictionaries(
    st.sampled_from(
        ["content-type", "content-encoding", "content-digest", "signature-input", "signature"]
    ),
    st.one_of(st.text(max_size=80), st.sampled_from(list(signed().values()))),
)


@given(headers, st.binary(max_size=40))
def test_any_headers_are_refused_and_nothing_breaks(told: dict[str, str], body: bytes) -> None:
    with pytest.raises(SignatureError):
        verify("POST", URL, told, body + b"!", KEYS.get)
