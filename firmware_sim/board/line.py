"""The board's end of the line: sessions, acknowledgements, resends, heartbeats. Pure.

Written from docs/board-protocol.md alone; time is an argument. It carries commands and events;
board.py acts on them.
"""

from collections import deque
from dataclasses import dataclass
from random import Random

from firmware_sim.board.frames import (
    FROM_BOARD,
    FROM_LANE,
    PROTOCOL,
    Ack,
    Card,
    Emergency,
    Forced,
    Frame,
    FrameStream,
    Heartbeat,
    Hello,
    NotPassed,
    Open,
    Passed,
    Read,
    Show,
    Tamper,
)

NS_PER_MS = 1_000_000
BEAT_NS = 500 * NS_PER_MS  # heartbeats, and HELLO until it is answered
SILENCE_NS = 1500 * NS_PER_MS  # three heartbeats missed
ACK_WAIT_NS = 50 * NS_PER_MS
SENDS_MAX = 4  # the first, and three resends
GREETING_APART_NS = 100 * NS_PER_MS
WAITING_MAX = 16

BoardEvent = Passed | NotPassed | Forced | Emergency | Tamper | Card
LaneCommand = Open | Show | Read


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the lane; `copy` if it was acted on before and came again."""

    frame: LaneCommand
    copy: bool


@dataclass(frozen=True, slots=True)
class LaneSession:
    """A lane has begun a session; the taps of an earlier one no longer count."""

    hello: Hello


@dataclass(frozen=True, slots=True)
class LaneSilent:
    """Three heartbeats of the lane are missing; the session goes on with its next frame."""


@dataclass(frozen=True, slots=True)
class LaneSpeaks:
    """A silent lane has sent a frame again, in the same session."""


@dataclass(frozen=True, slots=True)
class LineLost:
    """The line failed, and the board has begun a new session; `reason` is one line."""

    reason: str


@dataclass(frozen=True, slots=True)
class LaneRefused:
    """The lane has another protocol version, so there is no session; `reason` is one line."""

    reason: str


@dataclass(frozen=True, slots=True)
class CardTaken:
    """The lane has acknowledged this card."""

    card: Card


LineEvent = Command | LaneSession | LaneSilent | LaneSpeaks | LineLost | LaneRefused | CardTaken


@dataclass(slots=True)
class _UnderWay:
    seq: int
    frame: BoardEvent
    sends: int
    sent_ns: int


class BoardLine:
    """Sessions of one board, from power-on to power-off.

    Call `advance` after `receive`, and at `due_ns`.
    """

    def __init__(self, random: Random, device_id: bytes, firmware: str, now_ns: int) -> None:
        self.lane: Hello | None = None
        self.silent = False
        self._random = random
        self._device_id = device_id
        self._firmware = firmware
        self._stream = FrameStream()
        self._outgoing: list[tuple[int, Frame]] = []
        self._beat_ns = self._received_ns = now_ns
        self._begin(now_ns)

    @property
    def session(self) -> int:
        """This board's session number."""
        return self._hello.session

    @property
    def errors(self) -> int:
        """How many pieces of input were no frames."""
        return self._stream.errors

    @property
    def waiting(self) -> int:
        """How many events wait behind the one that is not yet acknowledged."""
        return len(self._waiting)

    def take(self) -> list[tuple[int, Frame]]:
        """Return the frames to send now with their seq, oldest first; each once."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def due_ns(self) -> int:
        """Return when `advance` has something to do, at the latest."""
        due = [self._beat_ns]
        if self._under_way is not None:
            due.append(self._under_way.sent_ns + ACK_WAIT_NS)
        if self.lane is not None and not self.silent:
            due.append(self._received_ns + SILENCE_NS)
        return min(due)

    def report(self, event: BoardEvent, now_ns: int) -> None:
        """Send an event once those before it are acknowledged.

        Without a session it is dropped, as docs/board-protocol.md has it.
        """
        if self.lane is None:
            return
        self._waiting.append(event)
        self._send_next(now_ns)

    def receive(self, data: bytes, now_ns: int) -> list[LineEvent]:
        """Take any bytes; return what they mean. Never raises."""
        events: list[LineEvent] = []
        for seq, frame in self._stream.feed(data):
            events += self._receive_frame(seq, frame, now_ns)
        return events

    def advance(self, now_ns: int, heartbeat: Heartbeat) -> list[LineEvent]:
        """Do what is due: HELLO, heartbeats, resends, noticing a silent lane.

        `heartbeat` is the one to send now.
        """
        events: list[LineEvent] = []
        if self.lane is not None and not self.silent and now_ns >= self._received_ns + SILENCE_NS:
            self.silent = True
            events.append(LaneSilent())
        events += self._resend(now_ns)
        if now_ns >= self._beat_ns:
            self._beat_ns = now_ns + BEAT_NS
            if self.lane is None:
                self._greet(now_ns)
            else:
                self._outgoing.append((FROM_BOARD, heartbeat))
        return events

    def _begin(self, now_ns: int) -> None:
        """Begin a new session of this side.

        Nothing of the old one is sent again, and the lane has to send HELLO again.
        """
        session = self._random.getrandbits(32) or 1
        self._hello = Hello(PROTOCOL, session, self._device_id, self._firmware)
        self._outgoing.clear()
        self._next_seq = 0
        self._forget_lane()
        self._received_ns = now_ns
        self._greeted_ns = now_ns - GREETING_APART_NS
        self._last_session = 0  # no session has this number
        self._beat_ns = now_ns  # the first HELLO at once

    def _forget_lane(self) -> None:
        self.lane = None
        self.silent = False
        self._acted_seq: int | None = None
        self._under_way: _UnderWay | None = None
        self._waiting: deque[BoardEvent] = deque()

    def _greet(self, now_ns: int) -> None:
        self._greeted_ns = now_ns
        self._beat_ns = now_ns + BEAT_NS
        self._outgoing.append((FROM_BOARD, self._hello))

    def _resend(self, now_ns: int) -> list[LineEvent]:
        event = self._under_way
        if self.waiting > WAITING_MAX:
            return self._lose(f"{self.waiting} events wait for the lane", now_ns)
        if event is None or now_ns < event.sent_ns + ACK_WAIT_NS:
            return []
        if event.sends == SENDS_MAX:
            return self._lose(f"the lane did not acknowledge {type(event.frame).__name__}", now_ns)
        event.sends += 1
        event.sent_ns = now_ns
        self._outgoing.append((event.seq, event.frame))
        return []

    def _lose(self, reason: str, now_ns: int) -> list[LineEvent]:
        self._begin(now_ns)
        return [LineLost(reason)]

    def _send_next(self, now_ns: int) -> None:
        if self._under_way is None and self._waiting:
            event = _UnderWay(self._next_seq, self._waiting.popleft(), 1, now_ns)
            self._next_seq = (self._next_seq + 1) % 256
            self._under_way = event
            self._outgoing.append((event.seq, event.frame))

    def _receive_frame(self, seq: int, frame: Frame, now_ns: int) -> list[LineEvent]:
        if isinstance(frame, Hello):
            return self._receive_hello(seq, frame, now_ns)
        if self.lane is None or isinstance(frame, BoardEvent):
            # Before HELLO nothing counts; and an event can only be our own, on a line that echoes.
            return []
        if isinstance(frame, Ack | Heartbeat) and seq != FROM_LANE:
            return []  # our own, on a line that echoes
        events = self._alive(now_ns)
        match frame:
            case Ack(acknowledged):
                events += self._receive_ack(acknowledged, now_ns)
            case Open() | Show() | Read():
                self._outgoing.append((FROM_BOARD, Ack(seq)))
                events.append(Command(frame, copy=seq == self._acted_seq))
                self._acted_seq = seq
            case Heartbeat():
                pass  # a sign of life; the lane's state is always 0
        return events

    def _alive(self, now_ns: int) -> list[LineEvent]:
        self._received_ns = now_ns
        was_silent, self.silent = self.silent, False
        return [LaneSpeaks()] if was_silent else []

    def _receive_hello(self, seq: int, hello: Hello, now_ns: int) -> list[LineEvent]:
        if seq == FROM_BOARD:
            return []  # our own, on a line that echoes
        # A refused lane's session counts as known, or the two would send HELLO for ever.
        is_new = hello.session != self._last_session
        self._last_session = hello.session
        if is_new or now_ns >= self._greeted_ns + GREETING_APART_NS:
            self._greet(now_ns)
        if hello.protocol != PROTOCOL:
            self._forget_lane()
            return [
                LaneRefused(
                    f"the lane speaks protocol {hello.protocol}, this board speaks {PROTOCOL}"
                )
            ]
        if self.lane is not None and self.lane.session == hello.session:
            return self._alive(now_ns)
        self._forget_lane()
        self.lane = hello
        self._received_ns = now_ns
        # The first heartbeat at once: the lane must not take a gate that an emergency opened for
        # closed.
        self._beat_ns = now_ns
        return [LaneSession(hello)]

    def _receive_ack(self, seq: int, now_ns: int) -> list[LineEvent]:
        if self._under_way is None or self._under_way.seq != seq:
            return []
        frame = self._under_way.frame
        self._under_way = None
        self._send_next(now_ns)
        return [CardTaken(frame)] if isinstance(frame, Card) else []
