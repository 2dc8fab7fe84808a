"""The fleet's fingerprint keys: their ids and their files. domain/cards.py makes fingerprints.

A gate may hold several keys while one is being replaced. An id is made from its key, so a wrong key
under the right name is noticed. No error here shows a key: its text goes into a log.

    keys = keyring(parse_key_file(path.read_bytes()) for path in paths)
"""

from collections.abc import Iterable
from hashlib import blake2b
from string import hexdigits

from validator.domain.cards import FINGERPRINT_KEY_BYTES
from validator.errors import InvalidBytes

KEY_ID_BYTES = 8
KEY_FILE_BYTES_MAX = 1024  # the key and some lines of comment; a larger file is another one
_PERSON = b"turnike key id"
_KEY_DIGITS = 2 * FINGERPRINT_KEY_BYTES


class FingerprintKeyError(InvalidBytes):
    """A key or its file is not usable; the text is one line and never shows any of it."""


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
    """The key in a key file: one line of 64 hex digits, among comments (#) and empty lines.

    Raises FingerprintKeyError, which names the line and never its content.
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
    """The content of a key file, with an optional line of comment.

    Raises FingerprintKeyError for another length than 32 bytes.
    """
    key_id(key)
    head = f"# {' '.join(comment.split())}\n" if comment else ""
    return f"{head}{key.hex()}\n".encode()
