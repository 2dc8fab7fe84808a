"""A LOT turnstile's driver against its simulated turnstile, in simulated time, frame by frame."""

from collections import deque
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_sim.lot.turnstile import Turnstile
from firmware_sim.outcomes import Send
from validator.domain.events import (
    BoardBack,
    BoardEvent,
    BoardLost,
    Emergency,
    Forced,
    NotPassed,
    Passed,
)
from validator.domain.outcomes import Direction, Outcome
from validator.lane.boards.lot.gate import LotGate
from validator.lane.boards.lot.master import Master

MS = 1_000_000


class Line:
    """A gate and a turnstile on one line, and a clock that jumps to what is due."""

    def __init__(self, turnstile: Turnstile | None = None, *, hold_ms: int = 3_000) -> None:
        self.now_ns = 10_000 * MS
        self.sent: list[bytes] = []
        self.lost_requests: deque[bool] = deque()
        self.lost_answers: deque[bool] = deque()
        self.late_ms: deque[float] = deque()  # of the answers to come; then they are in time
        self.coming: deque[tuple[int, bytes]] = deque()
        self.turnstile = turnstile or Turnstile(1, Random(0), self.now_ns)
        self.master = Master(1, self.now_ns)
        self.gate = LotGate(self.master, hold_ms, deque(maxlen=32), self.now_ns)

    def run(self, ms: float) -> list[BoardEvent]:
        """Let time go by and return the events of the gate."""
        end_ns = self.now_ns + int(ms * MS)
        events: list[BoardEvent] = []
        while True:
            events += self.turn()
            if any(isinstance(event, BoardLost) for event in events):
                return events  # the port would be opened again
            due = [self.gate.due_ns, self.turnstile.due_ns() or end_ns + 1]
            due += [at_ns for at_ns, _ in self.coming]
            if min(due) > end_ns:
                self.now_ns = end_ns
                return events
            self.now_ns = max(self.now_ns + 1, min(due))

    def turn(self) -> list[BoardEvent]:
        for outcome in self.turnstile.advance(self.now_ns):
            if not isinstance(outcome, Send) or (self.lost_answers and self.lost_answers.popleft()):
                continue
            late_ns = int(self.late_ms.popleft() * MS) if self.late_ms else 0
            before_ns = self.coming[-1][0] if self.coming else 0  # a line keeps the order
            self.coming.append((max(self.now_ns + late_ns, before_ns), outcome.data))
        answers = bytearray()
        while self.coming and self.coming[0][0] <= self.now_ns:
            answers += self.coming.popleft()[1]
        events = self.gate.receive(bytes(answers), self.now_ns)
        if self.master.outgoing:
            request = bytes(self.master.outgoing)
            self.master.outgoing.clear()
            self.sent.append(request)
            if not (self.lost_requests and self.lost_requests.popleft()):
                self.turnstile.receive(request, self.now_ns)
        return events

    def up(self) -> "Line":
        back, emergency = self.run(300)
        assert isinstance(back, BoardBack)
        assert isinstance(emergency, Emergency)
        return self

    def open(self, tap: int, hold_ms: int = 3_000, way: Direction = Direction.ENTRY) -> None:
        assert self.gate.open(tap, way, hold_ms, self.now_ns) == []

    def do(self, *words: str) -> None:
        self.turnstile.obey(words, self.now_ns)

    def register(self, number: int) -> int:
        return self.turnstile.read(number)

    def opens(self) -> int:
        return sum(event.name == "open" for event in self.turnstile.history)


def test_a_start_cancels_what_an_earlier_lane_permitted_and_sets_the_times() -> None:
    line = Line(hold_ms=4_500)
    line.turnstile.write(0x3010, (1, 60), 0)
    line.turnstile.write(0x40, (5, 0xFFFF), line.now_ns)
    line.up()
    assert [line.register(at) for at in (0x40, 0x41, 0x3010, 0x3011)] == [0, 0, 0, 5]


def test_settings_that_are_right_are_not_written_again() -> None:
    line = Line(hold_ms=7_000).up()
    assert not any(sent[1] == 0x10 and sent[2] == 0x30 for sent in line.sent)


