"""The segment file: golden files both ways, an independent reader, refused input."""

import hashlib
import io
import json
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest

from tests.support.city import segment_making
from tests.support.city.list_making import EPOCH_UNIX_S, KEY, OTHER_KEY, segment_bytes
from tests.support.city.segment_making import fingerprint_cards, read_segment, until_units
from validator.domain.cards import CardUid
from validator.lists.fingerprint_keys import (
    FingerprintKeyError,
    format_key_file,
    key_id,
    keyring,
    parse_key_file,
)
from validator.lists.segment import NO_END, REMOVED, Header, MappedTable, Segment, SegmentError
from validator.lists.segment_builder import Head, write_segment

GOLDEN_FOLDER = Path(__file__).parents[2] / "golden"
GOLDEN = json.loads((GOLDEN_FOLDER / "segments.json").read_text())
SEGMENTS = pytest.mark.parametrize(
    "golden", GOLDEN["segments"], ids=lambda golden: str(golden["file"])
)
HEAD = Head("suspended", 0, 1, key_id(KEY), EPOCH_UNIX_S, 60)


def cards_of(golden: dict[str, Any]) -> dict[int, int]:
    return {int(card["fingerprint"], 16): card["until"] for card in golden["cards"]}


def read_by_the_page(data: bytes) -> dict[int, int]:
    """Read a segment by docs/list-format.md and struct alone, as a check on the gate's reader."""
    index_bits, count = data[10], struct.unpack_from("<Q", data, 40)[0]
    assert data[:10] == b"\x89TNKSEG\n\x01\x00"
    assert struct.unpack_from("<I", data, 124)[0] == crc32(data[:124])
    assert struct.unpack_from("<I", data, 56)[0] == crc32(data[128:])
    at, planes = 128, []
    widths = "IIBH" if index_bits else "IBBBH"
    for number, width in enumerate(widths):
        entries = 65_537 if index_bits and number == 0 else count
        at += -at % 8
        planes.append(struct.unpack_from(f"<{entries}{width}", data, at))
        at += entries * struct.calcsize(width)
    assert at == len(data)
    cards = {}
    for card in range(count):
        if index_bits:
            bucket = max(number for number in range(65_536) if planes[0][number] <= card)
            cards[bucket << 40 | planes[1][card] << 8 | planes[2][card]] = planes[-1][card]
        else:
            top, high, mid, low, until = (plane[card] for plane in planes)
            cards[top << 24 | high << 16 | mid << 8 | low] = until
    return cards


