"""Fingerprints of many cards at once, as numpy vectors. One card's is made in validator/domain/cards.py; the two must agree.

    hashed = hasher(key)
    fingerprints, until = table_of(registry.state_batches("matched", 0, 42), hashed, epoch_unix_s, 3600, is_snapshot=True)

Nothing here ever names a card: an error says how many.
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
"""The fingerprints of these UIDs, in their order."""

StateRow = tuple[bytes, bool, int | None]
"""UID, whether the card is in, and when that ends (Unix seconds; None: never): a backoffice.registry.registry.State."""

Progress = Callable[[int], None]
"""Called now and then with how many cards are done."""

_SHIFT = np.uint64(8 * FINGERPRINT_DIGEST_BYTES - FINGERPRINT_BITS)
_NEVER = 1 << 62  # stands for None in a vector of ends


class CardsError(OperatorError):
    """These cards cannot be published; the message is one clear line and names none of them."""


def hasher(key: bytes) -> Hash:
    """What makes fingerprints under this key: half a second a million cards."""
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
    """Vectors for `write_segment` from states in any order, each card once. A snapshot leaves out whoever is not in, or not any more.

    At its peak some 30 bytes a card. Raises CardsError for an end that the unit does not reach, and for two cards with one fingerprint.
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
            f"{too_far:,} cards end later than {reach_s(until_unit_s) // DAY_S} days from now, which a unit of {until_unit_s} s does not reach:"
            " give the rule a larger until_unit_s, or these cards an earlier end"
        )
    fingerprints, until = np.concatenate(found), np.concatenate(ends)
    del found, ends
    order = np.argsort(fingerprints)
    fingerprints = fingerprints[order]
    check_distinct(fingerprints)
    return fingerprints, until[order]


def check_distinct(ascending: Fingerprints) -> None:
    """Raises CardsError if two of these are the same."""
    same = int(np.count_nonzero(ascending[1:] == ascending[:-1]))
    if same:
        raise CardsError(collision(same))


def collision(cards: int) -> str:
    """What to say, and to do, when so many cards have the fingerprint of another one."""
    return (
        f"{cards:,} {'cards have' if cards > 1 else 'card has'} the fingerprint of another card, so nothing is published:"
        " rotate the fingerprint key (turnike-backoffice rotate fingerprint-key)"
    )


def _units(
    is_in: Sequence[bool], ends_unix_s: Sequence[int | None], epoch_unix_s: int, until_unit_s: int
) -> NDArray[np.int64]:
    """Ends as a segment stores them, and larger ones where it cannot; segment_builder.until_units is the same for one card."""
    ends = np.array([_NEVER if end is None else end for end in ends_unix_s], np.int64)
    units = np.maximum(-((epoch_unix_s - ends) // until_unit_s), REMOVED)
    units[units == NO_END] = NO_END + 1  # one unit too far, and not "for ever"
    units[ends == _NEVER] = NO_END
    units[~np.array(is_in, bool)] = REMOVED
    return units