@pytest.mark.parametrize("way", Direction)
def test_a_passage_is_permitted_and_counted_in_its_direction(way: Direction) -> None:
    line = Line().up()
    line.open(7, way=way)
    assert line.run(400) == []
    line.do("pass")
    (passed,) = line.run(100)
    assert isinstance(passed, Passed)
    assert passed.tap == 7
    assert 400 <= passed.after_ms <= 460
    assert line.run(5_000) == []
    assert line.opens() == 1


def test_nobody_came_and_the_permission_is_cancelled() -> None:
    line = Line(hold_ms=60_000).up()
    line.open(7, 1_000)
    assert line.run(990) == []
    assert line.register(0x40) == 1
    assert [type(event) for event in line.run(200)] == [NotPassed]
    assert line.register(0x40) == 0


def test_a_permission_that_somebody_else_takes_away_is_not_given_again() -> None:
    line = Line().up()
    line.open(7)
    line.run(100)
    line.turnstile.write(0x40, (0,), line.now_ns)
    assert [type(event) for event in line.run(300)] == [NotPassed]
    assert line.opens() == 1


def test_somebody_in_the_arms_when_the_time_is_over_may_end_the_turn() -> None:
    line = Line(hold_ms=60_000).up()
    line.open(7, 1_000)
    line.run(900)
    line.do("enter")
    assert line.run(1_000) == []
    line.do("pass")
    assert [type(event) for event in line.run(100)] == [Passed]


@pytest.mark.parametrize("losses", [1, 2, 3])
def test_a_lost_request_is_made_again_and_a_lost_answer_is_not(losses: int) -> None:
    for lost in ("lost_requests", "lost_answers"):
        line = Line().up()
        line.run(20)
        setattr(line, lost, deque([True] * losses))
        line.open(7)
        assert line.run(450) == []
        line.do("pass")
        assert [type(event) for event in line.run(500)] == [Passed]
        assert line.opens() == 1, lost
        assert line.register(0x40) == 0


def test_a_passenger_who_is_through_before_the_answer_was_missed_gets_no_second_permission() -> (
    None
):
    line = Line().up()
    line.run(20)
    line.lost_answers = deque([True])
    line.open(7)
    line.run(5)
    line.do("pass")
    assert [type(event) for event in line.run(500)] == [Passed]
    assert line.opens() == 1
    assert line.register(0x40) == 0


@pytest.mark.parametrize("late_ms", [180, 215, 260])
def test_a_state_from_before_the_permission_that_comes_late_gives_no_second_one(
    late_ms: float,
) -> None:
    line = Line().up()
    # The next answers say "nothing permitted, nobody counted", and come after the permission,
    # whose own answer is lost, and after the passage.
    line.late_ms = deque([late_ms] * 2)
    line.run(60)
    line.lost_answers = deque([True])
    line.open(7)
    line.run(late_ms - 50)
    line.do("pass")
    assert [type(event) for event in line.run(1_000)] == [Passed]
    assert line.register(0x40) == 0


def test_a_busy_turnstile_is_asked_again_and_lost_if_it_stays_busy() -> None:
    line = Line().up()
    line.do("fault", "busy=3")
    line.open(7)
    assert line.run(600) == []
    line.do("pass")
    assert [type(event) for event in line.run(200)] == [Passed]
    line.do("fault", "busy")
    (lost,) = line.run(2_000)
    assert isinstance(lost, BoardLost)
    assert "busy" in lost.reason


def test_a_turnstile_that_answers_nothing_is_lost_within_a_second_and_a_half() -> None:
    line = Line().up()
    line.do("fault", "dropped")
    begun_ns = line.now_ns
    (lost,) = line.run(2_000)
    assert isinstance(lost, BoardLost)
    assert "is silent" in lost.reason
    assert lost.at_ns - begun_ns < 1_500 * MS


def test_a_blocked_turnstile_is_lost_with_what_to_do() -> None:
    line = Line()
    line.do("block", "on")
    (lost,) = line.run(500)
    assert isinstance(lost, BoardLost)
    assert "is blocked (register 3000h is 1)" in lost.reason


