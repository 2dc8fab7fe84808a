"""The courier's first loop: it brings lists from the city. It uses no network and no disk itself.

One poll goes one way: verify the signed metadata, accept it, fetch the cheapest chain of pieces,
install the list, inform the lanes. A failure ends the poll with a state that names it, and the gate
keeps its list. There is no retry inside a poll: the next one goes on from what has been fetched.
"""

import random
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from validator.courier.acceptance import Acceptance
from validator.courier.disk import disk_error
from validator.courier.ports import (
    AcceptedStore,
    CourierClock,
    Fetched,
    Lanes,
    ListStore,
    MetadataSource,
    Pieces,
    Signed,
)
from validator.courier.waits import PollWaits
from validator.domain.chain import cheapest_chain
from validator.errors import RemoteError, SourceState
from validator.lists.manifest import ManifestError, PieceEntry, PublishedManifest, decode
from validator.lists.piece_index import decode as decode_index

REQUEST_COST_BYTES = 400  # the headers of one more request, when chains of pieces are compared

Chains = Mapping[str, Sequence[PieceEntry]]


class SyncStatus(NamedTuple):
    """The result of a poll.

    Attributes:
        state: The state of the source of lists.
        problem: Why it is not FRESH, in one line.
        since_unix_s: Since when it has this state.
        polled_unix_s: When this poll ended.
        list_version: The version of the held list; 0 without one, None if the disk cannot be read.
        accepted_version: The version of the list that was accepted last; 0 on a new gate.
    """

    state: SourceState
    problem: str
    since_unix_s: int
    polled_unix_s: int
    list_version: int | None
    accepted_version: int


