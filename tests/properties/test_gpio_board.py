"""The board on GPIO lines under any order of events, in simulated time."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.devices.gpio_gate import (
    ALONE,
    EMERGENCY,
    MS,
    RELAY,
    SENSOR,
    TAMPER,
    WIRED,
    Gate,
)
from validator.domain.events import (
    BoardBack,
    BoardEvent,
    BoardLost,
    Closed,
    Emergency,
    Forced,
    NotPassed,
    Passed,
)
from validator.domain.outcomes import Outcome

HOLD_MAX_MS = WIRED.hold_max_ms
STEPS = st.one_of(
    st.tuples(st.just("open"), st.sampled_from((0, 60, 900, 60_000))),
    st.tuples(st.just("again"), st.just(0)),
    st.tuples(st.just("wait"), st.sampled_from((1, 25, 400, 3_000))),
    st.tuples(st.just("stall"), st.sampled_from((50, 2_000))),
    st.tuples(st.just("press"), st.sampled_from((SENSOR, EMERGENCY, TAMPER))),
    st.tuples(st.just("show"), st.sampled_from([outcome.value for outcome in Outcome])),
    st.tuples(st.just("replug"), st.just(0)),
)


class Life:
    """One gate, and what has happened to it."""

    def __init__(self, *, wired: bool) -> None:
        self.gate = Gate(WIRED if wired else ALONE)
        self.events: list[BoardEvent] = self.gate.run()
        self.taps = self.stalls_ms = 0
        self.opened_ms: list[int] = []
        self._pressed: set[int] = set()

    def step(self, name: str, value: int) -> None:
        """Do one step."""
        gate = self.gate
        match name:
            case "open":
                self.taps += 1
                self.opened_ms.append(gate.now_ns // MS - 1_000_000)
                gate.open(self.taps, value)
            case "again" if self.taps:
                gate.open(self.taps, 3_000)
            case "wait":
                self.events += gate.run(value)
            case "stall":
                self.stalls_ms += value
                gate.now_ns += value * MS
            case "press":
                self._pressed ^= {value}
                gate.chip.press(value, closed=value in self._pressed)
            case "show":
                gate.board.show(Outcome(value), 300, 0)
            case "replug":
                gate.chips.unplug(gate.chip)
                self.events += gate.run(600)
                gate.chips.plug(gate.chip)
                self.events += gate.run(600)
        self.events += gate.run()


@settings(max_examples=300, deadline=None)
@given(wired=st.booleans(), steps=st.lists(STEPS, max_size=30))
def test_a_tap_releases_once_and_ends_once_and_the_relay_obeys_its_limit(
    wired: bool, steps: list[tuple[str, int]]
) -> None:
    life = Life(wired=wired)
    for name, value in steps:
        life.step(name, value)
    life.events += life.gate.run(HOLD_MAX_MS + 1_000)

    ends = [event.tap for event in life.events if isinstance(event, Passed | NotPassed | Closed)]
    assert len(ends) == len({*ends}), "a passage ends once"
    assert {*ends} <= {*range(1, life.taps + 1)}
    relay_obeys(life)
    nobody_counts_in_an_emergency(life.events)
    if not wired:
        assert not any(isinstance(event, Passed | NotPassed | Forced) for event in life.events)
    life.gate.board.close()
    assert not any(life.gate.chip.high.values())


def relay_obeys(life: Life) -> None:
    """Check that the relay goes on once a tap at most, and off in time."""
    changes = life.gate.changes(RELAY)
    assert [on for _, on in changes] == [number % 2 == 0 for number in range(len(changes))]
    assert len(changes) % 2 == 0, "the relay is off at the end"
    assert len(changes) // 2 <= life.taps
    for (on_ms, _), (off_ms, _) in zip(changes[::2], changes[1::2], strict=True):
        opened_ms = max(at for at in life.opened_ms if at <= off_ms)  # it may follow on another
        assert off_ms - max(on_ms, opened_ms) <= HOLD_MAX_MS + life.stalls_ms + 1


def nobody_counts_in_an_emergency(events: list[BoardEvent]) -> None:
    """Check that no passage is reported while the arms hang free."""
    emergency = False
    for event in events:
        match event:
            case BoardBack() | BoardLost():
                emergency = False
            case Emergency(on=on):
                emergency = on
            case Passed() | Forced():
                assert not emergency
