"""Folding: which entry decides, what stays, what is refused, and its bound on memory."""

import hashlib
import io
import mmap
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from tests.support.city.list_making import EPOCH_UNIX_S, KEY, OTHER_KEY, segment_bytes
from tests.support.city.segment_making import read_segment
from validator.lists.fingerprint_keys import key_id
from validator.lists.segment import NO_END, REMOVED, Header, SegmentError
from validator.lists.segment_builder import Built, Head, write_segment
from validator.lists.segment_fold import fold_into


def folded(segments: list[bytes], epoch_unix_s: int) -> tuple[Header, dict[int, int]]:
    """The header and the cards of what these, newest first, fold into."""
    out = io.BytesIO()
    built = fold_into(out, segments, epoch_unix_s)
    header, fingerprints, until = read_segment(out.getvalue())
    assert built == Built(header, len(out.getvalue()), hashlib.sha256(out.getvalue()).hexdigest())
    return header, dict(zip(fingerprints.tolist(), until.tolist(), strict=True))


def test_folding_keeps_removed_cards_until_the_snapshot_is_folded_in() -> None:
    snapshot = segment_bytes({1: NO_END, 2: 5, 3: NO_END}, to_version=1)
    hour = segment_bytes({1: REMOVED, 4: 5}, from_version=1, to_version=2)
    minute = segment_bytes({4: 9, 5: 1}, from_version=2, to_version=3)
    later = EPOCH_UNIX_S + 120
    header, cards = folded([minute, hour], later)
    assert (header.from_version, header.to_version) == (1, 3)
    assert cards == {1: REMOVED, 4: 7, 5: REMOVED}
    header, cards = folded([minute, hour, snapshot], later)
    assert (header.from_version, header.epoch_unix_s) == (0, later)
    assert cards == {2: 3, 3: NO_END, 4: 7}


def test_segments_that_leave_a_gap_or_differ_are_not_folded() -> None:
    old = segment_bytes({1: 1}, to_version=1)
    for newer in (
        segment_bytes({1: 1}, from_version=2, to_version=3),
        segment_bytes({1: 1}, from_version=1, to_version=2, unit_s=3_600),
        segment_bytes({1: 1}, from_version=1, to_version=2, key=OTHER_KEY),
    ):
        with pytest.raises(SegmentError, match="segments to fold"):
            folded([newer, old], EPOCH_UNIX_S)
    with pytest.raises(SegmentError, match="nothing to fold"):
        folded([], EPOCH_UNIX_S)


@pytest.mark.parametrize("later_s", [60 * 65_534, 60 * 10**9, (1 << 63) - 60 - EPOCH_UNIX_S - 48])
def test_ends_before_a_much_later_epoch_are_ended(later_s: int) -> None:
    later = EPOCH_UNIX_S + later_s // 60 * 60
    change = segment_bytes({1: 1, 2: 65_534, 3: NO_END}, from_version=1, to_version=2)
    assert folded([change], later)[1] == {1: REMOVED, 2: REMOVED, 3: NO_END}


def test_an_end_too_far_after_an_earlier_epoch_is_refused() -> None:
    segment = segment_bytes({1: 65_533, 2: NO_END, 3: REMOVED}, from_version=1, to_version=2)
    assert folded([segment], EPOCH_UNIX_S - 60)[1] == {1: 65_534, 2: NO_END, 3: REMOVED}
    for earlier in (EPOCH_UNIX_S - 120, 0):
        with pytest.raises(SegmentError, match="too far after the new epoch"):
            folded([segment], earlier)
    latest = segment_bytes(
        {1: 65_534}, from_version=1, to_version=2, epoch_unix_s=(1 << 63) - 1, unit_s=1
    )  # so far that 64 bits go round
    with pytest.raises(SegmentError, match="too far after the new epoch"):
        folded([latest], 0)
    with pytest.raises(SegmentError, match="epoch"):
        folded([segment], EPOCH_UNIX_S + 1)


def test_a_fold_without_cards_is_an_empty_segment() -> None:
    snapshot = segment_bytes({1: NO_END}, to_version=1)
    removed = segment_bytes({1: REMOVED}, from_version=1, to_version=2)
    assert folded([removed, snapshot], EPOCH_UNIX_S)[1] == {}
    empty = segment_bytes({}, from_version=2, to_version=3)
    assert folded([empty, removed], EPOCH_UNIX_S)[1] == {1: REMOVED}


def test_more_segments_than_a_gate_ever_holds_are_folded() -> None:
    truth: dict[int, int] = {}
    segments: list[bytes] = []
    rng = np.random.default_rng(7)
    for version in range(1, 101):
        cards = {int(card): version for card in rng.integers(0, 3_000, 100)}
        truth |= cards
        segments.insert(0, segment_bytes(cards, from_version=version, to_version=version + 1))
    assert folded(segments, EPOCH_UNIX_S)[1] == truth


def test_a_large_table_is_folded_in_ranges(tmp_path: Path) -> None:
    """400,000 cards by small ranges: 4 MB of vectors, of which a range is a twentieth."""
    count = 400_000
    rng = np.random.default_rng(3)
    fingerprints = np.unique(rng.integers(0, 1 << 56, size=count, dtype=np.uint64))
    ends = np.full(len(fingerprints), NO_END, np.uint16)
    changed = np.arange(0, len(fingerprints), 7)
    change = fingerprints[changed] + (changed % 2).astype(np.uint64)  # half of them are other cards
    change_ends = np.where(changed % 4 == 0, REMOVED, 9).astype(np.uint16)
    paths = tmp_path / "change.seg", tmp_path / "base.seg"
    with paths[0].open("w+b") as out:
        write_segment(out, head(1, 2), change, change_ends, index_bits=0)
    with paths[1].open("w+b") as out:
        write_segment(out, head(0, 1), fingerprints, ends)
    seen: list[tuple[int, int]] = []
    with (
        paths[0].open("rb") as newer,
        paths[1].open("rb") as older,
        (tmp_path / "out.seg").open("w+b") as out,
    ):
        parts = [mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) for file in (newer, older)]
        tracemalloc.start()
        fold_into(
            out,
            parts,
            EPOCH_UNIX_S,
            progress=lambda done, total: seen.append((done, total)),
            _chunk_cards=1 << 14,
        )
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        for part in parts:
            part.close()
    assert peak < 3_500_000
    total = 2 * (len(fingerprints) + len(change))
    assert seen == sorted(seen)
    assert seen[-1] == (total, total)
    _, found, until = read_segment((tmp_path / "out.seg").read_bytes())
    truth = dict(zip(fingerprints.tolist(), ends.tolist(), strict=True))
    truth |= dict(zip(change.tolist(), change_ends.tolist(), strict=True))
    kept = {card: end for card, end in truth.items() if end != REMOVED}
    assert dict(zip(found.tolist(), until.tolist(), strict=True)) == kept


def head(from_version: int, to_version: int) -> Head:
    return Head("matched", from_version, to_version, key_id(KEY), EPOCH_UNIX_S, 60)


def test_a_mapping_can_be_closed_while_the_refusal_is_handled(tmp_path: Path) -> None:
    path = tmp_path / "change.seg"
    path.write_bytes(segment_bytes({1: 65_534}, index_bits=16))
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            fold_into(io.BytesIO(), [mapped], EPOCH_UNIX_S - 60)
        except SegmentError:
            mapped.close()
        assert mapped.closed
