"""The short id of an X25519 key to which reports seal a UID; each report carries the id."""

from hashlib import blake2b

SEALING_KEY_BYTES = 32
SEALING_KEY_ID_BYTES = 8


def sealing_key_id(public: bytes) -> bytes:
    """The id of a sealing key: 8 bytes of BLAKE2b over its public half."""
    return blake2b(public, digest_size=SEALING_KEY_ID_BYTES, person=b"turnike seal").digest()
