"""The wire form: golden files both ways, an independent decoder, sizes, refused input."""

import hashlib
import io
import itertools
import json
import math
import mmap
import os
import re
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.city.list_making import EPOCH_UNIX_S, KEY, segment_bytes
from tests.support.city.segment_making import read_segment
from validator.domain.cards import CardUid
from validator.lists.fingerprint_keys import key_id
from validator.lists.manifest import SEGMENT_BYTES_MAX
from validator.lists.segment import NO_END, Header, Layout, Segment, SegmentError
from validator.lists.segment_builder import Built, Head, write_segment
from validator.lists.wire import CHUNK_CARDS, WIRE_HEADER_AT, WireBuilt, WireError, decode, encode

GOLDEN_FOLDER = Path(__file__).parents[2] / "golden"
GOLDEN = json.loads((GOLDEN_FOLDER / "wires.json").read_text())["wires"]
WIRES = pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: str(golden["file"]))
BODY = WIRE_HEADER_AT + 128
CONSTANT, STORED, DEFLATED = range(3)


def decoded(wire: bytes, segment_bytes_max: int = SEGMENT_BYTES_MAX) -> bytes:
    out = io.BytesIO()
    built = decode(io.BytesIO(wire), out, segment_bytes_max=segment_bytes_max)
    content = out.getvalue()
    assert built == Built(Header.parse(content), len(content), hashlib.sha256(content).hexdigest())
    return content


def encoded(segment: bytes) -> bytes:
    out = io.BytesIO()
    built = encode(segment, out)
    content = out.getvalue()
    assert built == WireBuilt(len(content), hashlib.sha256(content).hexdigest())
    return content


def decoded_by_the_page(wire: bytes) -> dict[int, int]:
    """Decode by docs/list-format.md, struct and zlib alone, as a check on the gate's decoder."""
    assert wire[:8] == b"\x89TNKWIR\n"
    (left,) = struct.unpack_from("<Q", wire, 8 + 40)
    at, fingerprint, cards = 136, -1, {}
    while left:
        n = min(left, 1 << 18)
        planes = []
        for _ in range(9):
            method, at = wire[at], at + 1
            if method == 0:
                planes.append(wire[at : at + 1] * n)
                at += 1
            elif method == 1:
                planes.append(wire[at : at + n])
                at += n
            else:
                (size,) = struct.unpack_from("<I", wire, at)
                planes.append(zlib.decompress(wire[at + 4 : at + 4 + size], -15))
                at += 4 + size
            assert len(planes[-1]) == n
        for card in zip(*planes, strict=True):
            fingerprint += int.from_bytes(card[:7], "little") + 1
            cards[fingerprint] = int.from_bytes(card[7:], "little")
        left -= n
    assert at == len(wire)
    return cards


@WIRES
def test_golden_wire_is_what_the_page_says(golden: dict[str, Any]) -> None:
    wire = (GOLDEN_FOLDER / golden["file"]).read_bytes()
    assert hashlib.sha256(wire).hexdigest() == golden["sha256"]
    cards = list(decoded_by_the_page(wire).items())
    assert len(cards) == golden["count"]
    ends = [golden[end] for end in ("first", "last") if end in golden]
    assert [(int(end["fingerprint"], 16), end["until"]) for end in ends] == [
        *cards[:1],
        *cards[-1:],
    ]


@WIRES
def test_golden_wire_is_decoded_byte_for_byte(golden: dict[str, Any]) -> None:
    wire = (GOLDEN_FOLDER / golden["file"]).read_bytes()
    segment = decoded(wire)
    assert hashlib.sha256(segment).hexdigest() == golden["segment_sha256"]
    plain = GOLDEN_FOLDER / golden["file"].replace(".wire", ".seg")
    assert not plain.exists() or segment == plain.read_bytes()
    # What another zlib deflates may come out otherwise, and decodes to the same.
    assert encoded(segment) == wire or golden["file"] == "methods.wire"


