"""Small lists for tests: segments, manifests and folders made by the publisher's own code."""

import hashlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from validator.courier.store.installer import ListInstaller
from validator.domain.rules import Effect
from validator.lane.lists_in_force import ListFolder
from validator.lane.ports import Adopted
from validator.lists.fingerprint_keys import key_id, keyring
from validator.lists.manifest import InstalledManifest, Manifest, RuleEntry, SegmentEntry, encode
from validator.lists.segment import REMOVED, Segment
from validator.lists.segment_builder import Head, write_segment

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
EPOCH_UNIX_S = 1_609_459_200  # 2021-01-01, a multiple of 60 and of 3600
NOW_UNIX_S = EPOCH_UNIX_S + 86_400
EXPIRES_UNIX_S = NOW_UNIX_S + 96 * 3_600


def segment_bytes(
    cards: Mapping[int, int],
    *,
    rule: str = "suspended",
    from_version: int = 0,
    to_version: int = 1,
    key: bytes = KEY,
    epoch_unix_s: int = EPOCH_UNIX_S,
    unit_s: int = 60,
    index_bits: int | None = None,
) -> bytes:
    """A segment file of these fingerprints, each with its `until` in units."""
    out = io.BytesIO()
    head = Head(rule, from_version, to_version, key_id(key), epoch_unix_s, unit_s)
    fingerprints = sorted(cards)
    vectors = (
        np.array(fingerprints, np.uint64),
        np.array([cards[card] for card in fingerprints], np.uint16),
    )
    write_segment(out, head, *vectors, index_bits=index_bits)
    return out.getvalue()


def entry_of(content: bytes) -> SegmentEntry:
    """The entry of a segment file in a manifest."""
    header = Segment(content).header
    return SegmentEntry(
        header.from_version, header.to_version, len(content), hashlib.sha256(content).hexdigest()
    )


def manifest_of(version: int, *tables: tuple[bytes, ...]) -> InstalledManifest:
    """A manifest with one refusing rule for each table; a table is its segments, newest first."""
    rules = tuple(
        RuleEntry(
            Segment(table[0]).header.rule,
            Effect.REFUSE,
            tuple(entry_of(segment) for segment in table),
        )
        for table in tables
    )
    return Manifest(version, NOW_UNIX_S + version, EXPIRES_UNIX_S + version, rules)


def install(
    folder: Path, version: int, *tables: tuple[bytes, ...], era: int = 0, also: Path | None = None
) -> InstalledManifest:
    """Install such a list, and return its manifest."""
    manifest = manifest_of(version, *tables)
    sources = {seg(segment): segment for table in tables for segment in table}
    ListInstaller(folder, also).install(encode(manifest), sources, era=era)
    return manifest


def seg(content: bytes) -> str:
    """The name of this segment in a list folder."""
    return entry_of(content).file_name


def opened(
    folder: Path,
    *keys: bytes,
    recent: Path | None = None,
    read_keys: Callable[[], Mapping[bytes, bytes]] | None = None,
) -> ListFolder:
    """The folder as a lane with these keys sees it; KEY if none is named."""
    return ListFolder(folder, keyring(keys or (KEY,)), recent, read_keys=read_keys)


def looked(folder: ListFolder) -> Adopted:
    """The list that the folder holds; asserts that each problem is fit for a log."""
    adopted = folder.settled()
    assert all(problem.isprintable() for problem in adopted.problems)
    return adopted


def held(adopted: Adopted, rule: int = 0) -> list[int]:
    """Which of the cards 1 to 9 a rule's table holds."""
    assert adopted.rules is not None
    table = adopted.rules.rules[rule].table
    return [card for card in range(1, 10) if table.holds(card, NOW_UNIX_S)]


def version(adopted: Adopted) -> int | None:
    """The version of the list in force, if there is one."""
    return adopted.rules.version if adopted.rules else None


def still_in(cards: Mapping[int, int], fingerprint: int, unix_s: int, unit_s: int = 60) -> bool:
    """What a table of these cards must answer: the plainest model."""
    units = cards.get(fingerprint, REMOVED)
    return units == 0xFFFF or (units != REMOVED and unix_s < EPOCH_UNIX_S + units * unit_s)
