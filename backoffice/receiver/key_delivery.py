"""Sends fingerprint keys to gates, in the answer to their status.

    delivery = KeyDelivery(home, say)
    keys = delivery.lacking(held)     # those that a gate lacks; None: this receiver sends none
    sealed_to(public_key, keys)       # [SealedKey(…)]

They are the current and the next key, each sealed to one gate. The gate's side is
validator/reports/sealed_keys.py. A receiver without `keys/fingerprint`, or that may not read it,
sends none: keys are then carried by hand, and all else goes on.
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
    """The fingerprint keys of one back office, read at each call. For any number of threads."""

    def __init__(self, home: Home, say: Callable[[str], None] = lambda _line: None) -> None:
        """`say` takes one line, once, if the keys' folder is there and cannot be used."""
        self._home = home
        self._say = say
        self._said = ""

    def lacking(self, held: Container[str]) -> list[FingerprintKey] | None:
        """The keys that a gate with the keys `held` lacks; None if this receiver has no keys."""
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
            is_there = True  # and this process may not enter it
        line = f"gates receive no fingerprint keys: {error}"
        if is_there and line != self._said:
            self._said = line
            self._say(line)


def sealed_to(public_key: bytes, keys: Iterable[FingerprintKey]) -> list[SealedKey]:
    """Seal keys to the gate with this Ed25519 key; none for a key without a private half."""
    try:
        box = SealedBox(VerifyKey(public_key).to_curve25519_public_key())
    except CryptoError:  # no point of the curve's large subgroup
        return []
    return [
        SealedKey(each.id, b64encode(box.encrypt(format_key_file(each.key))).decode())
        for each in keys
    ]