def test_the_golden_wires_know_every_method() -> None:
    wire = (GOLDEN_FOLDER / "methods.wire").read_bytes()
    methods, at = set(), BODY
    while at < len(wire):
        methods.add(wire[at])
        size = {CONSTANT: 1, STORED: 500}.get(wire[at]) or 4 + struct.unpack_from(
            "<I", wire, at + 1
        )[0]
        at += 1 + size
    assert methods == {CONSTANT, STORED, DEFLATED}


def test_the_page_shows_the_worked_example_as_it_is() -> None:
    page = (GOLDEN_FOLDER.parent.parent / "docs" / "list-format.md").read_text()
    shown = re.search(r"The\s+one\s+chunk\s+is\n\n([^\n]*)\n", page)
    assert shown is not None
    segment = segment_bytes({5: NO_END, 0x105: NO_END, 0x106: 60})
    assert encoded(segment)[BODY:] == bytes.fromhex(shown[1])


@pytest.mark.parametrize("count", [104, 65_536, 600_000])
def test_a_wire_is_within_a_twentieth_of_what_its_cards_need(count: int) -> None:
    rng = np.random.default_rng(count)
    fingerprints = np.unique(rng.integers(0, 1 << 56, size=count, dtype=np.uint64))
    out = io.BytesIO()
    head = Head("matched", 0, 1, key_id(KEY), EPOCH_UNIX_S, 3_600)
    write_segment(out, head, fingerprints, np.full(len(fingerprints), NO_END, np.uint16))
    wire = encoded(out.getvalue())
    assert decoded(wire) == out.getvalue()
    n = len(fingerprints)
    bound_bits = (n * 56 * math.log(2) - math.lgamma(n + 1)) / math.log(2)
    assert 8 * (len(wire) - BODY) <= 1.05 * bound_bits + (300 if count < 1_000 else 0)


def test_progress_is_counted_in_cards() -> None:
    wire = (GOLDEN_FOLDER / "chunks.wire").read_bytes()
    seen: list[tuple[int, int]] = []
    out = io.BytesIO()
    decode(io.BytesIO(wire), out, progress=lambda done, total: seen.append((done, total)))
    encode(out.getbuffer(), io.BytesIO(), progress=lambda done, total: seen.append((done, total)))
    assert seen == 2 * [(CHUNK_CARDS, CHUNK_CARDS + 2), (CHUNK_CARDS + 2, CHUNK_CARDS + 2)]


class Trickle(io.RawIOBase):
    """Gives a byte at a time, as a raw file may."""

    def __init__(self, content: bytes) -> None:
        self._left = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        return self._left.read(min(1, size))


def test_a_source_that_gives_less_than_asked_is_asked_again() -> None:
    wire = (GOLDEN_FOLDER / "methods.wire").read_bytes()
    out = io.BytesIO()
    decode(Trickle(wire), out)  # type: ignore[arg-type]  # read() is all that decode asks of it
    assert out.getvalue() == decoded(wire)


def test_a_torn_segment_is_not_encoded() -> None:
    segment = segment_bytes({1: 1, 2: 2, 9: 3})
    with pytest.raises(SegmentError, match="checksum"):
        encode(segment[:-1] + b"\x09", io.BytesIO())
    with pytest.raises(SegmentError, match="bytes long"):
        encode(segment[:-1], io.BytesIO())


def test_cards_out_of_order_are_not_encoded() -> None:
    segment = bytearray(segment_bytes({1: 1, 2: 2}))
    segment[152], segment[153] = segment[153], segment[152]  # the lowest plane
    segment[56:60] = zlib.crc32(segment[128:]).to_bytes(4, "little")
    segment[124:128] = zlib.crc32(segment[:124]).to_bytes(4, "little")
    with pytest.raises(SegmentError, match="rise"):
        encode(bytes(segment), io.BytesIO())


