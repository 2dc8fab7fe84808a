"""The courier: the slow loop that goes to town for lists. It decides what to accept, what to fetch and in which order; it knows no network and no disk.

One poll, in one direction: ask what is signed, hold it against the floor, write down that it is accepted, fetch the cheapest chain of
pieces, install. Whatever fails on the way ends the poll with a state that says so, and the list that the gate has stays. There is no
retry inside a poll: the next one goes on with what has been fetched.
"""

import random
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import replace

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
from validator.domain.chain import cheapest_chain
from validator.domain.floor import BelowFloorError, Floor, raised
from validator.domain.trusted_time import TimeBasis, latest_signed_unix_s, vouched_unix_s
from validator.errors import RemoteError, SourceState
from validator.ipc.accepted import Accepted
from validator.lists.manifest import ManifestError, PieceEntry, PublishedManifest, decode
from validator.lists.piece_index import decode as decode_index

JITTER = 0.2  # of the poll interval, each way: 20,000 gates must not ask at once
BUSY_WAIT_S_MAX = 300.0  # how far a gate steps back by itself from a server that says it is busy
RETRY_AFTER_S_MAX = 3_600.0  # and how far at most because the server asks
REQUEST_COST_BYTES = (
    400  # what asking for one more piece costs in headers, when chains are compared
)

Chains = Mapping[str, Sequence[PieceEntry]]


class SyncStatus(NamedTuple):
    """How it stands after a poll.

    The state of the source since when (Unix seconds), and the version of the list held here.

    0 is none, None is not known.
    """

    state: SourceState
    problem: str
    since_unix_s: int
    polled_unix_s: int
    list_version: int | None
    accepted_version: int


@dataclass(slots=True)
class _Waits:
    """How long to wait after a poll; `draw` is uniform in [0, 1)."""

    poll_s: float
    draw: Callable[[], float]
    busy_s: float = 0.0

    def after(self, error: RemoteError | None) -> float:
        regular_s = self.poll_s * (1 + JITTER * (2 * self.draw() - 1))
        if error is None or error.state is not SourceState.BUSY:
            self.busy_s = 0.0
            return regular_s
        self.busy_s = min(max(2 * self.busy_s, self.poll_s), BUSY_WAIT_S_MAX)
        asked_s = min(error.retry_after_s, RETRY_AFTER_S_MAX)
        return max(asked_s, regular_s) + self.busy_s * self.draw()


