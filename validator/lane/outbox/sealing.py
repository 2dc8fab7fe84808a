"""Seals a UID to the back office's key (libsodium): reports on a gate's disk identify no card.

The key comes with the signed list (manifest: `sealing_key`). Its private half belongs to the people
who read reports for the authority. It is on no gate and no web server. Without such a key, a gate
makes reports without the card.

A sealed box is an ephemeral public key, and a box under the secret that it shares with the
receiver's key (libsodium, "Sealed boxes"). All but the box is made before there is a UID, so that a
passenger does not wait for it.
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
    """All of one sealed box but its content. For one UID only."""

    ephemeral: bytes
    nonce: bytes
    shared_key: bytes


class Sealer:
    """Seals to the key of the list in force. For one thread."""

    def __init__(self) -> None:
        self._public: bytes | None = None
        self._key_id = ""
        self._ready: _Ready | None = None

    def seal_to(self, public: bytes | None) -> None:
        """Seal to an X25519 key from now on, or to none.

        Anyone could open a box to a point of small order. Nothing is sealed to such a key, and the
        reports show the city that they have no card.

        Args:
            public: 32 bytes; None for no key.

        Raises:
            ValueError: the key has another length.
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
        """Do what the next `seal` needs and no UID: two multiplications on the curve."""
        if self._public is not None and self._ready is None:
            ephemeral, private = crypto_box_keypair()
            nonce = blake2b(ephemeral + self._public, digest_size=crypto_box_NONCEBYTES).digest()
            self._ready = _Ready(ephemeral, nonce, crypto_box_beforenm(self._public, private))

    def seal(self, uid: bytes) -> tuple[str, str]:
        """Return the sealed UID in base64 and the id of the key; both empty without a key."""
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
