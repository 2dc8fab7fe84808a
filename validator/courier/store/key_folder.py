"""The folder `list.keys`: stores the fingerprint keys that the city has sealed to this gate.

    folder = KeyFolder(Path("/var/lib/turnike/fingerprint-keys"), gate_key)
    folder.ids()             # part of the gate's status
    folder.take(sealed)      # the keys in the answer: Taken(ids, problems)

The lane reads the folder (lane/lists_in_force.py). No key is overwritten and none is deleted: the
list in force may be made under it. A file that is named by a key's id and is not that key is
damaged; it is replaced when the city sends the key again.
"""

from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from validator.host.durable import put_secret
from validator.lists.fingerprint_keys import FingerprintKeyError, format_key_file, key_id
from validator.lists.held_keys import read_keys
from validator.reports.sealed_keys import SealedKey, unseal

KEYS_MAX = 8  # one in use, one to follow, and some old ones: more are no rotation
_SHOWN_CHARACTERS_MAX = 16


class Taken(NamedTuple):
    """The ids of the keys that are new here, and one line for each that was not stored."""

    ids: tuple[str, ...]
    problems: tuple[str, ...]


class KeyFolder:
    """The keys of one gate. For one thread."""

    def __init__(self, path: Path, gate_key: Ed25519PrivateKey) -> None:
        self._path = path
        self._seed = gate_key.private_bytes_raw()

    def ids(self) -> list[str] | None:
        """The ids of the held keys, in order; [] without the folder, None if it cannot be read."""
        try:
            return sorted(held_id.hex() for held_id in read_keys(self._path)[0])
        except FingerprintKeyError as error:
            return [] if isinstance(error.__cause__, FileNotFoundError) else None

    def take(self, sealed: Iterable[SealedKey]) -> Taken:
        """Store each of the first KEYS_MAX keys that is not held. Never raises for a bad key."""
        taken, problems = [], []
        for each in islice(sealed, KEYS_MAX):
            try:
                if self._keep(unseal(each, self._seed)):
                    taken.append(each.id)
            except FingerprintKeyError as error:
                problems.append(f"fingerprint key {_shown(each.id)} is not taken: {error}")
        return Taken(tuple(taken), tuple(problems))

    def _keep(self, key: bytes) -> bool:
        """Store a key unless it is held. Returns whether it is new. Raises FingerprintKeyError."""
        with suppress(OSError):  # put_secret below reports why it cannot be made
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        held, name = read_keys(self._path)[0], key_id(key).hex()
        if key_id(key) in held:
            return False
        if len(held) >= KEYS_MAX:
            raise FingerprintKeyError(
                f"{self._path}: {len(held)} keys are there; delete those not in use"
            )
        path = self._path / f"{name}.key"
        try:
            put_secret(
                path, format_key_file(key, f"Turnike fingerprint key {name}: the city sent it")
            )
        except OSError as error:
            raise FingerprintKeyError(
                f"{path}: {error.strerror}; the courier must be able to write there"
            ) from error
        return True


def _shown(text: str) -> str:
    """An id from outside, fit for a log."""
    return "".join(
        each if each.isalnum() and each.isascii() else "?" for each in text[:_SHOWN_CHARACTERS_MAX]
    )
