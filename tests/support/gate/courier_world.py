"""A city and a gate for the courier's tests: every port of the courier, played by hand.

A test changes one field and reads what was done.

world = in_step(signed_unix_s=…)   # a gate that has polled once and holds list 10
assert state(world) == (SourceState.FRESH, "")
assert world.taken() == ["ask", "accept 11", "fetch 10-11", "install 11", "tidy"]
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import cycle
from pathlib import Path

from validator.courier.list_sync import ListSync
from validator.courier.ports import Fetched, Signed
from validator.domain.floor import RoleKeys, RoleVersions
from validator.domain.rules import Effect
from validator.domain.trusted_time import Now, SystemClock, TimeBasis
from validator.errors import SourceState
from validator.ipc.accepted import Accepted
from validator.lists.manifest import (
    IndexEntry,
    Manifest,
    PieceEntry,
    PublishedManifest,
    RuleEntry,
    encode,
)
from validator.lists.piece_index import PieceIndex
from validator.lists.piece_index import encode as encode_index

NOW_UNIX_S = 1_800_000_000
POLL_S = 30.0
KEY, OTHER_KEY = "aa" * 8, "bb" * 8
NOW = Now(NOW_UNIX_S, synchronised=True)
VERSIONS = RoleVersions(1, 110, 110, 110)
KEYS = RoleKeys(("t1",), ("s1",), ("g1",))
MIDDLE = 0.5  # drawn always, it leaves the wait as it is
RULE = "suspended"


def piece(from_version: int, to_version: int, bytes_: int = 200, rule: str = RULE) -> PieceEntry:
    """A piece on offer."""
    name = f"{rule} {from_version} {to_version} {bytes_}"
    return PieceEntry(from_version, to_version, bytes_, sha256(name.encode()).hexdigest())


SNAPSHOT = piece(0, 3, 9_000)
DAY = piece(3, 8, 3_000)
HOUR = piece(5, 9, 1_500)
MINUTES = [piece(at, at + 1) for at in range(5, 12)]


@dataclass
class World:
    """What is published, what the gate has, and what was done, in order."""

    list_version: int = 10
    offered: dict[str, list[PieceEntry]] = field(
        default_factory=lambda: {RULE: [SNAPSHOT, DAY, HOUR, *MINUTES[:5]]}
    )
    named: int = 3
    versions: RoleVersions = VERSIONS
    role_keys: RoleKeys = KEYS
    signed_unix_s: int = NOW_UNIX_S - 5
    issued_unix_s: int = NOW_UNIX_S - 5
    expires_unix_s: int = NOW_UNIX_S + 14 * 86_400
    fingerprint_key: str | None = KEY
    has_index: bool = True
    held_keys: set[str] = field(default_factory=lambda: {KEY})
    now: Now = NOW
    system: SystemClock | None = None  # where it differs from `now`
    fails: dict[str, Exception] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    bases: list[TimeBasis | None] = field(default_factory=list)
    """The time basis that the courier gave with each question."""

    def __post_init__(self) -> None:
        self.pieces = FakePieces(self)
        self.lists = FakeListStore(self)
        self.store = FakeAcceptedStore(self)
        self.clock = FakeClock(self)
        self.lanes = FakeLanes(self)

    def courier(self, draw: Sequence[float] = (MIDDLE,)) -> ListSync:
        """A courier that starts now, with whatever the gate has."""
        drawn = cycle(draw)
        return ListSync(
            metadata=FakeMetadata(self),
            pieces=self.pieces,
            lists=self.lists,
            store=self.store,
            clock=self.clock,
            held_keys=lambda: self.held_keys,
            poll_s=POLL_S,
            draw=lambda: next(drawn),
            lanes=self.lanes,
        )

    def publish(self, list_version: int, *pieces: PieceEntry, rule: str = RULE) -> None:
        """One version more, with these pieces besides."""
        self.list_version = list_version
        self.versions = self.versions._replace(
            timestamp=100 + list_version, snapshot=100 + list_version, targets=100 + list_version
        )
        self.signed_unix_s = self.issued_unix_s = self.issued_unix_s + 60
        self.offered.setdefault(rule, []).extend(pieces)

    def manifest(self) -> PublishedManifest:
        """What is published now."""
        rules = []
        for name, offered in self.offered.items():
            newest = {
                each.to_version: each for each in sorted(offered, key=lambda each: -each.bytes)
            }
            recent = tuple(
                newest[to_version] for to_version in sorted(newest, reverse=True)[: self.named]
            )
            rules.append(RuleEntry(name, Effect.REFUSE, recent))
        index = self.index()
        return Manifest(
            self.list_version,
            self.issued_unix_s,
            self.issued_unix_s + 5 * 86_400,
            tuple(rules),
            index=IndexEntry(len(index), sha256(index).hexdigest()) if self.has_index else None,
            fingerprint_key=self.fingerprint_key,
        )

    def index(self) -> bytes:
        """Every piece on offer."""
        return encode_index(
            PieceIndex(
                {
                    rule: tuple(
                        sorted(offered, key=lambda each: (each.to_version, each.from_version))
                    )
                    for rule, offered in self.offered.items()
                }
            )
        )

    def do(self, step: str) -> None:
        """Note this step, or raise the error that the test has planned for it."""
        if error := self.fails.get(step.partition(" ")[0], self.fails.get(step)):
            raise error
        self.steps.append(step)

    def taken(self) -> list[str]:
        """What was done since this was asked last."""
        steps, self.steps = self.steps, []
        return steps


@dataclass
class FakeMetadata:
    """courier.ports.MetadataSource."""

    world: World

    root: bytes = b"root 1"

    def signed(self, now_unix_s: int, basis: TimeBasis | None = None) -> Signed:
        world = self.world
        assert now_unix_s == world.now.unix_s
        world.bases.append(basis)
        self.root = f"root {world.versions.root}".encode()
        world.do("ask")
        manifest = encode(world.manifest())
        return Signed(
            world.versions,
            world.role_keys,
            world.signed_unix_s,
            manifest,
            self.root,
            world.expires_unix_s,
        )


@dataclass
class FakePieces:
    """courier.ports.Pieces."""

    world: World
    kept: dict[str, list[PieceEntry]] = field(default_factory=dict)
    bad_index: bytes = b""

    def fetch(self, entry: PieceEntry) -> Path:
        rule = next(rule for rule, offered in self.world.offered.items() if entry in offered)
        kept = self.kept.setdefault(rule, [])
        if entry not in kept:
            self.world.do(f"fetch {entry.from_version}-{entry.to_version}")
            kept.append(entry)
        return Path(entry.sha256)

    def index(self, bytes_: int, sha256: str) -> bytes:
        self.world.do("index")
        content = self.bad_index or self.world.index()
        told = self.world.manifest().index
        assert told is not None
        assert (told.bytes, told.sha256) == (bytes_, sha256)
        return content

    def held(self) -> Mapping[str, Sequence[PieceEntry]]:
        return self.kept

    def keep_only(self, sha256s: Collection[str]) -> None:
        self.world.do("tidy")
        self.kept = {
            rule: [entry for entry in kept if entry.sha256 in sha256s]
            for rule, kept in self.kept.items()
        }


@dataclass
class FakeListStore:
    """courier.ports.ListStore: a snapshot goes to the disk, changes stay in memory."""

    world: World
    held: tuple[int, int] = (0, 0)
    key: str | None = None
    tables: dict[str, int] = field(default_factory=dict)
    on_disk: tuple[tuple[int, int], dict[str, int]] = ((0, 0), {})

    damaged: list[str] = field(default_factory=list)

    def mend(self, *, suspect: bool = False) -> Sequence[str]:
        if suspect:
            self.world.do("doubt")
        damaged, self.damaged = self.damaged, []
        if damaged:
            self.held, self.tables = (0, 0), {}
        return damaged

    def standing(self, rule: str, fingerprint_key: str | None, era: int) -> int:
        ours = self.held[0] == era and self.key == fingerprint_key and rule in self.tables
        return self.held[1] if ours else 0

    def kept(self, rule: str) -> int:
        return self.on_disk[1].get(rule, 0)

    def install(
        self, manifest: PublishedManifest, era: int, chains: Mapping[str, Sequence[Fetched]]
    ) -> None:
        self.world.do(f"install {manifest.list_version}")
        for rule, chain in chains.items():
            for fetched in chain:
                entry = fetched.entry
                standing = max(
                    self.tables.get(rule, 0), self.standing(rule, manifest.fingerprint_key, era)
                )
                assert entry.from_version == 0 or entry.from_version <= standing < entry.to_version
                assert fetched.path == Path(entry.sha256)
                self.tables[rule] = entry.to_version
        self.held, self.key = (era, manifest.list_version), manifest.fingerprint_key
        if any(chain and chain[0].entry.from_version == 0 for chain in chains.values()):
            self.on_disk = (self.held, dict(self.tables))

    def power_cut(self) -> None:
        """What was in memory alone is gone."""
        self.held, self.tables = self.on_disk[0], dict(self.on_disk[1])


@dataclass
class FakeAcceptedStore:
    """courier.ports.AcceptedStore."""

    world: World
    accepted: Accepted | None = None
    root: bytes = b"root 1"
    damaged: list[str] = field(default_factory=list)

    def mend(self) -> Sequence[str]:
        damaged, self.damaged = self.damaged, []
        return damaged

    def keep_root(self, root: bytes) -> None:
        if root != self.root:
            self.world.do(f"keep {root.decode()}")
            self.root = root

    def accept(self, accepted: Accepted) -> None:
        self.world.do(f"accept {accepted.list_version}")
        self.accepted = accepted


@dataclass
class FakeLanes:
    """courier.ports.Lanes."""

    world: World
    refuse: dict[tuple[int, int], str] = field(default_factory=dict)
    informed: list[tuple[int, int]] = field(default_factory=list)
    """Era and version of the list that was held at each `list_changed`."""

    def refused(self, era: int, list_version: int) -> str:
        return self.refuse.get((era, list_version), "")

    def list_changed(self) -> None:
        self.informed.append(self.world.lists.held)


@dataclass
class FakeClock:
    """courier.ports.CourierClock."""

    world: World
    begun: list[int] = field(default_factory=list)

    def now(self) -> Now:
        return self.world.now

    def system(self) -> SystemClock:
        return self.world.system or SystemClock(*self.world.now, boottime_ns=77)

    def boot(self) -> tuple[str, int]:
        return "this boot", 77

    def begin_with(self, accepted: Accepted) -> None:
        self.begun.append(accepted.signed_unix_s)


def state(world: World) -> tuple[SourceState, str]:
    """State and problem after one poll of a courier that starts now."""
    status, _ = world.courier().poll()
    return status.state, status.problem


def in_step(**fields: object) -> World:
    """A gate that has polled once and has list 10; then these fields of the world change."""
    world = World()
    world.courier().poll()
    assert world.lists.held == (1, 10)
    world.taken()
    for name, value in fields.items():
        setattr(world, name, value)
    return world
