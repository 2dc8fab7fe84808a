"""The segment file (`*.seg`): cards by fingerprint, asked in place in a mapped file. Not how one is built (segment_builder.py).

docs/list-format.md describes every byte. A segment is opened over a read-only `mmap` or over bytes; nothing is copied:

    segment = Segment(mmap.mmap(fd, 0, access=mmap.ACCESS_READ), "suspended.seg")
    table = MappedTable(key, (newest, older, snapshot))  # a domain.rules.Table
    table.holds(uid.fingerprint(table.key), unix_s)

Opening checks the header, the length and the bucket index, so that no bytes can make a lookup raise or read elsewhere. It does not
read the planes: whoever maps a file checks `header.body_crc32` while warming it (lane/lists_in_force.py).
"""

import re
import struct
import sys
from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from mmap import mmap
from time import sleep
from typing import Final
from zlib import crc32

from validator.domain.cards import FINGERPRINT_BITS, fingerprinter
from validator.errors import InvalidBytes
from validator.lists.fingerprint_keys import KEY_ID_BYTES, key_id

HEADER_BYTES = 128
INDEX_BITS = 16
INDEX_CARDS_MIN = 1 << INDEX_BITS  # below this an index would be larger than what it saves
REMOVED: Final = 0  # the `until` of a card that was taken out
NO_END: Final = 0xFFFF  # the `until` of a card that stays until it is taken out

_MAGIC = b"\x89TNKSEG\n"  # not text, and broken by whatever changes line ends
_FORMAT = 1
_HEADER = struct.Struct("<8sHBxIQQ8sQQI4x32s28xI")
_RULE_NAME = re.compile(rb"[a-z][a-z0-9_-]{0,31}")
_RESERVED = (slice(11, 12), slice(60, 64), slice(96, 124))
_MIDDLE_BITS = 32
_BUCKET_CARDS_NARROWED = (
    200  # docs/decisions/0003: with more in a bucket, interpolation pays for itself
)
_NARROWED_CARDS = 20  # each way: twice the standard deviation of a card's place among 400
_INDEX_SLICE = 4_096  # entries checked at a time: 0.1 ms
_SMALL_INDEX_BITS = 10  # made at opening by 1,023 bisections: 0.7 ms, 4 KiB

Lookup = Callable[[int], int | None]


