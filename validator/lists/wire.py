"""The wire form of a segment: gaps between fingerprints in byte planes, compressed.

    built = encode(mapped_segment, out)  # built.sha256 names the piece that is published
    built = decode(source, out)  # out becomes the segment, byte for byte

docs/list-format.md ("Wire form") describes every byte. Both ways go by chunks of 2^18 cards, so
that a Pi decodes 26 million cards in a few tens of MB. The bytes may be hostile: what `decode`
allocates is bounded before it reads how much is wanted.
"""

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from validator.domain.cards import FINGERPRINT_BITS
from validator.errors import InvalidBytes
from validator.lists.manifest import SEGMENT_BYTES_MAX
from validator.lists.segment import HEADER_BYTES, Header, Layout, SegmentError
from validator.lists.segment_builder import Built, Head, Progress, SegmentWriter, silent
from validator.lists.segment_vectors import Buffer, Fingerprints, SegmentVectors, Until

_MAGIC = b"\x89TNKWIR\n"
WIRE_HEADER_AT: Final = len(_MAGIC)
"""The position of the segment's header in a wire file, in bytes."""
CHUNK_CARDS: Final = 1 << 18

_CONSTANT, _STORED, _DEFLATED = range(3)
_GAP_PLANES = FINGERPRINT_BITS // 8
_UNTIL_PLANES = 2
_LENGTH_BYTES = 4
_READ_BYTES = 1 << 20
_SAMPLE_BYTES = 1 << 14  # enough to see whether a plane is noise, in a twentieth of the time
_SHARE_WORTH_DEFLATING = 0.98  # a plane that saves less is not worth a Pi's time
_RAW_DEFLATE = -15
# Gaps between hashes have no repeated strings, only frequent values and runs. Measured: a search
# for strings takes ten times as long, and its result is a sixth larger.
_STRATEGIES = (zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE)

Plane = NDArray[np.uint8]


class WireError(InvalidBytes):
    """Bytes that are not the wire form of a segment; the text is one line."""


@dataclass(frozen=True, slots=True)
class WireBuilt:
    """A written piece: its size in bytes, and its sha256 in hex, which is its published name."""

    bytes: int
    sha256: str


class _Hashed:
    """Writes to a file and counts the bytes and their hash."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._digest = hashlib.sha256()
        self._bytes = 0

    def write(self, content: bytes) -> None:
        self._out.write(content)
        self._digest.update(content)
        self._bytes += len(content)

    def built(self) -> WireBuilt:
        return WireBuilt(self._bytes, self._digest.hexdigest())


def encode(
    segment: Buffer, out: BinaryIO, *, progress: Progress = silent, _chunk_cards: int = CHUNK_CARDS
) -> WireBuilt:
    """Write the wire form of a segment from front to back; progress is in cards.

    `out` is not closed or synced. Two zlibs may make different bytes of one segment; both decode to
    it. Raises SegmentError for a damaged segment.
    """
    with memoryview(segment) as view, SegmentVectors(segment) as cards:
        header = cards.header
        if _body_crc32(view) != header.body_crc32:
            raise SegmentError("body checksum does not match")
        wire = _Hashed(out)
        wire.write(_MAGIC + header.pack())
        after = 0
        for start in range(0, header.count, _chunk_cards):
            end = min(start + _chunk_cards, header.count)
            fingerprints, until = cards.stretch(start, end)
            for plane in _planes(fingerprints, until, after):
                wire.write(_packed(plane))
            after = int(fingerprints[-1]) + 1
            progress(end, header.count)
        return wire.built()


def _body_crc32(view: memoryview) -> int:
    checksum = 0
    for start in range(HEADER_BYTES, len(view), _READ_BYTES):
        checksum = zlib.crc32(view[start : start + _READ_BYTES], checksum)
    return checksum


def _planes(fingerprints: Fingerprints, until: Until, after: int) -> Iterator[Plane]:
    """The nine planes of these cards, whose first gap counts from `after`.

    Raises SegmentError if the fingerprints do not rise strictly.
    """
    if int(fingerprints[0]) < after or (fingerprints[1:] <= fingerprints[:-1]).any():
        raise SegmentError("fingerprints do not rise strictly")
    gaps = np.empty(len(fingerprints), "<u8")
    gaps[0] = int(fingerprints[0]) - after
    gaps[1:] = fingerprints[1:] - fingerprints[:-1] - np.uint64(1)
    by_byte = gaps.view(np.uint8).reshape(-1, 8)
    for place in range(_GAP_PLANES):
        yield np.ascontiguousarray(by_byte[:, place])
    by_byte = until.astype("<u2").view(np.uint8).reshape(-1, _UNTIL_PLANES)
    for place in range(_UNTIL_PLANES):
        yield np.ascontiguousarray(by_byte[:, place])


def _packed(plane: Plane) -> bytes:
    if (plane == plane[0]).all():
        return bytes((_CONSTANT, plane[0]))
    content = plane.tobytes()
    if _saves(content[:_SAMPLE_BYTES]):
        deflated = _deflated(content)
        if _LENGTH_BYTES + len(deflated) <= _SHARE_WORTH_DEFLATING * len(content):
            return bytes((_DEFLATED,)) + len(deflated).to_bytes(_LENGTH_BYTES, "little") + deflated
    return bytes((_STORED,)) + content


def _saves(sample: bytes) -> bool:
    return len(_deflated(sample)) < len(sample)


def _deflated(content: bytes) -> bytes:
    def by(strategy: int) -> bytes:
        stream = zlib.compressobj(6, zlib.DEFLATED, _RAW_DEFLATE, zlib.DEF_MEM_LEVEL, strategy)
        return stream.compress(content) + stream.flush()

    return min(map(by, _STRATEGIES), key=len)


def decode(
    source: BinaryIO,
    out: BinaryIO,
    *,
    segment_bytes_max: int = SEGMENT_BYTES_MAX,
    progress: Progress = silent,
    _chunk_cards: int = CHUNK_CARDS,
) -> Built:
    """Rebuild the segment of a wire file; progress is in cards.

    `out` must be seekable and readable too ("w+b"), and is not closed or synced.

    Raises:
        WireError: The bytes are not valid; `out` then has no segment. A segment larger than
            `segment_bytes_max` is refused before a card is read.
        OSError: The source or the file failed.
    """
    try:
        return _decode(_Source(source), out, segment_bytes_max, progress, _chunk_cards)
    except SegmentError as error:
        raise WireError(str(error)) from error


class _Source:
    """Reads exact numbers of bytes from a file."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source

    def read(self, size: int) -> bytes:
        """Read exactly `size` bytes; the caller bounds `size`. Raises WireError at end of file.

        A raw file or a pipe may return fewer at a time.
        """
        content = self._source.read(size)
        while len(content) < size:
            more = self._source.read(size - len(content))
            if not more:
                raise WireError("it ends early")
            content += more
        return content

    def end(self) -> None:
        if self._source.read(1):
            raise WireError("it goes on after its last card")


