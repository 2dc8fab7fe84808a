"""Signs a gate's uploads, and verifies them in the back office.

    headers = sign("POST", url, headers, body, key, gate_id, created_unix_s)     # on the gate
    speaker = verify("POST", url, headers, body, public_key_of)                  # a Speaker

By RFC 9421 (HTTP Message Signatures) with Ed25519, and RFC 9530 for the body. The signature covers
method, host, path, the type and encoding of the body, and its SHA-256, so a request cannot be
turned into another on its way. It can be replayed as it is, and the receiver must bear that:
reports by their ids, a status by its `nonce` (RFC 9421, 2.3), which the back office issued and
accepts once. `created` orders nothing, since a gate's clock may go back.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
)
from http_message_signatures.algorithms import ED25519

from validator.errors import one_line

COVERED = ("@method", "@authority", "@path", "content-type", "content-encoding", "content-digest")
HEADER_CHARACTERS_MAX = 1_024  # of each header that is checked; ours have 200
TAG = "turnike-gate"
FIRST_NONCE = "none"  # of a gate without a nonce yet; a program of an earlier version sends none
NONCE = r"^[0-9a-f]{32}\Z"
"""The pattern of a nonce of the back office."""
_SIGNED_HEADERS = (
    "content-type",
    "content-encoding",
    "content-digest",
    "signature-input",
    "signature",
)

PublicKeyOf = Callable[[str], bytes | None]
"""Returns the Ed25519 public key of a gate (32 bytes) by its id; None if the gate has none."""


class SignatureError(Exception):
    """No known gate has signed this; the text is one line."""


class UnknownGateError(SignatureError):
    """The signature names a gate that has no key here."""


class Speaker(NamedTuple):
    """The gate that signed, its own time, and the nonce in the signature ("" if none)."""

    gate_id: str
    created_unix_s: int
    nonce: str = ""


@dataclass(frozen=True, slots=True)
class _Message:
    """A request as the library reads it."""

    method: str
    url: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class _OwnKey(HTTPSignatureKeyResolver):
    key: Ed25519PrivateKey

    def resolve_private_key(self, key_id: str) -> Ed25519PrivateKey:
        del key_id
        return self.key


@dataclass(frozen=True, slots=True)
class _KnownKeys(HTTPSignatureKeyResolver):
    public_key_of: PublicKeyOf

    def resolve_public_key(self, key_id: str) -> Ed25519PublicKey:
        public = self.public_key_of(key_id)
        if public is None:
            raise UnknownGateError(f"gate {key_id[:64]!r} is not known here")
        return Ed25519PublicKey.from_public_bytes(public)


class _Verifier(HTTPMessageVerifier):
    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
        """Accept any time: a gate's clock may be years behind."""


def sign(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    key: Ed25519PrivateKey,
    gate_id: str,
    created_unix_s: int,
    nonce: str = "",
) -> dict[str, str]:
    """Return the headers with the signature added.

    Args:
        method: The method of the request.
        url: Its address, spelt as it is sent.
        headers: Its headers, with Content-Type and Content-Encoding.
        body: Its body.
        key: The gate's own key.
        gate_id: The gate's id, which names the key.
        created_unix_s: The gate's time.
        nonce: The nonce that the back office issued, or "".
    """
    message = _Message(method, url, dict(headers))
    signer = HTTPMessageSigner(signature_algorithm=ED25519, key_resolver=_OwnKey(key))
    signer.sign(
        message,
        key_id=gate_id,
        created=datetime.fromtimestamp(created_unix_s, UTC),
        nonce=nonce or None,
        tag=TAG,
        label="gate",
        covered_component_ids=COVERED,
        body=body,
    )
    return message.headers


def verify(
    method: str, url: str, headers: Mapping[str, str], body: bytes, public_key_of: PublicKeyOf
) -> Speaker:
    """Verify the signature of a request; header names are in lower case.

    Returns the gate that signed it. Raises SignatureError, and no other error for any bytes.
    """
    checked = {name: headers[name] for name in _SIGNED_HEADERS if name in headers}
    if any(len(value) > HEADER_CHARACTERS_MAX for value in checked.values()):
        raise SignatureError("a signature header is longer than any of ours")
    verifier = _Verifier(signature_algorithm=ED25519, key_resolver=_KnownKeys(public_key_of))
    try:
        (result,) = verifier.verify(
            _Message(method, url, checked),
            max_age=None,
            expect_tag=TAG,
            require_components=COVERED,
            body=body,
        )
    except SignatureError:
        raise
    except (HTTPMessageSignaturesException, ValueError, TypeError, KeyError) as error:
        cause = error.args[0] if error.args else error
        if isinstance(cause, SignatureError):
            raise cause from None
        raise SignatureError(one_line(error) if str(error) else "not signed") from None
    created = result.parameters.get("created")
    if not isinstance(created, int):
        raise SignatureError("the signature has no time of its making")
    return Speaker(
        str(result.parameters["keyid"]), created, str(result.parameters.get("nonce", ""))
    )
