"""What is on offer of each rule now, and what is lost."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from backoffice.home.config import RuleConfig
from backoffice.publishing.public_folder import PublicFolder
from backoffice.registry.publications import Kind, Piece
from backoffice.registry.registry import Registry
from backoffice.signing.clock import STEP_S_MAX
from validator.lists.manifest import PublishedManifest


@dataclass(frozen=True, slots=True)
class Offer:
    """A rule and its pieces.

    `there` can be fetched, the files of `lost` are gone, and `why` says why there are none.
    """

    rule: RuleConfig
    there: tuple[Piece, ...] = ()
    lost: tuple[Piece, ...] = ()
    why: str = "begins again"


class Offers:
    """Compares what the registry recorded as published with the published folder."""

    def __init__(
        self, rules: Sequence[RuleConfig], registry: Registry, folder: PublicFolder
    ) -> None:
        self._rules = rules
        self._registry = registry
        self._log = registry.publications
        self._folder = folder

    def now(self, public: PublishedManifest | None, key_id: str, now_unix_s: int) -> list[Offer]:
        """Each rule with its pieces.

        A rule without pieces begins again: the rule is new, or its key, its unit or the registry
        changed.
        """
        if public is not None and not self.knows(public):
            return [Offer(rule) for rule in self._rules]
        return [self._offer(rule, key_id, now_unix_s) for rule in self._rules]

    def knows(self, public: PublishedManifest) -> bool:
        """Whether the public list was made from this registry, and not from a newer copy of it.

        If not, the registry's versions mean other states than the gates have.
        """
        known = self._log.newest()
        newest = min(known.version if known else 0, self._registry.claimed())
        return newest >= public.list_version

    def _offer(self, rule: RuleConfig, key_id: str, now_unix_s: int) -> Offer:
        pieces = self._log.offered(rule.name) if self._log.key_ids(rule.name) == {key_id} else ()
        if any(self._has_forgotten_ends(piece, now_unix_s) for piece in pieces):
            return Offer(rule, why="begins again: some of it was built by a clock that ran ahead")
        # If that clock was not so far ahead, ages count from now.
        pieces = tuple(
            replace(piece, made_unix_s=min(piece.made_unix_s, now_unix_s)) for piece in pieces
        )
        there = tuple(piece for piece in pieces if self._folder.has(piece))
        if there:
            header = self._folder.header(there[-1])
            if header is None or header.until_unit_s != rule.until_unit_s:
                return Offer(rule)
        return Offer(rule, there, tuple(piece for piece in pieces if piece not in there))

    def _has_forgotten_ends(self, piece: Piece, now_unix_s: int) -> bool:
        """Whether a piece may hold a card as removed whose end has not come.

        That is so if it was built later than now, by a clock that ran ahead. Gates that have the
        piece have folded it into older pieces, whose ends are then gone too. So only a snapshot
        repairs it.
        """
        if piece.made_unix_s <= now_unix_s + STEP_S_MAX:
            return False
        header = self._folder.header(piece)
        return header is None or header.epoch_unix_s > now_unix_s

    def cards_expected(self, offer: Offer, kind: Kind) -> int:
        """About how many cards a snapshot will have: as many as the last one; 0 if unknown."""
        snapshots = [piece for piece in offer.there if piece.kind is Kind.SNAPSHOT]
        header = self._folder.header(snapshots[-1]) if snapshots and kind is Kind.SNAPSHOT else None
        return header.count if header else 0
