"""Decides whether the gate accepts what the city signed, and stores that before any use of it.

The signatures are verified already (courier/signed_metadata.py). Here the versions and times are
compared with what the gate accepted before, so that an attacker who replays old files, or who held
a key for a while, gets nothing (domain/floor.py, domain/trusted_time.py).
"""

from typing import Any

from msgspec.structs import replace

from validator.courier.ports import AcceptedStore, CourierClock, ListStore, Signed
from validator.domain.floor import BelowFloorError, Floor, raised
from validator.domain.trusted_time import TimeBasis, latest_signed_unix_s, vouched_unix_s
from validator.errors import RemoteError, SourceState
from validator.ipc.accepted import Accepted
from validator.lists.manifest import ManifestError, PublishedManifest, decode


class Acceptance:
    """The gate's decisions about signed metadata. For one thread."""

    def __init__(self, store: AcceptedStore, lists: ListStore, clock: CourierClock) -> None:
        self._store = store
        self._lists = lists
        self._clock = clock
        self._offered = 0
        if store.accepted is not None:
            clock.begin_with(store.accepted)

    @property
    def accepted_version(self) -> int:
        """The version of the list that was accepted last; 0 on a new gate."""
        accepted = self._store.accepted
        return accepted.list_version if accepted else 0

    @property
    def waiting_version(self) -> int:
        """The version of a newer list that passed every check and could not be stored, or 0."""
        return self._offered if self._offered > self.accepted_version else 0

    def time_basis(self) -> TimeBasis | None:
        """What the time floor rests on; None on a gate that has accepted nothing yet."""
        accepted = self._store.accepted
        if accepted is None:
            return None
        without_unix_s = vouched_unix_s(self._clock.system())
        return TimeBasis(accepted.root, accepted.timestamp_keys, without_unix_s)

    def accept(self, signed: Signed) -> tuple[Accepted, PublishedManifest]:
        """Check the metadata against what was accepted before, and store it as accepted.

        Returns:
            What is accepted now, and its manifest.

        Raises:
            RemoteError: REFUSED for a manifest or a time that is not valid, REPLAYED for one that
                is older than what was accepted.
            OSError: The disk did not store it.
        """
        try:
            manifest = decode(signed.manifest)
        except ManifestError as error:
            raise RemoteError(SourceState.REFUSED, str(error)) from None
        before = self._store.accepted
        signed_unix_s = signed.signed_unix_s or manifest.issued_unix_s
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
        self._check_held(manifest, floor.era if before else None)
        if before is not None:
            _check_same(before, floor, signed.manifest.decode())
        self._offered = floor.list_version
        if before is None or before.floor != floor:
            before = self._stored(before, floor, signed.manifest)
        return before, manifest

    def _stored(self, before: Accepted | None, floor: Floor, manifest: bytes) -> Accepted:
        boot_id, boottime_ns = self._clock.boot()
        accepted = Accepted.of(floor, manifest, boot_id, boottime_ns)
        accepted = replace(accepted, **self._installed(before, accepted))
        self._store.accept(accepted)
        self._clock.begin_with(accepted)
        return accepted

    def _installed(self, before: Accepted | None, accepted: Accepted) -> dict[str, Any]:
        """The fields that describe the held list, while the accepted one is not installed yet."""
        if before is None or self._lists.held == (accepted.era, accepted.list_version):
            return {}
        if self._lists.held == (before.era, before.list_version):
            return {"installed": before.manifest, "installed_era": before.era}
        return {"installed": before.installed, "installed_era": before.installed_era}

    def _check_times(self, signed_unix_s: int, expires_unix_s: int, before_unix_s: int) -> None:
        """Refuse a signed time that lies too far ahead.

        It may be a day ahead of a synchronised clock and, on every gate, must lie within the
        validity of all that signed it. The time accepted before counts against the gate's own clock
        only if the offered one does not lie below it: else it was ahead, and its keys were
        replaced, or this is a replay.
        """
        confirmed_unix_s = before_unix_s if before_unix_s <= signed_unix_s else 0
        latest_unix_s = latest_signed_unix_s(self._clock.system(), confirmed_unix_s)
        if latest_unix_s is not None and signed_unix_s > latest_unix_s:
            raise RemoteError(
                SourceState.REFUSED,
                f"signed at {signed_unix_s}, more than a day ahead of this gate's synchronised"
                " clock",
            )
        if signed_unix_s >= expires_unix_s:
            raise RemoteError(
                SourceState.REFUSED,
                f"signed at {signed_unix_s}, when what it is signed with had expired"
                f" ({expires_unix_s}): a clock that ran ahead has signed it",
            )

    def _check_held(self, manifest: PublishedManifest, era: int | None) -> None:
        """Refuse a list below the held one.

        The list that a courier installed is a floor too: the accepted store may be lost (`era` is
        None), or an older state of it may be back.
        """
        held_era, version = self._lists.held
        if held_era and era in (None, held_era) and manifest.list_version < version:
            raise RemoteError(
                SourceState.REPLAYED,
                f"list {manifest.list_version} was offered, {version} is held here",
            )


def _check_same(before: Accepted, floor: Floor, manifest: str) -> None:
    """Refuse another list under the version of the accepted one."""
    is_same = (before.era, before.list_version) == (floor.era, floor.list_version)
    if is_same and before.manifest != manifest:
        raise RemoteError(
            SourceState.REFUSED, f"two different lists are signed as version {floor.list_version}"
        )
