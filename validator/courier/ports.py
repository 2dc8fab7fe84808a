"""What the courier needs from the world, as Protocols.

tests/contracts/test_courier_ports.py and test_courier_stores.py run on each real adapter and on the
stand-ins of the tests. A failure on the way is a RemoteError; its state gives the meaning for the
source of lists. The list that the gate holds stays untouched by it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Protocol

from validator.domain.floor import RoleKeys, RoleVersions
from validator.domain.trusted_time import Now, SystemClock, TimeBasis
from validator.errors import RemoteError
from validator.ipc.accepted import Accepted
from validator.lists.manifest import PieceEntry, PublishedManifest
from validator.reports.stored_report import StoredReport


@dataclass(frozen=True, slots=True)
class Signed:
    """The city's signed metadata, verified, but not yet compared with what the gate accepted.

    Attributes:
        versions: The version of each role.
        keys: The ids of the keys of each role.
        signed_unix_s: When the timestamp was signed; 0 if it is not given.
        manifest: The manifest, of the signed length and hash.
        root: The newest root; the next question begins with it.
        expires_unix_s: When the first of the four roles expires.
    """

    versions: RoleVersions
    keys: RoleKeys
    signed_unix_s: int
    manifest: bytes
    root: bytes
    expires_unix_s: int


class MetadataSource(Protocol):
    """Where the signed metadata comes from."""

    @property
    def root(self) -> bytes:
        """The newest root that was verified, even if the rest of that question failed."""

    def signed(self, now_unix_s: int, basis: TimeBasis | None = None) -> Signed:
        """Fetch and verify the newest metadata and manifest.

        Args:
            now_unix_s: The time by which expiry is judged; never the system's clock.
            basis: What that time rests on. If the newest root makes it void, the time without it
                counts.

        Raises:
            RemoteError: The city is out of reach, or what it serves is not valid.
        """


class Pieces(Protocol):
    """Where published files come from, by their hash."""

    def fetch(self, entry: PieceEntry) -> Path:
        """Return the wire file of this piece: on the disk, of the right size and sha256.

        A download that broke off is resumed. Raises RemoteError.
        """

    def index(self, bytes_: int, sha256: str) -> bytes:
        """Return the index of this size and hash. Raises RemoteError."""

    def held(self) -> Mapping[str, Sequence[PieceEntry]]:
        """The pieces that are kept here, by rule: after a power cut they need no network."""

    def keep_only(self, sha256s: Collection[str]) -> None:
        """Delete every other piece. Raises RemoteError."""


class CourierClock(Protocol):
    """Wall time by the floor rule (domain/trusted_time.py), for the process that raises it."""

    def now(self) -> Now:
        """The time to judge by."""

    def system(self) -> SystemClock:
        """The system's own clock, whatever was signed."""

    def boot(self) -> tuple[str, int]:
        """The id of this boot, and the ns since it began."""

    def begin_with(self, accepted: Accepted) -> None:
        """Count from this signed time.

        It counts from when it was accepted if that was in this boot, else from the boot.
        """


class Fetched(NamedTuple):
    """A piece on the disk: its entry in the manifest or index, and its wire file."""

    entry: PieceEntry
    path: Path


class ListStore(Protocol):
    """The lists that this gate holds. The courier is their only writer."""

    @property
    def held(self) -> tuple[int, int]:
        """Era and version of the list that the lane finds; (0, 0) if there is none."""

    def mend(self, *, suspect: bool = False) -> Sequence[str]:
        """Repair the held list: write damaged files again, or delete them so that they are fetched.

        Args:
            suspect: Read every file. Else only files whose status changed are read.

        Returns:
            The names of the damaged files.

        Raises:
            OSError: The disk does not answer.
            RemoteError: The list cannot be written again.
        """

    def standing(self, rule: str, fingerprint_key: str | None, era: int) -> int:
        """The list version of this rule's table, made under that key in that era.

        0 if there is none: the table must begin at a snapshot.
        """

    def kept(self, rule: str) -> int:
        """The list version of this rule's table that survives a power cut.

        The pieces above it must be kept.
        """

    def install(
        self, manifest: PublishedManifest, era: int, chains: Mapping[str, Sequence[Fetched]]
    ) -> None:
        """Apply each rule's pieces in order and install the list, all or nothing.

        Raises RemoteError.
        """


class AcceptedStore(Protocol):
    """What the gate has accepted from its city, on its disk."""

    @property
    def accepted(self) -> Accepted | None:
        """What was accepted last; None on a new gate."""

    def mend(self) -> Sequence[str]:
        """Write each damaged file again. Returns one line for each. Raises OSError."""

    def keep_root(self, root: bytes) -> None:
        """Store the newest root, to begin with after a power cut. Raises OSError."""

    def accept(self, accepted: Accepted) -> None:
        """Store what is accepted; durable when this returns. Raises OSError."""


class Lanes(Protocol):
    """The lanes of this gate. A lane that does not answer counts as one without a complaint."""

    def refused(self, era: int, list_version: int) -> str:
        """Which lane does not use this list, and why, in one line; empty if none refuses it."""

    def list_changed(self) -> None:
        """Let each lane check for the list that was just installed."""


class Result(Enum):
    """What the back office answers for one report."""

    STORED = "stored"
    ALREADY = "already"
    REJECTED = "rejected"


class ReportAnswer(NamedTuple):
    """The result for one report, and the reason if it was rejected."""

    result: Result
    reason: str = ""


class BatchError(RemoteError):
    """The back office refuses this batch and would refuse it tomorrow.

    It is too large, or one of its reports is wrong.
    """


class LaneReports(Protocol):
    """The reports that wait in one lane's outbox. Every method raises LaneGoneError."""

    def oldest(self, count_max: int, skipped: int) -> Sequence[StoredReport]:
        """At most `count_max` reports, oldest first, after the `skipped` oldest."""

    def delivered(self, report_ids: Sequence[str]) -> None:
        """Let the lane forget these reports: the city has them."""

    def rejected(self, report_id: str, reason: str) -> None:
        """Let the lane quarantine this report: the city will never take it."""


class ReportReceiver(Protocol):
    """The back office's receiver of reports."""

    def send(self, reports: Sequence[StoredReport]) -> Mapping[str, ReportAnswer]:
        """Send a batch. Returns the answer for each report by its id.

        Raises:
            BatchError: This batch will never be taken.
            RemoteError: The back office is out of reach or did not answer.
        """
