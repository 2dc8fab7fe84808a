"""Which pieces of a rule are due, which stay on offer, and which the manifest names. Pure.

A piece spans (from, to] in list versions: the last state of every card that changed after `from` up
to `to` (docs/list-format.md). There are four tiers, each coarser than the one before. A gate that
missed a minute, a day or a month finds a few pieces that bring what it missed and hardly anything
else. docs/decisions/0011-pieces.md gives the reasons.

    schedule = Schedule.of(rules=3)
    wanted = due(offered, version=42, now_unix_s=now, changed=True, schedule=schedule)
    built = [build(one) for one in missing(offered, wanted)]
    offered = kept(joined(offered, wanted, built, now), now, schedule)
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from backoffice.registry.publications import Kind, Piece
from validator.lists.manifest import SEGMENTS_MAX
from validator.lists.piece_index import PIECES_MAX as RULE_PIECES_MAX

HOUR_S = 3_600
DAY_S = 86_400
PIECES_MAX = 2_000  # of all rules together: 240 KiB of an index that may have 256
SNAPSHOTS_KEPT = 2


@dataclass(frozen=True, slots=True)
class Due:
    """A piece that is wanted."""

    kind: Kind
    from_version: int
    to_version: int


@dataclass(frozen=True, slots=True)
class Tier:
    """A tier: when one piece of a kind follows another, how long pieces are kept, and how many.

    When `crowd` pieces are not spanned by the next tier yet, its next piece is due early: the index
    stays within its size however often the operator publishes.
    """

    period_s: int
    kept_s: int
    kept_max: int
    crowd: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """The tiers below the snapshot, and when a snapshot is worn.

    That is at an age of `worn_s`, or when the day pieces since exceed `worn_share` of its bytes.
    """

    tiers: Mapping[Kind, Tier]
    worn_s: int
    worn_share: float

    @classmethod
    def of(
        cls,
        rules: int,
        minutes_kept_s: int = 2 * HOUR_S,
        hours_kept_s: int = 2 * DAY_S,
        days_kept_s: int = 60 * DAY_S,
        worn_s: int = 30 * DAY_S,
        worn_share: float = 0.25,
    ) -> "Schedule":
        """The schedule for so many rules in one index: minutes get what hours and days leave."""
        share = min(PIECES_MAX // rules, RULE_PIECES_MAX)
        hours, days = (
            min(kept_s // period_s + 16, share // 3)
            for kept_s, period_s in ((hours_kept_s, HOUR_S), (days_kept_s, DAY_S))
        )
        minutes = share - hours - days - SNAPSHOTS_KEPT
        tiers = {
            Kind.MINUTE: Tier(0, minutes_kept_s, minutes, minutes // 2),
            Kind.HOUR: Tier(HOUR_S, hours_kept_s, hours, hours - hours // 8),
            Kind.DAY: Tier(DAY_S, days_kept_s, days, days - days // 8),
        }
        return cls(tiers, worn_s, worn_share)


def newest(offered: Iterable[Piece]) -> int:
    """The newest list version that these pieces reach; 0 if there are none."""
    return max((piece.to_version for piece in offered), default=0)


def due(
    offered: Sequence[Piece],
    *,
    version: int,
    now_unix_s: int,
    changed: bool,
    schedule: Schedule,
    lost: Sequence[Piece] = (),
) -> tuple[Due, ...]:
    """The pieces of one rule that are due with this list version, by falling `from`.

    No two have the same span. If no card changed, the state at the newest `to` of `offered` is the
    state now: what is due ends there, and a gate at that version has nothing to fetch. Nothing
    offered means a new rule or a new key: a snapshot is due.

    Args:
        offered: The pieces that can be fetched.
        version: The list version that is published.
        now_unix_s: The time now.
        changed: Whether a card of the rule changed after the newest `to` of `offered`.
        schedule: The tiers.
        lost: The pieces on offer whose files are gone.
    """
    last = newest(offered)
    to_version = version if changed or not last else last
    begins = not any(piece.kind is Kind.SNAPSHOT for piece in offered)
    is_day = begins or bool(lost) or _is_over(offered, Kind.DAY, now_unix_s, schedule)
    is_hour = is_day or _is_over(offered, Kind.HOUR, now_unix_s, schedule)
    # A snapshot comes only with a day piece: at night, and so that all tiers have a joint where it
    # begins or ends.
    is_snapshot = begins or (is_day and _is_worn(offered, now_unix_s, schedule))
    spans = {last: Kind.MINUTE} if changed else {}
    for kind, is_due in ((Kind.HOUR, is_hour), (Kind.DAY, is_day)):
        joint = newest(_of(offered, kind))
        if is_due and joint:
            spans[joint] = kind
    gone = [piece.from_version for piece in lost if piece.kind is not Kind.SNAPSHOT]
    if gone:  # one piece from the first gap on replaces them all
        spans[min(gone)] = Kind.DAY
    if is_snapshot or any(piece.kind is Kind.SNAPSHOT for piece in lost):
        spans[0] = Kind.SNAPSHOT
    there = {_span(piece): piece.kind for piece in offered}
    return tuple(
        Due(kind, from_version, to_version)
        for from_version, kind in sorted(spans.items(), reverse=True)
        if from_version < to_version and there.get((to_version, from_version), -1) < kind
    )


def missing(offered: Iterable[Piece], wanted: Iterable[Due]) -> tuple[Due, ...]:
    """The due pieces that must be built: a piece of the same span may exist in a lower tier."""
    there = {_span(piece) for piece in offered}
    return tuple(one for one in wanted if (one.to_version, one.from_version) not in there)


def joined(
    offered: Iterable[Piece], wanted: Iterable[Due], built: Iterable[Piece], now_unix_s: int
) -> tuple[Piece, ...]:
    """The pieces on offer and the built ones, each raised to the tier in which it is due."""
    pieces = {_span(piece): piece for piece in (*offered, *built)}
    for one in wanted:
        span = (one.to_version, one.from_version)
        pieces[span] = replace(pieces[span], kind=one.kind, made_unix_s=now_unix_s)
    return tuple(pieces[span] for span in sorted(pieces))


def recalled(known: Sequence[Piece], from_version: int) -> Kind:
    """The tier of a piece newer than these, whose publisher was killed before it recorded the tier.

    It is the highest tier possible.
    """
    joints = {newest(_of(known, kind)): kind for kind in Kind if kind is not Kind.SNAPSHOT}
    return Kind.SNAPSHOT if from_version == 0 else joints.get(from_version, Kind.DAY)


def kept(pieces: Sequence[Piece], now_unix_s: int, schedule: Schedule) -> tuple[Piece, ...]:
    """The pieces of one rule that stay on offer, by rising (to, from), as in the index.

    A piece that the next tier does not span yet stays at any age: so every version has a way
    forward.
    """
    snapshots = sorted(
        (piece for piece in pieces if piece.kind is Kind.SNAPSHOT), key=_span, reverse=True
    )
    stay = snapshots[:SNAPSHOTS_KEPT]
    for kind, tier in schedule.tiers.items():
        spanned = newest(_of(pieces, Kind(kind + 1)))
        own = sorted((piece for piece in pieces if piece.kind is kind), key=_span, reverse=True)
        stay += [
            piece
            for place, piece in enumerate(own)
            if piece.to_version > spanned
            or (place < tier.kept_max and now_unix_s - piece.made_unix_s < tier.kept_s)
        ]
    return tuple(sorted(stay, key=_span))


def recent(offered: Iterable[Piece], count_max: int = SEGMENTS_MAX) -> tuple[Piece, ...]:
    """The pieces that the manifest names: the newest by falling `to`, the smallest of each `to`."""
    smallest: dict[int, Piece] = {}
    for piece in offered:
        known = smallest.get(piece.to_version)
        if known is None or piece.bytes < known.bytes:
            smallest[piece.to_version] = piece
    return tuple(smallest[to_version] for to_version in sorted(smallest, reverse=True)[:count_max])


def _span(piece: Piece) -> tuple[int, int]:
    return piece.to_version, piece.from_version


def _of(pieces: Iterable[Piece], lowest: Kind) -> list[Piece]:
    """The pieces of this tier and above, by rising `to`.

    The next piece of this tier begins where the last of them ends.
    """
    return sorted((piece for piece in pieces if piece.kind >= lowest), key=_span)


def _unspanned(offered: Sequence[Piece], kind: Kind) -> list[Piece]:
    spanned = newest(_of(offered, Kind(kind + 1)))
    return [piece for piece in offered if piece.kind is kind and piece.to_version > spanned]


def _is_over(offered: Sequence[Piece], kind: Kind, now_unix_s: int, schedule: Schedule) -> bool:
    """Whether the next piece of this tier is due.

    That is when its hour or day (UTC) is over, or too many pieces below wait for it.
    """
    last = _of(offered, kind)[-1]
    # Another period, not a later one: a clock that ran ahead must not delay pieces.
    is_another = (
        now_unix_s // schedule.tiers[kind].period_s
        != last.made_unix_s // schedule.tiers[kind].period_s
    )
    below = Kind(kind - 1)
    return is_another or len(_unspanned(offered, below)) >= schedule.tiers[below].crowd


def _is_worn(offered: Sequence[Piece], now_unix_s: int, schedule: Schedule) -> bool:
    """Whether the newest snapshot is old, or a new gate has too much to fetch besides it."""
    snapshot = _of(offered, Kind.SNAPSHOT)[-1]
    days = _unspanned(offered, Kind.DAY)
    return (
        now_unix_s - snapshot.made_unix_s >= schedule.worn_s
        or sum(piece.bytes for piece in days) > schedule.worn_share * snapshot.bytes
        or len(days) >= schedule.tiers[Kind.DAY].crowd
    )