class SegmentError(InvalidBytes):
    """A segment that cannot be used; the message names the file and the field in one line."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a segment says about itself. Versions are list versions; it holds what changed after `from_version` up to `to_version`."""

    rule: str
    from_version: int
    to_version: int
    key_id: bytes
    count: int
    epoch_unix_s: int
    until_unit_s: int
    index_bits: int
    body_crc32: int

    def pack(self) -> bytes:
        """The 128 bytes of the header. Raises SegmentError if a field does not fit."""
        self._check()
        body = _HEADER.pack(
            _MAGIC,
            _FORMAT,
            self.index_bits,
            self.until_unit_s,
            self.from_version,
            self.to_version,
            self.key_id,
            self.count,
            self.epoch_unix_s,
            self.body_crc32,
            self.rule.encode(),
            0,
        )[:-4]
        return body + crc32(body).to_bytes(4, "little")

    @classmethod
    def parse(cls, head: bytes) -> "Header":
        """The header in the first 128 bytes of a file. Raises SegmentError naming the field."""
        if len(head) < HEADER_BYTES:
            raise SegmentError(f"shorter than a header: {len(head)} bytes")
        head = head[:HEADER_BYTES]
        (magic, version, index_bits, unit, start, to, key, count, epoch, body, rule, check) = (
            _HEADER.unpack(head)
        )
        if magic != _MAGIC:
            raise SegmentError("not a segment: it begins with other bytes")
        if version != _FORMAT:
            raise SegmentError(f"format version {version}, this program reads {_FORMAT}")
        if check != crc32(head[:-4]):
            raise SegmentError("header checksum does not match")
        if any(any(head[reserved]) for reserved in _RESERVED):
            raise SegmentError("reserved bytes of the header are not zero")
        name = rule.rstrip(b"\0")
        if not _RULE_NAME.fullmatch(name):
            raise SegmentError("rule name is not lower-case ASCII letters, digits, - and _")
        header = cls(name.decode(), start, to, key, count, epoch, unit, index_bits, body)
        header._check()
        return header

    def _check(self) -> None:
        wrong = (
            ("rule", not _RULE_NAME.fullmatch(self.rule.encode())),
            ("from and to", not 0 <= self.from_version < self.to_version < 1 << 64),
            ("key id", len(self.key_id) != KEY_ID_BYTES),
            ("count", not 0 <= self.count < 1 << 32),
            ("until_unit_s", not 0 < self.until_unit_s < 1 << 32),
            ("index_bits", self.index_bits not in (0, INDEX_BITS)),
            ("body checksum", not 0 <= self.body_crc32 < 1 << 32),
        )
        for field, is_wrong in wrong:
            if is_wrong:
                raise SegmentError(f"header field out of range: {field}")
        if not 0 <= self.epoch_unix_s < 1 << 63 or self.epoch_unix_s % self.until_unit_s:
            # So that segments of one unit fold without moving an end.
            raise SegmentError(
                "header field out of range: epoch (must be a multiple of until_unit_s)"
            )


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the planes of a segment begin, in bytes from the start of the file; each on a multiple of 8, zeros between."""

    index: int
    middle: int
    tails: tuple[int, ...]
    until: int
    size: int

    @classmethod
    def of(cls, count: int, index_bits: int) -> "Layout":
        """The layout of a segment with so many cards and index bits."""
        index_bytes = 4 * ((1 << index_bits) + 1) if index_bits else 0
        tail_planes = (FINGERPRINT_BITS - index_bits - _MIDDLE_BITS) // 8
        middle = _padded(HEADER_BYTES + index_bytes)
        first_tail = _padded(middle + 4 * count)
        tails = tuple(first_tail + plane * _padded(count) for plane in range(tail_planes))
        until = first_tail + tail_planes * _padded(count)
        return cls(HEADER_BYTES, middle, tails, until, until + 2 * count)


def _padded(size: int) -> int:
    return size + -size % 8


class Segment:
    """An open segment. It keeps the buffer alive; it never changes. Safe to ask from any thread."""

    __slots__ = ("header", "until")

    header: Header
    until: Lookup
    """The stored end of a card by its 56-bit fingerprint, in units since the epoch; REMOVED, NO_END, or None if it is not here."""

    def __init__(self, buffer: mmap | bytes, name: str = "") -> None:
        """Check header, length and index of a whole segment file. Raises SegmentError naming the field, and the file if it has a `name`."""
        try:
            self.header = Header.parse(bytes(buffer[:HEADER_BYTES]))
            self.until = _lookup(self.header, memoryview(buffer))
        except SegmentError as error:
            raise SegmentError(f"{name}: {error}" if name else str(error)) from None


def _lookup(header: Header, view: memoryview) -> Lookup:
    count = header.count
    layout = Layout.of(count, header.index_bits)
    if len(view) != layout.size:
        raise SegmentError(f"{len(view)} bytes long, its header says {layout.size}")
    if sys.byteorder != "little":
        raise SegmentError("segments are read in place, which needs a little-endian machine")
    if not count:
        return lambda _fingerprint: None
    middle = view[layout.middle :][: 4 * count].cast("I")
    tails = [view[start:][:count] for start in layout.tails]
    until = view[layout.until :].cast("H")
    if not header.index_bits:
        return _small_lookup(middle, tails, until)
    index = view[layout.index :][: 4 * ((1 << INDEX_BITS) + 1)].cast("I")
    _check_index(index, count)
    if count >> INDEX_BITS > _BUCKET_CARDS_NARROWED:
        return _narrowed_lookup(index, middle, tails[0], until)
    return _indexed_lookup(index, middle, tails[0], until)


def _check_index(index: memoryview, count: int) -> None:
    """In slices, with the interpreter given away after each: in one go it held it for 3.7 ms, and a card in the field had to wait."""
    rises = index[0] == 0 and index[-1] == count
    for at in range(0, len(index), _INDEX_SLICE):
        starts = index[
            at : at + _INDEX_SLICE + 1
        ].tolist()  # the last one again, to join it to the next slice
        rises = rises and starts == sorted(starts)
        sleep(0)
    if not rises:
        raise SegmentError("bucket index does not rise from 0 to count")


# The three lookups are the hot path: closures over local names and one bisection in C; docs/decisions/0003 has the numbers of
# these and of what was refused. Two cards may share the 32 bits of the middle plane, hence the loops.


def _indexed_lookup(
    index: memoryview, middle: memoryview, tail: memoryview, until: memoryview
) -> Lookup:
    def lookup(fingerprint: int) -> int | None:
        bucket = fingerprint >> 40
        bits = fingerprint >> 8 & 0xFFFFFFFF
        end = index[bucket + 1]
        at = bisect_left(middle, bits, index[bucket], end)
        while at < end and middle[at] == bits:
            if tail[at] == fingerprint & 0xFF:
                return until[at]
            at += 1
        return None

    return lookup


def _narrowed_lookup(
    index: memoryview, middle: memoryview, tail: memoryview, until: memoryview
) -> Lookup:
    """In large buckets: fingerprints are uniform, so look around where the card should be, and in the whole bucket if it is not there."""
    reach, width = _NARROWED_CARDS, 2 * _NARROWED_CARDS

    def lookup(fingerprint: int) -> int | None:
        bucket = fingerprint >> 40
        bits = fingerprint >> 8 & 0xFFFFFFFF
        start = index[bucket]
        end = index[bucket + 1]
        low = start + ((end - start) * bits >> 32) - reach
        high = low + width
        if start <= low and high <= end:
            at = bisect_left(middle, bits, low, high)
            if not low < at < high:  # at an edge it may lie beyond
                at = bisect_left(middle, bits, start, end)
        else:
            at = bisect_left(middle, bits, start, end)
        while at < end and middle[at] == bits:
            if tail[at] == fingerprint & 0xFF:
                return until[at]
            at += 1
        return None

    return lookup


def _small_lookup(middle: memoryview, tails: Sequence[memoryview], until: memoryview) -> Lookup:
    """Without an index in the file, a coarse one is made now. The middle plane holds the top 32 bits, three planes the other 24."""
    high, mid, low = tails
    index = _small_index(middle)
    bucket_shift = FINGERPRINT_BITS - _SMALL_INDEX_BITS

    def lookup(fingerprint: int) -> int | None:
        bucket = fingerprint >> bucket_shift
        bits = fingerprint >> 24
        end = index[bucket + 1]
        at = bisect_left(middle, bits, index[bucket], end)
        while at < end and middle[at] == bits:
            if (high[at] << 16 | mid[at] << 8 | low[at]) == fingerprint & 0xFFFFFF:
                return until[at]
            at += 1
        return None

    return lookup


def _small_index(middle: memoryview) -> Sequence[int]:
    """Where each of the 1,024 buckets begins; it rises from 0 to count whatever stands in the plane."""
    index = array("I", [0])
    for bucket in range(1, 1 << _SMALL_INDEX_BITS):
        index.append(bisect_left(middle, bucket << _MIDDLE_BITS - _SMALL_INDEX_BITS, index[-1]))
    index.append(len(middle))
    return index


class MappedTable:
    """The table of one rule: its segments, newest first. A `domain.rules.Table`; it never changes."""

    __slots__ = ("_parts", "fingerprint", "headers", "key")

    key: bytes
    fingerprint: Callable[[bytes], int]
    headers: tuple[Header, ...]
    """Of its segments, newest first: what `turnike list show` tells."""

    def __init__(self, key: bytes, segments: Sequence[Segment]) -> None:
        """Segments of one rule under one 32-byte key, by falling `to_version`. Raises SegmentError if they do not belong together."""
        if not segments:
            raise SegmentError("a table needs a segment")
        headers = tuple(segment.header for segment in segments)
        if len({header.rule for header in headers}) > 1:
            raise SegmentError("segments of one table name different rules")
        if {header.key_id for header in headers} != {key_id(key)}:
            raise SegmentError("segments of one table were made under another fingerprint key")
        if any(newer.to_version <= older.to_version for newer, older in pairwise(headers)):
            raise SegmentError("segments of one table are not in order, newest first")
        self.key = key
        self.fingerprint = fingerprinter(key)
        self.headers = headers
        self._parts = tuple(
            (segment.until, segment.header.epoch_unix_s, segment.header.until_unit_s)
            for segment in segments
        )

    def holds(self, fingerprint: int, unix_s: int) -> bool:
        """Whether the card is in the table at that time: the newest segment that knows it decides, and an ended entry is a no."""
        for until, epoch_unix_s, until_unit_s in self._parts:
            units = until(fingerprint)
            if units is not None:
                return units == NO_END or (
                    units != REMOVED and unix_s < epoch_unix_s + units * until_unit_s
                )
        return False
