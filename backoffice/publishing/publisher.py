"""The publisher: it claims a list version, builds the pieces that are due, and signs the manifest.

    publisher = Publisher(config, registry)
    with publisher.alone():
        outcome = publisher.publish(now_unix_s)

What is public is what the published folder holds, from timestamp.json on; the registry only records
it. Files that never change are put first, durably, and timestamp.json last. After a kill anywhere,
gates see the list before or the list after, whole. The next run continues: it builds a version
again that no gate has seen, and records one as published that is public.
"""

import fcntl
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from backoffice.home.config import Config
from backoffice.home.folder import DAY_S
from backoffice.home.steps import finished
from backoffice.publishing.collisions import Comparison
from backoffice.publishing.epochs import epoch
from backoffice.publishing.fingerprints import Hash, hasher
from backoffice.publishing.naming import Offered, index_of, manifest_of, says
from backoffice.publishing.offers import Offer, Offers
from backoffice.publishing.piece_building import Press, Say, silent
from backoffice.publishing.pieces import (
    HOUR_S,
    Schedule,
    due,
    joined,
    kept,
    missing,
    newest,
    recalled,
)
from backoffice.publishing.public_folder import KEPT_S, PublicFolder
from backoffice.registry.publications import Kind, Piece
from backoffice.registry.registry import Registry
from backoffice.reports.keys import published_sealing_key
from backoffice.reports.retention import confirmed_unix_s
from backoffice.signing.clock import JUMP_S_MAX, STEP_S_MAX, time_to_sign
from backoffice.signing.keys import FingerprintKey, current_fingerprint_key
from backoffice.signing.published_state import (
    Used,
    prune,
    published_manifest,
    standing,
    used_versions,
)
from backoffice.signing.roles import publication_steps, timestamp_steps
from validator.errors import OperatorError
from validator.host.plain_files import SECRET_MODE
from validator.lists.manifest import (
    IndexEntry,
    ManifestError,
    PieceEntry,
    PublishedManifest,
    decode,
)

ISSUED_IN_A_LIFE = 10  # a manifest is issued again after a tenth of its validity