def test_a_mapping_can_be_closed_while_the_refusal_is_handled(tmp_path: Path) -> None:
    path = tmp_path / "torn.seg"
    for torn in (
        segment_bytes({1: 1, 2: 2})[:-1] + b"\x09",
        segment_bytes({1: 1}, index_bits=16)[:-1],
    ):
        path.write_bytes(torn)
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        ):
            try:
                encode(mapped, io.BytesIO())
            except SegmentError:
                mapped.close()
            assert mapped.closed


# Hostile bytes. Two cards: 0 and 1, both without an end.


def wire_of(*planes: bytes, count: int = 2, **header: Any) -> bytes:
    """A wire file with these planes under the header of a segment of `count` cards.

    Its checksum is that of cards 0 and 1.
    """
    segment = segment_bytes({0: NO_END, 1: NO_END}, **header)
    head = bytearray(segment[:128])
    head[40:48] = count.to_bytes(8, "little")
    head[124:128] = zlib.crc32(head[:124]).to_bytes(4, "little")
    return b"\x89TNKWIR\n" + bytes(head) + b"".join(planes)


ZERO, ENDLESS = bytes((CONSTANT, 0)), bytes((CONSTANT, 0xFF))
GAPS, UNTIL = 7 * (ZERO,), 2 * (ENDLESS,)


def refused(wire: bytes, says: str, segment_bytes_max: int = SEGMENT_BYTES_MAX) -> None:
    out = io.BytesIO()
    with pytest.raises(WireError, match=says) as raised:
        decode(io.BytesIO(wire), out, segment_bytes_max=segment_bytes_max)
    assert "\n" not in str(raised.value)
    with pytest.raises(SegmentError):
        Segment(out.getvalue())


def deflated(content: bytes, *, flush: int = zlib.Z_FINISH) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return stream.compress(content) + stream.flush(flush)


def deflated_plane(stream: bytes, size: int | None = None) -> bytes:
    return (
        bytes((DEFLATED,)) + (len(stream) if size is None else size).to_bytes(4, "little") + stream
    )


def test_the_plain_one_is_accepted() -> None:
    assert decoded(wire_of(*GAPS, *UNTIL)) == segment_bytes({0: NO_END, 1: NO_END})


def test_any_truncation_is_refused() -> None:
    wire = (GOLDEN_FOLDER / "methods.wire").read_bytes()
    for size in itertools.chain(range(BODY + 20), range(BODY + 20, len(wire), 37)):
        refused(wire[:size], "ends early")


def test_more_bytes_after_the_last_card_are_refused() -> None:
    refused(wire_of(*GAPS, *UNTIL) + b"\0", "goes on after its last card")


def test_a_segment_is_no_wire() -> None:
    refused(segment_bytes({1: 1}), "begins with other bytes")


def test_a_false_header_is_refused() -> None:
    wire = bytearray(wire_of(*GAPS, *UNTIL))
    wire[WIRE_HEADER_AT + 64] = ord("x")
    refused(bytes(wire), "header checksum")


@pytest.mark.parametrize("count", [(1 << 32) - 1, 60_000_000])
@pytest.mark.parametrize("index_bits", [0, 16])
def test_a_bomb_of_a_header_is_refused_before_anything_is_allocated(
    count: int, index_bits: int
) -> None:
    """All planes constant: some 200 KB of wire would become 38 GB of segment."""
    wire = wire_of(*GAPS, *UNTIL, count=count, index_bits=index_bits)
    limit = Layout.of(count, index_bits).size - 1
    tracemalloc.start()
    refused(wire, "bytes, more than the", segment_bytes_max=limit)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000
    if count > 60_000_000:
        refused(wire, "bytes, more than the")


def test_a_large_count_with_few_cards_behind_it_costs_one_chunk(tmp_path: Path) -> None:
    wire = wire_of(*GAPS, *UNTIL, count=50_000_000)
    with (tmp_path / "out.seg").open("w+b") as out:
        tracemalloc.start()
        with pytest.raises(WireError, match="ends early"):
            decode(io.BytesIO(wire), out)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        out.flush()
        assert os.fstat(out.fileno()).st_blocks * 512 < 4_000_000
    assert peak < 20_000_000