def _decode(
    source: _Source, out: BinaryIO, segment_bytes_max: int, progress: Progress, chunk_cards: int
) -> Built:
    if source.read(len(_MAGIC)) != _MAGIC:
        raise WireError("not the wire form of a segment: it begins with other bytes")
    header = Header.parse(source.read(HEADER_BYTES))
    count = header.count
    size = Layout.of(count, header.index_bits).size
    if size > segment_bytes_max:
        raise WireError(f"a segment of {size} bytes, more than the {segment_bytes_max} allowed")
    writer = SegmentWriter(out, _head(header), count, index_bits=header.index_bits)
    after = 0
    for start in range(0, count, chunk_cards):
        cards = min(chunk_cards, count - start)
        fingerprints = _fingerprints(source, cards, after)
        writer.add(fingerprints, _joined(source, cards, _UNTIL_PLANES, "<u2").astype(np.uint16))
        after = int(fingerprints[-1]) + 1
        progress(start + cards, count)
    source.end()
    return writer.finish(body_crc32=header.body_crc32)


def _head(header: Header) -> Head:
    return Head(
        header.rule,
        header.from_version,
        header.to_version,
        header.key_id,
        header.epoch_unix_s,
        header.until_unit_s,
    )


def _fingerprints(source: _Source, cards: int, after: int) -> Fingerprints:
    steps = _joined(source, cards, _GAP_PLANES, "<u8").astype(np.uint64)
    steps[1:] += np.uint64(1)
    steps[0] += np.uint64(after)
    fingerprints = np.cumsum(steps, out=steps)
    # A step is at most 2^56, so the first sum that is too large has not wrapped around yet.
    if (fingerprints >> np.uint64(FINGERPRINT_BITS)).any():
        raise WireError(f"a fingerprint has more than {FINGERPRINT_BITS} bits")
    return fingerprints


def _joined(source: _Source, cards: int, planes: int, kind: str) -> NDArray[np.unsignedinteger]:
    """The numbers whose bytes, lowest first, are in the next planes."""
    numbers = np.zeros(cards, kind)
    by_byte = numbers.view(np.uint8).reshape(cards, -1)
    for place in range(planes):
        by_byte[:, place] = _plane(source, cards)
    return numbers


def _plane(source: _Source, cards: int) -> Plane | int:
    method = source.read(1)[0]
    if method == _CONSTANT:
        return source.read(1)[0]
    if method == _STORED:
        return np.frombuffer(source.read(cards), np.uint8)
    if method == _DEFLATED:
        return np.frombuffer(_inflated(source, cards), np.uint8)
    raise WireError(f"method {method} of a plane, this program knows 0 to {_DEFLATED}")


def _inflated(source: _Source, cards: int) -> bytes:
    size = int.from_bytes(source.read(_LENGTH_BYTES), "little")
    if not 0 < size < cards:
        raise WireError(f"a deflated plane of {size} bytes for {cards} cards: it must be smaller")
    stream = zlib.decompressobj(_RAW_DEFLATE)
    try:
        # One byte more than there may be, so that the end of the stream is seen.
        content = stream.decompress(source.read(size), cards + 1)
    except zlib.error as error:
        raise WireError(f"a plane does not inflate: {error}") from error
    if len(content) != cards or not stream.eof or stream.unused_data:
        raise WireError(f"a deflated plane is not {cards} bytes and an end")
    return content