@SEGMENTS
def test_golden_segment_is_what_the_page_says(golden: dict[str, Any]) -> None:
    data = (GOLDEN_FOLDER / golden["file"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == golden["sha256"]
    assert read_by_the_page(data) == cards_of(golden)


@SEGMENTS
def test_golden_segment_is_read(golden: dict[str, Any]) -> None:
    segment = Segment((GOLDEN_FOLDER / golden["file"]).read_bytes())
    cards = cards_of(golden)
    assert {card: segment.until(card) for card in cards} == cards
    assert [segment.until(card ^ bit) for card in cards for bit in (4, 1 << 20, 1 << 50)] == [
        None
    ] * (3 * len(cards))
    assert segment.header.rule == golden["rule"]
    assert (segment.header.from_version, segment.header.to_version) == (
        golden["from"],
        golden["to"],
    )


@SEGMENTS
def test_golden_segment_is_built_byte_for_byte(golden: dict[str, Any]) -> None:
    built = segment_bytes(
        cards_of(golden),
        rule=golden["rule"],
        from_version=golden["from"],
        to_version=golden["to"],
        epoch_unix_s=golden["epoch_unix_s"],
        unit_s=golden["until_unit_s"],
        index_bits=golden["index_bits"],
    )
    assert built == (GOLDEN_FOLDER / golden["file"]).read_bytes()


@SEGMENTS
def test_golden_fingerprints(golden: dict[str, Any]) -> None:
    key = bytes.fromhex(GOLDEN["fingerprint_key"])
    assert key_id(key).hex() == GOLDEN["key_id"]
    for card in golden["cards"]:
        if "uid" in card:
            assert CardUid(bytes.fromhex(card["uid"])).fingerprint(key) == int(
                card["fingerprint"], 16
            )


def test_the_page_shows_the_worked_example_as_it_is() -> None:
    page = (GOLDEN_FOLDER.parent.parent / "docs" / "list-format.md").read_text()
    fingerprint = CardUid(bytes.fromhex("04112233445566")).fingerprint(KEY)
    assert f"{fingerprint:#x}` = {fingerprint}" in page
    assert key_id(KEY).hex() in page


@pytest.mark.parametrize("count", [65_535, 65_536, 300_000])
def test_many_cards_against_a_dictionary(count: int) -> None:
    rng = np.random.default_rng(count)
    fingerprints = np.unique(rng.integers(0, 1 << 56, size=2 * count, dtype=np.uint64))
    rng.shuffle(fingerprints)
    ends = rng.integers(0, 1 << 16, size=count).tolist()
    cards = dict(zip(fingerprints[:count].tolist(), ends, strict=True))
    data = segment_bytes(cards)
    segment = Segment(data)
    assert segment.header.index_bits == (16 if count >= 65_536 else 0)
    assert {card: segment.until(card) for card in cards} == cards
    assert {segment.until(card) for card in fingerprints[count:].tolist()} == {None}
    assert len(data) / count <= (9.01 if count < 65_536 else 11.1)


def test_large_buckets_are_searched_where_the_card_should_be_and_elsewhere() -> None:
    """More than 200 cards a bucket take the interpolating lookup.

    With an even spread, and with all cards where none should be.
    """
    buckets = np.arange(1 << 16, dtype=np.uint64) << np.uint64(40)
    even = (np.arange(202, dtype=np.uint64) * np.uint64((1 << 40) // 202))[None, :]
    skewed = (np.uint64(1 << 39) + (np.arange(202, dtype=np.uint64) << np.uint64(8)))[None, :]
    inner = np.where((np.arange(1 << 16) % 2 == 0)[:, None], even, skewed)
    fingerprints = (buckets[:, None] + inner).reshape(-1)
    until = (np.arange(len(fingerprints)) % 65_536).astype(np.uint16)
    out = io.BytesIO()
    write_segment(out, HEAD, fingerprints, until)
    segment = Segment(out.getvalue())
    for at in np.random.default_rng(5).integers(0, len(fingerprints), size=50_000).tolist():
        card = int(fingerprints[at])
        assert segment.until(card) == until[at]
        assert segment.until(card ^ 1) is None


def test_size_of_a_large_table() -> None:
    count = 1_000_000
    fingerprints = np.arange(count, dtype=np.uint64) << np.uint64(36)
    out = io.BytesIO()
    built = write_segment(out, HEAD, fingerprints, np.full(count, NO_END, np.uint16))
    assert built.size == len(out.getvalue())
    assert built.sha256 == hashlib.sha256(out.getvalue()).hexdigest()
    assert built.size / count <= 7.5


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        (0, b"\x00", "not a segment"),
        (8, b"\x02", "format version 2"),
        (10, b"\x08", "header field out of range: index_bits"),
        (11, b"\x01", "reserved bytes"),
        (12, bytes(4), "until_unit_s"),
        (16, b"\xff", "from and to"),
        (40, b"\x09", "bytes long, its header requires"),
        (48, b"\x01", "epoch"),
        (64, b"../", "rule name"),
        (100, b"\x01", "reserved bytes"),
    ],
)
def test_a_false_header_is_named(at: int, value: bytes, says: str) -> None:
    data = bytearray(segment_bytes({1: 1, 2: 2}))
    data[at : at + len(value)] = value
    data[124:128] = crc32(data[:124]).to_bytes(4, "little")
    with pytest.raises(SegmentError, match=says) as raised:
        Segment(bytes(data), "some.seg")
    assert str(raised.value).startswith("some.seg: ")


def test_a_torn_header_and_a_torn_file_are_refused() -> None:
    data = segment_bytes({1: 1, 2: 2})
    for size in range(len(data)):
        with pytest.raises(SegmentError):
            Segment(data[:size])
    with pytest.raises(SegmentError, match="bytes long"):
        Segment(data + b"\0")
    with pytest.raises(SegmentError, match="checksum"):
        Segment(data[:50] + b"\x01" + data[51:])


@pytest.mark.parametrize(
    ("entry", "value"), [(0, 1), (65_536, 1), (65_536, 3), (1_000, 2), (1_000, 2**32 - 1)]
)
def test_a_bucket_index_that_falls_or_ends_elsewhere_is_refused(entry: int, value: int) -> None:
    data = bytearray(segment_bytes({1 << 55: 1, 1 << 55 | 1: 2}, index_bits=16))
    data[128 + 4 * entry : 132 + 4 * entry] = value.to_bytes(4, "little")
    with pytest.raises(SegmentError, match="bucket index"):
        Segment(bytes(data))


def table(*segments: bytes, key: bytes = KEY) -> MappedTable:
    return MappedTable(key, [Segment(segment) for segment in segments])


def test_newest_segment_that_knows_the_card_decides() -> None:
    snapshot = segment_bytes({1: NO_END, 2: NO_END, 3: NO_END, 4: 10}, to_version=1)
    change = segment_bytes({1: REMOVED, 2: 10, 5: NO_END}, from_version=1, to_version=2)
    both = table(change, snapshot)
    before, at_end = EPOCH_UNIX_S + 599, EPOCH_UNIX_S + 600
    assert [both.holds(card, before) for card in range(7)] == [
        False,
        False,
        True,
        True,
        True,
        True,
        False,
    ]
    assert [both.holds(card, at_end) for card in range(7)] == [
        False,
        False,
        False,
        True,
        False,
        True,
        False,
    ]


def test_a_removed_card_is_absent_even_before_the_epoch() -> None:
    assert not table(segment_bytes({1: REMOVED})).holds(1, 0)


def test_a_table_of_segments_that_do_not_belong_together_is_refused() -> None:
    one = segment_bytes({1: 1}, to_version=1)
    two = segment_bytes({1: 1}, from_version=1, to_version=2)
    with pytest.raises(SegmentError, match="newest first"):
        table(one, two)
    with pytest.raises(SegmentError, match="different rules"):
        table(segment_bytes({}, rule="staff", from_version=1, to_version=2), one)
    with pytest.raises(SegmentError, match="another fingerprint key"):
        table(one, key=OTHER_KEY)
    with pytest.raises(SegmentError, match="needs a segment"):
        table()


def test_ends_round_up_and_never_move_to_another_meaning() -> None:
    epoch = EPOCH_UNIX_S
    ends = [None, epoch - 1, epoch, epoch + 1, epoch + 60, epoch + 61, epoch + 65_534 * 60]
    assert [until_units(end, epoch, 60) for end in ends] == [NO_END, 0, 0, 1, 1, 2, 65_534]
    with pytest.raises(SegmentError, match="more than 65534 units"):
        until_units(epoch + 65_534 * 60 + 1, epoch, 60)


def vectors(*fingerprints: int) -> tuple[Any, Any]:
    return np.array(fingerprints, np.uint64), np.zeros(len(fingerprints), np.uint16)


@pytest.mark.parametrize("fingerprints", [(2, 1), (1, 1), (1, 2, 3, 3)])
def test_vectors_that_do_not_rise_are_refused(fingerprints: tuple[int, ...]) -> None:
    with pytest.raises(SegmentError, match="do not rise strictly at position"):
        write_segment(io.BytesIO(), HEAD, *vectors(*fingerprints))


def test_vectors_of_a_wrong_kind_are_refused() -> None:
    with pytest.raises(SegmentError, match="56 bits"):
        write_segment(io.BytesIO(), HEAD, *vectors(1, 1 << 56))
    with pytest.raises(SegmentError, match="uint64"):
        write_segment(io.BytesIO(), HEAD, np.zeros(1, np.uint32), np.zeros(1, np.uint16))
    with pytest.raises(SegmentError, match="1 fingerprints but 2 ends"):
        write_segment(io.BytesIO(), HEAD, np.zeros(1, np.uint64), np.zeros(2, np.uint16))


def test_cards_are_fingerprinted_sorted_and_counted_once() -> None:
    uids = [bytes([4, 0, 0, 0, 0, 0, number]) for number in range(100)]
    seen: list[tuple[int, int]] = []
    fingerprints, until = fingerprint_cards(
        [(uid, 7) for uid in uids + uids[:5]],
        KEY,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert fingerprints.tolist() == sorted(CardUid(uid).fingerprint(KEY) for uid in uids)
    assert until.tolist() == [7] * 100
    assert seen[-1] == (105, 105)


def test_one_card_with_two_ends_is_refused_without_showing_it() -> None:
    uid, other = bytes.fromhex("04112233445566"), bytes.fromhex("04112233445567")
    with pytest.raises(
        SegmentError, match=r"cards 0 and 2 are the same card with different ends"
    ) as raised:
        fingerprint_cards([(uid, 1), (other, 1), (uid, 2)], KEY)
    assert "0411" not in str(raised.value)


def test_two_cards_with_one_fingerprint_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_making, "fingerprinter", lambda _key: lambda uid: uid[0])
    with pytest.raises(SegmentError, match=r"cards 1 and 2 have the same fingerprint"):
        fingerprint_cards([(b"\x01abc", 1), (b"\x02abc", 1), (b"\x02abd", 1)], KEY)


@pytest.mark.parametrize("card", [(b"", 1), (bytes(5), 1), (bytes(7), 65_536), (bytes(7), -1)])
def test_an_impossible_card_is_refused_by_position(card: tuple[bytes, int]) -> None:
    with pytest.raises(SegmentError, match="card 1 has"):
        fingerprint_cards([(bytes(7), 1), card], KEY)


def test_reading_back_notices_a_torn_body() -> None:
    data = segment_bytes({1: 1, 2: 2})
    assert read_segment(data)[0] == Header.parse(data[:128])
    with pytest.raises(SegmentError, match="checksum"):
        read_segment(data[:-1] + b"\x09")


def test_a_header_that_does_not_fit_is_not_packed() -> None:
    header = Header.parse(segment_bytes({1: 1})[:128])
    for wrong in (
        {"rule": "Suspended"},
        {"to_version": 0},
        {"epoch_unix_s": 61},
        {"key_id": b""},
        {"count": 1 << 32},
    ):
        with pytest.raises(SegmentError, match="out of range"):
            replace(header, **wrong).pack()


def test_key_file_both_ways() -> None:
    assert parse_key_file(format_key_file(KEY, "the demo's\nkey")) == KEY
    assert parse_key_file(f"\n# one\n{OTHER_KEY.hex().upper()}\r\n\n".encode()) == OTHER_KEY
    assert keyring([KEY, OTHER_KEY]) == {key_id(KEY): KEY, key_id(OTHER_KEY): OTHER_KEY}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not 0"),
        (f"{KEY.hex()}\n{KEY.hex()}\n".encode(), "not 2"),
        (f"# key\n{KEY.hex()[:-1]}\n".encode(), "line 2"),
        (KEY.hex()[:-1].encode() + b"g", "line 1"),
        (KEY, "."),
        (b"\xff" * 64, "line 1"),
        ("٠".encode() * 64, "line 1"),
        (b"0" * 2_000, "at most 1024 bytes"),
    ],
)
def test_a_bad_key_file_is_explained_and_never_shown(content: bytes, says: str) -> None:
    with pytest.raises(FingerprintKeyError, match=says) as raised:
        parse_key_file(content)
    assert KEY.hex()[:8] not in str(raised.value)


def test_a_key_of_another_length_has_no_id() -> None:
    with pytest.raises(FingerprintKeyError, match="32 bytes, not 31"):
        key_id(bytes(31))


def test_the_lanes_side_does_not_import_numpy() -> None:
    code = (
        "import sys, validator.lane.lists_in_force, validator.lists.segment;"
        " sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
