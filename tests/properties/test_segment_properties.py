"""Segments, tables and manifests on any cards and any bytes."""

import io
from collections.abc import Mapping
from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st

from tests.support.city.list_making import EPOCH_UNIX_S, KEY, segment_bytes, still_in
from tests.support.city.segment_making import read_segment, until_units
from validator.domain.rules import Effect
from validator.lists.manifest import (
    EXPIRES_AFTER_S_MIN,
    MANIFEST_BYTES_MAX,
    InstalledManifest,
    Manifest,
    ManifestError,
    RuleEntry,
    ScopeEntry,
    SegmentEntry,
    decode,
    decode_segments,
    encode,
)
from validator.lists.segment import MappedTable, Segment, SegmentError
from validator.lists.segment_fold import fold_into

# Few buckets, middles and tails, so that cards share them; and any fingerprint at all.
near = st.tuples(
    st.sampled_from((0, 1, 0x7FFF, 0xFFFF)),
    st.sampled_from((0, 1, 0xFFFFFFFF)),
    st.sampled_from((0, 1, 0xFF)),
).map(lambda parts: parts[0] << 40 | parts[1] << 8 | parts[2])
fingerprints = near | st.integers(0, (1 << 56) - 1)
ends = st.sampled_from((0, 1, 2, 3, 65_534, 65_535)) | st.integers(0, 65_535)
cards = st.dictionaries(fingerprints, ends, max_size=40)
index_bits = st.sampled_from((0, 16))
moments = st.integers(-70, 70_000 * 60).map(
    lambda seconds: EPOCH_UNIX_S + seconds
) | st.sampled_from(
    [EPOCH_UNIX_S + units * 60 + off for units in (0, 1, 2, 3, 65_534) for off in (-1, 0, 1)]
)


def asked(known: Mapping[int, int], others: list[int]) -> list[int]:
    """Return every known fingerprint, its neighbours, and others."""
    return [*known, *(card ^ 1 for card in known), *(card ^ 1 << 40 for card in known), *others]


@given(cards, index_bits, st.lists(fingerprints, max_size=20), moments)
def test_a_mapped_table_is_a_dictionary(
    known: dict[int, int], bits: int, others: list[int], unix_s: int
) -> None:
    table = MappedTable(KEY, [Segment(segment_bytes(known, index_bits=bits))])
    for card in asked(known, others):
        assert table.holds(card, unix_s) == still_in(known, card, unix_s)


@given(cards, index_bits)
def test_vectors_come_back(known: dict[int, int], bits: int) -> None:
    data = segment_bytes(known, index_bits=bits)
    _, found, until = read_segment(data)
    assert dict(zip(found.tolist(), until.tolist(), strict=True)) == known
    assert segment_bytes(known, index_bits=bits) == data


@given(
    st.lists(st.tuples(cards, index_bits, st.integers(0, 5)), min_size=1, max_size=5),
    st.integers(0, 5),
    st.lists(fingerprints, max_size=10),
    st.integers(0, 70_000 * 60),
    st.booleans(),
)
def test_segments_newest_first_are_an_updated_dictionary_folded_or_not(
    changes: list[tuple[dict[int, int], int, int]],
    split: int,
    others: list[int],
    after_s: int,
    from_the_start: bool,  # drawn by hypothesis
) -> None:
    """`changes` come oldest first, with rising epochs. Some of the newest, or all, are folded."""
    segments: list[bytes] = []
    truth: dict[int, int | None] = {}  # card -> its end in Unix seconds, None for no end
    epoch_unix_s = EPOCH_UNIX_S
    for number, (known, bits, later) in enumerate(changes):
        epoch_unix_s += later * 60
        segment = segment_bytes(
            known,
            from_version=number,
            to_version=number + 1,
            index_bits=bits,
            epoch_unix_s=epoch_unix_s,
        )
        segments.insert(0, segment)
        truth |= {
            card: None if until == 65_535 else until and epoch_unix_s + until * 60
            for card, until in known.items()
        }
    unix_s = epoch_unix_s + after_s
    count = len(segments) if from_the_start else min(split, len(segments))
    folded = [_folded(segments[:count], epoch_unix_s), *segments[count:]] if count else segments
    for table in (
        MappedTable(KEY, list(map(Segment, segments))),
        MappedTable(KEY, list(map(Segment, folded))),
    ):
        for card in asked(dict.fromkeys(truth, 0), others):
            end = truth.get(card, 0)
            assert table.holds(card, unix_s) == (end is None or unix_s < end)


def _folded(segments: list[bytes], epoch_unix_s: int) -> bytes:
    out = io.BytesIO()
    fold_into(out, segments, epoch_unix_s)
    return out.getvalue()


def asked_without_raising(data: bytes, others: list[int]) -> None:
    """Open a file of any content, and look up in it."""
    try:
        segment = Segment(data)
    except SegmentError:
        return
    for card in others:
        found = segment.until(card)
        assert found is None or 0 <= found <= 65_535


