"""The keys of reports: the gates' sealing key, and the keys of an export.

The private half of a sealing key stays with the exporter, off the back office's machine and off
every web server: the database alone opens nothing. The file formats are those of signing/keys.py. A
sealing key and an authority's are X25519, an exporter's is Ed25519.
"""

import re
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from backoffice.home.config import Config
from backoffice.signing.keys import (
    KeyFileError,
    Passphrase,
    make_key_files,
    private_key_in,
    public_key_in,
)
from validator.domain.cards import UID_LENGTHS
from validator.reports.sealing_keys import sealing_key_id

NOT_SEALED = "not sealed: the gate had no key to seal to"
DAMAGED = "sealed, but not to a UID"


def make_sealing_key(folder: Path, name: str, passphrase: str | None) -> str:
    """Make an X25519 key as `<name>.pem` and `<name>.pub`.

    Returns its id; raises KeyFileError, OperatorError.
    """
    key = X25519PrivateKey.generate()
    make_key_files(folder, name, key, passphrase)
    return sealing_key_id(key.public_key().public_bytes_raw()).hex()


def make_signing_key(folder: Path, name: str, passphrase: str | None) -> str:
    """Make an exporter's Ed25519 key in the same way. Returns its public half in hex."""
    key = Ed25519PrivateKey.generate()
    make_key_files(folder, name, key, passphrase)
    return key.public_key().public_bytes_raw().hex()


def read_sealing_key(path: Path) -> bytes:
    """Read the public half of an X25519 key to seal to. Raises KeyFileError."""
    key = public_key_in(path)
    if not isinstance(key, X25519PublicKey):
        raise KeyFileError(
            f"{path}: is no X25519 key, as turnike-backoffice report-key make makes it"
        )
    public = key.public_bytes_raw()
    try:
        SealedBox(PublicKey(public)).encrypt(b"")
    except CryptoError:  # a point of small order: anybody could open what is sealed to it
        raise KeyFileError(f"{path}: is a weak key; make another") from None
    return public


def read_opening_key(path: Path, passphrase: Passphrase | None = None) -> bytes:
    """Read the private half of an X25519 key, 32 bytes. Raises KeyFileError."""
    key = private_key_in(path, passphrase)
    if not isinstance(key, X25519PrivateKey):
        raise KeyFileError(
            f"{path}: is no X25519 key, as turnike-backoffice report-key make makes it"
        )
    return key.private_bytes_raw()


def read_signing_key(path: Path, passphrase: Passphrase | None = None) -> Ed25519PrivateKey:
    """Read an exporter's private key. Raises KeyFileError."""
    key = private_key_in(path, passphrase)
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(
            f"{path}: is no Ed25519 key, as turnike-backoffice report-key make --signing makes it"
        )
    return key


def read_signer(path: Path) -> Ed25519PublicKey:
    """Read the public half of an exporter's key. Raises KeyFileError."""
    key = public_key_in(path)
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError(
            f"{path}: is no Ed25519 key, as turnike-backoffice report-key make --signing makes it"
        )
    return key


def published_sealing_key(config: Config) -> str | None:
    """The sealing key in hex, as the manifest names it; None if none is configured.

    Raises KeyFileError.
    """
    path = config.sealing_key_file
    return None if path is None else read_sealing_key(path).hex()


class CannotOpenError(Exception):
    """A sealed UID cannot be opened. The message says why and shows nothing of the UID."""


class Opener:
    """Opens sealed UIDs. It holds several keys, since old reports name old keys."""

    def __init__(self, private_keys: Sequence[bytes]) -> None:
        """Take private X25519 keys of 32 bytes each."""
        keys = [PrivateKey(each) for each in private_keys]
        self._boxes = {sealing_key_id(bytes(key.public_key)).hex(): SealedBox(key) for key in keys}

    @property
    def key_ids(self) -> frozenset[str]:
        """The ids of the keys."""
        return frozenset(self._boxes)

    def uid(self, sealed: str, sealed_to: str) -> bytes:
        """Open a report's `sealed`. Returns the UID.

        Raises CannotOpenError: a stolen gate may have sealed anything.
        """
        if not sealed:
            raise CannotOpenError(NOT_SEALED)
        box = self._boxes.get(sealed_to)
        if box is None:
            raise CannotOpenError(f"sealed to {_shown(sealed_to)}, a key that was not given")
        try:
            uid = box.decrypt(b64decode(sealed, validate=True))
        except (CryptoError, ValueError):
            raise CannotOpenError(DAMAGED) from None
        if len(uid) not in UID_LENGTHS:
            raise CannotOpenError(DAMAGED)
        return uid


def _shown(key_id: str) -> str:
    """A key id as a gate sent it, if it has the form of one."""
    is_id = re.fullmatch(r"[0-9a-f]{16}", key_id)
    return key_id if is_id else "no key that there could be"
