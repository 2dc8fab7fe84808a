"""Run a fleet through a city's days, in a process for each core, and add up what was counted."""

import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np
from numpy.typing import NDArray

from tests.simulation.fleet import lives
from tests.simulation.fleet.city import City
from tests.simulation.fleet.gate import SimGate
from tests.simulation.fleet.lives import Life, Span
from tests.simulation.fleet.tally import LATENCY_STEPS, Load, Tally

GATES_A_SHARE = 20  # of the fleet, handed to a process at a time
CITY_OUTAGE = Span(1_200.0, 4_800.0)
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """How many gates of what kind, and how often they poll.

    `life` is "any", "steady", or "outage": the city's server is away for the time of `outage`.
    """

    gates: int
    poll_s: float = 30.0
    seed: int = 1
    life: str = "any"
    outage: Span = CITY_OUTAGE

    def born(self, number: int, days: float) -> Life:
        """The life of this gate."""
        match self.life:
            case "any":
                return lives.drawn(Random(f"{self.seed} life {number}"), days)
            case "steady":
                return lives.steady()
            case "outage":
                return lives.city_outage(*self.outage)
        raise ValueError(self.life)


@dataclass
class Counted:
    """What was counted of a fleet. `days` is by gate, day and Of."""

    kinds: list[str]
    days: NDArray[np.int64]
    undisturbed: NDArray[np.bool_]
    enforced: NDArray[np.int64]
    enforced_max_s: float
    requests: NDArray[np.int64]
    bytes_: NDArray[np.float64]
    back_s: dict[str, list[float]] = field(default_factory=dict)
    returns: Counter[str] = field(default_factory=Counter)
    snapshots: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    replays: Counter[str] = field(default_factory=Counter)
    fetched_changes: int = 0
    fetched_twice: int = 0
    thrown_away: int = 0


def run(
    city: City,
    plan: FleetPlan,
    *,
    jobs: int | None = None,
    progress: Progress = lambda _gates: None,
) -> Counted:
    """Run every gate from the first second to the last.

    Args:
        city: the timeline that all gates see.
        plan: the fleet.
        jobs: processes; 1 runs the gates in this process, None takes one for each core.
        progress: called with a number of gates whenever so many are done.

    Raises:
        AssertionError: a gate holds another list than the city published.
    """
    shares = [
        range(at, min(at + GATES_A_SHARE, plan.gates)) for at in range(0, plan.gates, GATES_A_SHARE)
    ]
    jobs = min(jobs or os.cpu_count() or 1, len(shares))
    if jobs == 1:
        return _joined(_all(map(_Share(city, plan), shares), shares, progress))
    # Forked, so that the city is built once; this process has no thread.
    with multiprocessing.get_context("fork").Pool(jobs, _begin, (_Share(city, plan),)) as pool:
        return _joined(_all(pool.imap(_ask, shares), shares, progress))


class _Share:
    """Runs some of the gates."""

    def __init__(self, city: City, plan: FleetPlan) -> None:
        self._city = city
        self._plan = plan

    def __call__(self, numbers: Sequence[int]) -> Counted:
        plan, city = self._plan, self._city
        load = Load(int(city.end_s))
        kinds, tallies = [], []
        for number in numbers:
            life = plan.born(number, city.plan.days)
            gate = SimGate(city, life, load, plan.seed * 1_000_003 + number, plan.poll_s)
            kinds.append(life.kind.value)
            tallies.append(gate.run())
        load.close()
        return _added(kinds, tallies, load)


_share: _Share | None = None


def _begin(share: _Share) -> None:
    global _share  # noqa: PLW0603  # a forked process gets its city once
    _share = share


def _ask(numbers: Sequence[int]) -> Counted:
    assert _share is not None
    return _share(numbers)


def _all(
    counted: Iterable[Counted], shares: Sequence[Sequence[int]], progress: Progress
) -> Iterable[Counted]:
    for each, numbers in zip(counted, shares, strict=True):
        progress(len(numbers))
        yield each


def _added(kinds: list[str], tallies: Sequence[Tally], load: Load) -> Counted:
    back_s: dict[str, list[float]] = {}
    for tally in tallies:
        for gone, seconds in tally.back_s.items():
            back_s.setdefault(gone, []).extend(seconds)
    return Counted(
        kinds,
        np.array([tally.days for tally in tallies], np.int64),
        np.array([tally.undisturbed for tally in tallies], np.bool_),
        np.sum([np.frombuffer(tally.enforced, np.int64) for tally in tallies], axis=0),
        max(tally.enforced_max_s for tally in tallies),
        load.requests,
        load.bytes_,
        back_s,
        sum((tally.returns for tally in tallies), Counter()),
        sum((tally.snapshots for tally in tallies), Counter()),
        sum((tally.states for tally in tallies), Counter()),
        sum((tally.replays for tally in tallies), Counter()),
        sum(tally.fetched_changes for tally in tallies),
        sum(tally.fetched_twice for tally in tallies),
        sum(tally.thrown_away for tally in tallies),
    )


def _joined(parts: Iterable[Counted]) -> Counted:
    whole: Counted | None = None
    for part in parts:
        if whole is None:
            whole = part
            continue
        whole.kinds += part.kinds
        whole.days = np.concatenate([whole.days, part.days])
        whole.undisturbed = np.concatenate([whole.undisturbed, part.undisturbed])
        whole.enforced = whole.enforced + part.enforced
        whole.enforced_max_s = max(whole.enforced_max_s, part.enforced_max_s)
        whole.requests, whole.bytes_ = whole.requests + part.requests, whole.bytes_ + part.bytes_
        for gone, seconds in part.back_s.items():
            whole.back_s.setdefault(gone, []).extend(seconds)
        for name in ("returns", "snapshots", "states", "replays"):
            getattr(whole, name).update(getattr(part, name))
        whole.fetched_changes += part.fetched_changes
        whole.fetched_twice += part.fetched_twice
        whole.thrown_away += part.thrown_away
    assert whole is not None
    assert len(whole.enforced) == LATENCY_STEPS + 1
    return whole
