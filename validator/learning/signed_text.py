"""A text with an Ed25519 signature, which passes through hands that need not be trusted.

    signed = sign(Purpose.ORDER, text, key_hex, sign_bytes)
    text = verified(signed, Purpose.ORDER)     # by the key in it, which the caller has to know

The purpose is signed, too: no signature of one kind serves as another's. TUF metadata, which the
same key of the city signs, begins with a brace and none of these.
"""

from collections.abc import Callable
from enum import Enum
from hashlib import sha256
from typing import Annotated

from msgspec import Meta, Struct
from nacl.exceptions import CryptoError
from nacl.signing import VerifyKey

from validator.errors import InvalidBytes

TEXT_CHARACTERS_MAX = 1_024  # an order has 400, an answer 500
_KeyHex = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
_SignatureHex = Annotated[str, Meta(pattern=r"^[0-9a-f]{128}\Z")]


class Purpose(Enum):
    """What a text is for: the words that are signed before it."""

    ORDER = "order to learn a card at a gate, Turnike 1\n"
    ANSWER = "answer to an order to learn a card, Turnike 1\n"


class LearningError(InvalidBytes):
    """An order, an answer or a sealed card that cannot be used. One line, which shows no card."""


class SignedText(Struct, frozen=True, forbid_unknown_fields=True):
    """A text, the public half of the key that signed it, and the signature; all unchecked."""

    text: Annotated[str, Meta(max_length=TEXT_CHARACTERS_MAX)]
    key: _KeyHex
    signature: _SignatureHex


def sign(purpose: Purpose, text: str, key: str, sign_bytes: Callable[[bytes], bytes]) -> SignedText:
    """Sign a text.

    Args:
        purpose: what it is for.
        text: the text.
        key: the public half of the Ed25519 key, in hex.
        sign_bytes: signs by the private half; returns 64 bytes.
    """
    return SignedText(text, key, sign_bytes(_message(purpose, text)).hex())


def verified(signed: SignedText, purpose: Purpose) -> str:
    """Return the text if `signed.key` signed it for this purpose; the caller has to know the key.

    Raises LearningError, and no other error.
    """
    try:
        VerifyKey(bytes.fromhex(signed.key)).verify(
            _message(purpose, signed.text), bytes.fromhex(signed.signature)
        )
    except (CryptoError, ValueError):
        raise LearningError("it is not signed by the key that it names") from None
    return signed.text


def tuf_key_id(key: str) -> str:
    """The id under which a root names an Ed25519 key, given in hex (TUF 1.0, 4.2)."""
    canonical = f'{{"keytype":"ed25519","keyval":{{"public":"{key}"}},"scheme":"ed25519"}}'
    return sha256(canonical.encode()).hexdigest()


def shown_key_id(key: str) -> str:
    """The id by which people compare a gate's key, given in hex: 16 hex digits."""
    return sha256(bytes.fromhex(key)).hexdigest()[:16]


def _message(purpose: Purpose, text: str) -> bytes:
    return (purpose.value + text).encode("utf-8", "surrogatepass")
