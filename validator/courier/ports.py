"""What the courier needs from the world, as Protocols. One contract suite in tests/contracts runs on every implementation.

What goes wrong on the way is a RemoteError with the state of the source that it means; the list on the gate is untouched by it.
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
    """What the city's signed metadata says, verified. Not yet held against what this gate has accepted before.

    `signed_unix_s` is when the timestamp was signed (Unix seconds), 0 if it does not say.
    `manifest` has the signed length and hash. `root` is the newest root, to begin with next time.
    `expires_unix_s` is when the first of the four roles expires.
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
        """The newest root that was verified, also by a question that failed later."""

    def signed(self, now_unix_s: int, basis: TimeBasis | None = None) -> Signed:
        """Ask now. Raises RemoteError.

        Expiry is judged by `now_unix_s`, or by the time without `basis` if the newest root makes
        that void; never by the system's clock.
        """


class Pieces(Protocol):
    """Where published files come from, by their hash."""

    def fetch(self, entry: PieceEntry) -> Path:
        """The wire file of this piece: size and sha256 are right, and it is on the disk. Resumes what was begun. Raises RemoteError."""

    def index(self, bytes_: int, sha256: str) -> bytes:
        """The index of this size and hash. Raises RemoteError."""

    def held(self) -> Mapping[str, Sequence[PieceEntry]]:
        """What has been fetched and kept, by rule: enough to go on without a network after a power cut."""

    def keep_only(self, sha256s: Collection[str]) -> None:
        """Let go of every piece but these."""


class CourierClock(Protocol):
    """Wall time by the floor rule, as the one who raises the floor sees it."""

    def now(self) -> Now:
        """The time to judge by."""

    def system(self) -> SystemClock:
        """What the system says, whatever was signed."""

    def boot(self) -> tuple[str, int]:
        """The id of this boot, and the ns since it."""

    def begin_with(self, accepted: Accepted) -> None:
        """Count from this signed time: from when it was accepted if that was in this boot, else from the boot."""


class Fetched(NamedTuple):
    """A piece on the disk: what the manifest says of it, and where its wire file stands."""

    entry: PieceEntry
    path: Path


class ListStore(Protocol):
    """The lists that this gate holds, and their only writer."""

    @property
    def held(self) -> tuple[int, int]:
        """Era and version of the list that the lane finds here; (0, 0) when there is none."""

    def mend(self, *, doubted: bool = False) -> Sequence[str]:
        """Delete what is damaged of that list, or write it again if it is known.

        What is deleted is fetched again. Returns the names of the files.

        Only what looks as if it was touched is read, or all of it if it is `doubted`. Raises
        OSError and RemoteError.
        """

    def standing(self, rule: str, fingerprint_key: str | None, era: int) -> int:
        """The list version at which the table of this rule stands, made under that key in that era; 0 if it must begin at a snapshot."""

    def kept(self, rule: str) -> int:
        """The list version of this rule's table that survives a power cut; pieces above it must be kept."""

    def install(
        self, manifest: PublishedManifest, era: int, chains: Mapping[str, Sequence[Fetched]]
    ) -> None:
        """Apply each rule's pieces, in order, and install the list: all or nothing. Raises RemoteError."""


class AcceptedStore(Protocol):
    """Where it is written what was accepted; durable when `accept` returns."""

    @property
    def accepted(self) -> Accepted | None:
        """What was accepted last; None on a new gate."""

    def mend(self) -> Sequence[str]:
        """Write again what is on the disk with other bytes than were written, and say it in one line for each. Raises OSError."""

    def keep_root(self, root: bytes) -> None:
        """Write down the newest root, to begin with after a power cut. Raises OSError."""

    def accept(self, accepted: Accepted) -> None:
        """Write down what is accepted. Raises OSError."""


class Lanes(Protocol):
    """The lanes of this gate, as far as they say what they can use."""

    def refused(self, era: int, list_version: int) -> str:
        """Which lane does not use this list, in one line.

        Empty if none says so. A lane that does not answer says nothing.
        """

    def list_changed(self) -> None:
        """Let each lane check for the list that was just installed; one that does not answer is ignored."""


class Result(Enum):
    """What the back office says of one report."""

    STORED = "stored"
    ALREADY = "already"
    REJECTED = "rejected"


class ReportAnswer(NamedTuple):
    """The same, with its reason if it was rejected."""

    result: Result
    reason: str = ""


class BatchError(RemoteError):
    """The back office cannot take these reports together, and would not take them tomorrow: too large, or one among them is wrong."""


class LaneReports(Protocol):
    """The reports of one lane. Every method raises LaneGoneError."""

    def oldest(self, count_max: int, skipped: int) -> Sequence[StoredReport]:
        """The reports that have waited longest, after so many of them."""

    def delivered(self, report_ids: Sequence[str]) -> None:
        """These are in the city."""

    def rejected(self, report_id: str, reason: str) -> None:
        """This one will never be."""


class ReportReceiver(Protocol):
    """The back office."""

    def send(self, reports: Sequence[StoredReport]) -> Mapping[str, ReportAnswer]:
        """What it says of each report, by id. Raises RemoteError, BatchError."""
