"""Lists at the city's true size, as real segment files in a real list folder.

Most fingerprints are drawn uniformly, as a keyed hash gives them: to hash 26 million UIDs would
only cost time. `known_max` of each kind are fingerprints of real UIDs, so that there are cards to
tap.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from nacl.public import PrivateKey
from numpy.typing import NDArray

from tests.support.city.segment_making import fingerprint_cards, until_units
from validator.courier.store.installer import ListInstaller
from validator.domain.cards import FINGERPRINT_BITS
from validator.domain.rules import Effect, RuleSet
from validator.lane.lists_in_force import ListFolder
from validator.lists.fingerprint_keys import format_key_file, key_id
from validator.lists.held_keys import held_keys
from validator.lists.manifest import (
    InstalledManifest,
    Manifest,
    RuleEntry,
    ScopeEntry,
    SegmentEntry,
    encode,
)
from validator.lists.segment import NO_END
from validator.lists.segment_builder import Head, write_segment

SUSPENDED_OF_MATCHED = 0.036  # 300,000 of 8.26 M
STAFF_OF_MATCHED = 0.001_2
DAY_S = 86_400
MATCHED_UNIT_S = 3_600
SUSPENDED_UNIT_S = 60
UID_BYTES = 7

Fingerprints = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Town:
    """A folder with `lists`, `keys` and `fingerprints.u64`, and UIDs known to be in it or not.

    `fingerprints.u64` holds those of the matched table, raw.
    """

    folder: Path
    cards: int
    key: bytes
    matched: list[bytes]
    suspended: list[bytes]
    unmatched: list[bytes]
    manifest: InstalledManifest

    @property
    def lists(self) -> Path:
        """The list folder."""
        return self.folder / "lists"

    @property
    def fingerprints(self) -> Path:
        """The matched table's fingerprints as raw little-endian u64, ascending."""
        return self.folder / "fingerprints.u64"

    def rules(self) -> RuleSet:
        """The list as the lane would hold it: mapped from the folder, verified and warm."""
        adopted = ListFolder(self.lists, held_keys(self.folder / "keys")).scan()
        if adopted is None or adopted.rules is None:
            raise RuntimeError(
                f"{self.lists}: no usable list; this benchmark built a wrong one: {adopted}"
            )
        return adopted.rules

    def matched_again(self, version: int) -> Path:
        """The matched table of another version, of the same size: its segment, not installed."""
        path = self.folder / f"matched-{version}.seg"
        _write(path, "matched", version, self.key, np.fromfile(self.fingerprints, "<u8"), NO_END)
        return path


def build(folder: Path, cards: int, known_max: int, seed: int = 1) -> Town:
    """Build one with so many matched cards; the list is installed as version 1."""
    (folder / "lists").mkdir(parents=True)
    (folder / "keys").mkdir()
    rng = np.random.default_rng(seed)
    key = rng.bytes(32)
    (folder / "keys" / "bench.key").write_bytes(format_key_file(key, "made for one benchmark"))
    known = min(known_max, cards // 2)
    suspended_count = max(int(cards * SUSPENDED_OF_MATCHED), 10)
    suspended_known = min(known // 4, suspended_count)
    uids = _uids(rng, 2 * known)
    matched, unmatched = uids[:known], uids[known:]
    suspended = matched[:suspended_known]
    tables = {
        "suspended": _merged(rng, suspended, suspended_count, key),
        "staff": _merged(rng, [], max(int(cards * STAFF_OF_MATCHED), 10), key),
        "matched": _merged(rng, matched, cards, key),
    }
    tables["matched"].astype("<u8").tofile(folder / "fingerprints.u64")
    town = Town(
        folder,
        cards,
        key,
        matched[suspended_known:],
        suspended,
        unmatched,
        _install(folder, tables, key),
    )
    return replace(town, matched=_shuffled(rng, town.matched))


def _shuffled(rng: np.random.Generator, uids: list[bytes]) -> list[bytes]:
    return [uids[at] for at in rng.permutation(len(uids))]


def _uids(rng: np.random.Generator, count: int) -> list[bytes]:
    """Different 7-byte UIDs that begin with 04."""
    drawn = rng.integers(0, 256, size=(count * 2, UID_BYTES), dtype=np.uint8)
    drawn[:, 0] = 0x04
    whole = drawn.tobytes()
    found = dict.fromkeys(whole[at : at + UID_BYTES] for at in range(0, len(whole), UID_BYTES))
    return list(found)[:count]


def _merged(rng: np.random.Generator, known: list[bytes], count: int, key: bytes) -> Fingerprints:
    """Fingerprints of the known UIDs, and uniform ones up to the count."""
    hashed, _ = fingerprint_cards(((uid, NO_END) for uid in known), key)
    drawn = rng.integers(0, 1 << FINGERPRINT_BITS, size=count - len(hashed), dtype=np.uint64)
    return np.unique(np.concatenate([hashed, drawn]))


def _write(
    path: Path, rule: str, version: int, key: bytes, fingerprints: Fingerprints, until: int
) -> SegmentEntry:
    unit_s = SUSPENDED_UNIT_S if rule == "suspended" else MATCHED_UNIT_S
    head = Head(rule, 0, version, key_id(key), _epoch_unix_s(), unit_s)
    with path.open("w+b") as out:
        built = write_segment(out, head, fingerprints, np.full(len(fingerprints), until, np.uint16))
    return SegmentEntry(0, version, built.size, built.sha256)


def _epoch_unix_s() -> int:
    return (int(time.time()) - DAY_S) // MATCHED_UNIT_S * MATCHED_UNIT_S


def _install(folder: Path, tables: dict[str, Fingerprints], key: bytes) -> InstalledManifest:
    """Suspended before staff, matched last, as in the city."""
    now_unix_s = int(time.time())
    isolation = until_units(now_unix_s + 10 * DAY_S, _epoch_unix_s(), SUSPENDED_UNIT_S)
    paths = {rule: folder / f"{rule}.seg" for rule in tables}
    entries = {
        rule: _write(
            paths[rule], rule, 1, key, vector, isolation if rule == "suspended" else NO_END
        )
        for rule, vector in tables.items()
    }
    manifest = Manifest(
        1,
        now_unix_s,
        now_unix_s + 5 * DAY_S,
        (
            RuleEntry("suspended", Effect.REFUSE, (entries["suspended"],), reports=True),
            RuleEntry("staff", Effect.ADMIT, (entries["staff"],), reports=True),
            RuleEntry(
                "matched",
                Effect.REQUIRE,
                (entries["matched"],),
                ScopeEntry((UID_BYTES,)),
                now_unix_s - DAY_S,
            ),
        ),
        sealing_key=bytes(
            PrivateKey(key).public_key
        ).hex(),  # reports are sealed, as they are in the city
    )
    ListInstaller(folder / "lists").install(
        encode(manifest), {entries[rule].file_name: path for rule, path in paths.items()}
    )
    for path in paths.values():
        path.unlink()
    return manifest
