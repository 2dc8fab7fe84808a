"""The ports of a simulated gate: line, metadata source, pieces, accepted store and clock.

The list store has its own module. Only the line takes time. What the real adapters fetch, keep and
resume is modelled here in numbers.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from tests.simulation.fleet.city import EPOCH_UNIX_S, TIMESTAMP_VALID_S, City, Published
from tests.simulation.fleet.lives import BOOT_S, Life
from tests.simulation.fleet.sizes import LINE, METADATA_BYTES, TLS_RECORD_BYTES, blocks
from tests.simulation.fleet.tally import DAY_S, Load, Of, Tally
from validator.courier.ports import Signed
from validator.courier.store.piece_cache import CacheLimits
from validator.domain.floor import RoleKeys, RoleVersions
from validator.domain.trusted_time import (
    NS_PER_S,
    Now,
    SystemClock,
    TimeBasis,
    TimeFloor,
    trusted_now,
)
from validator.errors import RemoteError, SourceState
from validator.ipc.accepted import Accepted, encode
from validator.lists.manifest import PieceEntry

KEEPALIVE_S = 75.0  # nginx's default: how long it keeps an idle connection
KEEPALIVE_REQUESTS = 1_000  # likewise, how many requests on one connection
SILENCE_S = 10.0  # WebLimits.silence_s: how long a broken line goes unnoticed
NO_LINE_S = 1.0  # until the system reports that there is no network
WITHDRAWN_KEPT_S = 86_400.0  # how long the file of a piece stays after the index has dropped it
ROLE_KEYS = RoleKeys(("1" * 64,), ("2" * 64,), ("3" * 64,))
ROOT = b"root 1"
_RECORD_BODY_BYTES = 1 << 14


class Line:
    """One gate's way to the server, and its time."""

    def __init__(self, life: Life, tally: Tally, load: Load) -> None:
        self.now_s = 0.0
        self.online_since_s = 0.0
        self.broken = False
        self._life = life
        self._tally = tally
        self._load = load
        self._round_trip_s, self._bytes_s = life.speed
        self._next = 0
        self._kept_until_s = float("-inf")
        self._requests = 0

    def count(self, what: Of, amount: int) -> None:
        """Add `amount` to the count of `what` on this day."""
        days = self._tally.days
        day = int(self.now_s // DAY_S)
        days[day if day < len(days) else -1][what] += amount

    def drop(self) -> None:
        """Lose the connection."""
        self._kept_until_s = float("-inf")

    def bring(self, kind: str, of: Of, bytes_: int) -> int:
        """Request `bytes_` bytes of a file; return how many came.

        `broken` is True if the line broke meanwhile.

        Args:
            kind: the request, a key of `LINE`.
            of: what the body is counted as.
            bytes_: the size of the body.

        Raises:
            RemoteError: there is no network.
        """
        self._require_line()
        down, up, takes_s = self._cost(kind, bytes_)
        began_s, whole_s = self.now_s, takes_s + down / self._bytes_s
        self.broken = began_s + whole_s > self._breaks_s()
        came = bytes_
        if self.broken:
            share = max(0.0, self._breaks_s() - began_s - takes_s) / (whole_s - takes_s)
            came, down = int(share * bytes_), int(share * down)
            self.now_s = self._breaks_s() + SILENCE_S
            self.drop()
        else:
            self.now_s = began_s + whole_s
            self._kept_until_s = self.now_s + KEEPALIVE_S
        row = self._tally.days[min(int(began_s // DAY_S), len(self._tally.days) - 1)]
        row[of] += came
        row[Of.DOWN_LINE] += down - came
        row[Of.UP] += up
        row[Of.REQUESTS] += 1
        self._load.count(began_s, self.now_s - began_s, down + up)
        return came

    def whole(self, kind: str, of: Of, bytes_: int) -> None:
        """Request a small file. Raises RemoteError, also if it does not come whole."""
        self.bring(kind, of, bytes_)
        if self.broken:
            raise RemoteError(SourceState.UNREACHABLE, "the connection broke")

    def _cost(self, kind: str, bytes_: int) -> tuple[int, int, float]:
        """Bytes to the gate and from it, and seconds before the first comes."""
        cost, round_trip_s = LINE[kind], self._round_trip_s
        down = cost.down + bytes_ + bytes_ // _RECORD_BODY_BYTES * TLS_RECORD_BYTES
        self._requests += 1
        if self.now_s <= self._kept_until_s and self._requests <= KEEPALIVE_REQUESTS:
            return down, cost.up, round_trip_s
        self._requests = 1
        self.count(Of.HANDSHAKES, 1)
        shake = LINE["handshake"]
        return (
            down + shake.down,
            cost.up + shake.up,
            3 * round_trip_s,
        )  # one for TCP, one for TLS 1.3

    def _require_line(self) -> None:
        cuts = self._life.cut
        while self._next < len(cuts) and cuts[self._next].end_s <= self.now_s:
            self.online_since_s = cuts[self._next].end_s
            self._next += 1
            self.drop()
        if self._next < len(cuts) and cuts[self._next].start_s <= self.now_s:
            self.drop()
            self.now_s += NO_LINE_S
            raise RemoteError(SourceState.UNREACHABLE, "no network")

    def _breaks_s(self) -> float:
        cuts = self._life.cut
        return cuts[self._next].start_s if self._next < len(cuts) else float("inf")


class SimMetadata:
    """courier.ports.MetadataSource: the requests of TufMetadata in order, and what it keeps."""

    def __init__(self, city: City, line: Line) -> None:
        self.seen: Published | None = None
        """What the last question was answered with."""
        self._city = city
        self._line = line
        self._fetched: dict[str, int] = {}

    @property
    def root(self) -> bytes:
        """See courier.ports.MetadataSource."""
        return ROOT

    def signed(self, now_unix_s: int, basis: TimeBasis | None = None) -> Signed:
        """See courier.ports.MetadataSource. No root here replaces any keys."""
        del basis
        line = self._line
        line.whole("root", Of.METADATA, 0)
        public = self._city.at(line.now_s)
        version = public.version
        if self._fetched.get("timestamp") == version:
            line.whole("unmodified", Of.METADATA, 0)
        else:
            line.whole("timestamp", Of.METADATA, METADATA_BYTES["timestamp"])
        if now_unix_s >= public.unix_s + TIMESTAMP_VALID_S:
            self._fetched.clear()
            raise RemoteError(SourceState.FROZEN, "timestamp is expired")
        for name in ("timestamp", "snapshot", "targets", "manifest"):
            if self._fetched.get(name) != version and name != "timestamp":
                of = Of.MANIFESTS if name == "manifest" else Of.METADATA
                line.whole(name, of, METADATA_BYTES.get(name, len(public.manifest)))
            self._fetched[name] = version
        self.seen = public
        versions = RoleVersions(1, version, version, version)
        expires_unix_s = public.unix_s + TIMESTAMP_VALID_S
        return Signed(versions, ROLE_KEYS, public.unix_s, public.manifest, ROOT, expires_unix_s)


class SimPieces:
    """courier.ports.Pieces: kept on the card, and resumed where a download broke off."""

    def __init__(self, city: City, line: Line, tally: Tally) -> None:
        self._city = city
        self._line = line
        self._tally = tally
        self._kept: dict[str, list[PieceEntry]] = {}
        self._whole: dict[str, str] = {}
        """Rules by hash, in the order in which the pieces came."""
        self._begun: dict[str, int] = {}
        self._covered: dict[str, list[tuple[int, int]]] = {}
        self._files_max = CacheLimits().files_max
        self.snapshots: set[str] = set()
        """Of which rules a snapshot was fetched."""

    def fetch(self, entry: PieceEntry) -> Path:
        """See courier.ports.Pieces."""
        sha256 = entry.sha256
        if sha256 not in self._whole:
            self._bring(entry)
            rule = self._whole[sha256] = self._city.pieces[sha256].rule
            self._kept.setdefault(rule, []).append(entry)
            self._line.count(Of.SD_PIECES, blocks(entry.bytes))
            self._note(entry)
        return Path(sha256)

    def index(self, bytes_: int, sha256: str) -> bytes:
        """See courier.ports.Pieces."""
        self._line.whole("index", Of.INDEX, bytes_)
        return self._city.index(self._city.version(int(sha256, 16)))

    def held(self) -> Mapping[str, Sequence[PieceEntry]]:
        """See courier.ports.Pieces."""
        return self._kept

    def keep_only(self, sha256s: Collection[str]) -> None:
        """See courier.ports.Pieces."""
        self._begun.clear()
        if len(sha256s) == len(self._whole):
            return
        self._whole = {sha256: rule for sha256, rule in self._whole.items() if sha256 in sha256s}
        self._kept = {
            rule: [entry for entry in kept if entry.sha256 in self._whole]
            for rule, kept in self._kept.items()
        }

    def _make_room(self) -> None:
        """As PieceCache does: at its limit of files drop the oldest, needed after a cut or not."""
        while len(self._whole) >= self._files_max:
            oldest = next(iter(self._whole))
            self._kept[self._whole.pop(oldest)].pop(0)
            self._tally.thrown_away += 1

    def _bring(self, entry: PieceEntry) -> None:
        self._make_room()
        withdrawn_s = self._city.withdrawn_s.get(entry.sha256, float("inf"))
        if self._line.now_s > withdrawn_s + WITHDRAWN_KEPT_S:
            self._line.whole("root", Of.METADATA, 0)
            raise RemoteError(SourceState.NOT_OURS, "answered 404")
        of = Of.PIECES if entry.from_version else Of.SNAPSHOTS
        begun = self._begun.get(entry.sha256, 0)
        begun += self._line.bring("piece", of, entry.bytes - begun)
        if self._line.broken:
            self._begun[entry.sha256] = begun
            raise RemoteError(SourceState.UNREACHABLE, "the connection broke")
        self._begun.pop(entry.sha256, None)

    def _note(self, entry: PieceEntry) -> None:
        """Count the changes of a piece, and those that the gate fetched before.

        A snapshot is counted as a snapshot, not as changes.
        """
        rule, cards = self._city.pieces[entry.sha256]
        if entry.from_version == 0:
            self.snapshots.add(rule)
            self._covered[rule] = [(0, entry.to_version)]
            return
        self._tally.fetched_changes += cards
        apart = []
        span = (entry.from_version, entry.to_version)
        for start, end in self._covered.get(rule, []):
            if end < span[0] or start > span[1]:
                apart.append((start, end))
                continue
            low, high = max(start, entry.from_version), min(end, entry.to_version)
            self._tally.fetched_twice += self._city.changes(rule, low, high) if low < high else 0
            span = (min(start, span[0]), max(end, span[1]))
        self._covered[rule] = [*apart, span]

    def begin_at(self, rule: str, version: int) -> None:
        """Note that the gate has every change up to this version from before."""
        self._covered[rule] = [(0, version)]


class SimAcceptedStore:
    """courier.ports.AcceptedStore: on the card."""

    def __init__(self, line: Line) -> None:
        self.accepted: Accepted | None = None
        self._line = line
        self._root = b""

    def mend(self) -> Sequence[str]:
        """See courier.ports.AcceptedStore. This card forgets nothing."""
        return ()

    def keep_root(self, root: bytes) -> None:
        """See courier.ports.AcceptedStore."""
        if root != self._root:
            self._line.count(Of.SD_ACCEPTED, blocks(len(root)))
            self._root = root

    def accept(self, accepted: Accepted) -> None:
        """See courier.ports.AcceptedStore."""
        self._line.count(Of.SD_ACCEPTED, 2 * blocks(len(encode(accepted))))
        self.accepted = accepted


class SimLanes:
    """courier.ports.Lanes that use every list, which they find by their own scan."""

    def refused(self, era: int, list_version: int) -> str:
        """See courier.ports.Lanes."""
        del era, list_version
        return ""

    def list_changed(self) -> None:
        """See courier.ports.Lanes."""


class SimClock:
    """courier.ports.CourierClock without a battery: 1970 from each boot until the first answer."""

    def __init__(self, line: Line) -> None:
        self.synchronised = False
        self._line = line
        self._boots = 0
        self._booted_s = 0.0
        self._floor = TimeFloor(0, 0)

    def boot_again(self, on_s: float) -> None:
        """The power came back at `on_s`: the boot time counts from zero again."""
        self._boots += 1
        self._booted_s = on_s
        self.synchronised = False
        self._floor = TimeFloor(0, 0)

    def now(self) -> Now:
        """See courier.ports.CourierClock."""
        return trusted_now(self.system(), self._floor)

    def system(self) -> SystemClock:
        """See courier.ports.CourierClock."""
        unix_s = EPOCH_UNIX_S + int(self._line.now_s) if self.synchronised else 0
        return SystemClock(unix_s, self.synchronised, self._since_boot_ns())

    def boot(self) -> tuple[str, int]:
        """See courier.ports.CourierClock."""
        return f"boot {self._boots}", self._since_boot_ns()

    def begin_with(self, accepted: Accepted) -> None:
        """See courier.ports.CourierClock."""
        same = accepted.boot_id == f"boot {self._boots}"
        self._floor = TimeFloor(accepted.signed_unix_s, accepted.boottime_ns if same else 0)

    def _since_boot_ns(self) -> int:
        return int((self._line.now_s - self._booted_s + BOOT_S) * NS_PER_S)