_EVER = 1 << 62  # later than any time
_FINGERPRINTS = "fingerprints"  # the home's folder for what collisions.py has compared


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did. `version` is the list version that is public now, 0 if none is.

    If `why` is empty no list was published, and `files` names what was signed again. `files` has
    sizes in bytes by name: the manifest, the index, and each file of metadata. `built` has the new
    pieces by rule.
    """

    version: int
    why: tuple[str, ...] = ()
    changes: int = 0
    compared: int = 0
    built: tuple[tuple[str, Piece], ...] = ()
    files: Mapping[str, int] = field(default_factory=dict)


class BusyError(OperatorError):
    """Another publisher of this home is running."""


class Publisher:
    """The publisher of one back office. Its caller holds `alone`.

    Raises OperatorError, CardsError, RegistryError and OSError, each one line that names no card.
    What was public before an error stays public.
    """

    def __init__(
        self,
        config: Config,
        registry: Registry,
        *,
        say: Say = silent,
        hashing: Callable[[bytes], Hash] = hasher,
    ) -> None:
        """`say` takes the progress of long work; `hashing` makes fingerprints under a key."""
        self._config = config
        self._home = config.home
        self._folder = PublicFolder(config.home)
        self._registry = registry
        self._log = registry.publications
        self._offers = Offers(config.rules, registry, self._folder)
        self._say = say
        self._hashing = hashing
        schedule = config.schedule
        self._schedule = Schedule.of(
            len(config.rules),
            schedule.minute_pieces_hours * HOUR_S,
            schedule.hour_pieces_hours * HOUR_S,
            schedule.day_pieces_days * DAY_S,
            schedule.snapshot_days * DAY_S,
            schedule.snapshot_percent / 100,
        )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only publisher of this home for a block.

        Raises BusyError if another is running.
        """
        home = self._home.folder
        try:
            fd = os.open(home / ".publisher", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, SECRET_MODE)
        except OSError as error:
            raise OperatorError(
                f"{home}: is no home of a back office ({error.strerror})"
            ) from error
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BusyError(
                    f"{home}: another publisher is running; one is enough, it publishes all changes"
                ) from None
            yield
        finally:
            os.close(fd)

    def publish(self, now_unix_s: int) -> Outcome:
        """Publish if there is a reason to; else sign again what is due, if anything."""
        return finished(self.steps(now_unix_s))

    def steps(self, now_unix_s: int) -> Generator[str, None, Outcome]:
        """`publish` in steps, so that a test can kill it between any two."""
        # Check the clock first: a clock that is refused must claim no version and build no piece.
        known = self._log.newest()
        time_to_sign(self._home, now_unix_s, issued_unix_s=known.issued_unix_s if known else 0)
        self._folder.prepare()
        public = self._public()
        self._date(public, now_unix_s)
        if public is not None and not self._registry.claimed() and not self._registry.cards_added():
            raise OperatorError(
                f"the registry is empty, though list {public.list_version} is public: published, it"
                " would let every card in; restore the registry from its backup, or import the"
                " cards first (docs/runbook.md)"
            )
        yield from self._settle(public)
        key = current_fingerprint_key(self._home)
        offers = self._offers.now(public, key.id, now_unix_s)
        why = self._why(public, offers, now_unix_s)
        if why:
            return (yield from self._publish(public, offers, key, why, now_unix_s))
        with self._home.hold():
            signed = yield from timestamp_steps(self._home, now_unix_s)
        return Outcome(public.list_version if public else 0, files=signed.files)

    # What is public, and what the registry knows of it

    def _public(self) -> PublishedManifest | None:
        content = published_manifest(self._home)
        try:
            return None if content is None else decode(content)
        except ManifestError as error:
            raise OperatorError(
                f"{self._home.targets}: the published manifest is not this program's: {error}"
            ) from error

    def _date(self, public: PublishedManifest | None, now_unix_s: int) -> None:
        """Count the age of retired files from now, if another clock dated them.

        They would be deleted at once, or never.
        """
        # A list is issued again after a part of its validity. An older one was issued by another
        # clock, or no publisher has run since.
        oldest_s = self._config.manifest_valid_s // ISSUED_IN_A_LIFE + JUMP_S_MAX
        if public and not -STEP_S_MAX <= now_unix_s - public.issued_unix_s <= oldest_s:
            self._folder.date_all(now_unix_s)
            self._log.date_retired(now_unix_s)

    def _settle(self, public: PublishedManifest | None) -> Generator[str, None, None]:
        """Record what a run published that was killed before it could record it."""
        building = self._log.building()
        if building is None or public is None or public.list_version < building.version:
            return
        index = self._folder.index(public.index)
        if public.list_version == building.version and index is not None and public.fingerprint_key:
            offered = {
                rule: self._recalled(rule, entries, public, public.fingerprint_key)
                for rule, entries in index.rules.items()
            }
            yield from self._record(offered, public.fingerprint_key, public.issued_unix_s)
        self._log.finish(building.version)
        yield f"recorded that list {building.version} is published"

    def _recalled(
        self, rule: str, entries: Sequence[PieceEntry], public: PublishedManifest, key: str
    ) -> tuple[Piece, ...]:
        known = self._log.offered(rule) if self._log.key_ids(rule) == {key} else ()
        by_hash = {piece.sha256: piece for piece in known}
        return tuple(
            by_hash.get(entry.sha256)
            or Piece(
                recalled(known, entry.from_version),
                entry.from_version,
                entry.to_version,
                entry.bytes,
                public.issued_unix_s,
                entry.sha256,
            )
            for entry in entries
        )

    def _why(
        self, public: PublishedManifest | None, offers: Sequence[Offer], now_unix_s: int
    ) -> tuple[str, ...]:
        """The reasons to publish."""
        if public is None:
            return ("the first list",)
        building, pending = self._log.building(), self._registry.pending()
        reasons = {
            f"{pending} changed": pending > 0,
            "a list was begun": building is not None,
            "the registry does not know the public list": not self._offers.knows(public),
            "the rules changed": not says(public, self._config.rules),
            "the sealing key changed": public.sealing_key != published_sealing_key(self._config),
            "the index is gone": self._folder.index(public.index) is None,
            # A list issued later than now is of a clock that ran ahead. What is signed now must not
            # name it.
            "its time has come": not -STEP_S_MAX
            <= now_unix_s - public.issued_unix_s
            < self._config.manifest_valid_s // ISSUED_IN_A_LIFE,
        }
        begun = [
            f"{offer.rule.name} {offer.why}" for offer in offers if not (offer.there or offer.lost)
        ]
        lost = [
            f"{offer.rule.name} has lost {len(offer.lost)} pieces" for offer in offers if offer.lost
        ]
        return (*(reason for reason, holds in reasons.items() if holds), *begun, *lost)

    # A publication

    def _publish(
        self,
        public: PublishedManifest | None,
        offers: Sequence[Offer],
        key: FingerprintKey,
        why: tuple[str, ...],
        now_unix_s: int,
    ) -> Generator[str, None, Outcome]:
        if public is not None and not self._offers.knows(public):
            self._folder.date(self._folder.index(public.index), now_unix_s)
        version = self._begin(public, now_unix_s)
        yield f"begun {version}"
        changes = self._registry.claim(version)
        yield f"claimed {version}"
        offered, built, compared = yield from self._build(version, offers, key, now_unix_s)
        index = yield from self._folder.put_index(index_of(offered), now_unix_s)
        self._folder.sync()
        yield "folders synced"
        valid_s, rules = self._config.manifest_valid_s, self._config.rules
        sealing_key = published_sealing_key(self._config)
        manifest = manifest_of(
            version, now_unix_s, valid_s, rules, offered, index, key.id, sealing_key
        )
        with self._home.hold():
            signed = yield from publication_steps(self._home, manifest, now_unix_s)
        yield f"list {version} is public"
        yield from self._record(offered, key.id, now_unix_s)
        self._log.finish(version)
        yield "finished"
        yield from self._tidy(offered, built, index, now_unix_s)
        files = {"manifest": len(manifest), "index": index.bytes, **signed.files}
        return Outcome(version, why, changes, compared, tuple(built), files)

    def _begin(self, public: PublishedManifest | None, issued_unix_s: int) -> int:
        """The list version to publish.

        The begun one if no gate has seen it, else one above all that were used.
        """
        seen = public.list_version if public else 0
        building, known = self._log.building(), self._log.newest()
        if building is not None:
            if public is not None or used_versions(self._home, standing(self._home)) == Used():
                return building.version
            # What was public is lost, so this version may have been public: gates refuse two lists
            # of one version.
            self._log.finish(building.version)
            known = building
        version = max(seen, known.version if known else 0, self._registry.claimed()) + 1
        return self._log.begin(version, issued_unix_s).version

    def _build(
        self, version: int, offers: Sequence[Offer], key: FingerprintKey, now_unix_s: int
    ) -> Generator[str, None, tuple[dict[str, tuple[Piece, ...]], list[tuple[str, Piece]], int]]:
        """Compare new cards, and build the pieces that are due.

        Returns what is offered of each rule then, what was built, and how many cards were compared.
        """
        hashed = self._hashing(key.key)
        comparison = Comparison(
            self._registry, self._home.folder / _FINGERPRINTS, bytes.fromhex(key.id), hashed
        )
        compared = comparison.check(lambda done, total: self._say("comparing cards", done, total))
        yield "compared"
        press = Press(
            self._registry,
            self._folder,
            version,
            now_unix_s,
            bytes.fromhex(key.id),
            hashed,
            self._say,
        )
        offered: dict[str, tuple[Piece, ...]] = {}
        built: list[tuple[str, Piece]] = []
        for offer in offers:
            name = offer.rule.name
            pieces, made = yield from self._pieces(press, offer)
            offered[name] = pieces
            built += [(name, piece) for piece in made]
        self._folder.sync()
        return offered, built, compared

    def _pieces(
        self, press: Press, offer: Offer
    ) -> Generator[str, None, tuple[tuple[Piece, ...], list[Piece]]]:
        """Build what is due of a rule. Returns what is offered of it then, and what was built."""
        changed = self._registry.changed_rules(newest(offer.there))
        wanted = due(
            offer.there,
            version=press.version,
            now_unix_s=press.now_unix_s,
            changed=offer.rule.name in changed,
            schedule=self._schedule,
            lost=offer.lost,
        )
        built = []
        for one in missing(offer.there, wanted):
            piece = yield from press.build(
                offer.rule, one, self._offers.cards_expected(offer, one.kind)
            )
            built.append(piece)
        pieces = joined(offer.there, wanted, built, press.now_unix_s)
        return kept(pieces, press.now_unix_s, self._schedule), built

    # Afterwards

    def _record(self, offered: Offered, key: str, now_unix_s: int) -> Generator[str, None, None]:
        for rule in {*offered, *self._log.rules()}:
            self._log.offer(rule, offered.get(rule, ()), key, now_unix_s)
            yield f"recorded {rule}"

    def _tidy(
        self,
        offered: Offered,
        built: Sequence[tuple[str, Piece]],
        index: IndexEntry,
        now_unix_s: int,
    ) -> Generator[str, None, None]:
        """Remove old files and states.

        No gate can still be fetching the files, and no piece will carry the states again.
        """
        retired = self._log.retired(_EVER)
        since = {
            one.piece.sha256: one.retired_unix_s
            for one in sorted(retired, key=lambda one: one.retired_unix_s)
        }
        hashes = {piece.sha256 for pieces in offered.values() for piece in pieces}
        yield from self._folder.prune(hashes, since, index.sha256, now_unix_s)
        self._log.forget(one for one in retired if one.retired_unix_s < now_unix_s - KEPT_S)
        with self._home.hold():
            prune(self._home, now_unix_s)
        for rule in (rule for rule, piece in built if piece.kind is Kind.SNAPSHOT):
            # Like the snapshot, it reads every card of the rule.
            begins = (piece.from_version or piece.to_version for piece in offered[rule])
            ended_before_unix_s = epoch(min(now_unix_s, confirmed_unix_s(self._config)), DAY_S)
            self._registry.forget(rule, min(begins), ended_before_unix_s)
            yield f"forgot old states of {rule}"
