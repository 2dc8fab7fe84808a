"""Segments for tests: vectors from UIDs, and the vectors of a segment.

A back office makes its vectors from the registry (backoffice/publishing/fingerprints.py), a gate
from pieces (validator/lists/segment_fold.py).
"""

from array import array
from collections.abc import Iterable
from zlib import crc32

import numpy as np

from validator.domain.cards import CardUid, fingerprinter
from validator.lists.segment import HEADER_BYTES, NO_END, REMOVED, Header, SegmentError
from validator.lists.segment_builder import UNITS_MAX, Progress, check_rise, silent
from validator.lists.segment_vectors import Buffer, Fingerprints, SegmentVectors, Until

_PROGRESS_CARDS = 1 << 16
_UID_RECORD_BYTES = 11  # a length and at most ten bytes


def until_units(ends_unix_s: int | None, epoch_unix_s: int, until_unit_s: int) -> int:
    """Convert an end in Unix seconds to stored units, rounded up.

    An end at or before the epoch becomes REMOVED, None becomes NO_END. Raises SegmentError for an
    end beyond 65,534 units: an end must never move, nor turn into "for ever".
    """
    if ends_unix_s is None:
        return NO_END
    units = max(-((epoch_unix_s - ends_unix_s) // until_unit_s), REMOVED)
    if units > UNITS_MAX:
        raise SegmentError(
            f"an end lies more than {UNITS_MAX} units of {until_unit_s} s after the epoch"
        )
    return units


def fingerprint_cards(
    cards: Iterable[tuple[bytes, int]], key: bytes, *, progress: Progress = silent, total: int = 0
) -> tuple[Fingerprints, Until]:
    """Make vectors for `write_segment` from (UID, until in units) pairs in any order.

    The same pair twice counts once. It takes about 2.4 s and 40 MB for a million cards.

    Raises:
        SegmentError: A UID has an impossible length, a card has two ends, or two cards have one
            fingerprint (then the key must be changed). It names positions (from 0), never a UID.
    """
    found, ends, records = array("Q"), array("H"), bytearray()
    fingerprint = fingerprinter(key)
    for position, (uid, until) in enumerate(cards):
        try:
            found.append(fingerprint(CardUid(uid).raw))
            ends.append(until)
        except (ValueError, OverflowError):
            raise SegmentError(
                f"card {position} has a UID or an end of an impossible size"
            ) from None
        records += len(uid).to_bytes(1) + uid.ljust(_UID_RECORD_BYTES - 1, b"\0")
        if position % _PROGRESS_CARDS == 0:
            progress(position, total)
    progress(len(found), len(found))
    return _sorted_once(np.frombuffer(found, np.uint64), np.frombuffer(ends, np.uint16), records)


def _sorted_once(
    found: Fingerprints, ends: Until, records: bytearray
) -> tuple[Fingerprints, Until]:
    if not len(found):
        return found, ends
    order = np.argsort(found, kind="stable")
    fingerprints = found[order]
    first = np.concatenate(([True], fingerprints[1:] != fingerprints[:-1]))
    for at in np.flatnonzero(~first):
        _check_same(int(order[at - 1]), int(order[at]), ends, records)
    return fingerprints[first], ends[order][first]


def _check_same(one: int, other: int, ends: Until, records: bytearray) -> None:
    size = _UID_RECORD_BYTES
    if records[one * size :][:size] != records[other * size :][:size]:
        raise SegmentError(
            f"cards {one} and {other} have the same fingerprint: use another fingerprint key"
        )
    if ends[one] != ends[other]:
        raise SegmentError(f"cards {one} and {other} are the same card with different ends")


def read_segment(buffer: Buffer) -> tuple[Header, Fingerprints, Until]:
    """All cards of a segment as vectors. Raises SegmentError for a damaged one."""
    with memoryview(buffer) as view:
        header = Header.parse(bytes(view[:HEADER_BYTES]))
        if crc32(view[HEADER_BYTES:]) != header.body_crc32:
            raise SegmentError("body checksum does not match")
    with SegmentVectors(buffer) as cards:
        fingerprints, until = cards.stretch(0, header.count)
    if header.count:
        check_rise(fingerprints, -1, 0)
    return header, fingerprints, until
