"""A fingerprint key from the city, in a libsodium sealed box that only one gate can open.

    SealedKey("9f2c…", "<base64>")    # in the answer to the gate's status
    key = unseal(sealed, seed)        # on the gate

The box is for the gate's own Ed25519 key, converted to X25519: so a gate has one key, and the city
knows it from enrolment. The box holds a key file (fingerprint_keys.py). A sealed box does not show
who sealed it, and need not: a key has no effect until a signed list names its id, and the id is
made from the key.
"""

from base64 import b64decode

from msgspec import Struct
from nacl.exceptions import CryptoError
from nacl.public import SealedBox
from nacl.signing import SigningKey

from validator.lists.fingerprint_keys import (
    KEY_FILE_BYTES_MAX,
    FingerprintKeyError,
    key_id,
    parse_key_file,
)

SEALED_CHARACTERS_MAX = 2 * KEY_FILE_BYTES_MAX  # base64 takes a third more, the box 48 bytes


class SealedKey(Struct, frozen=True):
    """The id of a fingerprint key (16 hex digits) and its box (base64), both unchecked."""

    id: str
    sealed: str


def unseal(sealed: SealedKey, seed: bytes) -> bytes:
    """Open the box with the 32 bytes of the gate's Ed25519 private key. Returns the key of that id.

    Raises FingerprintKeyError, and no other error for any bytes. Its text shows nothing of the
    box's content.
    """
    try:
        if len(sealed.sealed) > SEALED_CHARACTERS_MAX:
            raise FingerprintKeyError("larger than any key")
        box = SealedBox(SigningKey(seed).to_curve25519_private_key())
        key = parse_key_file(box.decrypt(b64decode(sealed.sealed, validate=True)))
    except ValueError:  # b64decode raises it for text that is not ASCII, too
        raise FingerprintKeyError("not base64") from None
    except CryptoError:
        raise FingerprintKeyError("not sealed to this gate") from None
    if key_id(key).hex() != sealed.id:
        raise FingerprintKeyError(f"another key is in it; its id is {key_id(key).hex()}")
    return key
