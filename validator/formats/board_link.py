"""The lane's end of the line to the board: sessions, acknowledgement, resends, heartbeats. Pure: bytes and `now_ns` in, events and bytes out.

One BoardLink is one session of the lane. When the line is lost it says so once and is done: whoever owns the port opens it
again and makes a new one. docs/board-protocol.md is the source; nothing here knows of ports, polls or clocks.
"""

from collections import deque
from dataclasses import dataclass

from validator.domain.cards import Card, CardUid
from validator.domain.events import (
    BoardBack,
    BoardEvent,
    BoardLost,
    CardSeen,
    Clash,
    Emergency,
    Forced,
    NotPassed,
    Passed,
    ReaderBack,
    ReaderEvent,
    ReaderLost,
    Tamper,
)
from validator.formats.board_frames import (
    CARDS_SEVERAL,
    PROTOCOL,
    Ack,
    CardFrame,
    EmergencyFrame,
    ForcedFrame,
    Frame,
    FrameDecoder,
    Heartbeat,
    Hello,
    NotPassedFrame,
    OpenFrame,
    PassedFrame,
    ShowFrame,
    TamperFrame,
    encode,
)

NS_PER_MS = 1_000_000
BEAT_NS = 500 * NS_PER_MS  # heartbeats, and HELLO until it is answered
SILENCE_MAX_NS = 1_500 * NS_PER_MS  # three heartbeats
ACK_WAIT_NS = 50 * NS_PER_MS
SENDS_MAX = 4  # once, and three times again
HELLO_APART_NS = 100 * NS_PER_MS  # an answer sooner than this would greet a greeting
COMMANDS_WAITING_MAX = 16
TAPS_REMEMBERED = 32  # as many as the board remembers; the end of one older than that comes from nowhere

EMERGENCY_BIT, TAMPER_BIT, PASSED_BIT, NOT_PASSED_BIT, READER_BIT = 0x01, 0x02, 0x08, 0x10, 0x20
STATE_BITS = EMERGENCY_BIT | TAMPER_BIT | READER_BIT

LinkEvent = BoardEvent | ReaderEvent
Told = PassedFrame | NotPassedFrame | ForcedFrame | EmergencyFrame | TamperFrame | CardFrame


@dataclass(slots=True)
class _UnderWay:
    frame: OpenFrame | ShowFrame
    encoded: bytes
    seq: int
    sends: int
    sent_ns: int


