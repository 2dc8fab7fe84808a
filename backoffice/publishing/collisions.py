"""The search for collisions: two issued cards with one fingerprint, which a gate cannot tell apart.

Among 34 million cards one key in a hundred has a collision. All cards are compared when the key is
new. Their fingerprints are then kept, sorted, in a file of the home, and only cards added since are
compared with them. Without that file, or if it does not fit the registry, all are compared again.
"""

import secrets
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from backoffice.publishing.fingerprints import Fingerprints, Hash, check_distinct
from backoffice.registry.new_cards import NewCards
from backoffice.registry.registry import Registry
from validator.host.durable import replacing
from validator.host.plain_files import SECRET_MODE

NOTE = "fingerprints compared"  # in the registry: "<key id> <cards> <token of the file>"
# So many new cards are merged into the file; fewer are compared again each time, in 30 ms at most.
MERGED_MIN = 50_000

# Magic, key id, token, count; then so many fingerprints, ascending.
_HEAD = struct.Struct("<8s8s16sQ")
_MAGIC = b"\x89TNKFPS\n"
_TOKEN_BYTES = 16

Progress = Callable[[int, int], None]


class Comparison:
    """Compares the cards of one registry under one key."""

    def __init__(self, registry: Registry, folder: Path, key_id: bytes, hashed: Hash) -> None:
        """`folder`, made if it is missing, keeps the fingerprints of the cards compared so far."""
        self._registry = registry
        self._path = folder / "compared.u64"
        self._key_id = key_id
        self._hashed = hashed

    def check(self, progress: Progress) -> int:
        """Compare the cards that were not compared yet. Returns how many.

        Raises:
            CardsError: Two cards have one fingerprint.
            RegistryError, OSError: The comparison could not be done.
        """
        new = self._registry.new_cards.since()
        key, count, token = (*(self._registry.get_meta(NOTE) or "").split(), "", "", "")[:3]
        if (key, count) == (self._key_id.hex(), str(new.added)):
            return 0
        compared = self._compared(bytes.fromhex(token), new) if key == self._key_id.hex() else None
        if compared is None or new.uids is None:
            return self._compare_all(new.added, progress)
        return self._compare_new(compared, new, token, progress)

    def _compare_new(
        self, compared: Fingerprints, new: NewCards, token: str, progress: Progress
    ) -> int:
        uids = new.uids or ()
        fingerprints = np.sort(self._hashed(uids))
        check_distinct(fingerprints)
        places = np.searchsorted(compared, fingerprints)
        inside = places < len(compared)
        if (compared[places[inside]] == fingerprints[inside]).any():
            # A card that was added while all were being read may have been compared already.
            return self._compare_all(new.added, progress)
        if len(uids) >= MERGED_MIN:
            self._keep(np.sort(np.concatenate((compared, fingerprints)), kind="stable"))
        else:
            self._note(new.added, token)
        return len(uids)

    def _compare_all(self, expected: int, progress: Progress) -> int:
        fingerprints = np.empty(expected, np.uint64)
        count = 0
        for uids in self._registry.card_batches():
            end = count + len(uids)
            if end > len(fingerprints):  # cards are being added meanwhile
                fingerprints.resize(end + expected // 16 + len(uids), refcheck=False)
            fingerprints[count:end] = self._hashed(uids)
            count = end
            progress(count, expected)
        fingerprints.resize(count, refcheck=False)
        fingerprints.sort()
        check_distinct(fingerprints)
        self._keep(fingerprints)
        return count

    def _compared(self, token: bytes, new: NewCards) -> Fingerprints | None:
        """The fingerprints that were kept, if they are those of the cards recorded as compared."""
        try:
            with self._path.open("rb") as file:
                head = file.read(_HEAD.size)
            size = self._path.stat().st_size
        except FileNotFoundError:
            return None
        wanted = _HEAD.pack(_MAGIC, self._key_id, token, new.checked)
        if head != wanted or size != _HEAD.size + 8 * new.checked or not new.checked:
            return None
        return np.memmap(self._path, "<u8", "r", _HEAD.size, (new.checked,))

    def _keep(self, fingerprints: Fingerprints) -> None:
        """Keep these fingerprints as compared.

        After a kill in between the token differs, and all are compared again.
        """
        token = secrets.token_bytes(_TOKEN_BYTES)
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        with replacing(self._path, SECRET_MODE) as new:
            new.file.write(_HEAD.pack(_MAGIC, self._key_id, token, len(fingerprints)))
            fingerprints.astype("<u8", copy=False).tofile(new.file)
        self._registry.new_cards.checked(len(fingerprints))
        self._note(len(fingerprints), token.hex())

    def _note(self, count: int, token: str) -> None:
        self._registry.set_meta(NOTE, f"{self._key_id.hex()} {count} {token}")
