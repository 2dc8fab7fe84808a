"""The whole lane in simulated time, on a system whose clocks are wrong.

It boots in other years, its clock steps, it loses its power, and signed times reach it late.
Whatever the clocks do, as long as the kernel vouches only for the true time: no suspended card is
admitted early, no start date comes early, no list expires early, and a gate whose clock is vouched
for is right to the second.
"""

from collections import deque
from dataclasses import dataclass, field
from random import Random

import pytest

from tests.simulation.lane.simulated_gate import MS, START_NS, S, World, card, simulated
from validator.domain.cards import Card, CardUid
from validator.domain.decision import ListState
from validator.domain.events import CardSeen, ReaderBack, ReaderEvent
from validator.domain.outcomes import Outcome
from validator.domain.rules import Effect, Rule, RuleSet
from validator.domain.trusted_time import SystemClock
from validator.host.clock import Clock
from validator.ipc.signed_time import SignedTime
from validator.lane.ports import Note, TapDone

SIGNED_UNIX_S = 1_780_000_000  # when the simulation begins
ENDING, UNMATCHED, MATCHED = range(60), range(100, 160), range(200, 260)
LASTS_S = 900
STARTS_UNIX_S = SIGNED_UNIX_S + LASTS_S // 2
EXPIRES_UNIX_S = SIGNED_UNIX_S + LASTS_S * 3 // 4
Y1970, Y2038 = 60, 2**31


@dataclass(frozen=True, slots=True)
class EndingTable:
    """Cards with the time at which each one's entry ends."""

    ends_unix_s: dict[int, int]
    key: bytes = bytes(32)

    def fingerprint(self, uid: bytes) -> int:
        return CardUid(uid).fingerprint(self.key)

    def holds(self, fingerprint: int, unix_s: int) -> bool:
        return unix_s < self.ends_unix_s.get(fingerprint, 0)


def true_unix_s(monotonic_ns: int) -> int:
    return SIGNED_UNIX_S + (monotonic_ns - START_NS) // S


class WrongClock(Clock):
    """The lane's own clock, on a system whose clocks go wrong by the seed."""

    def __init__(self, world: World, random: Random) -> None:
        self._world = world
        self._random = random
        self._wall_ahead_s = -SIGNED_UNIX_S
        self._is_vouched = False
        self._booted_ns = START_NS
        super().__init__()
        self._accepted = SignedTime(SIGNED_UNIX_S, *self.boot(), ("a1",))
        self.begin_with(self._accepted)

    @property
    def true_unix_s(self) -> int:
        """The true Unix time."""
        return true_unix_s(self._world.now_ns)

    def system(self) -> SystemClock:
        """See Clock."""
        ahead_s = 0 if self._is_vouched else self._wall_ahead_s
        return SystemClock(
            self.true_unix_s + ahead_s, self._is_vouched, self._world.now_ns - self._booted_ns
        )

    def happens(self) -> None:
        """Draw what happens to the clock now; most often nothing does."""
        match self._random.randrange(40):
            case 0:
                year = self._random.choice(
                    (Y1970, Y2038, self.true_unix_s - 300, self.true_unix_s + 300)
                )
                self._wall_ahead_s = year - self.true_unix_s
            case 1:
                self._is_vouched = not self._is_vouched
            case 2:  # signed a while ago, and only now here
                signed_unix_s = max(
                    self._accepted.signed_unix_s, self.true_unix_s - self._random.randrange(90)
                )
                self._accepted = SignedTime(signed_unix_s, *self.boot(), ("a1",))
                self.begin_with(self._accepted)
            case 3 if self._random.random() < 0.1:
                # The power fails: the boot time starts at zero, and the clock is not vouched for.
                self._booted_ns = self._world.now_ns
                self._boot_id = str(self._random.random())
                self._is_vouched, self._keys = False, None
                self.begin_with(self._accepted)
            case _:
                pass


@dataclass(slots=True)
class TimedWorld(World):
    """The world, which also records when the outcome of each tap was noted."""

    noted_ns: dict[int, int] = field(default_factory=dict)

    def note(self, note: Note) -> None:
        """See World."""
        World.note(self, note)
        if isinstance(note, TapDone):
            self.noted_ns[note.tap.tap] = self.now_ns


def plan(random: Random) -> deque[ReaderEvent]:
    events: list[ReaderEvent] = [ReaderBack(START_NS)]
    at_ns = START_NS + 2 * S
    while at_ns < START_NS + LASTS_S * S:
        at_ns += random.randrange(500 * MS, 4 * S)
        events.append(
            CardSeen(card(random.choice(random.choice((ENDING, UNMATCHED, MATCHED)))), at_ns)
        )
    return deque(events)


def rule_set(ends: dict[Card, int]) -> RuleSet:
    """A rule whose entries end at these times, and one that starts half way through the plan."""
    suspended = EndingTable({each.uid.fingerprint(bytes(32)): end for each, end in ends.items()})
    known = [card(number).uid.fingerprint(bytes(32)) for number in (*ENDING, *MATCHED)]
    matched = EndingTable(dict.fromkeys(known, 2**40))
    in_order = (
        Rule("suspended", Effect.REFUSE, suspended),
        Rule("matched", Effect.REQUIRE, matched, in_force_from_unix_s=STARTS_UNIX_S),
    )
    return RuleSet(1, SIGNED_UNIX_S, EXPIRES_UNIX_S, in_order)


@pytest.mark.parametrize("seed", range(12))
def test_no_clock_admits_a_card_early_or_closes_the_gate(seed: int) -> None:
    random = Random(seed)
    ends = {card(number): SIGNED_UNIX_S + random.randrange(LASTS_S) for number in ENDING}
    unmatched = {card(number) for number in UNMATCHED}
    world = TimedWorld(random, 0.0)
    world.lists.current = rule_set(ends)
    clock = WrongClock(world, random)
    events = plan(random)
    seen = {event.at_ns: event.card for event in events if isinstance(event, CardSeen)}
    lane, reader = simulated(world, events, clock)
    while reader.plan:
        lane.turn()
        clock.happens()

    def passes(presented: Card, unix_s: int) -> bool:
        """True if the rules let the card pass at that time."""
        return unix_s >= ends.get(presented, 0) and (
            presented not in unmatched or unix_s < STARTS_UNIX_S
        )

    vouched = 0
    for number, done in world.taps.items():
        decision, presented = done.tap.decision, seen[done.tap.seen_at_ns]
        assert decision is not None
        seen_unix_s, noted_unix_s = (
            true_unix_s(done.tap.seen_at_ns),
            true_unix_s(world.noted_ns[number]),
        )
        is_admitted = done.tap.outcome is Outcome.ADMITTED
        if presented in ends and is_admitted:
            assert noted_unix_s >= ends[presented], "never early"
        elif presented in unmatched and not is_admitted:
            assert noted_unix_s >= STARTS_UNIX_S, "a start date never comes early"
        elif presented not in ends and presented not in unmatched:
            assert is_admitted, "a matched card is never locked out"
        if decision.list_state is ListState.STALE:
            assert noted_unix_s >= EXPIRES_UNIX_S, "a list never expires early"
        if decision.clock_synchronised:
            vouched += 1
            assert is_admitted in (passes(presented, seen_unix_s), passes(presented, noted_unix_s))
    assert len(world.taps) > 200
    assert 0 < vouched < len(world.taps)
