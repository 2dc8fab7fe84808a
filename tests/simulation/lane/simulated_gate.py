"""A gate in simulated time: the real lane and board link, and the simulated board.

The line between link and board may lose, repeat and damage bytes.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from firmware_sim.board.board import Board as SimulatedBoard
from firmware_sim.board.faults import BoardFaults
from firmware_sim.board.setup import Setup
from firmware_sim.outcomes import Event as BoardLine
from firmware_sim.outcomes import Send
from validator.domain.cards import Card, CardUid
from validator.domain.decision import ListPolicy, WhenMissing, WhenStale
from validator.domain.events import (
    BoardEvent,
    BoardLost,
    CardSeen,
    Clash,
    ReaderBack,
    ReaderEvent,
    ReaderLost,
)
from validator.domain.outcomes import Direction, Outcome
from validator.domain.passage import PassagePolicy, SameCardAfterPassing
from validator.domain.report import Report
from validator.domain.rules import Effect, Rule, RuleSet
from validator.domain.trusted_time import Now
from validator.host.clock import Clock
from validator.lane.boards.serial.frames import OpenFrame, ShowFrame
from validator.lane.boards.serial.link import BoardLink, LinkEvent, OldCard, ReadAcknowledged
from validator.lane.loop import Lane
from validator.lane.ports import ListInForce, Note, TapDone

MS = 1_000_000
S = 1_000 * MS
START_NS = 50 * S
REOPEN_NS = 250 * MS
FOR_EVER_NS = 10**15
SUSPENDED, GOOD = range(100), range(100, 400)


@dataclass(frozen=True, slots=True)
class SetTable:
    """The model of a table: a set of fingerprints."""

    fingerprints: frozenset[int]
    key: bytes = bytes(32)

    def fingerprint(self, uid: bytes) -> int:
        return CardUid(uid).fingerprint(self.key)

    def holds(self, fingerprint: int, unix_s: int) -> bool:
        del unix_s
        return fingerprint in self.fingerprints


def card(number: int) -> Card:
    return Card(CardUid(b"\x04" + number.to_bytes(6, "big")), 0x0344, 0x20)


def rules(version: int) -> RuleSet:
    known = frozenset(card(number).uid.fingerprint(bytes(32)) for number in SUSPENDED)
    return RuleSet(
        version, 0, 2**40, (Rule("suspended", Effect.REFUSE, SetTable(known), reports=True),)
    )


@dataclass(slots=True)
class SimulatedReader:
    """ports.Reader from a plan of events."""

    plan: deque[ReaderEvent]
    world: "World"

    def fileno(self) -> int:
        return -1

    def deadline_ns(self) -> int:
        return self.plan[0].at_ns if self.plan else FOR_EVER_NS

    def arm(self) -> None:
        """The plan has each card once."""

    def forget(self) -> None:
        """The plan keeps no card that lies on the reader."""

    def take(self) -> ReaderEvent | None:
        return (
            self.plan.popleft() if self.plan and self.plan[0].at_ns <= self.world.now_ns else None
        )

    def close(self) -> None:
        """Nothing to close."""


@dataclass(slots=True)
class World:
    """The ports of a simulated lane, the clock, and a record of all that happens.

    As `ports.Board` it drives the simulated board over a line that loses the share `loss` of what
    is sent. As `ports.Desk` it takes reports and notes, and asserts that no tap is noted twice.
    """

    random: Random
    loss: float
    now_ns: int = START_NS
    reports: list[Report] = field(default_factory=list)
    taps: dict[int, TapDone] = field(default_factory=dict)
    lines: list[BoardLine] = field(default_factory=list)
    lists: ListInForce = field(default_factory=ListInForce)
    device: SimulatedBoard = field(init=False)
    link: BoardLink | None = field(init=False, default=None)
    reopen_ns: int = START_NS
    events: deque[BoardEvent] = field(default_factory=deque)
    losses: int = 0

    def __post_init__(self) -> None:
        faults = BoardFaults(self.random)
        self.device = SimulatedBoard(Setup(walk_ms=400), self.random, faults, self.now_ns)
        self.lists.current = rules(1)

    # ports.Board
    def fileno(self) -> int:
        return -1

    def deadline_ns(self) -> int:
        device_ns = self.device.due_ns()
        mine_ns = self.reopen_ns if self.link is None else self.link.deadline_ns
        return min(mine_ns, FOR_EVER_NS if device_ns is None else device_ns)

    def take(self) -> BoardEvent | None:
        if not self.events:
            self.turn()
        return self.events.popleft() if self.events else None

    def open(self, tap: int, direction: Direction, hold_ms: int) -> None:
        self.command(OpenFrame(tap, direction, hold_ms))

    def show(self, outcome: Outcome, hold_ms: int, date: int) -> None:
        self.command(ShowFrame(outcome, hold_ms, date))

    def close(self) -> None:
        """Nothing to close."""

    # the clerk, and the clock
    def file(self, report: Report) -> bool:
        self.reports.append(report)
        return True

    def note(self, note: Note) -> None:
        if isinstance(note, TapDone):
            assert note.tap.tap not in self.taps, "one tap is noted twice"
            self.taps[note.tap.tap] = note

    def now(self) -> Now:
        return Now(self.now_ns // S, synchronised=True)

    # the line
    def command(self, frame: OpenFrame | ShowFrame) -> None:
        if self.link is not None:
            self.link.send(frame, self.now_ns)
            self.exchange()

    def turn(self) -> None:
        if self.link is None and self.now_ns >= self.reopen_ns:
            self.link = BoardLink(self.random.getrandbits(32) | 1, b"lane0001", "sim", self.now_ns)
        self.exchange()  # first what is on the line already, as with a real one
        if self.link is not None:
            self.hear(self.link.tick(self.now_ns))
        self.exchange()

    def exchange(self) -> None:
        """Carry bytes both ways until neither side sends more.

        Each piece may be lost, damaged or repeated.
        """
        while True:
            up = b"".join(self.device_says())
            down = bytes(self.link.outgoing) if self.link is not None else b""
            if self.link is not None:
                self.link.outgoing.clear()
            if not up and not down:
                return
            if down:
                self.device.receive(self.spoilt(down), self.now_ns)
            if up and self.link is not None:
                self.hear(self.link.receive(self.spoilt(up), self.now_ns))

    def device_says(self) -> Iterator[bytes]:
        for outcome in self.device.advance(self.now_ns):
            if isinstance(outcome, Send):
                yield outcome.data
            elif isinstance(outcome, BoardLine):
                self.lines.append(outcome)

    def spoilt(self, data: bytes) -> bytes:
        fate = self.random.random()
        if fate < self.loss:
            return b""
        if fate < 1.5 * self.loss:
            at = self.random.randrange(len(data))
            return data[:at] + bytes([data[at] ^ (1 << self.random.randrange(8))]) + data[at + 1 :]
        return data * 2 if fate < 2 * self.loss else data

    def hear(self, events: list[LinkEvent]) -> None:
        for event in events:
            if isinstance(event, BoardLost):
                self.losses += 1
                self.link = None
                self.reopen_ns = self.now_ns + REOPEN_NS
            if not isinstance(
                event, ReaderLost | ReaderBack | CardSeen | Clash | OldCard | ReadAcknowledged
            ):
                self.events.append(event)


class SimulatedLane(Lane):
    """The lane, waiting in simulated time."""

    world: World

    def _wait(self) -> set[int]:
        self.world.now_ns = max(self.world.now_ns, min(self._deadlines()))
        return set()


def simulated(
    world: World, events: deque[ReaderEvent], clock: Clock | None = None
) -> tuple[SimulatedLane, SimulatedReader]:
    """A lane in this world, and its reader with these events. Without `clock` the time is right."""
    reader = SimulatedReader(events, world)
    lane = SimulatedLane(
        reader=reader,
        board=world,
        file=world.file,
        note=world.note,
        lists=world.lists,
        now=(clock or world).now,
        passage_policy=PassagePolicy(Direction.ENTRY, 5_000, 1_500, 60, SameCardAfterPassing.ADMIT),
        list_policy=ListPolicy(WhenStale.DECIDE, WhenMissing.DENY),
        token_key=bytes(32),
        monotonic_ns=lambda: world.now_ns,
    )
    lane.world = world
    return lane, reader
