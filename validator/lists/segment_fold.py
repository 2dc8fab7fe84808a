"""Folds several segments of one rule into one, in bounded memory, on a gate and at a publisher.

    with open(path, "w+b") as out:
        built = fold_into(out, [minute, hour, snapshot], epoch_unix_s)  # mappings, newest first

The cards are merged twice: once to count them, since a segment's planes lie one after another, and
once to write them. A merge keeps some 2^18 cards at a time, whatever the segments' sizes; mapped
segments are read from front to back.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from typing import BinaryIO

import numpy as np

from validator.lists.segment import NO_END, REMOVED, Header, SegmentError
from validator.lists.segment_builder import (
    UNITS_MAX,
    Built,
    Head,
    Progress,
    SegmentWriter,
    silent,
)
from validator.lists.segment_vectors import Buffer, Fingerprints, SegmentVectors, Until

_CHUNK_CARDS = 1 << 18
# Below it, with more than 64 segments, starting a range costs more than merging it.
_PART_CARDS_MIN = 1 << 12
_FAR_UNITS = 2 * NO_END  # every end is nearer

Vectors = tuple[Fingerprints, Until]


def fold_into(
    out: BinaryIO,
    segments: Sequence[Buffer],
    epoch_unix_s: int,
    *,
    progress: Progress = silent,
    _chunk_cards: int = _CHUNK_CARDS,
) -> Built:
    """Write one segment from several of one rule; the newest that has a card decides.

    Entries that are removed, or ended at `epoch_unix_s`, stay as REMOVED: an older segment may
    still have the card. They go when the snapshot (from 0) is folded in. The buffers are released
    at the end. Checksums of bodies are not verified: the caller does that before.

    Args:
        out: As SegmentWriter requires it.
        segments: The segments, newest first.
        epoch_unix_s: The epoch of the new segment, a multiple of the unit.
        progress: Called with the cards read so far and in all, of both passes.

    Raises:
        SegmentError: The segments do not belong or join together, or an end lies too far after the
            epoch.
    """
    with ExitStack() as stack:
        parts = [stack.enter_context(SegmentVectors(segment)) for segment in segments]
        head = _head([part.header for part in parts], epoch_unix_s)
        cards = sum(part.header.count for part in parts)
        each = max(_chunk_cards // len(parts), min(_PART_CARDS_MIN, _chunk_cards))

        def merged(done: int) -> Iterator[Vectors]:
            stretches = [_Stretches(part, epoch_unix_s, each) for part in parts]
            for vectors in _merged(stretches, keep_removed=head.from_version > 0):
                yield vectors
                progress(done + sum(part.done for part in stretches), 2 * cards)

        count = sum(len(until) for _, until in merged(0))
        writer = SegmentWriter(out, head, count)
        for fingerprints, until in merged(cards):
            writer.add(fingerprints, until)
        return writer.finish()


def _head(headers: Sequence[Header], epoch_unix_s: int) -> Head:
    """The head of the folded segment. Raises SegmentError if these do not fold."""
    if not headers:
        raise SegmentError("nothing to fold")
    if len({(header.rule, header.key_id, header.until_unit_s) for header in headers}) > 1:
        raise SegmentError("segments to fold differ in rule, key or unit")
    for newer, older in pairwise(headers):
        if not newer.from_version <= older.to_version < newer.to_version:
            raise SegmentError(
                "segments to fold are not newest first, or leave a gap between versions"
            )
    newest, oldest = headers[0], headers[-1]
    unit_s = newest.until_unit_s
    return Head(
        newest.rule, oldest.from_version, newest.to_version, newest.key_id, epoch_unix_s, unit_s
    )


class _Stretches:
    """The cards of one segment from front to back; ends count from the new epoch."""

    def __init__(self, cards: SegmentVectors, epoch_unix_s: int, stretch_cards: int) -> None:
        self.done = 0
        """How many cards were taken."""
        self._cards, self._epoch_unix_s, self._stretch_cards = cards, epoch_unix_s, stretch_cards
        self._read = 0
        self._fingerprints, self._until = cards.stretch(0, 0)

    def read_on(self) -> int | None:
        """Read more cards if none are at hand. Returns the highest at hand; None at the end."""
        count = self._cards.header.count
        if not len(self._fingerprints) and self._read < count:
            end = min(self._read + self._stretch_cards, count)
            fingerprints, until = self._cards.stretch(self._read, end)
            self._fingerprints, self._until = (
                fingerprints,
                _moved(until, self._cards.header, self._epoch_unix_s),
            )
            self._read = end
        return int(self._fingerprints[-1]) if self._read < count else None

    def take(self, reach: int | None) -> Vectors:
        """The cards at hand up to this fingerprint, or all of them."""
        end = (
            len(self._fingerprints)
            if reach is None
            else int(np.searchsorted(self._fingerprints, reach, "right"))
        )
        taken = self._fingerprints[:end], self._until[:end]
        self._fingerprints, self._until = self._fingerprints[end:], self._until[end:]
        self.done += end
        return taken


def _merged(parts: Sequence[_Stretches], *, keep_removed: bool) -> Iterator[Vectors]:
    """The cards of all parts, newest first, range by range of fingerprints, each card once."""
    at_end = False
    while not at_end:
        reaches = [reach for part in parts if (reach := part.read_on()) is not None]
        at_end = not reaches
        # Beyond the least reach, a part may know cards that are not at hand.
        taken = [part.take(min(reaches, default=None)) for part in parts]
        fingerprints, until = _newest([vectors for vectors in taken if len(vectors[0])])
        if not keep_removed:
            stays = until != REMOVED
            fingerprints, until = fingerprints[stays], until[stays]
        yield fingerprints, until


def _newest(parts: Sequence[Vectors]) -> Vectors:
    """Merge these in order; the entry of the first part that has a card counts."""
    if not parts:
        return np.empty(0, np.uint64), np.empty(0, np.uint16)
    if len(parts) == 1:
        return parts[0]
    fingerprints = np.concatenate([part for part, _ in parts])
    until = np.concatenate([part for _, part in parts])
    # Of equal ones, the newest stays in front; runs that rise are merged, not sorted.
    order = np.argsort(fingerprints, kind="stable")
    fingerprints = fingerprints[order]
    first = np.ones(len(order), bool)
    first[1:] = fingerprints[1:] != fingerprints[:-1]
    return fingerprints[first], until[order[first]]


def _moved(until: Until, header: Header, epoch_unix_s: int) -> Until:
    """Ends counted from another epoch; both are multiples of the unit, so no end moves."""
    units_later = (epoch_unix_s - header.epoch_unix_s) // header.until_unit_s
    if not units_later:
        return until
    moved = until.astype(np.int64) - max(-_FAR_UNITS, min(units_later, _FAR_UNITS))
    moved[(until == REMOVED) | (moved <= 0)] = REMOVED
    moved[until == NO_END] = REMOVED
    if (moved > UNITS_MAX).any():
        raise SegmentError("an end lies too far after the new epoch")
    moved[until == NO_END] = NO_END
    return moved.astype(np.uint16)
