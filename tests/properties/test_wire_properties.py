"""The wire form, the streaming writer and folding, on any cards in any chunks, and on any bytes."""

import io
from itertools import pairwise
from zlib import crc32

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.city.list_making import EPOCH_UNIX_S, KEY, segment_bytes
from tests.support.city.segment_making import read_segment
from validator.lists.crc_join import crc32_joined
from validator.lists.fingerprint_keys import key_id
from validator.lists.segment import NO_END, REMOVED
from validator.lists.segment_builder import Head, SegmentWriter
from validator.lists.segment_fold import fold_into
from validator.lists.wire import WireError, decode, encode

near = st.builds(
    lambda top, low: top << 40 | low, st.sampled_from((0, 1, 0x7FFF, 0xFFFF)), st.integers(0, 600)
)
fingerprints = near | st.integers(0, (1 << 56) - 1)
ends = st.sampled_from((0, 1, 2, 65_534, 65_535)) | st.integers(0, 65_535)
cards = st.dictionaries(fingerprints, ends, max_size=60)
runs = st.builds(  # many cards that are near, so that planes deflate
    lambda start, count, step, end: {start + step * at: end for at in range(count)},
    st.integers(0, 1 << 55),
    st.integers(0, 600),
    st.integers(1, 3),
    ends,
)
index_bits = st.sampled_from((0, 0, 0, 16))
chunks = st.integers(1, 80) | st.just(1 << 18)


def encoded(segment: bytes, chunk_cards: int) -> bytes:
    out = io.BytesIO()
    encode(segment, out, _chunk_cards=chunk_cards)
    return out.getvalue()


def decoded(wire: bytes, chunk_cards: int) -> bytes:
    out = io.BytesIO()
    decode(io.BytesIO(wire), out, _chunk_cards=chunk_cards)
    return out.getvalue()


@given(st.builds(dict.__or__, cards, runs), index_bits, chunks)
@example({}, 0, 1)
@example({(1 << 56) - 1: 0}, 0, 1)
@example({0: 1, (1 << 56) - 1: 0}, 16, 1)
def test_a_segment_comes_back_byte_for_byte(
    known: dict[int, int], bits: int, chunk_cards: int
) -> None:
    segment = segment_bytes(known, index_bits=bits)
    assert decoded(encoded(segment, chunk_cards), chunk_cards) == segment


@given(cards | runs, chunks, st.data())
def test_a_damaged_wire_is_refused_or_decodes_to_the_same(
    known: dict[int, int], chunk_cards: int, data: st.DataObject
) -> None:
    segment = segment_bytes(known)
    wire = bytearray(encoded(segment, chunk_cards))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(
            st.integers(0, len(wire) - 1)
            | st.integers(0, len(wire) - 1).map(lambda back: -1 - back)
        )
        wire[at] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.just(len(wire)) | st.integers(0, len(wire)))
    try:
        found = decoded(bytes(wire[:cut]), chunk_cards)
    except WireError as error:
        assert str(error).isprintable()  # noqa: PT017  # the other way out is checked too
    else:
        # Not every bit of a deflated stream has a meaning.
        assert found == segment


@given(
    st.sampled_from(
        ({3: 5, 9: 9}, {at * at: at % 3 for at in range(40)}, dict.fromkeys(range(90), 65535))
    )
)
def test_every_truncation_and_every_flipped_byte_is_refused(known: dict[int, int]) -> None:
    segment = segment_bytes(known)
    wire = encoded(segment, 32)
    damaged = [wire[:size] for size in range(len(wire))]
    damaged += [
        wire[:at] + bytes((wire[at] ^ flip,)) + wire[at + 1 :]
        for at in range(len(wire))
        for flip in (1, 255)
    ]
    for each in damaged:
        try:
            assert decoded(each, 32) == segment
        except WireError:
            continue


@given(st.binary(max_size=300), st.integers(0, 1 << 32))
def test_decoding_any_bytes_raises_nothing_but_a_wire_error(content: bytes, count: int) -> None:
    """Any bytes, behind a right header and without one."""
    head = bytearray(segment_bytes({})[:128])
    head[40:48] = count.to_bytes(8, "little")
    head[124:] = crc32(head[:124]).to_bytes(4, "little")
    for wire in (content, b"\x89TNKWIR\n" + bytes(head) + content):
        try:
            decode(io.BytesIO(wire), io.BytesIO(), segment_bytes_max=10_000)
        except WireError as error:
            assert str(error).isprintable()  # noqa: PT017  # an empty segment is right too
        else:
            assert wire == b"\x89TNKWIR\n" + segment_bytes({})


@given(cards, index_bits, st.lists(st.integers(0, 60), max_size=8))
def test_any_chunks_write_the_same_segment(
    known: dict[int, int], bits: int, cuts: list[int]
) -> None:
    order = sorted(known)
    vectors = np.array(order, np.uint64), np.array([known[card] for card in order], np.uint16)
    out = io.BytesIO()
    head = Head("suspended", 0, 1, key_id(KEY), EPOCH_UNIX_S, 60)
    writer = SegmentWriter(out, head, len(order), index_bits=bits)
    for start, end in pairwise(sorted((0, *cuts, len(order)))):
        writer.add(vectors[0][start:end], vectors[1][start:end])
    writer.finish()
    assert out.getvalue() == segment_bytes(known, index_bits=bits)


@given(
    st.lists(st.tuples(cards, index_bits, st.integers(0, 3)), min_size=1, max_size=5),
    st.booleans(),
    st.integers(0, 3),
    st.integers(1, 50),
)
def test_folding_is_updating_a_dictionary(
    changes: list[tuple[dict[int, int], int, int]],
    from_the_start: bool,  # drawn by hypothesis
    later: int,
    chunk_cards: int,
) -> None:
    """`changes` come oldest first, with rising epochs. Ends are in units of 60 s after the last."""
    segments: list[bytes] = []
    truth: dict[int, int] = {}
    last = sum(after for _, _, after in changes) + later
    epoch = 0
    for number, (known, bits, after) in enumerate(changes, start=0 if from_the_start else 1):
        epoch += after
        segment = segment_bytes(
            known,
            from_version=number,
            to_version=number + 1,
            index_bits=bits,
            epoch_unix_s=EPOCH_UNIX_S + 60 * epoch,
        )
        segments.insert(0, segment)
        truth |= {card: _counted_from(until, last - epoch) for card, until in known.items()}
    if from_the_start:
        truth = {card: until for card, until in truth.items() if until != REMOVED}
    out = io.BytesIO()
    fold_into(out, segments, EPOCH_UNIX_S + 60 * last, _chunk_cards=chunk_cards)
    header, found, until = read_segment(out.getvalue())
    assert dict(zip(found.tolist(), until.tolist(), strict=True)) == truth
    assert (header.from_version, header.to_version) == (
        int(not from_the_start),
        len(changes) + (not from_the_start),
    )


def _counted_from(until: int, units_later: int) -> int:
    return until if until == NO_END else max(until - units_later, REMOVED)


@given(st.binary(max_size=200), st.binary(max_size=200), st.integers(0, 3_000))
def test_two_checksums_make_the_one_of_both(one: bytes, other: bytes, zeros: int) -> None:
    other += bytes(zeros)
    assert crc32_joined(crc32(one), crc32(other), len(other)) == crc32(one + other)
