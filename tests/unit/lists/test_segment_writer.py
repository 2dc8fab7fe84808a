"""The streaming writer: refused chunks, where it writes, and no segment before `finish`."""

import hashlib
import io
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.city.list_making import EPOCH_UNIX_S, KEY, segment_bytes
from validator.lists.fingerprint_keys import key_id
from validator.lists.segment import NO_END, Segment, SegmentError
from validator.lists.segment_builder import Head, SegmentWriter

HEAD = Head("suspended", 0, 1, key_id(KEY), EPOCH_UNIX_S, 60)


def add(writer: SegmentWriter, *fingerprints: int) -> None:
    writer.add(np.array(fingerprints, np.uint64), np.full(len(fingerprints), 7, np.uint16))


@pytest.mark.parametrize("index_bits", [0, 16])
def test_chunks_make_the_same_file_as_all_at_once(index_bits: int) -> None:
    cards = [0, 5, 1 << 40, (1 << 40) + 1, 3 << 50, (1 << 56) - 1]
    out = io.BytesIO()
    writer = SegmentWriter(out, HEAD, len(cards), index_bits=index_bits)
    for chunk in (cards[:1], [], cards[1:4], cards[4:]):
        add(writer, *chunk)
    built = writer.finish()
    assert out.getvalue() == segment_bytes(dict.fromkeys(cards, 7), index_bits=index_bits)
    assert (built.size, built.sha256) == (
        len(out.getvalue()),
        hashlib.sha256(out.getvalue()).hexdigest(),
    )


@pytest.mark.parametrize(
    ("first", "then", "position"), [((1, 5), (5, 6), 2), ((1, 5), (4,), 2), ((1,), (7, 7), 2)]
)
def test_chunks_that_do_not_rise_are_refused(
    first: tuple[int, ...], then: tuple[int, ...], position: int
) -> None:
    writer = SegmentWriter(io.BytesIO(), HEAD, 9)
    add(writer, *first)
    with pytest.raises(SegmentError, match=f"do not rise strictly at position {position}$"):
        add(writer, *then)


def test_another_number_of_cards_than_announced_is_refused() -> None:
    writer = SegmentWriter(io.BytesIO(), HEAD, 2)
    add(writer, 1)
    with pytest.raises(SegmentError, match="more cards than the 2 announced"):
        add(writer, 2, 3)
    with pytest.raises(SegmentError, match="1 cards, not the 2 announced"):
        writer.finish()


def test_a_fingerprint_of_more_than_56_bits_is_refused() -> None:
    with pytest.raises(SegmentError, match="56 bits"):
        add(SegmentWriter(io.BytesIO(), HEAD, 1), 1 << 56)


def test_a_head_that_cannot_be_is_refused_before_anything_is_written() -> None:
    out = io.BytesIO()
    for wrong in (
        {"head": Head("Suspended", 0, 1, key_id(KEY), EPOCH_UNIX_S, 60)},
        {"count": -1},
        {"count": 1 << 32},
        {"index_bits": 8},
    ):
        arguments: dict[str, Any] = {"out": out, "head": HEAD, "count": 1} | wrong
        with pytest.raises(SegmentError, match="out of range"):
            SegmentWriter(**arguments)
    assert not out.getvalue()


def test_a_file_that_cannot_be_read_back_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "some.seg").open("wb") as out, pytest.raises(ValueError, match=r"w\+b"):
        SegmentWriter(out, HEAD, 1)


def test_nothing_is_a_segment_before_it_is_finished_or_when_it_is_another() -> None:
    out = io.BytesIO()
    writer = SegmentWriter(out, HEAD, 2)
    add(writer, 1, 2)
    with pytest.raises(SegmentError):
        Segment(out.getvalue())
    with pytest.raises(SegmentError, match="body checksum is another"):
        writer.finish(body_crc32=5)
    with pytest.raises(SegmentError):
        Segment(out.getvalue())


def test_it_writes_from_the_present_position_of_the_file() -> None:
    out = io.BytesIO()
    out.write(b"before")
    writer = SegmentWriter(out, HEAD, 1)
    add(writer, 1)
    writer.finish()
    assert out.getvalue() == b"before" + segment_bytes({1: 7})


def test_progress_ends_at_its_total() -> None:
    seen: list[tuple[int, int]] = []
    writer = SegmentWriter(
        io.BytesIO(), HEAD, 1, progress=lambda done, total: seen.append((done, total))
    )
    add(writer, 1)
    writer.finish()
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]


def test_memory_is_a_chunk_whatever_the_count(tmp_path: Path) -> None:
    count, chunk = 2_000_000, 1 << 16
    with (tmp_path / "some.seg").open("w+b") as out:
        tracemalloc.start()
        writer = SegmentWriter(out, HEAD, count)
        for start in range(0, count, chunk):
            cards = np.arange(start, min(start + chunk, count), dtype=np.uint64) << np.uint64(35)
            writer.add(cards, np.full(len(cards), NO_END, np.uint16))
        writer.finish()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 6_000_000