class ListSync:
    """Brings one gate's lists from its city. For one thread."""

    def __init__(
        self,
        *,
        metadata: MetadataSource,
        pieces: Pieces,
        lists: ListStore,
        store: AcceptedStore,
        clock: CourierClock,
        held_keys: Callable[[], Collection[str]],
        poll_s: float,
        lanes: Lanes,
        draw: Callable[[], float] = random.random,
        disk_problem: Callable[[], str] = str,
    ) -> None:
        """Begin with what the stores have; nothing is fetched.

        Args:
            metadata: The city's signed metadata.
            pieces: The city's published files.
            lists: The lists on this gate.
            store: What this gate has accepted.
            clock: Wall time by the floor rule.
            held_keys: Returns the ids (hex) of the fingerprint keys that this gate holds now.
            poll_s: The seconds between two polls.
            lanes: The lanes of this gate.
            draw: Returns random numbers, uniform in [0, 1).
            disk_problem: Returns why the disk stores nothing, in one line, or "".
        """
        self.mended: list[str] = []
        """One line for each file that was damaged; the caller logs and removes them."""
        self._lanes = lanes
        self._refused = ""
        self._metadata = metadata
        self._pieces = pieces
        self._lists = lists
        self._store = store
        self._clock = clock
        self._held_keys = held_keys
        self._disk_problem = disk_problem
        self._acceptance = Acceptance(store, lists, clock)
        self._waits = PollWaits(poll_s, draw)
        self._status: SyncStatus | None = None

    def replay(self) -> SyncStatus:
        """At the start: install the accepted list from the pieces on the disk, without a network.

        Never raises; the status names what went wrong.
        """
        accepted = self._store.accepted
        error = None
        try:
            self._mend()
            is_newest = accepted is None or self._again(accepted.manifest, accepted.era)
            if accepted is not None and not is_newest and accepted.installed:
                # The newest was accepted and never installed: the one before it is on the disk.
                self._again(accepted.installed, accepted.installed_era)
        except RemoteError as problem:
            # A damaged piece is no fault of the disk: the first poll fetches it again.
            is_disk = problem.state is SourceState.DISK
            error = problem if is_disk else RemoteError(SourceState.UNREACHABLE, str(problem))
        except (ManifestError, OSError) as problem:
            error = RemoteError(SourceState.DISK, str(problem))
        except Exception as problem:  # noqa: BLE001  # as in `poll`
            error = _own_fault(problem)
        return self._result(error or RemoteError(SourceState.UNREACHABLE, "not asked yet"))

    def _again(self, content: str, era: int) -> bool:
        """Install this list from the pieces on the disk. Returns whether it is held now."""
        manifest = decode(content.encode())
        if self._lists.held == (era, manifest.list_version):
            return True
        kept = self._pieces.held()
        chains = self._chains(manifest, era, lambda rule: kept.get(rule, ()))
        if chains is not None:
            self._install(manifest, era, chains)
        return chains is not None

    def poll(self) -> tuple[SyncStatus, float]:
        """Run one poll: verify the metadata, fetch pieces, install.

        Never raises for anything that it meets. On a disk that stores nothing the metadata is
        verified all the same, and none of it is accepted: the state is DISK, or the source's own
        with the disk's problem beside it.

        Returns:
            The status, and the seconds until the next poll.
        """
        disk_problem = self._disk_problem()
        refused, damage = self._mended()
        error: RemoteError | None = None
        try:
            accepted, manifest = self._acceptance.accept(self._signed())
            self._require_key(manifest)
            if self._lists.held != (accepted.era, manifest.list_version):
                self._follow(manifest, accepted.era)
            elif refused:
                error = RemoteError(SourceState.DISK, refused)
        except RemoteError as problem:
            error = problem
        except OSError as problem:
            error = disk_error(problem)
        except Exception as problem:  # noqa: BLE001  # a fault of ours must not end the courier
            error = _own_fault(problem)
        error = self._with_disk_problem(error or damage, disk_problem)
        return self._result(error), self._waits.after(error)

    def _mended(self) -> tuple[str, RemoteError | None]:
        """Repair what is damaged. Returns the result of `_mend`, and the error that stopped it.

        The poll goes on after such an error.
        """
        try:
            return self._mend(), None
        except RemoteError as problem:
            return "", problem
        except OSError as problem:
            return "", disk_error(problem)

    def _mend(self) -> str:
        """Repair what is damaged on this gate.

        Returns why a lane does not use the held list although its files are whole, or "".

        A rotten bit changes no status of a file. The lane finds it, since it reads everything when
        it starts. Its complaint makes the courier read the files again once, and not at every poll:
        if they are whole, another reading does not help.
        """
        held = self._lists.held
        refused = self._lanes.refused(*held) if held[1] else ""
        damaged = self._lists.mend(suspect=bool(refused) and refused != self._refused)
        self._refused = refused
        self.mended += self._store.mend()
        self.mended += [f"{name}: damaged, and replaced" for name in damaged]
        return refused if held == self._lists.held and not damaged else ""

    def _signed(self) -> Signed:
        """Fetch the signed metadata.

        A newer root is stored even if the rest is refused: what it revokes stays revoked.
        """
        try:
            return self._metadata.signed(self._clock.now().unix_s, self._acceptance.time_basis())
        finally:
            self._store.keep_root(self._metadata.root)

    def _require_key(self, manifest: PublishedManifest) -> None:
        """Refuse a list whose fingerprint key this gate does not hold.

        A held list too: its key may be lost, and no lane could use the list from its next start on.
        """
        key = manifest.fingerprint_key
        if key is not None and key not in self._held_keys():
            raise RemoteError(
                SourceState.NO_KEY,
                f"list {manifest.list_version} is made under fingerprint key {key}, which this gate"
                " does not hold; put it into list.keys",
            )

    def _follow(self, manifest: PublishedManifest, era: int) -> None:
        """Fetch and install this list.

        By the pieces that the manifest names or, if they do not lead there, by those of the index.
        """
        recent = {rule.name: rule.segments for rule in manifest.rules}
        chains = self._chains(manifest, era, recent.__getitem__)
        if chains is None:
            chains = self._chains(manifest, era, self._index(manifest).__getitem__)
        if chains is None:
            raise RemoteError(
                SourceState.REFUSED,
                f"the pieces on offer do not lead to list {manifest.list_version}",
            )
        self._install(manifest, era, chains)

    def _chains(
        self,
        manifest: PublishedManifest,
        era: int,
        offers: Callable[[str], Iterable[PieceEntry]],
    ) -> Chains | None:
        """The cheapest chain of pieces for each rule; None if one rule has none.

        A chain leads from the version of the held table to the newest that the manifest names.
        """
        chains = {}
        for rule in manifest.rules:
            newest = rule.segments[0].to_version
            standing = self._lists.standing(rule.name, manifest.fingerprint_key, era)
            usable = [piece for piece in offers(rule.name) if piece.to_version <= newest]
            chain = cheapest_chain(standing, usable, REQUEST_COST_BYTES)
            if chain is None or (chain[-1].to_version if chain else standing) < newest:
                return None
            chains[rule.name] = chain
        return chains

    def _index(self, manifest: PublishedManifest) -> Mapping[str, Sequence[PieceEntry]]:
        if manifest.index is None:
            raise RemoteError(SourceState.REFUSED, "the list names no index")
        try:
            rules = decode_index(
                self._pieces.index(manifest.index.bytes, manifest.index.sha256)
            ).rules
        except ManifestError as error:
            raise RemoteError(SourceState.REFUSED, str(error)) from None
        if missing := {rule.name for rule in manifest.rules} - set(rules):
            raise RemoteError(
                SourceState.REFUSED, f"the index does not name the pieces of {', '.join(missing)}"
            )
        return rules

    def _install(self, manifest: PublishedManifest, era: int, chains: Chains) -> None:
        """Fetch the pieces, install the list, and delete the pieces that are not needed again."""
        fetched = {
            rule: [Fetched(piece, self._pieces.fetch(piece)) for piece in chain]
            for rule, chain in chains.items()
        }
        self._lists.install(manifest, era, fetched)
        self._lanes.list_changed()
        held = self._pieces.held()
        kept = {rule: self._lists.kept(rule) for rule in chains}
        self._pieces.keep_only(
            {
                piece.sha256
                for rule in chains
                for piece in held.get(rule, ())
                if piece.to_version > kept[rule]
            }
        )

    def _result(self, error: RemoteError | None) -> SyncStatus:
        now_unix_s = self._clock.now().unix_s
        state, problem = (error.state, str(error)) if error else (SourceState.FRESH, "")
        before = self._status
        since_unix_s = before.since_unix_s if before and before.state is state else now_unix_s
        # It may have begun while the time was ahead, and that time is void now.
        since_unix_s = min(since_unix_s, now_unix_s)
        self._status = SyncStatus(
            state,
            problem,
            since_unix_s,
            now_unix_s,
            self._held_version(),
            self._acceptance.accepted_version,
        )
        return self._status

    def _with_disk_problem(
        self, error: RemoteError | None, disk_problem: str
    ) -> RemoteError | None:
        """The error of a poll on a disk that stores nothing; the same error on any other disk."""
        if not disk_problem:
            return error
        if error is not None and error.state is not SourceState.DISK:
            return RemoteError(
                error.state, f"{error}; besides, {disk_problem}", error.retry_after_s
            )
        version = self._acceptance.waiting_version
        waits = f"; list {version} is signed by the city, and waits for it" if version else ""
        return RemoteError(SourceState.DISK, f"{disk_problem}{waits}")

    def _held_version(self) -> int | None:
        try:
            return self._lists.held[1]
        except OSError:
            return None  # a disk that cannot be read: unknown, and not none


def _own_fault(error: Exception) -> RemoteError:
    return RemoteError(SourceState.DISK, f"a fault of this program: {where(error)}; report it")


def where(error: Exception) -> str:
    """The class of an error and the line of code that raised it.

    Never its text, which may quote bytes of others.
    """
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"
