"""Seals a UID to the back office's key, so that what waits on a gate names nobody: libsodium's sealed box, by PyNaCl.

The key comes with the signed list (manifest: `sealing_key`). Its private half is with whoever may read reports for the authority, and nowhere on a
gate or a web server. A gate that holds no list with such a key makes reports that say what happened, and not to whom.

A sealed box is an ephemeral public key, and a box under what it has in common with the receiver's (libsodium, "Sealed boxes"). All but the box
itself can be had before there is a UID, and a passenger who is refused waits for what is not.
"""

from base64 import b64encode
from hashlib import blake2b
from typing import NamedTuple

from nacl.bindings import (
    crypto_box_beforenm,
    crypto_box_easy_afternm,
    crypto_box_keypair,
    crypto_box_NONCEBYTES,
)
from nacl.exceptions import CryptoError

from validator.reports.sealing_keys import SEALING_KEY_BYTES, sealing_key_id


class _Ready(NamedTuple):
    """All of one sealed box but what is in it. For one UID only."""

    ephemeral: bytes
    nonce: bytes
    shared_key: bytes


class Sealer:
    """Seals to the key of the list in force. One thread swaps the key, prepares and seals."""

    def __init__(self) -> None:
        self._public: bytes | None = None
        self._key_id = ""
        self._ready: _Ready | None = None

    def seal_to(self, public: bytes | None) -> None:
        """Seal to this X25519 key from now on; None: to none. Raises ValueError for another length.

        A point of small order is a key that anybody could open: nothing is sealed to it, and the city sees that nothing is.
        """
        if public is None:
            self._public, self._key_id, self._ready = None, "", None
        elif public != self._public:
            if len(public) != SEALING_KEY_BYTES:
                raise ValueError(f"a sealing key has {SEALING_KEY_BYTES} bytes, not {len(public)}")
            self._public, self._key_id = (
                (public, sealing_key_id(public).hex()) if _is_sound(public) else (None, "")
            )
            self._ready = None

    def prepare(self) -> None:
        """Do for the next UID what can be done without it, if that is not done: two multiplications on the curve."""
        if self._public is not None and self._ready is None:
            ephemeral, private = crypto_box_keypair()
            nonce = blake2b(ephemeral + self._public, digest_size=crypto_box_NONCEBYTES).digest()
            self._ready = _Ready(ephemeral, nonce, crypto_box_beforenm(self._public, private))

    def seal(self, uid: bytes) -> tuple[str, str]:
        """The sealed UID, base64, and the id of the key that opens it; both empty while there is no key."""
        self.prepare()
        if self._ready is None:
            return "", ""
        ready, self._ready = self._ready, None
        sealed = ready.ephemeral + crypto_box_easy_afternm(uid, ready.nonce, ready.shared_key)
        return b64encode(sealed).decode(), self._key_id


def _is_sound(public: bytes) -> bool:
    try:
        crypto_box_beforenm(public, crypto_box_keypair()[1])
    except CryptoError:
        return False
    return True
