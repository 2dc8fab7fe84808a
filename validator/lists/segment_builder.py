"""Builds segment files from vectors, all at once or in chunks.

It needs numpy, so the lane never imports it; segment.py reads segments.

    head = Head("matched", 0, 42, key_id(key), epoch_unix_s, 3600)
    with open(path, "w+b") as out:
        built = write_segment(out, head, fingerprints, until)  # built.sha256 names the file

Memory: `SegmentWriter` holds some 15 MiB for any count, and `write_segment` besides that the given
vectors (10 bytes a card).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import BinaryIO
from zlib import crc32

import numpy as np

from validator.domain.cards import FINGERPRINT_BITS
from validator.lists.crc_join import crc32_joined
from validator.lists.segment import (
    HEADER_BYTES,
    INDEX_BITS,
    INDEX_CARDS_MIN,
    NO_END,
    Header,
    Layout,
    SegmentError,
)
from validator.lists.segment_vectors import Fingerprints, Until

Progress = Callable[[int, int], None]
"""Called now and then with (done, total); total is 0 when it is not known."""

UNITS_MAX = NO_END - 1
_CHUNK_CARDS = 1 << 18
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Head:
    """The fields of segment.Header that are known before the cards are counted."""

    rule: str
    from_version: int
    to_version: int
    key_id: bytes
    epoch_unix_s: int
    until_unit_s: int


@dataclass(frozen=True, slots=True)
class Built:
    """A written segment: its header, its size in bytes, and its sha256 in hex.

    The sha256 is its name in a list folder.
    """

    header: Header
    size: int
    sha256: str


def silent(_done: int, _total: int) -> None:
    """Show no progress."""


@dataclass(slots=True)
class _Plane:
    """A plane that is being written: its start, and the size and CRC-32 so far."""

    at: int
    size: int = 0
    checksum: int = 0


class SegmentWriter:
    """Writes one segment from ascending chunks of cards; their count is known beforehand.

    `out` is written from its present position. It must be seekable and readable too ("w+b"), and is
    not closed or synced. `finish` writes the header last: an unfinished file is no segment. Methods
    raise SegmentError for cards that do not fit; the writer cannot be used after that.
    """

    def __init__(
        self,
        out: BinaryIO,
        head: Head,
        count: int,
        *,
        index_bits: int | None = None,
        progress: Progress = silent,
    ) -> None:
        """Begin a segment of `count` cards.

        Args:
            out: The file.
            head: The fields of the header that are known.
            count: The number of cards.
            index_bits: 16 or 0; None chooses 16 from 65,536 cards on.
            progress: Called with the bytes done and in all, written and read back.
        """
        if not (out.seekable() and out.readable()):
            raise ValueError(
                "a segment is written in several places and read back: open its file as w+b"
            )
        if index_bits is None:
            index_bits = INDEX_BITS if count >= INDEX_CARDS_MIN else 0
        self._header = Header(
            head.rule,
            head.from_version,
            head.to_version,
            head.key_id,
            count,
            head.epoch_unix_s,
            head.until_unit_s,
            index_bits,
            0,
        )
        self._header.pack()  # refuses now what would not fit in the end
        self._layout = layout = Layout.of(count, index_bits)
        self._out, self._start = out, out.tell()
        self._index, self._buckets_noted = np.zeros((1 << INDEX_BITS) + 1, "<u4"), 0
        self._middle = _Plane(layout.middle)
        self._tails = [_Plane(start) for start in layout.tails]
        self._until = _Plane(layout.until)
        self._written, self._last = 0, -1
        self._progress, self._bytes_done = progress, 0

    def add(self, fingerprints: Fingerprints, until: Until) -> None:
        """Write the next cards.

        `fingerprints` are uint64 below 2**56 that rise strictly, across chunks too; `until` uint16.
        """
        _check_kinds(fingerprints, until)
        for start in range(0, len(until), _CHUNK_CARDS):
            end = start + _CHUNK_CARDS
            self._add(fingerprints[start:end], until[start:end])

    def finish(self, *, body_crc32: int | None = None) -> Built:
        """Write the rest and the header. Returns what was built.

        If `body_crc32` is given and the body has another checksum, no header is written.
        """
        count = self._header.count
        if self._written != count:
            raise SegmentError(f"{self._written} cards, not the {count} announced")
        self._header = header = replace(self._header, body_crc32=self._finish_planes())
        if body_crc32 not in {None, header.body_crc32}:
            raise SegmentError("body checksum is another than announced")
        packed = header.pack()
        self._out.seek(self._start)
        self._out.write(packed)
        digest = hashlib.sha256(packed)
        left = self._layout.size - HEADER_BYTES
        while left:
            block = self._out.read(min(left, _READ_BYTES))
            if not block:
                raise SegmentError(
                    "what was written cannot be read back: the file has become shorter"
                )
            digest.update(block)
            left -= len(block)
            self._count(len(block))
        return Built(header, self._layout.size, digest.hexdigest())

    def _add(self, fingerprints: Fingerprints, until: Until) -> None:
        if self._written + len(until) > self._header.count:
            raise SegmentError(f"more cards than the {self._header.count} announced")
        check_rise(fingerprints, self._last, self._written)
        if self._header.index_bits:
            self._note_buckets(fingerprints)
        shift = 8 * len(self._tails)
        self._put(self._middle, (fingerprints >> np.uint64(shift)).astype("<u4").tobytes())
        for plane in self._tails:
            shift -= 8
            # The cast keeps the low bits, which are the ones wanted.
            self._put(plane, (fingerprints >> np.uint64(shift)).astype("u1").tobytes())
        self._put(self._until, until.astype("<u2").tobytes())
        self._written += len(until)
        self._last = int(fingerprints[-1])

    def _note_buckets(self, fingerprints: Fingerprints) -> None:
        """Note where the buckets begin, up to that of the last card."""
        bits = np.uint64(FINGERPRINT_BITS - INDEX_BITS)
        noted, end = self._buckets_noted, int(fingerprints[-1] >> bits) + 1
        starts = np.arange(noted, end, dtype=np.uint64) << bits
        self._index[noted:end] = np.searchsorted(fingerprints, starts) + self._written
        self._buckets_noted = end

    def _put(self, plane: _Plane, content: bytes) -> None:
        self._out.seek(self._start + plane.at + plane.size)
        self._out.write(content)
        plane.size += len(content)
        plane.checksum = crc32(content, plane.checksum)
        self._count(len(content))

    def _finish_planes(self) -> int:
        """Write the index and the zeros between planes. Returns the CRC-32 of the body."""
        planes = [self._middle, *self._tails, self._until]
        if self._header.index_bits:
            self._index[self._buckets_noted :] = self._written
            planes.insert(0, _Plane(self._layout.index))
            self._put(planes[0], self._index.tobytes())
        checksum = 0
        for plane in planes:
            if plane is not self._until:  # after the last one the file ends
                self._put(plane, bytes(-plane.size % 8))
            checksum = crc32_joined(checksum, plane.checksum, plane.size)
        return checksum

    def _count(self, size: int) -> None:
        self._bytes_done += size
        self._progress(self._bytes_done, 2 * (self._layout.size - HEADER_BYTES))


def _check_kinds(fingerprints: Fingerprints, until: Until) -> None:
    if fingerprints.dtype != np.uint64 or until.dtype != np.uint16:
        raise SegmentError("fingerprints must be uint64 and until uint16")
    if len(until) != len(fingerprints):
        raise SegmentError(f"{len(fingerprints)} fingerprints but {len(until)} ends")


def check_rise(fingerprints: Fingerprints, last: int, position: int) -> None:
    """Check that these, at `position` and after `last`, rise strictly and fit. At least one."""
    falls = np.flatnonzero(fingerprints[1:] <= fingerprints[:-1]) + 1
    if len(falls) or int(fingerprints[0]) <= last:
        at = position if int(fingerprints[0]) <= last else position + int(falls[0])
        raise SegmentError(f"fingerprints do not rise strictly at position {at}")
    if int(fingerprints[-1]) >> FINGERPRINT_BITS:
        raise SegmentError(f"a fingerprint has more than {FINGERPRINT_BITS} bits")


def write_segment(
    out: BinaryIO,
    head: Head,
    fingerprints: Fingerprints,
    until: Until,
    *,
    progress: Progress = silent,
    index_bits: int | None = None,
) -> Built:
    """Write one segment from whole vectors, as SegmentWriter does; it describes the arguments."""
    writer = SegmentWriter(out, head, len(fingerprints), index_bits=index_bits, progress=progress)
    writer.add(fingerprints, until)
    return writer.finish()