@given(cards, index_bits, st.data(), st.booleans(), st.lists(fingerprints, min_size=1, max_size=20))
def test_no_corruption_makes_a_lookup_raise(
    known: dict[int, int],
    bits: int,
    data: st.DataObject,
    repaired: bool,  # drawn by hypothesis
    others: list[int],
) -> None:
    """Any bytes anywhere. If `repaired`, the header's checksum is right: attackers compute it."""
    torn = bytearray(segment_bytes(known, index_bits=bits))
    spots = st.integers(0, len(torn) - 1) | st.integers(0, min(len(torn), 700) - 1)
    for _ in range(data.draw(st.integers(1, 4))):
        at, value = data.draw(spots), data.draw(st.binary(min_size=1, max_size=8))
        torn[at : at + len(value)] = value
    if repaired:
        torn[124:128] = crc32(torn[:124]).to_bytes(4, "little")
    asked_without_raising(bytes(torn), asked(known, others))
    cut = data.draw(st.integers(0, len(torn)))
    asked_without_raising(bytes(torn[:cut]), others)


@given(st.binary(max_size=400), st.lists(fingerprints, max_size=5))
def test_any_bytes_are_refused_or_asked_in_peace(data: bytes, others: list[int]) -> None:
    asked_without_raising(data, others)


@given(cards, index_bits, st.integers(0, 1 << 20), st.integers(1, 255))
def test_a_flipped_byte_of_the_body_is_noticed_when_verifying(
    known: dict[int, int], bits: int, at: int, flip: int
) -> None:
    data = bytearray(segment_bytes(known | {5: 5}, index_bits=bits))
    data[128 + at % (len(data) - 128)] ^= flip
    try:
        read_segment(bytes(data))
    except SegmentError as error:
        assert "checksum" in str(error)  # noqa: PT017  # the other way out is the failure
    else:
        raise AssertionError("not noticed")


@given(st.integers(-(10**6), 65_534 * 60), st.sampled_from((60, 3_600)))
def test_an_end_is_late_by_less_than_a_unit_and_never_early(after_s: int, unit_s: int) -> None:
    units = until_units(EPOCH_UNIX_S + after_s, EPOCH_UNIX_S, unit_s)
    if after_s <= 0:
        assert units == 0
    else:
        assert after_s <= units * unit_s < after_s + unit_s


versions = st.integers(1, (1 << 53) - 1)
entries = st.builds(
    SegmentEntry,
    st.just(0),
    versions,
    st.integers(128, 1 << 29),
    st.binary(min_size=32, max_size=32).map(bytes.hex),
)
scopes = st.builds(
    ScopeEntry,
    st.lists(st.sampled_from((4, 7, 10)), max_size=3).map(tuple),
    st.lists(st.integers(0, 255), max_size=3).map(tuple),
)
rules = st.sampled_from(Effect).flatmap(
    lambda effect: st.builds(
        RuleEntry,
        st.from_regex(r"[a-z][a-z0-9_-]{0,9}", fullmatch=True),
        st.just(effect),
        st.lists(entries, min_size=1, max_size=3, unique_by=lambda entry: entry.to_version).map(
            lambda many: tuple(sorted(many, key=lambda entry: -entry.to_version))
        ),
        scopes if effect is Effect.REQUIRE else st.just(ScopeEntry()),
        st.integers(0, (1 << 40) - 1),
        st.booleans(),
        st.booleans() if effect is Effect.REQUIRE else st.just(value=False),
    )
)
manifests = st.builds(
    lambda issued, longer, some: Manifest(
        max((entry.to_version for rule in some for entry in rule.segments), default=1),
        issued,
        issued + EXPIRES_AFTER_S_MIN + longer,
        tuple(some),
    ),
    st.integers(0, 1 << 39),
    st.integers(0, 1 << 20),
    st.lists(rules, max_size=3, unique_by=lambda rule: rule.name),
)


@given(manifests)
def test_a_manifest_comes_back(manifest: InstalledManifest) -> None:
    content = encode(manifest)
    assert len(content) <= MANIFEST_BYTES_MAX
    assert decode_segments(content) == manifest


@given(st.binary(max_size=3_000) | st.text(max_size=500).map(str.encode))
def test_decoding_any_bytes_raises_nothing_but_a_manifest_error(data: bytes) -> None:
    try:
        decode(data)
    except ManifestError as error:
        assert "\n" not in str(error)  # noqa: PT017  # either way out is right


@given(manifests, st.data())
def test_decoding_a_damaged_manifest_raises_nothing_but_a_manifest_error(
    manifest: InstalledManifest, data: st.DataObject
) -> None:
    content = bytearray(encode(manifest))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at : at + data.draw(st.integers(0, 3))] = data.draw(
        st.binary(max_size=3) | st.sampled_from((b"-", b"1e999", b'"', b"\xff", b"null", b"{"))
    )
    try:
        decode(bytes(content))
    except ManifestError as error:
        assert str(error).isprintable()  # noqa: PT017  # either way out is right