class BoardLink:
    """One session of the lane with the board, from the opened port to its loss."""

    def __init__(self, session: int, device_id: bytes, firmware: str, now_ns: int) -> None:
        """`session` is random and not 0. The first HELLO is in `outgoing` at once."""
        self.outgoing = bytearray()
        self.lost = False
        self._decoder = FrameDecoder()
        self._hello = Hello(PROTOCOL, session, device_id, firmware)
        self._started_ns = self._heard_ns = now_ns
        self._peer: Hello | None = None
        self._acted_seq: int | None = None
        self._next_seq = 0
        self._waiting: deque[OpenFrame | ShowFrame] = deque()
        self._under_way: _UnderWay | None = None
        self._opened_tap: int | None = None  # acknowledged, and its end not yet heard
        self._ended_taps: deque[int] = deque(maxlen=TAPS_REMEMBERED)  # by an event or by a heartbeat
        self._state = 0
        self._known_bits = 0  # of the state; the others nobody has spoken of yet
        self._say_hello(now_ns)
        self._beat_ns = now_ns + BEAT_NS

    @property
    def errors(self) -> int:
        """How many frames were no frames."""
        return self._decoder.errors

    @property
    def deadline_ns(self) -> int:
        """When `tick` has something to do, at the latest."""
        due = min(self._beat_ns, self._heard_ns + SILENCE_MAX_NS)
        return min(due, self._under_way.sent_ns + ACK_WAIT_NS) if self._under_way else due

    def send(self, command: OpenFrame | ShowFrame, now_ns: int) -> None:
        """Queue a command for the board. Without a session it goes nowhere: it would speak of a passage nobody knows."""
        if self._peer is None or self.lost:
            return
        self._waiting.append(command)
        self._send_next(now_ns)

    def receive(self, data: bytes, now_ns: int) -> list[LinkEvent]:
        """Take bytes from the line; return what they mean. Never raises."""
        events: list[LinkEvent] = []
        for seq, frame in self._decoder.feed(data):
            if not self.lost:
                events += self._hear(seq, frame, now_ns)
        return events

    def tick(self, now_ns: int) -> list[LinkEvent]:
        """Do what is due: greet, beat, send again, give up."""
        if self.lost:
            return []
        if now_ns >= self._heard_ns + SILENCE_MAX_NS:
            return [self._lose("is silent; is it wired and powered?", now_ns)]
        if now_ns >= self._beat_ns:
            self._beat_ns = now_ns + BEAT_NS
            if self._peer is None:
                self._say_hello(now_ns)
            else:
                self.outgoing += encode(
                    Heartbeat((now_ns - self._started_ns) // NS_PER_MS & 0xFFFF_FFFF, 0), 0
                )
        return self._resend(now_ns)

    def _resend(self, now_ns: int) -> list[LinkEvent]:
        if len(self._waiting) > COMMANDS_WAITING_MAX:
            return [self._lose(f"left {len(self._waiting)} commands waiting", now_ns)]
        command = self._under_way
        if command is None or now_ns < command.sent_ns + ACK_WAIT_NS:
            return []
        if command.sends == SENDS_MAX:
            return [
                self._lose(
                    f"did not acknowledge {_name(command.frame)} in {SENDS_MAX} sends; is the wire to it in order?",
                    now_ns,
                )
            ]
        command.sends += 1
        command.sent_ns = now_ns
        self.outgoing += command.encoded
        return []

    def _lose(self, reason: str, now_ns: int) -> BoardLost:
        self.lost = True
        self._under_way = None
        self._waiting.clear()
        return BoardLost(reason, now_ns)

    def _say_hello(self, now_ns: int) -> None:
        self._hello_ns = now_ns
        self.outgoing += encode(self._hello, 0)

    def _send_next(self, now_ns: int) -> None:
        if self._under_way is None and self._waiting:
            frame = self._waiting.popleft()
            encoded = encode(frame, self._next_seq)
            self._under_way = _UnderWay(frame, encoded, self._next_seq, 1, now_ns)
            self._next_seq = (self._next_seq + 1) % 256
            self.outgoing += encoded

    def _hear(self, seq: int, frame: Frame, now_ns: int) -> list[LinkEvent]:
        if isinstance(frame, Hello):
            return self._hear_hello(frame, now_ns)
        if self._peer is None:
            return []
        self._heard_ns = now_ns
        match frame:
            case Ack():
                self._hear_ack(frame.acknowledged, now_ns)
                return []
            case Heartbeat():
                return self._hear_state(frame.state, now_ns)
            case OpenFrame() | ShowFrame():
                return []  # ours, echoed by a shorted line
            case _:
                return self._hear_event(seq, frame, now_ns)

    def _hear_hello(self, hello: Hello, now_ns: int) -> list[LinkEvent]:
        if hello.protocol != PROTOCOL:
            return [self._lose(f"speaks protocol {hello.protocol}, this lane speaks {PROTOCOL}", now_ns)]
        if hello.session == self._hello.session:
            return []  # ours, echoed by a shorted line
        self._heard_ns = now_ns
        known = self._peer is not None and self._peer.session == hello.session
        if not known or now_ns >= self._hello_ns + HELLO_APART_NS:
            self._say_hello(now_ns)
        if known:
            return []
        self._peer = hello
        self._acted_seq = self._under_way = self._opened_tap = None
        self._known_bits = 0
        self._ended_taps.clear()
        self._waiting.clear()
        return [BoardBack(now_ns)]

    def _hear_ack(self, seq: int, now_ns: int) -> None:
        command = self._under_way
        if command is None or command.seq != seq:
            return  # an ACK of a copy
        if isinstance(command.frame, OpenFrame):
            self._opened_tap = command.frame.tap
        self._under_way = None
        self._send_next(now_ns)

    def _hear_event(self, seq: int, frame: Told, now_ns: int) -> list[LinkEvent]:
        self.outgoing += encode(Ack(seq), 0)
        if seq == self._acted_seq:
            return []
        self._acted_seq = seq
        match frame:
            case PassedFrame():
                return self._end(Passed(frame.tap, frame.after_ms, now_ns))
            case NotPassedFrame():
                return self._end(NotPassed(frame.tap, now_ns))
            case ForcedFrame():
                return [Forced(now_ns)]
            case EmergencyFrame():
                return self._hear_bit(EMERGENCY_BIT, on=frame.on, now_ns=now_ns)
            case TamperFrame():
                return self._hear_bit(TAMPER_BIT, on=frame.on, now_ns=now_ns)
            case CardFrame():
                return [_card_event(frame, now_ns)]

    def _end(self, end: Passed | NotPassed) -> list[LinkEvent]:
        """The end of a passage, unless it was told before: by a heartbeat, or by its event, ahead of an ACK that had to be repeated."""
        if end.tap in self._ended_taps:
            return []
        self._ended_taps.append(end.tap)
        if self._opened_tap == end.tap:
            self._opened_tap = None
        return [end]

    def _hear_bit(self, bit: int, *, on: bool, now_ns: int) -> list[LinkEvent]:
        """An event speaks of one bit of the state, and of no other."""
        return self._learn(bit, bit if on else 0, now_ns)

    def _hear_state(self, state: int, now_ns: int) -> list[LinkEvent]:
        events = self._learn(STATE_BITS, state, now_ns)
        tap = self._opened_tap
        if tap is not None and state & (PASSED_BIT | NOT_PASSED_BIT):
            events += self._end(Passed(tap, 0, now_ns) if state & PASSED_BIT else NotPassed(tap, now_ns))
        return events

    def _learn(self, bits: int, state: int, now_ns: int) -> list[LinkEvent]:
        """What is new in these bits of the state: those that differ, and those that nobody has spoken of before."""
        changed = bits & ((self._state ^ state) | ~self._known_bits)
        self._state = self._state & ~bits | state & bits
        self._known_bits |= bits
        events: list[LinkEvent] = []
        if changed & EMERGENCY_BIT:
            events.append(Emergency(bool(state & EMERGENCY_BIT), now_ns))
        if changed & TAMPER_BIT:
            events.append(Tamper(bool(state & TAMPER_BIT), now_ns))
        if changed & READER_BIT:
            fault = state & READER_BIT
            events.append(
                ReaderLost("its card reader does not work, says the board", now_ns)
                if fault
                else ReaderBack(now_ns)
            )
        return events


def _name(frame: OpenFrame | ShowFrame) -> str:
    return "OPEN" if isinstance(frame, OpenFrame) else "SHOW"


def _card_event(frame: CardFrame, now_ns: int) -> ReaderEvent:
    if frame.count == CARDS_SEVERAL:
        return Clash(now_ns)
    return CardSeen(Card(CardUid(frame.uid), frame.atqa, frame.sak), now_ns)