class ListSync:
    """One gate's way to its city. For one thread."""

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
        draw: Callable[[], float] = random.random,
        lanes: Lanes,
        disk_problem: Callable[[], str] = str,
    ) -> None:
        """`held_keys` tells the ids (hex) of the fingerprint keys that this gate holds now, `disk_problem` why nothing can be kept (or "")."""
        self.mended: list[str] = []
        """One line for each file that was found damaged; whoever logs them takes them out."""
        self._lanes = lanes
        self._refused = ""
        self._metadata = metadata
        self._pieces = pieces
        self._lists = lists
        self._store = store
        self._clock = clock
        self._held_keys = held_keys
        self._disk_problem = disk_problem
        self._offered = 0  # the newest list that was verified, kept or not
        self._waits = _Waits(poll_s, draw)
        self._status: SyncStatus | None = None
        if store.accepted is not None:
            clock.begin_with(store.accepted)

    def replay(self) -> SyncStatus:
        """At start, without the network: install again what was accepted, from the pieces on the disk, if they lead there."""
        accepted = self._store.accepted
        error = None
        try:
            self._mend()
            newest = accepted is None or self._again(accepted.manifest, accepted.era)
            if accepted is not None and not newest and accepted.installed:
                # The one that was held before, if the newest was accepted and never came to be installed.
                self._again(accepted.installed, accepted.installed_era)
        except RemoteError as problem:
            # A damaged piece is no trouble of the disk: the first poll fetches it again.
            is_disk = problem.state is SourceState.DISK
            error = problem if is_disk else RemoteError(SourceState.UNREACHABLE, str(problem))
        except (ManifestError, OSError) as problem:
            error = RemoteError(SourceState.DISK, str(problem))
        except Exception as problem:  # noqa: BLE001  # as in `poll`
            error = RemoteError(
                SourceState.DISK, f"a fault of this program: {where(problem)}; report it"
            )
        return self._stand(error or RemoteError(SourceState.UNREACHABLE, "not asked yet"))

    def _again(self, content: str, era: int) -> bool:
        """Install a list from the pieces on the disk, unless it stands here; whether it does then."""
        manifest = decode(content.encode())
        if self._lists.held == (era, manifest.list_version):
            return True
        kept = self._pieces.held()
        chains = self._chains(manifest, era, lambda rule: kept.get(rule, ()))
        if chains is not None:
            self._bring(manifest, era, chains)
        return chains is not None

    def poll(self) -> tuple[SyncStatus, float]:
        """Go to town once.

        Returns how it stands and how many seconds to wait before the next time. Never raises for
        what it finds there.

        On a disk that takes nothing what is signed is verified all the same, and nothing of it is
        claimed: the state is DISK, or the town's own trouble with the disk's beside it.
        """
        lacking = self._disk_problem()
        refused, damage = self._mended()
        error: RemoteError | None = None
        try:
            accepted, manifest = self._accept(self._signed())
            self._require_key(manifest)
            if self._lists.held != (accepted.era, manifest.list_version):
                self._follow(manifest, accepted.era)
            elif refused:
                error = RemoteError(SourceState.DISK, refused)
        except RemoteError as problem:
            error = problem
        except OSError as problem:
            error = _disk(problem)
        except Exception as problem:  # noqa: BLE001  # a fault of ours must not end what brings lists
            error = RemoteError(
                SourceState.DISK, f"a fault of this program: {where(problem)}; report it"
            )
        error = self._besides(error or damage, lacking)
        return self._stand(error), self._waits.after(error)

    def _mended(self) -> tuple[str, RemoteError | None]:
        """The same as `_mend`, and what kept it from its work.

        A list is followed all the same, as far as that goes.
        """
        try:
            return self._mend(), None
        except RemoteError as problem:
            return "", problem
        except OSError as problem:
            return "", _disk(problem)

    def _mend(self) -> str:
        """Repair what is damaged here.

        Returns why a lane does not use the list that is held, if that is not because of its files.

        Bits that rot change no status of a file: the lane, which reads everything when it starts,
        is who finds them. What it says is read again here once, and not at every poll: if the files
        are whole, reading them again does not help.
        """
        held = self._lists.held
        refused = self._lanes.refused(*held) if held[1] else ""
        damaged = self._lists.mend(suspect=bool(refused) and refused != self._refused)
        self._refused = refused
        self.mended += self._store.mend()
        self.mended += [f"{name}: damaged, and replaced" for name in damaged]
        return refused if held == self._lists.held and not damaged else ""

    def _signed(self) -> Signed:
        """What the city says now. A newer root is kept even if the rest is refused: what it revokes stays revoked."""
        try:
            return self._metadata.signed(self._clock.now().unix_s, self._basis())
        finally:
            self._store.keep_root(self._metadata.root)

    def _basis(self) -> TimeBasis | None:
        """What the time floor rests on; None on a gate that has accepted nothing yet."""
        accepted = self._store.accepted
        if accepted is None:
            return None
        without_unix_s = vouched_unix_s(self._clock.system())
        return TimeBasis(accepted.root, accepted.timestamp_keys, without_unix_s)

    def _accept(self, signed: Signed) -> tuple[Accepted, PublishedManifest]:
        """Hold it against what was accepted before, and write down that it is accepted, before anything is done by it."""
        try:
            manifest = decode(signed.manifest)
        except ManifestError as error:
            raise RemoteError(SourceState.REFUSED, str(error)) from None
        signed_unix_s = signed.signed_unix_s or manifest.issued_unix_s
        before = self._store.accepted
        self._check_times(
            signed_unix_s, signed.expires_unix_s, before.signed_unix_s if before else 0
        )
        if manifest.issued_unix_s > signed_unix_s:
            raise RemoteError(SourceState.REFUSED, "the list was issued after it was signed")
        seen = Floor(signed.versions, signed.keys, manifest.list_version, signed_unix_s, era=0)
        try:
            floor = raised(before.floor if before else None, seen)
        except BelowFloorError as error:
            raise RemoteError(SourceState.REPLAYED, str(error)) from None
        text = signed.manifest.decode()
        self._check_held(manifest, floor.era if before else None)
        is_same = before is not None and (before.era, before.list_version) == (
            floor.era,
            floor.list_version,
        )
        if before is not None and is_same and before.manifest != text:
            raise RemoteError(
                SourceState.REFUSED,
                f"two different lists are signed as version {floor.list_version}",
            )
        self._offered = floor.list_version
        if before is None or before.floor != floor:
            boot_id, boottime_ns = self._clock.boot()
            accepted = Accepted.of(floor, signed.manifest, boot_id, boottime_ns)
            before = replace(accepted, **self._installed(before, accepted))
            self._store.accept(before)
            self._clock.begin_with(before)
        return before, manifest

    def _installed(self, before: Accepted | None, accepted: Accepted) -> dict[str, Any]:
        """What is to be written of the list that is held here, beside one that is accepted and not installed yet."""
        if before is None or self._lists.held == (accepted.era, accepted.list_version):
            return {}
        if self._lists.held == (before.era, before.list_version):
            return {"installed": before.manifest, "installed_era": before.era}
        return {"installed": before.installed, "installed_era": before.installed_era}

    def _check_times(self, signed_unix_s: int, expires_unix_s: int, before_unix_s: int) -> None:
        """How far ahead a signed time may lie.

        A day of a synchronised clock and, on every gate, within the validity of all that signed it.

        The time accepted before counts against the gate's own clock only if what is offered now
        does not lie below it: then it was ahead, and its keys were replaced, or this is a replay.
        """
        confirmed_unix_s = before_unix_s if before_unix_s <= signed_unix_s else 0
        latest_unix_s = latest_signed_unix_s(self._clock.system(), confirmed_unix_s)
        if latest_unix_s is not None and signed_unix_s > latest_unix_s:
            raise RemoteError(
                SourceState.REFUSED,
                f"signed at {signed_unix_s}, more than a day ahead of this gate's synchronised clock",
            )
        if signed_unix_s >= expires_unix_s:
            raise RemoteError(
                SourceState.REFUSED,
                f"signed at {signed_unix_s}, when what it is signed with had expired ({expires_unix_s}):"
                " a clock that ran ahead has signed it",
            )

    def _check_held(self, manifest: PublishedManifest, era: int | None) -> None:
        """A list that a courier installed is a floor too.

        What was accepted may be lost (`era` is None), or an older state of it may be back.
        """
        held_era, version = self._lists.held
        if held_era and era in (None, held_era) and manifest.list_version < version:
            raise RemoteError(
                SourceState.REPLAYED,
                f"list {manifest.list_version} was offered, {version} is held here",
            )

    def _require_key(self, manifest: PublishedManifest) -> None:
        """Also for a list that is held.

        Its key may be what was lost, and no lane could use it from its next start on.
        """
        key = manifest.fingerprint_key
        if key is not None and key not in self._held_keys():
            raise RemoteError(
                SourceState.NO_KEY,
                f"list {manifest.list_version} is made under fingerprint key {key}, which this gate does not hold; put it into list.keys",
            )

    def _follow(self, manifest: PublishedManifest, era: int) -> None:
        """Bring the tables forward, by the pieces that the manifest names itself or, when those do not lead there, by those of the index."""
        recent = {rule.name: rule.segments for rule in manifest.rules}
        chains = self._chains(manifest, era, recent.__getitem__)
        if chains is None:
            chains = self._chains(manifest, era, self._index(manifest).__getitem__)
        if chains is None:
            raise RemoteError(
                SourceState.REFUSED,
                f"the pieces on offer do not lead to list {manifest.list_version}",
            )
        self._bring(manifest, era, chains)

    def _chains(
        self, manifest: PublishedManifest, era: int, offers: Callable[[str], Iterable[PieceEntry]]
    ) -> Chains | None:
        """For each rule the cheapest pieces from where its table stands to the newest that the manifest names, or None if one has none."""
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
                SourceState.REFUSED, f"the index does not tell the pieces of {', '.join(missing)}"
            )
        return rules

    def _bring(self, manifest: PublishedManifest, era: int, chains: Chains) -> None:
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

    def _stand(self, error: RemoteError | None) -> SyncStatus:
        now_unix_s = self._clock.now().unix_s
        state, problem = (error.state, str(error)) if error else (SourceState.FRESH, "")
        before = self._status
        since_unix_s = before.since_unix_s if before and before.state is state else now_unix_s
        since_unix_s = min(
            since_unix_s, now_unix_s
        )  # it began while the time was ahead, and that is void now
        accepted = self._store.accepted
        self._status = SyncStatus(
            state,
            problem,
            since_unix_s,
            now_unix_s,
            self._held_version(),
            accepted.list_version if accepted else 0,
        )
        return self._status

    def _besides(self, error: RemoteError | None, lacking: str) -> RemoteError | None:
        """What to say of a poll on a disk that takes nothing, if so."""
        if not lacking:
            return error
        if error is not None and error.state is not SourceState.DISK:
            return RemoteError(error.state, f"{error}; besides, {lacking}", error.retry_after_s)
        waits = self._offered > (self._store.accepted.list_version if self._store.accepted else 0)
        signed = f"; list {self._offered} is signed by the city, and waits for it" if waits else ""
        return RemoteError(SourceState.DISK, f"{lacking}{signed}")

    def _held_version(self) -> int | None:
        try:
            return self._lists.held[1]
        except OSError:
            return None  # a disk that cannot be read: unknown, and not none


def _disk(error: OSError) -> RemoteError:
    return RemoteError(SourceState.DISK, f"{error.filename}: {error.strerror}; check the disk")


def where(error: Exception) -> str:
    """What kind of fault it is and in which line of code.

    Never its words, which might hold what somebody sent.
    """
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"
