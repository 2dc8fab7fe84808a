"""One simulated gate: the real courier on simulated ports, compared with the city at each poll."""

from random import Random

from tests.simulation.fleet.city import DAY_S, City, Published
from tests.simulation.fleet.list_store import Held, Level, SimListStore
from tests.simulation.fleet.lives import BOOT_S, Life
from tests.simulation.fleet.ports import (
    Line,
    SimAcceptedStore,
    SimClock,
    SimLanes,
    SimMetadata,
    SimPieces,
)
from tests.simulation.fleet.tally import Load, Of, Tally, away
from validator.courier.list_sync import ListSync
from validator.errors import SourceState

LANE_SCANS_S = 1.0  # the lane scans for a new list once a second
# Decoding, folding and fsync of a few pieces on a Pi: a guess on the safe side of the 20 ms that a
# laptop takes.
INSTALLS_S = 0.1
SNAPSHOT = "matched"  # the rule whose snapshot is what a full download means
ERA = 1


class SimGate:
    """A gate from the first second to the last."""

    def __init__(self, city: City, life: Life, load: Load, seed: int, poll_s: float) -> None:
        self._city = city
        self._life = life
        self._rng = Random(seed)
        self._poll_s = poll_s
        days = -int(-city.plan.days // 1)
        self.tally = Tally([[0] * len(Of) for _ in range(days)], [True] * days)
        self._line = Line(life, self.tally, load)
        self._pieces = SimPieces(city, self._line, self.tally)
        self._store = SimAcceptedStore(self._line)
        self._clock = SimClock(self._line)
        self._lists = SimListStore(city, self._line.count, self._begins())
        self._current_s: float | None = None if life.begins_with_s is None else -life.begins_with_s
        self._is_current = life.begins_with_s == 0
        self._before = self._lists.held[1]
        self._in_step_s = 0.0
        self._boot()

    def run(self) -> Tally:
        """Run the gate to the end of the simulation."""
        dark = [span for span in self._life.dark if span.start_s < self._city.end_s]
        line = self._line
        line.now_s = self._rng.uniform(0, self._poll_s)
        while line.now_s < self._city.end_s:
            if dark and dark[0].start_s <= line.now_s:
                off_s, on_s = dark.pop(0)
                line.now_s = on_s + BOOT_S
                self._power_cut(on_s)
                self._disturb(off_s, on_s)
                continue
            status, wait_s = self._courier.poll()
            self.tally.states[status.state.value] += 1
            if status.state is SourceState.FRESH:
                self._fresh()
            else:
                self._is_current = False
                self._disturb(line.now_s)
            line.now_s += wait_s
        return self.tally

    def _begins(self) -> Held:
        """The list that the gate holds at the start: one segment for each table."""
        age_s = self._life.begins_with_s
        if age_s is None:
            return Held()
        public = self._city.at(-age_s if age_s else 0.0)
        cards = {rule.name: rule.cards for rule in self._city.rules}
        tables = {
            rule: (Level(0, public.version, count, on_card=True),) for rule, count in cards.items()
        }
        for rule in cards:
            self._pieces.begin_at(rule, public.version)
        followed = {rule: self._city.followed(rule, 0, public.version) for rule in cards}
        return Held(
            ERA,
            public.version,
            self._city.key(public),
            tables,
            followed if self._city.plan.cards else {},
        )

    def _boot(self) -> None:
        self._metadata = SimMetadata(self._city, self._line)
        self._courier = ListSync(
            metadata=self._metadata,
            pieces=self._pieces,
            lists=self._lists,
            store=self._store,
            clock=self._clock,
            held_keys=lambda: {
                self._city.key(self._city.published[0]),
                self._city.key(self._city.published[-1]),
            },
            poll_s=self._poll_s,
            draw=self._rng.random,
            lanes=SimLanes(),
        )

    def _power_cut(self, on_s: float) -> None:
        before = self._lists.held
        self._lists.power_cut()
        lost = self._lists.held != before
        self._clock.boot_again(on_s)
        self._line.drop()
        self._boot()
        self._courier.replay()
        what = (
            "nothing was lost"
            if not lost
            else "all came back"
            if self._lists.held == before
            else "fell behind"
        )
        self.tally.replays[what] += 1
        self._check(self._city.version(self._lists.held[1]) if self._lists.held[1] else None)
        self._is_current = False

    def _fresh(self) -> None:
        """Check a poll that ended "fresh" against the city, and count how long the list took."""
        public = self._metadata.seen
        assert public is not None
        line, city = self._line, self._city
        assert self._lists.held == (ERA, public.version)
        self._clock.synchronised = True
        if not self._is_current:
            self._note_return()
            self._disturb(line.now_s)
            # What was published while the gate fetched belongs to its return.
            self._in_step_s = line.now_s
        elif (before := self._before) != public.version:
            enforced_s = line.now_s + INSTALLS_S + self._rng.random() * LANE_SCANS_S
            for version in range(before + 1, public.version + 1):
                at_s = city.version(version).at_s
                if at_s >= self._in_step_s:
                    self.tally.enforce(enforced_s - at_s)
        if not self._is_current or self._before != public.version:
            self._check(public)
        self._is_current, self._before, self._current_s = True, public.version, line.now_s

    def _note_return(self) -> None:
        line = self._line
        gone = away(None if self._current_s is None else line.online_since_s - self._current_s)
        self.tally.returns[gone] += 1
        self.tally.snapshots[gone] += SNAPSHOT in self._pieces.snapshots
        self.tally.back_s.setdefault(gone, []).append(line.now_s - line.online_since_s)
        self._pieces.snapshots.clear()

    def _check(self, public: Published | None) -> None:
        """Assert that each table has every change of its list, and each followed card its state."""
        if public is None:
            return
        for rule in self._city.rules:
            assert self._lists.newest(rule.name) >= public.changed[rule.name], (
                rule.name,
                public.version,
            )
            if self._city.plan.cards:
                table = self._lists.list.cards[rule.name]
                assert {card for card, is_in in table.items() if is_in} == set(
                    self._city.followed(rule.name, 0, public.version)
                ), (rule.name, public.version)

    def _disturb(self, *at_s: float) -> None:
        for each in at_s:
            day = min(int(each // DAY_S), len(self.tally.undisturbed) - 1)
            self.tally.undisturbed[day] = False
