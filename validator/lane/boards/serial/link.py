"""The lane's end of the protocol with the board: sessions, acknowledgements, resends, heartbeats.

Pure: bytes and `now_ns` in, events and bytes out. It knows no port, no poll() and no clock. The
protocol is docs/board-protocol.md.

One BoardLink is one session of the lane. It reports the loss of its line once and does nothing
after that. The owner of the port then opens the port again and makes a new BoardLink.
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
    ReaderLost,
    Tamper,
)
from validator.lane.boards.serial.frames import (
    BOARD_SEQ,
    CARDS_SEVERAL,
    LANE_SEQ,
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
    ReadFrame,
    ShowFrame,
    TamperFrame,
    encode,
)

NS_PER_MS = 1_000_000
BEAT_NS = 500 * NS_PER_MS  # heartbeats, and HELLO until it is answered
SILENCE_MAX_NS = 1_500 * NS_PER_MS  # three heartbeats
ACK_WAIT_NS = 50 * NS_PER_MS
SENDS_MAX = 4  # once, and three times again
HELLO_APART_NS = 100 * NS_PER_MS  # a HELLO sooner than this is the answer to a HELLO of the lane
COMMANDS_WAITING_MAX = 16
# A bad line delays a command by some hundred ms. Only a lane that did not run for a while sends
# one later, and the passenger of an OPEN may have gone by then.
COMMAND_AGE_MAX_NS = 1_000 * NS_PER_MS
TAPS_REMEMBERED = 32  # as many as the board remembers: it reports the end of no older passage

EMERGENCY_BIT, TAMPER_BIT, PASSED_BIT, NOT_PASSED_BIT, READER_BIT = 0x01, 0x02, 0x08, 0x10, 0x20
STATE_BITS = EMERGENCY_BIT | TAMPER_BIT | READER_BIT

Command = OpenFrame | ShowFrame | ReadFrame
EventFrame = PassedFrame | NotPassedFrame | ForcedFrame | EmergencyFrame | TamperFrame | CardFrame


@dataclass(frozen=True, slots=True)
class OldCard:
    """A card that the board flagged `lay`: a lane of an earlier session may have answered it."""

    event: CardSeen | Clash


@dataclass(frozen=True, slots=True)
class ReadAcknowledged:
    """The board has received READ. The next card is its answer, or has arrived since."""


LinkEvent = BoardEvent | ReaderLost | ReaderBack | CardSeen | Clash | OldCard | ReadAcknowledged


@dataclass(slots=True)
class _Unacknowledged:
    """The one command that was sent and that the board has not acknowledged."""

    frame: Command
    encoded: bytes
    seq: int
    sends: int
    sent_ns: int
    queued_ns: int


class BoardLink:
    """One session of the lane with the board, from the opened port to its loss."""

    def __init__(self, session: int, device_id: bytes, firmware: str, now_ns: int) -> None:
        """Begin a session; its first HELLO is in `outgoing` at once.

        Args:
            session: a random number from 1 to 2^32 - 1.
            device_id: 8 bytes that name this lane.
            firmware: this lane's version, at most 46 bytes of UTF-8; ValueError if longer.
            now_ns: monotonic time, as in all other methods.
        """
        self.outgoing = bytearray()
        self.lost = False
        self._decoder = FrameDecoder()
        self._hello = Hello(PROTOCOL, session, device_id, firmware)
        self._started_ns = self._received_ns = now_ns
        self._peer: Hello | None = None
        self._acted_seq: int | None = None
        self._next_seq = 0
        self._waiting: deque[tuple[Command, int]] = deque()  # each with the time of its `send`
        self._overdue: Command | None = None  # it waited for longer than COMMAND_AGE_MAX_NS
        self._echoed = False  # since the board's last frame the line returned the lane's own
        self._unacknowledged: _Unacknowledged | None = None
        self._opened_tap: int | None = None  # acknowledged, and still open
        # Their ends came by an event or by a heartbeat.
        self._ended_taps: deque[int] = deque(maxlen=TAPS_REMEMBERED)
        self._state = 0
        self._known_bits = 0  # of the state: those that the board has sent in this session
        self._send_hello(now_ns)
        self._beat_ns = now_ns + BEAT_NS

    @property
    def deadline_ns(self) -> int:
        """The monotonic time at which `tick` is due; 0 if it is due at once."""
        if self._overdue is not None:
            return 0
        due = min(self._beat_ns, self._received_ns + SILENCE_MAX_NS)
        return min(due, self._unacknowledged.sent_ns + ACK_WAIT_NS) if self._unacknowledged else due

    def send(self, command: Command, now_ns: int) -> None:
        """Queue a command; without a session drop it, since the board would not know its tap."""
        if self._peer is None or self.lost:
            return
        self._waiting.append((command, now_ns))
        self._send_next(now_ns)

    def receive(self, data: bytes, now_ns: int) -> list[LinkEvent]:
        """Take bytes from the line and return their events. Never raises, whatever the bytes."""
        events: list[LinkEvent] = []
        for seq, frame in self._decoder.feed(data):
            if not self.lost:
                events += self._receive_frame(seq, frame, now_ns)
        return events

    def tick(self, now_ns: int) -> list[LinkEvent]:
        """Do what is due: send HELLO, a heartbeat or a command again, or report the loss."""
        if self.lost:
            return []
        if now_ns >= self._received_ns + SILENCE_MAX_NS:
            return [self._lose("is silent; is it wired and powered?", now_ns)]
        if now_ns >= self._beat_ns:
            self._beat_ns = now_ns + BEAT_NS
            if self._peer is None:
                self._send_hello(now_ns)
            else:
                uptime_ms = (now_ns - self._started_ns) // NS_PER_MS & 0xFFFF_FFFF
                self.outgoing += encode(Heartbeat(uptime_ms, 0), LANE_SEQ)
        return self._resend(now_ns)

    def _resend(self, now_ns: int) -> list[LinkEvent]:
        if len(self._waiting) > COMMANDS_WAITING_MAX:
            return [self._lose(f"left {len(self._waiting)} commands waiting", now_ns)]
        if self._overdue is not None:
            return [self._lose_late(self._overdue, now_ns)]
        command = self._unacknowledged
        if command is None or now_ns < command.sent_ns + ACK_WAIT_NS:
            return []
        if now_ns > command.queued_ns + COMMAND_AGE_MAX_NS:
            return [self._lose_late(command.frame, now_ns)]
        if command.sends == SENDS_MAX:
            return [
                self._lose(
                    f"did not acknowledge {_name(command.frame)} in {SENDS_MAX} sends;"
                    " is the wire to it in order?",
                    now_ns,
                )
            ]
        command.sends += 1
        command.sent_ns = now_ns
        self.outgoing += command.encoded
        return []

    def _lose_late(self, command: Command, now_ns: int) -> BoardLost:
        what = f"was not sent {_name(command)} in time, since this lane did not run"
        return self._lose(f"{what}; is the machine overloaded?", now_ns)

    def _lose(self, reason: str, now_ns: int) -> BoardLost:
        """End this session. `reason` is a sentence without its subject, the board."""
        if self._echoed:
            reason = f"the line echoes what this lane sends, and the board {reason}"
        self.lost = True
        self._overdue = None
        self._unacknowledged = None
        self._waiting.clear()
        return BoardLost(reason, now_ns)

    def _send_hello(self, now_ns: int) -> None:
        self._hello_ns = now_ns
        self.outgoing += encode(self._hello, LANE_SEQ)

    def _send_next(self, now_ns: int) -> None:
        if self._unacknowledged is None and self._waiting:
            frame, queued_ns = self._waiting.popleft()
            if now_ns > queued_ns + COMMAND_AGE_MAX_NS:
                self._overdue = frame
                return
            encoded = encode(frame, self._next_seq)
            self._unacknowledged = _Unacknowledged(
                frame, encoded, self._next_seq, 1, now_ns, queued_ns
            )
            self._next_seq = (self._next_seq + 1) % 256
            self.outgoing += encoded

    def _receive_frame(self, seq: int, frame: Frame, now_ns: int) -> list[LinkEvent]:
        if _is_own(seq, frame):
            self._echoed = True
            return []
        if isinstance(frame, Hello):
            return self._receive_hello(frame, now_ns)
        if self._peer is None:
            return []
        self._received_ns = now_ns
        self._echoed = False
        match frame:
            case Ack():
                return self._receive_ack(frame.acknowledged, now_ns)
            case Heartbeat():
                return self._receive_state(frame.state, now_ns)
            case OpenFrame() | ShowFrame() | ReadFrame():
                return []  # for the type checker: `_is_own` has taken these
            case _:
                return self._receive_event(seq, frame, now_ns)

    def _receive_hello(self, hello: Hello, now_ns: int) -> list[LinkEvent]:
        if hello.protocol != PROTOCOL:
            newer = "the board's firmware" if hello.protocol < PROTOCOL else "this lane"
            spoken = f"speaks protocol {hello.protocol}, this lane speaks {PROTOCOL}"
            return [self._lose(f"{spoken}; update {newer}", now_ns)]
        self._received_ns = now_ns
        self._echoed = False
        known = self._peer is not None and self._peer.session == hello.session
        if not known or now_ns >= self._hello_ns + HELLO_APART_NS:
            self._send_hello(now_ns)
        if known:
            return []
        self._peer = hello
        self._acted_seq = self._unacknowledged = self._opened_tap = None
        self._known_bits = 0
        self._ended_taps.clear()
        self._waiting.clear()
        self._overdue = None
        return [BoardBack(now_ns)]

    def _receive_ack(self, seq: int, now_ns: int) -> list[LinkEvent]:
        command = self._unacknowledged
        if command is None or command.seq != seq:
            return []  # the ACK of a resend
        if isinstance(command.frame, OpenFrame):
            self._opened_tap = command.frame.tap
        self._unacknowledged = None
        self._send_next(now_ns)
        return [ReadAcknowledged()] if isinstance(command.frame, ReadFrame) else []

    def _receive_event(self, seq: int, frame: EventFrame, now_ns: int) -> list[LinkEvent]:
        self.outgoing += encode(Ack(seq), LANE_SEQ)
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
                return self._receive_bit(EMERGENCY_BIT, on=frame.on, now_ns=now_ns)
            case TamperFrame():
                return self._receive_bit(TAMPER_BIT, on=frame.on, now_ns=now_ns)
            case CardFrame():
                event = _card_event(frame, now_ns)
                return [OldCard(event) if frame.lay else event]

    def _end(self, end: Passed | NotPassed) -> list[LinkEvent]:
        """Return the end of a passage once.

        A heartbeat may have reported it, or its event may have come before the ACK of its OPEN.
        """
        if end.tap in self._ended_taps:
            return []
        self._ended_taps.append(end.tap)
        if self._opened_tap == end.tap:
            self._opened_tap = None
        return [end]

    def _receive_bit(self, bit: int, *, on: bool, now_ns: int) -> list[LinkEvent]:
        """Take an event, which reports one bit of the state and no other."""
        return self._learn(bit, bit if on else 0, now_ns)

    def _receive_state(self, state: int, now_ns: int) -> list[LinkEvent]:
        events = self._learn(STATE_BITS, state, now_ns)
        tap = self._opened_tap
        if tap is not None and state & (PASSED_BIT | NOT_PASSED_BIT):
            events += self._end(
                Passed(tap, 0, now_ns) if state & PASSED_BIT else NotPassed(tap, now_ns)
            )
        return events

    def _learn(self, bits: int, state: int, now_ns: int) -> list[LinkEvent]:
        """Return events for the bits that changed or that the board sends for the first time."""
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
                ReaderLost("it reports that its card reader does not work", now_ns)
                if fault
                else ReaderBack(now_ns)
            )
        return events


def _is_own(seq: int, frame: Frame) -> bool:
    """Whether a lane sent this frame, in any session, and the line has echoed it."""
    match frame:
        case OpenFrame() | ShowFrame() | ReadFrame():
            return True
        case Ack() | Heartbeat():
            return seq != BOARD_SEQ
        case Hello():
            # Protocol 1 did not name the sender.
            return seq != BOARD_SEQ and frame.protocol == PROTOCOL
        case _:
            return False


def _name(frame: Command) -> str:
    match frame:
        case OpenFrame():
            return "OPEN"
        case ShowFrame():
            return "SHOW"
        case ReadFrame():
            return "READ"


def _card_event(frame: CardFrame, now_ns: int) -> CardSeen | Clash:
    if frame.count == CARDS_SEVERAL:
        return Clash(now_ns)
    return CardSeen(Card(CardUid(frame.uid), frame.atqa, frame.sak), now_ns)
