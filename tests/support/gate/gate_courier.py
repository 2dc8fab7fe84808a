"""One gate in this process: its courier with the real adapters, and its lane's list folders."""

from dataclasses import dataclass, field
from pathlib import Path

from validator.courier.list_sync import ListSync, SyncStatus
from validator.courier.signed_metadata import TufMetadata, is_root
from validator.courier.store.accepted_store import DiskAcceptedStore
from validator.courier.store.list_store import DiskListStore
from validator.courier.store.piece_cache import PieceCache
from validator.courier.web.client import Web, WebLimits
from validator.domain.cards import Card, CardUid
from validator.domain.decision import Decision, ListPolicy, WhenMissing, WhenStale, decide
from validator.domain.rules import RuleSet
from validator.domain.trusted_time import SystemClock
from validator.host.clock import Clock
from validator.ipc.accepted import ACCEPTED_COPY_FILE, ACCEPTED_FILE
from validator.lane.lists_in_force import ListFolder
from validator.lane.time_file import TimeFile
from validator.lists.fingerprint_keys import FingerprintKeyError, format_key_file, key_id
from validator.lists.held_keys import held_keys
from validator.lists.names import ListName
from validator.programs.courier import dates_of_certificates

NS_PER_S = 1_000_000_000
QUICK = WebLimits(connect_s=1.0, silence_s=0.5, answer_s=1.0, window_s=0.5)


@dataclass
class SetClock:
    """A gate's clocks as a test sets them: wall time, synchronised or not, the boot, its uptime."""

    unix_s: int
    synchronised: bool = True
    boot_id: str = "boot 1"
    boottime_s: int = 100

    def wait(self, seconds: int) -> None:
        """Let time go by, whatever the wall clock shows."""
        self.unix_s += seconds
        self.boottime_s += seconds


class ProcessClock(Clock):
    """What one process of the gate, which starts now, makes of its system."""

    def __init__(self, of: SetClock) -> None:
        self._of = of
        super().__init__()
        self._boot_id = of.boot_id

    def system(self) -> SystemClock:
        """See Clock."""
        return SystemClock(self._of.unix_s, self._of.synchronised, self._of.boottime_s * NS_PER_S)


@dataclass
class Gate:
    """A gate in a folder. `start` it, and again after a `power_cut`."""

    folder: Path
    url: str
    root: bytes
    clock: SetClock
    keys: tuple[bytes, ...]
    limits: WebLimits = QUICK
    ca_file: str | None = None
    list_store: DiskListStore = field(init=False)
    accepted_store: DiskAcceptedStore = field(init=False)
    web: Web = field(init=False)
    lane_clock: ProcessClock = field(init=False)
    _courier: ListSync = field(init=False)
    _clock: ProcessClock = field(init=False)
    _lane: ListFolder = field(init=False)
    _times: TimeFile = field(init=False)
    _rules: RuleSet | None = field(init=False, default=None)
    problems: tuple[str, ...] = ()
    _refused: tuple[ListName, ...] = ()

    def __post_init__(self) -> None:
        for made in (self.lists, self.recent, self.folder / "keys"):
            made.mkdir(parents=True, exist_ok=True)
        for key in self.keys:
            self.hold(key)
        self.start()

    @property
    def lists(self) -> Path:
        """On the SD card."""
        return self.folder / "lists"

    @property
    def recent(self) -> Path:
        """In memory."""
        return self.folder / "recent"

    def hold(self, key: bytes) -> None:
        """Put a fingerprint key into the gate's folder of keys."""
        (self.folder / "keys" / f"{key_id(key).hex()}.key").write_bytes(format_key_file(key))

    def start(self) -> SyncStatus:
        """Start courier and lane as processes would: they know only the content of the folders."""
        status = self.start_courier()
        self.start_lane()
        return status

    def start_courier(self) -> SyncStatus:
        """Start the courier alone."""
        if hasattr(self, "web"):
            self.web.close()
        self.accepted_store = DiskAcceptedStore(self.lists)
        self.web = Web(self.ca_file, limits=self.limits)
        self._clock = ProcessClock(self.clock)
        kept = self.accepted_store.root
        root = kept if kept is not None and is_root(kept) else self.root
        self.list_store = DiskListStore(self.lists, self.recent)
        self._courier = ListSync(
            metadata=TufMetadata(self.recent / "metadata", self.url, self.web, root),
            pieces=PieceCache(self.lists / "pieces", self.url, self.web),
            lists=self.list_store,
            store=self.accepted_store,
            clock=self._clock,
            held_keys=self._held_key_ids,
            poll_s=30,
            lanes=self,
        )
        return self._courier.replay()

    def start_lane(self) -> None:
        """Start the lane alone; it reads all that is in the folders."""
        keys = self.folder / "keys"
        self._lane = ListFolder(self.lists, {}, self.recent, read_keys=lambda: held_keys(keys))
        self.lane_clock = ProcessClock(self.clock)
        self._times = TimeFile(self.lists / ACCEPTED_FILE, self.lists / ACCEPTED_COPY_FILE)
        self._rules = None
        self._look()

    def _held_key_ids(self) -> set[str]:
        try:
            return {held.hex() for held in held_keys(self.folder / "keys")}
        except FingerprintKeyError:
            return set()

    def refused(self, era: int, list_version: int) -> str:
        """See courier.ports.Lanes. A lane scans each second, so it has since the last poll."""
        self._look()
        return self.problems[0] if ListName(era, list_version) in self._refused else ""

    def list_changed(self) -> None:
        """See courier.ports.Lanes. `poll` lets the lane scan when the poll has ended."""

    def power_cut(self) -> SyncStatus:
        """What is in memory is gone; what is on the disk is there. The next boot begins."""
        _empty(self.recent)
        self.clock.boot_id += "+"
        self.clock.boottime_s = 10
        return self.start()

    def poll(self) -> SyncStatus:
        """Run one poll, and let the lane scan."""
        self.web.check_dates(dates_of_certificates(self._clock))
        status, _ = self._courier.poll()
        self._look()
        return status

    def _look(self) -> None:
        """As the clerk does: time first."""
        time = self._times.look()
        if time is not None and time.signed is not None:
            self.lane_clock.begin_with(time.signed)
        found = self._lane.settled()
        self._rules, self.problems, self._refused = found.rules, found.problems, found.refused
        if found.rules is not None:
            self.lane_clock.raise_floor(found.rules.issued_unix_s)

    @property
    def mended(self) -> list[str]:
        """The courier's log lines of damaged files since the last call."""
        mended, self._courier.mended = self._courier.mended, []
        return mended

    @property
    def rules(self) -> RuleSet | None:
        """What the lane decides by."""
        return self._rules

    @property
    def version(self) -> int:
        """Of the list that the lane decides by, 0 without one."""
        return self._rules.version if self._rules else 0

    def holds(self, rule: str, uid: bytes, unix_s: int | None = None) -> bool:
        """Whether the lane finds this card under that rule, at the lane's time if none is given."""
        assert self._rules is not None
        table = next(each.table for each in self._rules.rules if each.name == rule)
        at_unix_s = self.lane_clock.now().unix_s if unix_s is None else unix_s
        return table.holds(table.fingerprint(uid), at_unix_s)

    def decides(self, uid: bytes) -> Decision:
        """What the lane decides about this card now; a stale list is decided by."""
        policy = ListPolicy(WhenStale.DECIDE, WhenMissing.DENY)
        return decide(Card(CardUid(uid), 0x0344, 0x20), self._rules, self.lane_clock.now(), policy)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            _empty(path)
            path.rmdir()
        else:
            path.unlink()
