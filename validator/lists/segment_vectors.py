"""A segment file as numpy vectors, a stretch at a time, for folding and the wire form.

segment.py has the gate's lookups.

with SegmentVectors(mmap.mmap(fd, 0, access=mmap.ACCESS_READ)) as cards:
    fingerprints, until = cards.stretch(0, 1000)  # the first thousand, ascending
"""

from mmap import mmap
from typing import Self

import numpy as np
from numpy.typing import NDArray

from validator.domain.cards import FINGERPRINT_BITS
from validator.lists.segment import HEADER_BYTES, INDEX_BITS, Header, Layout, SegmentError

Fingerprints = NDArray[np.uint64]
Until = NDArray[np.uint16]
Buffer = bytes | bytearray | memoryview | mmap
"""What a segment is read from; collections.abc.Buffer from Python 3.12 on."""

_NOTHING = np.empty(0, np.uint8)


class SegmentVectors:
    """A segment's cards by position; it copies only the cards that are read.

    Closing it, as `with` does, releases the buffer. Raises SegmentError for a bad header, length or
    bucket index. It does not verify the planes: a caller that needs that compares
    `header.body_crc32`, as the installer and the builder of the file have done.
    """

    __slots__ = ("_index", "_middle", "_tails", "_until", "_view", "header")

    header: Header

    def __init__(self, buffer: Buffer) -> None:
        self._view = memoryview(buffer)
        try:
            self._open()
        except SegmentError:
            self.close()
            raise

    def _open(self) -> None:
        view = self._view
        self.header = header = Header.parse(bytes(view[:HEADER_BYTES]))
        count = header.count
        layout = Layout.of(count, header.index_bits)
        if len(view) != layout.size:
            raise SegmentError(f"{len(view)} bytes long, its header requires {layout.size}")
        self._index = _index(view, layout, count) if header.index_bits else None
        self._middle = np.frombuffer(view, "<u4", count, layout.middle)
        self._tails = [np.frombuffer(view, "u1", count, start) for start in layout.tails]
        self._until = np.frombuffer(view, "<u2", count, layout.until)

    def stretch(self, start: int, end: int) -> tuple[Fingerprints, Until]:
        """The cards from position `start` up to, without, `end`: new vectors of 10 bytes a card."""
        shift = 8 * len(self._tails)
        fingerprints = self._middle[start:end].astype(np.uint64)
        fingerprints <<= np.uint64(shift)
        for tail in self._tails:
            shift -= 8
            bits = tail[start:end].astype(np.uint64)
            bits <<= np.uint64(shift)
            fingerprints |= bits
        if self._index is not None:
            fingerprints |= _bucket_bits(self._index, start, end)
        return fingerprints, self._until[start:end].astype(np.uint16)

    def close(self) -> None:
        """Release the buffer: a mapping can then be closed while an error holds this object."""
        self._index, self._tails = None, []
        self._middle = self._until = _NOTHING
        self._view.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _index(view: memoryview, layout: Layout, count: int) -> NDArray[np.int64]:
    index = np.frombuffer(view, "<u4", (1 << INDEX_BITS) + 1, layout.index).astype(np.int64)
    if index[0] or index[-1] != count or (np.diff(index) < 0).any():
        raise SegmentError("bucket index does not rise from 0 to count")
    return index


def _bucket_bits(index: NDArray[np.int64], start: int, end: int) -> Fingerprints:
    """The top 16 bits of each of these cards, which only the index of the file has."""
    first = int(np.searchsorted(index, start, "right")) - 1
    last = int(np.searchsorted(index, end, "left"))
    cards = np.diff(index[first : last + 1].clip(start, end))
    buckets = np.arange(first, last, dtype=np.uint64) << np.uint64(FINGERPRINT_BITS - INDEX_BITS)
    return np.repeat(buckets, cards)
