"""A bench for the simulated board: frames in and out, and a clock that the test moves."""

from random import Random

from firmware_sim.board import frames as f
from firmware_sim.board.board import Board
from firmware_sim.board.faults import BoardFaults, parse_board_fault
from firmware_sim.board.setup import Setup
from firmware_sim.outcomes import Event, Send, Unplug

MS = 1_000_000


LANE = f.Hello(2, 77, bytes(8), "lane")


class Bench:
    """A board on a table: the lane's side of its line, a clock, and everything that came out."""

    def __init__(
        self, setup: Setup | None = None, fault: str = "", *, connect: bool = True
    ) -> None:
        random = Random(1)
        faults = BoardFaults(random)
        if fault:
            faults.set(parse_board_fault(fault))
        self.now_ns = 5_000 * MS
        self.board = Board(setup or Setup(walk_ms=None), random, faults, self.now_ns)
        self.acknowledges = True
        self.frames: list[tuple[int, f.Frame]] = []
        self.raw: list[bytes] = []
        self.unplugs: list[Unplug] = []
        self._stream = f.FrameStream()
        self._seq = 0
        self.turn()
        if connect:
            self.say(LANE)
            self.told()

    def turn(self) -> None:
        """Collect what the board sends, and acknowledge its events."""
        for outcome in self.board.advance(self.now_ns):
            match outcome:
                case Send(data):
                    self.raw.append(data)
                    self._hear(self._stream.feed(data))
                case Unplug():
                    self.unplugs.append(outcome)
                case Event():
                    pass

    def _hear(self, frames: list[tuple[int, f.Frame]]) -> None:
        for seq, frame in frames:
            self.frames.append((seq, frame))
            if self.acknowledges and not isinstance(frame, f.Hello | f.Ack | f.Heartbeat):
                self.say(f.Ack(seq))

    def say(self, frame: f.Frame, seq: int | None = None) -> int:
        """Send one frame as the lane; commands count their seq up unless `seq` is given."""
        if seq is None:
            is_command = isinstance(frame, f.Open | f.Show | f.Read)
            seq = self._seq if is_command else f.FROM_LANE
            self._seq += is_command
        self.board.receive(f.encode(frame, seq % 256), self.now_ns)
        self.turn()
        return seq

    def verb(self, text: str) -> None:
        self.board.obey(text.split(), self.now_ns)
        self.turn()

    def wait(self, ms: int, *, beating: bool = True) -> None:
        """Let time go by in the steps that the board asks for; the lane's heart beats meanwhile."""
        end_ns = self.now_ns + ms * MS
        beat_ns = self.now_ns if beating else end_ns
        while self.now_ns < end_ns:
            if beat_ns <= self.now_ns:
                beat_ns += 500 * MS
                self.say(f.Heartbeat(0, 0))
            due_ns = self.board.due_ns()
            self.now_ns = max(
                self.now_ns, min(end_ns, beat_ns, end_ns if due_ns is None else due_ns)
            )
            self.turn()

    def told(self) -> list[f.Frame]:
        """Return what the board has sent since the last call, without heartbeats."""
        frames, self.frames = self.frames, []
        return [frame for _, frame in frames if not isinstance(frame, f.Heartbeat)]

    def heartbeat(self) -> f.Heartbeat:
        """The next heartbeat, at most half a second from now."""
        self.frames.clear()
        self.wait(500)
        return next(frame for _, frame in reversed(self.frames) if isinstance(frame, f.Heartbeat))

    def locked(self) -> bool:
        return self.board.locked

    def happened(self, *names: str) -> list[str]:
        """What the history has of these names, in order."""
        return [event.name for event in self.board.history if event.name in names]

    def shows(self) -> list[object]:
        return [event.details["outcome"] for event in self.board.history if event.name == "show"]


CARD = f.Card(1, False, 0x20, 0x0344, bytes.fromhex("04a1b2c3d4e5f6"))
