"""Builds segment files from vectors, and folds several into one. It needs numpy, so the lane never imports it (reading: segment.py).

    fingerprints, until = fingerprint_cards(((uid, NO_END) for uid in uids), key)
    head = Head("matched", 0, 42, key_id(key), epoch_unix_s, 3600)
    with open(path, "wb") as out:
        built = write_segment(out, head, fingerprints, until)  # built.sha256 names the file

Memory: the vectors (10 bytes a card) and some 20 MiB; the planes are streamed in two passes, one for the checksum, one to write.
"""

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import BinaryIO
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from validator.domain.cards import FINGERPRINT_BITS, CardUid, fingerprinter
from validator.formats.segment import (
    HEADER_BYTES,
    INDEX_BITS,
    INDEX_CARDS_MIN,
    NO_END,
    REMOVED,
    Header,
    Layout,
    SegmentError,
)

Fingerprints = NDArray[np.uint64]
Until = NDArray[np.uint16]
Progress = Callable[[int, int], None]
"""Called now and then with (done, total); total is 0 when it is not known."""

UNITS_MAX = NO_END - 1
_CHUNK_CARDS = 1 << 20
_PROGRESS_CARDS = 1 << 16
_UID_RECORD_BYTES = 11  # a length and at most ten bytes


@dataclass(frozen=True, slots=True)
class Head:
    """What the caller knows of a segment before its cards are counted; the fields are those of segment.Header."""

    rule: str
    from_version: int
    to_version: int
    key_id: bytes
    epoch_unix_s: int
    until_unit_s: int


@dataclass(frozen=True, slots=True)
class Built:
    """What was written: the header, the size of the file in bytes, and its sha256 in hex, which is its name in a list folder."""

    header: Header
    size: int
    sha256: str


def _silent(_done: int, _total: int) -> None:
    """Show no progress."""


