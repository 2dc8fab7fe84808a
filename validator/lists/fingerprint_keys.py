"""The fleet's fingerprint keys: their ids and the file that each is kept in. Not the fingerprint itself (domain/cards.py).

A gate may hold several keys while one is being replaced. An id is made from the key, so a wrong key under the right name is noticed.
Nothing here ever says a key in an error: a message ends up in a log.

    keys = keyring(parse_key_file(path.read_bytes()) for path in paths)
"""

from collections.abc import Iterable
from hashlib import blake2b
from string import hexdigits

from validator.domain.cards import FINGERPRINT_KEY_BYTES
from validator.errors import InvalidBytes

KEY_ID_BYTES = 8
KEY_FILE_BYTES_MAX = 1024  # the key and some lines of comment; whatever is larger is another file
_PERSON = b"turnike key id"
_KEY_DIGITS = 2 * FINGERPRINT_KEY_BYTES


class FingerprintKeyError(InvalidBytes):
    """A key or its file is not usable; the message is one clear line and never shows any of it."""


def key_id(key: bytes) -> bytes:
    """The 8-byte id of a 32-byte key. Raises FingerprintKeyError for another length."""
    if len(key) != FINGERPRINT_KEY_BYTES:
        raise FingerprintKeyError(
            f"a fingerprint key has {FINGERPRINT_KEY_BYTES} bytes, not {len(key)}"
        )
    return blake2b(key, digest_size=KEY_ID_BYTES, person=_PERSON).digest()


def keyring(keys: Iterable[bytes]) -> dict[bytes, bytes]:
    """The held keys by id. Raises FingerprintKeyError for a key of another length than 32 bytes."""
    return {key_id(key): key for key in keys}


def parse_key_file(content: bytes) -> bytes:
    """The key in a key file: one line of 64 hex digits; lines that begin with # and empty lines are passed over.

    Raises FingerprintKeyError, which names the line and never what stands in it.
    """
    if len(content) > KEY_FILE_BYTES_MAX:
        raise FingerprintKeyError(
            f"a key file has at most {KEY_FILE_BYTES_MAX} bytes, not {len(content)}"
        )
    found = [
        (number, line.strip())
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), start=1)
        if line.strip() and not line.startswith("#")
    ]
    if len(found) != 1:
        raise FingerprintKeyError(
            f"a key file has one line of {_KEY_DIGITS} hex digits, not {len(found)}"
        )
    number, digits = found[0]
    if len(digits) != _KEY_DIGITS or not set(digits) <= set(hexdigits):
        raise FingerprintKeyError(f"line {number} of the key file is not {_KEY_DIGITS} hex digits")
    return bytes.fromhex(digits)


def format_key_file(key: bytes, comment: str = "") -> bytes:
    """The file of a key, with an optional line of comment. Raises FingerprintKeyError for another length than 32 bytes."""
    key_id(key)
    head = f"# {' '.join(comment.split())}\n" if comment else ""
    return f"{head}{key.hex()}\n".encode()
