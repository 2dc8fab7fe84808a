"""Fingerprints of many cards at once, as numpy vectors.

    hashed = hasher(key)
    batches = registry.state_batches("matched", 0, 42)
    fingerprints, until = table_of(batches, hashed, epoch_unix_s, 3600, is_snapshot=True)

validator/domain/cards.py makes the fingerprint of one card; the two must agree. No error here names
a card; it says how many.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from backoffice.home.folder import DAY_S
from backoffice.publishing.epochs import reach_s
from validator.domain.cards import FINGERPRINT_BITS, FINGERPRINT_DIGEST_BYTES
from validator.errors import OperatorError
from validator.lists.segment import NO_END, REMOVED
from validator.lists.segment_builder import UNITS_MAX

Fingerprints = NDArray[np.uint64]
Until = NDArray[np.uint16]
Hash = Callable[[Sequence[bytes]], Fingerprints]
"""Returns the fingerprints of UIDs, in their order."""

StateRow = tuple[bytes, bool, int | None]
"""UID, whether the card is in, and when that ends, in Unix seconds; None: never."""

Progress = Callable[[int], None]
"""Takes how many cards are done."""

_SHIFT = np.uint64(8 * FINGERPRINT_DIGEST_BYTES - FINGERPRINT_BITS)
_NEVER = 1 << 62  # None in a vector of ends


class CardsError(OperatorError):
    """These cards cannot be published. The message is one line that names none of them."""


def hasher(key: bytes) -> Hash:
    """A function that makes fingerprints under this key, in half a second a million cards."""
    keyed = blake2b(digest_size=FINGERPRINT_DIGEST_BYTES, key=key)

    def hashed(uids: Sequence[bytes]) -> Fingerprints:
        copy = keyed.copy
        digests = []
        for uid in uids:
            state = copy()
            state.update(uid)
            digests.append(state.digest())
        return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64) >> _SHIFT

    return hashed


def table_of(
    batches: Iterable[Sequence[StateRow]],
    hashed: Hash,
    epoch_unix_s: int,
    until_unit_s: int,
    *,
    is_snapshot: bool,
    progress: Progress = lambda _done: None,
) -> tuple[Fingerprints, Until]:
    """Make the vectors for `write_segment` from states in any order, each card once.

    At its peak some 30 bytes a card.

    Args:
        batches: The states.
        hashed: Makes the fingerprints.
        epoch_unix_s: From when the segment counts ends.
        until_unit_s: The unit of ends.
        is_snapshot: Leave out cards that are not in, or not any more.
        progress: Takes how many cards are done.

    Returns:
        The fingerprints, ascending, and the ends in units, in the same order.

    Raises:
        CardsError: The unit does not reach an end, or two cards have one fingerprint.
    """
    found, ends = [np.empty(0, np.uint64)], [np.empty(0, np.uint16)]
    done = too_far = 0
    for batch in batches:
        uids, is_in, ends_unix_s = zip(*batch, strict=True)
        units = _units(is_in, ends_unix_s, epoch_unix_s, until_unit_s)
        too_far += int(np.count_nonzero((units > UNITS_MAX) & (units != NO_END)))
        keep = units != REMOVED if is_snapshot else slice(None)
        found.append(hashed(uids)[keep])
        ends.append(units[keep].astype(np.uint16))
        done += len(batch)
        progress(done)
    if too_far:
        raise CardsError(
            f"{too_far:,} cards end later than {reach_s(until_unit_s) // DAY_S} days from now,"
            f" which a unit of {until_unit_s} s does not reach: give the rule a larger"
            " until_unit_s, or these cards an earlier end"
        )
    fingerprints, until = np.concatenate(found), np.concatenate(ends)
    del found, ends
    order = np.argsort(fingerprints)
    fingerprints = fingerprints[order]
    check_distinct(fingerprints)
    return fingerprints, until[order]


def check_distinct(ascending: Fingerprints) -> None:
    """Raise CardsError if two of these fingerprints are the same."""
    same = int(np.count_nonzero(ascending[1:] == ascending[:-1]))
    if same:
        raise CardsError(collision(same))


def collision(cards: int) -> str:
    """The message for so many cards that have the fingerprint of another one."""
    return (
        f"{cards:,} {'cards have' if cards > 1 else 'card has'} the fingerprint of another card, so"
        " nothing is published: rotate the fingerprint key"
        " (turnike-backoffice rotate fingerprint-key)"
    )


def _units(
    is_in: Sequence[bool], ends_unix_s: Sequence[int | None], epoch_unix_s: int, until_unit_s: int
) -> NDArray[np.int64]:
    """Ends as a segment stores them, and larger numbers where it cannot store them."""
    ends = np.array([_NEVER if end is None else end for end in ends_unix_s], np.int64)
    units = np.maximum(-((epoch_unix_s - ends) // until_unit_s), REMOVED)
    units[units == NO_END] = NO_END + 1  # one unit too far; NO_END would mean "for ever"
    units[ends == _NEVER] = NO_END
    units[~np.array(is_in, bool)] = REMOVED
    return units
