"""Seals a UID to the back office's key, so that what waits on a gate names nobody: libsodium's sealed box, by PyNaCl.

The key comes with the signed list (manifest: `sealing_key`). Its private half is with whoever may read reports for the authority, and nowhere on a
gate or a web server. A gate that holds no list with such a key makes reports that say what happened, and not to whom.
"""

from base64 import b64encode

from nacl.public import PublicKey, SealedBox

from validator.formats.sealing_keys import SEALING_KEY_BYTES, sealing_key_id


class Sealer:
    """Seals to the key of the list in force. One thread swaps the key and seals."""

    def __init__(self) -> None:
        self._box: SealedBox[PublicKey] | None = None
        self._public = b""
        self._key_id = ""

    def seal_to(self, public: bytes | None) -> None:
        """Seal to this X25519 key from now on; None: to none. Raises ValueError for what is no key."""
        if public is None:
            self._box, self._public, self._key_id = None, b"", ""
        elif public != self._public:
            if len(public) != SEALING_KEY_BYTES:
                raise ValueError(f"a sealing key has {SEALING_KEY_BYTES} bytes, not {len(public)}")
            self._box, self._public = SealedBox(PublicKey(public)), public
            self._key_id = sealing_key_id(public).hex()

    def seal(self, uid: bytes) -> tuple[str, str]:
        """The sealed UID, base64, and the id of the key that opens it; both empty while there is no key."""
        if self._box is None:
            return "", ""
        return b64encode(self._box.encrypt(uid)).decode(), self._key_id
