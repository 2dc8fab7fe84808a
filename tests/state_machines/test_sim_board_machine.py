"""The simulated board under any order of commands, verbs and time.

It gives at most one passage for each OPEN, and its arms are never locked in an emergency.
"""

from random import Random

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from firmware_sim.board import frames as f
from firmware_sim.board.board import Board
from firmware_sim.board.faults import BoardFaults
from firmware_sim.board.setup import Setup
from firmware_sim.outcomes import RefusedError, Send

MS = 1_000_000
taps = st.integers(1, 6)


class BoardMachine(RuleBasedStateMachine):
    """A lane and passengers around one board. Its frames are compared with what it did."""

    @initialize(walk_ms=st.sampled_from((None, 0, 300)))
    def build(self, walk_ms: int | None) -> None:
        random = Random(1)
        self.now_ns = 0
        self.board = Board(Setup(reader=True, walk_ms=walk_ms), random, BoardFaults(random), 0)
        self.stream = f.FrameStream()
        self.session = 1
        self.seq = 0
        self.acknowledges = True
        self.opened: set[int] = set()
        self.passed: list[int] = []
        self.emergency = False
        self.greet()

    def turn(self) -> None:
        for outcome in self.board.advance(self.now_ns):
            if isinstance(outcome, Send):
                for seq, frame in self.stream.feed(outcome.data):
                    self.hear(seq, frame)

    def hear(self, seq: int, frame: f.Frame) -> None:
        match frame:
            case f.Hello(_, session):
                if session != self.board_session:
                    self.board_session = session
                    self.opened.clear()
            case f.Ack() | f.Heartbeat():
                pass
            case _:
                if isinstance(frame, f.Passed | f.NotPassed):
                    self.passed.append(frame.tap)
                if self.acknowledges:
                    self.say(f.Ack(seq), 0)

    board_session = 0

    def say(self, frame: f.Frame, seq: int) -> None:
        self.board.receive(f.encode(frame, seq), self.now_ns)
        self.turn()

    def verb(self, words: str) -> None:
        try:
            self.board.obey(words.split(), self.now_ns)
        except RefusedError:
            return
        self.turn()

    def greet(self) -> None:
        self.say(f.Hello(2, self.session, bytes(8), "lane"), 0)

    def count(self, *names: str) -> int:
        return sum(event.name in names for event in self.board.history)

    @rule(tap=taps, hold_ms=st.sampled_from((0, 1, 700, 5000)), again=st.booleans())
    def open(self, tap: int, hold_ms: int, again: bool) -> None:
        lane = self.board.status()["lane"]
        before = self.count("open", "open_in_emergency")
        self.say(f.Open(tap, 0, hold_ms), self.seq)
        if again:
            self.say(f.Open(tap, 0, hold_ms), self.seq)
        self.seq = (self.seq + 1) % 256
        opened = self.count("open", "open_in_emergency") - before
        assert opened == (lane is not None and tap not in self.opened)
        if lane is not None:
            self.opened.add(tap)

    @rule(outcome=st.sampled_from(f.Picture), hold_ms=st.sampled_from((0, 1500)))
    def show(self, outcome: f.Picture, hold_ms: int) -> None:
        self.say(f.Show(outcome, hold_ms, 0), self.seq)
        self.seq = (self.seq + 1) % 256

    @rule()
    def new_lane(self) -> None:
        self.session += 1
        self.seq = 0
        self.opened.clear()
        self.greet()
        assert self.board.status()["tap"] is None
        shows = "emergency" if self.emergency else "out_of_service"
        assert self.board.status()["shows"] == shows

    @rule()
    def beat(self) -> None:
        self.greet()
        self.say(f.Heartbeat(0, 0), 0)

    @rule(on=st.booleans())
    def listen(self, on: bool) -> None:
        self.acknowledges = on

    @rule(ms=st.sampled_from((1, 40, 200, 500, 2000, 6000)))
    def wait(self, ms: int) -> None:
        end_ns = self.now_ns + ms * MS
        while self.now_ns < end_ns:
            due_ns = self.board.due_ns()
            assert due_ns is not None
            assert due_ns > self.now_ns
            self.now_ns = min(end_ns, due_ns)
            self.turn()

    @rule(
        verb=st.sampled_from(
            ("pass", "push", "tamper on", "tamper off", "present 04a1b2c3d4e5f6", "remove")
        )
    )
    def do(self, verb: str) -> None:
        self.verb(verb)

    @rule(verb=st.sampled_from(("restart", "brownout")))
    def fail(self, verb: str) -> None:
        self.verb(verb)
        self.opened.clear()

    @precondition(lambda self: not self.emergency)
    @rule()
    def alarm(self) -> None:
        self.emergency = True
        self.verb("emergency on")

    @precondition(lambda self: self.emergency)
    @rule()
    def all_clear(self) -> None:
        self.emergency = False
        self.verb("emergency off")

    @invariant()
    def never_locked_in_an_emergency(self) -> None:
        assert not (self.emergency and self.board.locked)
        assert self.board.status()["emergency"] == self.emergency

    @invariant()
    def an_emergency_is_shown_whatever_the_lane_says(self) -> None:
        assert not self.emergency or self.board.status()["shows"] == "emergency"

    @invariant()
    def never_more_passages_than_opens(self) -> None:
        assert self.count("passed") <= self.count("open")
        assert self.count("passed", "not_passed") <= self.count("open", "open_in_emergency")

    @invariant()
    def released_only_for_a_tap(self) -> None:
        status = self.board.status()
        assert (status["arms"] == "released") == (status["tap"] is not None)


TestBoardMachine = BoardMachine.TestCase
