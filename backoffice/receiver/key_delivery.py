"""Brings fingerprint keys to the gates, in the answer to their status: each key that is in use or is to follow, sealed to that gate alone.

    delivery = KeyDelivery(home, say)
    keys = delivery.lacking(held)     # those that a gate lacks; None: none are given out from here
    sealed_to(public_key, keys)       # [SealedKey(…)]

The gate's side is validator/reports/sealed_keys.py. A receiver that stands where there is no `keys/fingerprint`, or that may not read it, gives out
none; all else that it does goes on, and keys are carried by hand.
"""

from base64 import b64encode
from collections.abc import Callable, Container, Iterable

from nacl.exceptions import CryptoError
from nacl.public import SealedBox
from nacl.signing import VerifyKey

from backoffice.home.folder import Home
from backoffice.signing.keys import FingerprintKey, KeyFileError, fingerprint_keys_but
from validator.lists.fingerprint_keys import format_key_file
from validator.reports.sealed_keys import SealedKey


class KeyDelivery:
    """The keys of one back office, as they are at each question. For any number of threads."""

    def __init__(self, home: Home, say: Callable[[str], None] = lambda _line: None) -> None:
        """`say` is told in one line, once, why keys are not given out though their folder is there."""
        self._home = home
        self._say = say
        self._said = ""

    def lacking(self, held: Container[str]) -> list[FingerprintKey] | None:
        """The keys that whoever holds these lacks; None if there are none here to give."""
        try:
            keys = fingerprint_keys_but(self._home, held)
        except (KeyFileError, OSError) as error:
            self._tell(error)
            return None
        self._said = ""
        return keys

    def _tell(self, error: Exception) -> None:
        try:
            is_there = self._home.fingerprint_keys.exists()
        except OSError:
            is_there = True  # and closed to us
        line = f"gates are given no fingerprint keys: {error}"
        if is_there and line != self._said:
            self._said = line
            self._say(line)


def sealed_to(public_key: bytes, keys: Iterable[FingerprintKey]) -> list[SealedKey]:
    """These keys, for the gate that has this Ed25519 key and for nobody else; none for a key that nobody can have the private half of."""
    try:
        box = SealedBox(VerifyKey(public_key).to_curve25519_public_key())
    except CryptoError:  # no point of the curve's large subgroup
        return []
    return [
        SealedKey(each.id, b64encode(box.encrypt(format_key_file(each.key))).decode())
        for each in keys
    ]