def until_units(ends_unix_s: int | None, epoch_unix_s: int, until_unit_s: int) -> int:
    """An end in Unix seconds as a segment stores it: rounded up, an end at or before the epoch as REMOVED, None as NO_END.

    Raises SegmentError for an end beyond what 65,534 units reach: an end must never move, nor turn into "for ever".
    """
    if ends_unix_s is None:
        return NO_END
    units = max(-((epoch_unix_s - ends_unix_s) // until_unit_s), REMOVED)
    if units > UNITS_MAX:
        raise SegmentError(f"an end lies more than {UNITS_MAX} units of {until_unit_s} s after the epoch")
    return units


def write_segment(
    out: BinaryIO,
    head: Head,
    fingerprints: Fingerprints,
    until: Until,
    *,
    progress: Progress = _silent,
    index_bits: int | None = None,
) -> Built:
    """Write one segment file; `fingerprints` must rise strictly and be below 2**56. `out` is not closed or synced.

    `index_bits` is 16 from 65,536 cards on, else 0, unless a test asks otherwise. Raises SegmentError for vectors that do not fit.
    """
    count = len(fingerprints)
    _check_vectors(fingerprints, until)
    if index_bits is None:
        index_bits = INDEX_BITS if count >= INDEX_CARDS_MIN else 0
    layout = Layout.of(count, index_bits)
    total = 2 * layout.size
    done = checksum = 0
    for chunk in _body(layout, index_bits, fingerprints, until):
        checksum = crc32(chunk, checksum)
        done += len(chunk)
        progress(done, total)
    header = Header(
        head.rule,
        head.from_version,
        head.to_version,
        head.key_id,
        count,
        head.epoch_unix_s,
        head.until_unit_s,
        index_bits,
        checksum,
    )
    packed = header.pack()
    out.write(packed)
    digest = hashlib.sha256(packed)
    for chunk in _body(layout, index_bits, fingerprints, until):
        digest.update(chunk)
        out.write(chunk)
        done += len(chunk)
        progress(done, total)
    progress(total, total)
    return Built(header, layout.size, digest.hexdigest())


def _check_vectors(fingerprints: Fingerprints, until: Until) -> None:
    count = len(fingerprints)
    if fingerprints.dtype != np.uint64 or until.dtype != np.uint16:
        raise SegmentError("fingerprints must be uint64 and until uint16")
    if len(until) != count:
        raise SegmentError(f"{count} fingerprints but {len(until)} ends")
    for start in range(0, count, _CHUNK_CARDS):
        part = fingerprints[start : start + _CHUNK_CARDS + 1]
        falls = np.flatnonzero(part[1:] <= part[:-1])
        if len(falls):
            raise SegmentError(f"fingerprints do not rise strictly at position {start + int(falls[0]) + 1}")
    if count and int(fingerprints[-1]) >> FINGERPRINT_BITS:
        raise SegmentError(f"a fingerprint has more than {FINGERPRINT_BITS} bits")


def _body(layout: Layout, index_bits: int, fingerprints: Fingerprints, until: Until) -> Iterator[bytes]:
    """Everything after the header, in pieces of a few MiB."""
    tail_bits = 8 * len(layout.tails)
    if index_bits:
        yield from _padded([_index(fingerprints).tobytes()])
    yield from _padded(_plane(fingerprints, tail_bits, "<u4"))
    for shift in range(tail_bits - 8, -1, -8):
        yield from _padded(_plane(fingerprints, shift, "u1"))
    for start in range(0, len(until), _CHUNK_CARDS):
        yield until[start : start + _CHUNK_CARDS].astype("<u2").tobytes()


def _index(fingerprints: Fingerprints) -> NDArray[np.uint32]:
    buckets = np.arange((1 << INDEX_BITS) + 1, dtype=np.uint64) << np.uint64(FINGERPRINT_BITS - INDEX_BITS)
    return np.searchsorted(fingerprints, buckets).astype("<u4")


def _plane(fingerprints: Fingerprints, shift: int, kind: str) -> Iterator[bytes]:
    for start in range(0, len(fingerprints), _CHUNK_CARDS):
        # The cast keeps the low bits, which are the ones wanted.
        yield (fingerprints[start : start + _CHUNK_CARDS] >> np.uint64(shift)).astype(kind).tobytes()


def _padded(chunks: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        yield chunk
    if size % 8:
        yield bytes(-size % 8)


def fingerprint_cards(
    cards: Iterable[tuple[bytes, int]], key: bytes, *, progress: Progress = _silent, total: int = 0
) -> tuple[Fingerprints, Until]:
    """Vectors for `write_segment` from (UID, until in units) pairs in any order; the same pair twice counts once.

    About 2.4 s and 40 MB a million cards. Raises SegmentError, naming positions (from 0) and never a UID: for a UID of an impossible
    length, for one card with two ends, and for two cards with one fingerprint (then the key must be changed).
    """
    found, ends, records = array("Q"), array("H"), bytearray()
    fingerprint = fingerprinter(key)
    for position, (uid, until) in enumerate(cards):
        try:
            found.append(fingerprint(CardUid(uid).raw))
            ends.append(until)
        except (ValueError, OverflowError):
            raise SegmentError(f"card {position} has a UID or an end of an impossible size") from None
        records += len(uid).to_bytes(1) + uid.ljust(_UID_RECORD_BYTES - 1, b"\0")
        if position % _PROGRESS_CARDS == 0:
            progress(position, total)
    progress(len(found), len(found))
    return _sorted_once(np.frombuffer(found, np.uint64), np.frombuffer(ends, np.uint16), records)


def _sorted_once(found: Fingerprints, ends: Until, records: bytearray) -> tuple[Fingerprints, Until]:
    if not len(found):
        return found, ends
    order = np.argsort(found, kind="stable")
    fingerprints = found[order]
    first = np.concatenate(([True], fingerprints[1:] != fingerprints[:-1]))
    for at in np.flatnonzero(~first):
        _check_same(int(order[at - 1]), int(order[at]), ends, records)
    return fingerprints[first], ends[order][first]


def _check_same(one: int, other: int, ends: Until, records: bytearray) -> None:
    size = _UID_RECORD_BYTES
    if records[one * size :][:size] != records[other * size :][:size]:
        raise SegmentError(f"cards {one} and {other} have the same fingerprint: use another fingerprint key")
    if ends[one] != ends[other]:
        raise SegmentError(f"cards {one} and {other} are the same card with different ends")


def read_segment(buffer: bytes | memoryview) -> tuple[Header, Fingerprints, Until]:
    """All of a segment as vectors; the opposite of `write_segment`. Raises SegmentError for a torn or false one."""
    view = memoryview(buffer)
    header = Header.parse(bytes(view[:HEADER_BYTES]))
    layout = Layout.of(header.count, header.index_bits)
    if len(view) != layout.size or crc32(view[HEADER_BYTES:]) != header.body_crc32:
        raise SegmentError("length or body checksum does not match")
    tail_bits = 8 * len(layout.tails)
    middle = np.frombuffer(view, "<u4", header.count, layout.middle)
    fingerprints = middle.astype(np.uint64) << np.uint64(tail_bits)
    for number, plane in enumerate(layout.tails, start=1):
        tail = np.frombuffer(view, "u1", header.count, plane).astype(np.uint64)
        fingerprints |= tail << np.uint64(tail_bits - 8 * number)
    if header.index_bits:
        index = np.frombuffer(view, "<u4", (1 << INDEX_BITS) + 1, layout.index).astype(np.int64)
        sizes = np.diff(index)
        if index[0] or index[-1] != header.count or (sizes < 0).any():
            raise SegmentError("bucket index does not rise from 0 to count")
        buckets = np.repeat(np.arange(1 << INDEX_BITS, dtype=np.uint64), sizes)
        fingerprints |= buckets << np.uint64(FINGERPRINT_BITS - INDEX_BITS)
    until = np.frombuffer(view, "<u2", header.count, layout.until).astype(np.uint16)
    _check_vectors(fingerprints, until)
    return header, fingerprints, until


def fold(segments: Sequence[bytes | memoryview], epoch_unix_s: int) -> tuple[Head, Fingerprints, Until]:
    """One segment's worth from several of one rule, newest first: the newest that knows a card decides.

    Entries that are removed or ended at `epoch_unix_s` (a multiple of the unit) stay as REMOVED, since an older segment may still know the
    card, and go only when the snapshot (from 0) is folded in. Raises SegmentError for segments that do not belong or join together.
    """
    parts = [read_segment(segment) for segment in segments]
    headers = [header for header, _, _ in parts]
    _check_chain(headers)
    unit = headers[0].until_unit_s
    fingerprints = np.concatenate([part for _, part, _ in parts])
    until = np.concatenate([_moved(part, header, epoch_unix_s) for header, _, part in parts])
    order = np.argsort(fingerprints, kind="stable")  # of equal ones, the newest stays in front
    fingerprints, until = fingerprints[order], until[order]
    keep = np.ones(len(fingerprints), bool)
    keep[1:] = fingerprints[1:] != fingerprints[:-1]
    if headers[-1].from_version == 0:
        keep &= until != REMOVED
    head = Head(
        headers[0].rule,
        headers[-1].from_version,
        headers[0].to_version,
        headers[0].key_id,
        epoch_unix_s,
        unit,
    )
    return head, fingerprints[keep], until[keep]


def _check_chain(headers: Sequence[Header]) -> None:
    if not headers:
        raise SegmentError("nothing to fold")
    if len({(header.rule, header.key_id, header.until_unit_s) for header in headers}) > 1:
        raise SegmentError("segments to fold differ in rule, key or unit")
    for newer, older in pairwise(headers):
        if not newer.from_version <= older.to_version < newer.to_version:
            raise SegmentError("segments to fold are not newest first, or leave a gap between versions")


def _moved(until: Until, header: Header, epoch_unix_s: int) -> Until:
    """Ends counted from another epoch; both are multiples of the unit, so no end moves."""
    units_later = (epoch_unix_s - header.epoch_unix_s) // header.until_unit_s
    moved = until.astype(np.int64) - units_later
    ended = (until == REMOVED) | (moved <= 0)
    moved[ended] = REMOVED
    if (moved[until != NO_END] > UNITS_MAX).any():
        raise SegmentError("an end lies too far after the new epoch")
    moved[until == NO_END] = NO_END
    return moved.astype(np.uint16)