def test_a_compressed_bomb_is_inflated_no_further_than_its_cards() -> None:
    n = 100_000
    bomb = deflated(bytes(50_000_000))
    assert len(bomb) < n
    tracemalloc.start()
    refused(wire_of(deflated_plane(bomb), count=n), "not 100000 bytes and an end")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


N = 1_000
STREAM = deflated(bytes(N))


@pytest.mark.parametrize(
    ("plane", "says"),
    [
        (bytes((3,)), "method 3 of a plane"),
        (bytes((255,)), "method 255 of a plane"),
        (deflated_plane(b""), "a deflated plane of 0 bytes for 1000 cards"),
        (deflated_plane(bytes(N)), "a deflated plane of 1000 bytes for 1000 cards"),
        (deflated_plane(STREAM, (1 << 32) - 1), "a deflated plane of 4294967295 bytes"),
        (deflated_plane(b"\xff" * 9), "does not inflate"),
        (deflated_plane(deflated(bytes(N - 1))), "not 1000 bytes and an end"),
        (deflated_plane(deflated(bytes(N + 1))), "not 1000 bytes and an end"),
        (deflated_plane(deflated(bytes(N + 2))), "not 1000 bytes and an end"),
        (deflated_plane(STREAM[:-1]), "not 1000 bytes and an end"),
        (deflated_plane(STREAM + b"\0"), "not 1000 bytes and an end"),
        (deflated_plane(deflated(bytes(N), flush=zlib.Z_SYNC_FLUSH)), "not 1000 bytes and an end"),
        (deflated_plane(zlib.compress(bytes(N))), "does not inflate|not 1000 bytes"),
    ],
)
def test_a_false_plane_is_refused(plane: bytes, says: str) -> None:
    refused(wire_of(*GAPS[:3], plane, count=N), says)


def test_gaps_beyond_56_bits_are_refused() -> None:
    refused(wire_of(*(7 * (ENDLESS,)), *UNTIL), "more than 56 bits")
    highest = bytes((STORED, 0xFF, 0))
    refused(wire_of(*(7 * (highest,)), *UNTIL), "more than 56 bits")
    refused(wire_of(*(7 * (bytes((STORED, 0xFE, 0)),)), *UNTIL), "body checksum")


def test_sums_that_go_round_64_bits_are_refused() -> None:
    """512 steps of 2^55 and one of 1 wrap around to the start: each sum must be checked."""
    highest = bytes((CONSTANT, 0x7F))
    for n in (512, 513, CHUNK_CARDS):
        refused(wire_of(*(6 * (ENDLESS,)), highest, *UNTIL, count=n), "more than 56 bits")


def test_gaps_beyond_56_bits_in_a_later_chunk_are_refused() -> None:
    first = (*(bytes((CONSTANT, 0xFF)),) * 4, *(ZERO,) * 3, *UNTIL)  # 2^18 steps of 2^32
    then = (*(ZERO,) * 6, bytes((CONSTANT, 0xFF)), *UNTIL)
    refused(wire_of(*first, *then, count=CHUNK_CARDS + 1), "more than 56 bits")


def test_other_cards_than_the_header_was_made_for_are_refused() -> None:
    one = bytes((CONSTANT, 1))
    refused(wire_of(one, *GAPS[1:], *UNTIL), "body checksum")
    refused(wire_of(*GAPS, ZERO, ENDLESS), "body checksum")
    refused(wire_of(*GAPS, *UNTIL, count=1), "body checksum")
    refused(wire_of(*GAPS, *UNTIL, index_bits=16, count=1), "body checksum")


def test_cards_are_the_issued_ones() -> None:
    cards = {
        CardUid(bytes([4, *number.to_bytes(6)])).fingerprint(KEY): number % 60_000
        for number in range(999)
    }
    _, fingerprints, until = read_segment(decoded(encoded(segment_bytes(cards))))
    assert dict(zip(fingerprints.tolist(), until.tolist(), strict=True)) == cards
