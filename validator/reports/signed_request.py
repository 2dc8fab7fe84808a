"""How a gate signs what it uploads, and how the back office sees who speaks: RFC 9421 (HTTP Message Signatures) with Ed25519, RFC 9530 for the body.

    headers = sign("POST", url, headers, body, key, gate_id, created_unix_s)     # on the gate
    speaker = verify("POST", url, headers, body, public_key_of)                  # Speaker(gate_id, created_unix_s), or SignatureError

Signed are method, host, path, the type and encoding of the body, and its SHA-256: nobody on the way can turn one request into another. It may be
sent again as it is; whoever takes it has to bear that: reports by their ids, a status by its `nonce` (RFC 9421, 2.3), which the back office
gave out for it and takes once. `created` orders nothing, since a gate's clock may go back.
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
HEADER_CHARACTERS_MAX = 1_024  # of each header that is looked at; ours have 200
TAG = "turnike-gate"
FIRST_NONCE = "none"  # of a gate that was given none yet; a request without a nonce is of a program that knows of none
NONCE = r"^[0-9a-f]{32}\Z"
"""What a nonce of the back office looks like."""
_SIGNED_HEADERS = (
    "content-type",
    "content-encoding",
    "content-digest",
    "signature-input",
    "signature",
)

PublicKeyOf = Callable[[str], bytes | None]
"""The Ed25519 public key of a gate, 32 bytes, by its id; None if it has none, or no more."""


class SignatureError(Exception):
    """Nobody we know has signed this; the message is one clear line."""


class UnknownGateError(SignatureError):
    """The signature names a gate that has no key here."""


class Speaker(NamedTuple):
    """Who speaks, when they say that it is, and the nonce in the signature ("": it has none)."""

    gate_id: str
    created_unix_s: int
    nonce: str = ""


@dataclass(frozen=True, slots=True)
class _Message:
    """As the library wants to see a request."""

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
        """Judge no time here: a gate's clock may be years behind, and what a time is good for is the receiver's affair."""


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
    """The headers with the signature in them. They name Content-Type and Content-Encoding already. "" is no nonce."""
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
    """Who has signed this request. Header names are in lower case. Raises SignatureError, and nothing else for whatever it is given."""
    looked_at = {name: headers[name] for name in _SIGNED_HEADERS if name in headers}
    if any(len(value) > HEADER_CHARACTERS_MAX for value in looked_at.values()):
        raise SignatureError("a signature header is longer than any of ours")
    verifier = _Verifier(signature_algorithm=ED25519, key_resolver=_KnownKeys(public_key_of))
    try:
        (result,) = verifier.verify(
            _Message(method, url, looked_at),
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
        raise SignatureError("the signature does not say when it was made")
    return Speaker(
        str(result.parameters["keyid"]), created, str(result.parameters.get("nonce", ""))
    )
