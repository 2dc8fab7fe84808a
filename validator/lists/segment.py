"""The segment file (`*.seg`): finds cards by fingerprint, in place in a mapped file.

docs/list-format.md describes every byte; segment_builder.py builds one. A segment is opened over a
read-only `mmap` or over bytes; nothing is copied:

    segment = Segment(mmap.mmap(fd, 0, access=mmap.ACCESS_READ), "suspended.seg")
    table = MappedTable(key, (newest, older, snapshot))  # a domain.rules.Table
    table.holds(uid.fingerprint(table.key), unix_s)

Opening checks the header, the length and the bucket index, so that no bytes can make a lookup raise
or read elsewhere. It does not verify the planes: lane/lists_in_force.py compares
`header.body_crc32` while it warms the file.
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
REMOVED: Final = 0  # the `until` of a card that was removed
NO_END: Final = 0xFFFF  # the `until` of a card that stays until it is removed

_MAGIC = b"\x89TNKSEG\n"  # not text, and broken by a tool that changes line ends
_FORMAT = 1
_HEADER = struct.Struct("<8sHBxIQQ8sQQI4x32s28xI")
_RULE_NAME = re.compile(rb"[a-z][a-z0-9_-]{0,31}")
_RESERVED = (slice(11, 12), slice(60, 64), slice(96, 124))
_MIDDLE_BITS = 32
# docs/decisions/0003: with more in a bucket, interpolation pays for itself.
_BUCKET_CARDS_NARROWED = 200
_NARROWED_CARDS = 20  # each way: twice the standard deviation of a card's place among 400
_INDEX_SLICE = 4_096  # entries checked at a time: 0.1 ms
_SMALL_INDEX_BITS = 10  # made at opening by 1,023 bisections: 0.7 ms, 4 KiB

Lookup = Callable[[int], int | None]


class SegmentError(InvalidBytes):
    """A segment that cannot be used; the text names the file and the field in one line."""


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a segment.

    Versions are list versions: the segment has the changes after `from_version` up to
    `to_version`. `until_unit_s` is the unit of stored ends, in seconds.
    """

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
        """Encode the 128 bytes of the header. Raises SegmentError if a field does not fit."""
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
        """Decode the first 128 bytes of a file. Raises SegmentError, which names the field."""
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
    """Where the planes of a segment begin, in bytes from the start of the file.

    Each begins on a multiple of 8, with zeros before it.
    """

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
    """An open segment. It keeps the buffer alive and never changes; any thread may use it."""

    __slots__ = ("header", "until")

    header: Header
    until: Lookup
    """Returns the stored end of a card by its 56-bit fingerprint, in units since the epoch.

    Or REMOVED, NO_END, or None for a card that is not here.
    """

    def __init__(self, buffer: mmap | bytes, name: str = "") -> None:
        """Check the header, length and index of a whole segment file.

        Raises SegmentError, which names the field, and the file if `name` is given.
        """
        try:
            self.header = Header.parse(bytes(buffer[:HEADER_BYTES]))
            self.until = _lookup(self.header, memoryview(buffer))
        except SegmentError as error:
            raise SegmentError(f"{name}: {error}" if name else str(error)) from None


def _lookup(header: Header, view: memoryview) -> Lookup:
    count = header.count
    layout = Layout.of(count, header.index_bits)
    if len(view) != layout.size:
        raise SegmentError(f"{len(view)} bytes long, its header requires {layout.size}")
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
    """Check that the index rises, in slices, and release the interpreter after each.

    In one go it held the interpreter for 3.7 ms, and a card in the field had to wait.
    """
    rises = index[0] == 0 and index[-1] == count
    for at in range(0, len(index), _INDEX_SLICE):
        # One entry more, to join the slice to the next.
        starts = index[at : at + _INDEX_SLICE + 1].tolist()
        rises = rises and starts == sorted(starts)
        sleep(0)
    if not rises:
        raise SegmentError("bucket index does not rise from 0 to count")


# The three lookups are the hot path: closures over local names and one bisection in C.
# docs/decisions/0003 has their numbers and those of the refused ways. Two cards may share the 32
# bits of the middle plane, hence the loops.


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
    """The lookup for large buckets.

    Fingerprints are uniform, so it searches around the expected place first, then the whole bucket.
    """
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
    """The lookup for a file without an index: a coarse one is made now.

    The middle plane has the top 32 bits, three planes the other 24.
    """
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
    """Where each of the 1,024 buckets begins; it rises from 0 to count for any plane."""
    index = array("I", [0])
    for bucket in range(1, 1 << _SMALL_INDEX_BITS):
        index.append(bisect_left(middle, bucket << _MIDDLE_BITS - _SMALL_INDEX_BITS, index[-1]))
    index.append(len(middle))
    return index


class MappedTable:
    """The table of one rule, a `domain.rules.Table`: its segments, newest first. Never changes."""

    __slots__ = ("_parts", "fingerprint", "headers", "key")

    key: bytes
    fingerprint: Callable[[bytes], int]
    headers: tuple[Header, ...]
    """The headers of its segments, newest first, for `turnike list show`."""

    def __init__(self, key: bytes, segments: Sequence[Segment]) -> None:
        """Make a table of segments of one rule under one 32-byte key, by falling `to_version`.

        Raises SegmentError if they do not belong together.
        """
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
        """Whether the card is in the table at that time.

        The newest segment that has the card decides; an ended entry counts as not in the table.
        """
        for until, epoch_unix_s, until_unit_s in self._parts:
            units = until(fingerprint)
            if units is not None:
                return units == NO_END or (
                    units != REMOVED and unix_s < epoch_unix_s + units * until_unit_s
                )
        return False