def test_another_modbus_device_is_refused_in_words() -> None:
    class Other(Turnstile):
        """A device that has other registers."""

        def read(self, register: int) -> int:
            raise LookupError(register)

    (lost,) = Line(Other(1, Random(0), 0)).run(500)
    assert isinstance(lost, BoardLost)
    assert "refuses register 3010h (exception 2)" in lost.reason


def test_an_emergency_ends_the_passage_and_nothing_is_permitted_until_it_is_over() -> None:
    line = Line().up()
    line.open(7)
    line.run(100)
    line.do("emergency", "on")
    assert [(type(event), getattr(event, "on", None)) for event in line.run(600)] == [
        (Emergency, True)
    ]
    assert line.gate.open(8, Direction.ENTRY, 3_000, line.now_ns) == [NotPassed(8, line.now_ns)]
    assert line.run(3_000) == []
    line.do("emergency", "off")
    assert [type(event) for event in line.run(600)] == [Emergency]
    line.open(9)
    line.run(50)
    assert line.opens() == 2


def test_a_passage_that_nobody_permitted_is_forced() -> None:
    line = Line().up()
    line.turnstile.write(0x41, (1,), line.now_ns)  # by another master
    line.do("pass")
    assert [type(event) for event in line.run(200)] == [Forced]


def test_a_restart_ends_the_session_and_its_counters_are_no_passages() -> None:
    line = Line().up()
    line.open(7)
    line.run(30)
    line.do("pass")
    line.run(100)
    line.open(8)
    line.do("restart")
    assert [type(event) for event in line.run(200)] == [BoardBack, Emergency]
    line.open(9)
    line.run(30)
    line.do("pass")
    assert [type(event) for event in line.run(200)] == [Passed]


def test_a_denial_blinks_red_at_the_side_of_the_direction_and_why_is_not_in_it() -> None:
    line = Line().up()
    line.gate.show(Outcome.DENIED, 1_500, Direction.EXIT, line.now_ns)
    line.gate.show(Outcome.READY, 0, Direction.EXIT, line.now_ns)
    line.run(100)
    assert [line.register(at) for at in (0x1009, 0x100A, 0x100B)] == [4, 2, 15]
    assert line.register(0x1003) == 0


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    steps=st.lists(
        st.sampled_from(
            ("open", "pass", "wait", "lose request", "lose answer", "late answer", "emergency")
        ),
        max_size=25,
    ),
)
def test_each_tap_ends_at_most_once_and_never_opens_twice(seed: int, steps: list[str]) -> None:
    rng = Random(seed)
    line = Line().up()
    ended: list[int] = []
    taps = 0
    emergency = is_open = False
    for step in steps:
        events: list[BoardEvent] = []
        match step:
            case "open" if not is_open:  # one passage at a time, as a lane asks
                taps += 1
                is_open = True
                events += line.gate.open(taps, Direction.ENTRY, 800, line.now_ns)
            case "pass":
                line.do("pass")
            case "wait":
                events += line.run(rng.choice((1, 30, 300, 1_200)))
            case "lose request":
                line.lost_requests.append(rng.random() < 0.7)
            case "lose answer":
                line.lost_answers.append(rng.random() < 0.7)
            case "late answer":
                line.late_ms.append(rng.random() * 400)
            case "emergency":
                emergency = not emergency
                line.do("emergency", "on" if emergency else "off")
        events += line.run(5)
        if any(isinstance(event, BoardLost) for event in events):
            break
        ended += [event.tap for event in events if isinstance(event, Passed | NotPassed)]
        if any(isinstance(event, Passed | NotPassed | Emergency) for event in events):
            is_open = False
        assert not any(isinstance(event, Forced) for event in events)
    assert len(ended) == len({*ended})
    assert {*ended} <= {*range(1, taps + 1)}
    passed = sum(event.name == "passed" for event in line.turnstile.history)
    assert passed <= line.opens()
    assert passed <= taps
    if "emergency" not in steps:  # it takes away a permission; one that was lost is given again
        assert line.opens() <= taps
