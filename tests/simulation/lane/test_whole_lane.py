"""The lane's loop, passage and link with the simulated board, in simulated time, with faults.

Hours of taps over a line that loses, repeats and damages bytes, with a board that restarts, readers
that vanish, emergencies and lists that change, all drawn from a seed. The gate must never open for
a card that is not admitted, never twice for one tap, and must serve again after the faults.
"""

from collections import Counter, deque
from random import Random

import pytest

from tests.simulation.lane.simulated_gate import (
    GOOD,
    MS,
    START_NS,
    SUSPENDED,
    S,
    SimulatedLane,
    SimulatedReader,
    World,
    card,
    rules,
    simulated,
)
from validator.domain.events import CardSeen, Clash, LeftEarly, ReaderBack, ReaderEvent, ReaderLost
from validator.domain.outcomes import Outcome


def plan(random: Random, taps: int) -> deque[ReaderEvent]:
    """Taps at a busy gate, some with two cards or pulled away, and a reader that vanishes."""
    events: list[ReaderEvent] = [ReaderBack(START_NS)]
    at_ns = START_NS + 2 * S
    for _ in range(taps):
        at_ns += random.randrange(50 * MS, 4 * S)
        kind = random.random()
        if kind < 0.04:
            events.append(random.choice((Clash, LeftEarly))(at_ns))
        elif kind < 0.06:
            events += [ReaderLost("gone", at_ns), ReaderBack(at_ns + 700 * MS)]
            at_ns += 700 * MS
        else:
            pool = SUSPENDED if random.random() < 0.3 else GOOD
            events.append(CardSeen(card(random.choice(pool)), at_ns))
    return deque(events)


def run(
    lane: SimulatedLane, world: World, reader: SimulatedReader, random: Random, trouble: float
) -> None:
    """Run the plan; in a share `trouble` of the turns the board, an emergency or a list changes."""
    emergency = False
    while reader.plan:
        lane.turn()
        if emergency and random.random() < 0.05:
            emergency = False
            world.device.obey(["emergency", "off"], world.now_ns)
        if random.random() < trouble:
            match random.randrange(3):
                case 0:
                    world.device.obey(["restart"], world.now_ns)
                case 1 if not emergency:
                    emergency = True
                    world.device.obey(["emergency", "on"], world.now_ns)
                case _:
                    world.lists.current = rules(
                        (world.lists.current.version if world.lists.current else 0) + 1
                    )
    if emergency:
        world.device.obey(["emergency", "off"], world.now_ns)


def begun(
    seed: int, loss: float, taps: int
) -> tuple[SimulatedLane, World, SimulatedReader, Random]:
    random = Random(seed)
    world = World(random, loss)
    lane, reader = simulated(world, plan(random, taps))
    return lane, world, reader, random


@pytest.mark.parametrize("loss", [0.0, 0.02, 0.25])
@pytest.mark.parametrize("seed", range(8))
def test_the_gate_never_opens_wrongly_and_serves_again(seed: int, loss: float) -> None:
    lane, world, reader, random = begun(seed, loss, 400)
    by_time = {event.at_ns: event.card for event in reader.plan if isinstance(event, CardSeen)}
    run(lane, world, reader, random, trouble=0.003)

    suspended = {card(number) for number in SUSPENDED}
    of_tap = {number: by_time.get(done.tap.seen_at_ns) for number, done in world.taps.items()}
    assert {
        world.taps[number].tap.outcome for number, seen in of_tap.items() if seen in suspended
    } == {Outcome.DENIED}
    # An OPEN may be lost on the line, but none comes from nowhere, none twice, and none for a card
    # that is not admitted.
    opened = Counter(int(str(line.details["tap"])) for line in world.lines if line.name == "open")
    assert set(opened.values()) == {1}
    assert {world.taps[number].tap.outcome for number in opened} == {Outcome.ADMITTED}
    assert suspended.isdisjoint({of_tap[number] for number in opened})
    denied = {
        of_tap[number] for number, done in world.taps.items() if done.tap.outcome is Outcome.DENIED
    }
    assert {report.uid.raw for report in world.reports} == {
        seen.uid.raw for seen in denied if seen is not None
    }
    assert len(world.taps) > 100
    assert loss > 0 or world.losses == 0, "a line that loses nothing is never lost"

    world.loss = 0.0
    good_ns = world.now_ns + 5 * S
    reader.plan += [ReaderBack(world.now_ns + 1 * S), CardSeen(card(399), good_ns)]
    while world.now_ns < good_ns + 1 * S:
        lane.turn()
    assert world.taps[max(world.taps)].tap.outcome is Outcome.ADMITTED
    assert world.lines[-1].name in ("passed", "show")


def test_the_same_seed_is_the_same_run() -> None:
    def outcomes(seed: int) -> list[tuple[int, Outcome]]:
        lane, world, reader, random = begun(seed, 0.1, 60)
        run(lane, world, reader, random, trouble=0.02)
        return [(tap, done.tap.outcome) for tap, done in world.taps.items()]

    assert outcomes(5) == outcomes(5)
    assert outcomes(5) != outcomes(6)
