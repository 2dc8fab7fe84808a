"""The simulated turnstile board: arms, display, sensors, and perhaps a card reader of its own.

A pure state machine, driven by runner.py: bytes, verbs and `now_ns` in, bytes and events out. It
refuses what a real board refuses, obeys the emergency release before anything else, and keeps a
history that tests read. It never decides about a card.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from random import Random

from firmware_sim.board.arms import NS_PER_MS, Arms
from firmware_sim.board.display import Display, describe
from firmware_sim.board.faults import BROWNOUT_MS, UNPLUGGED_MS, BoardFaults, parse_board_fault
from firmware_sim.board.frames import (
    Emergency,
    Forced,
    Heartbeat,
    NotPassed,
    Open,
    Passed,
    Picture,
    Read,
    Show,
    Tamper,
)
from firmware_sim.board.line import (
    BoardEvent,
    BoardLine,
    CardTaken,
    Command,
    LaneRefused,
    LaneSession,
    LaneSilent,
    LaneSpeaks,
    LineEvent,
    LineLost,
)
from firmware_sim.board.reader import BoardReader
from firmware_sim.board.setup import Setup
from firmware_sim.echo import Echo
from firmware_sim.outcomes import Event, Outcome, RefusedError, Send, Unplug

BAUD = 115200
FIRMWARE = "simulated board 1.0"
TAPS_REMEMBERED = 32
HISTORY_MAX = 10_000  # events: over an hour of taps, and bounded in a demo that runs for days
EMERGENCY_BIT, TAMPER_BIT, READER_BIT = 0x01, 0x02, 0x20
VERBS = (
    "pass, push, emergency on|off, tamper on|off, present UID, remove, clash UID UID, restart,"
    " brownout, fault NAME[=VALUE][/WHEN], fault none, unplug, replug, status, quit"
)


class Board:
    """One board, a `SerialDevice`. `history` has every event so far, oldest first."""

    def __init__(self, setup: Setup, random: Random, faults: BoardFaults, now_ns: int) -> None:
        self.history: deque[Event] = deque(maxlen=HISTORY_MAX)
        self.tamper = False
        self._setup = setup
        self._random = random
        self._faults = faults
        self._device_id = random.randbytes(8)
        self._outcomes: list[Outcome] = []
        self._echo = Echo(faults, random)
        self._reader = BoardReader(random, read_ms=setup.read_ms)
        self._boot(now_ns, emergency=False)

    @property
    def baud(self) -> int:
        """The one speed of docs/board-protocol.md, in bits a second."""
        return BAUD

    @property
    def locked(self) -> bool:
        """Whether the arms are locked now. Without power they hang free."""
        return self._off_until_ns is None and self._arms.locked

    def host_speed(self, baud: int, now_ns: int) -> None:
        """Do nothing: the board does not notice; the wire garbles another speed."""

    def plugged(self, on: bool, now_ns: int) -> None:
        """Do nothing: the board has its own power, and notices the lane's silence."""

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take any bytes from the lane."""
        self._echo.receive(data, now_ns)
        if self._off_until_ns is not None or (data and self._is_deaf()):
            return
        self._end_passage(now_ns)  # it was due before these bytes came
        line = self._line
        for event in line.receive(data, now_ns):
            # Otherwise the board restarted or lost its power in the middle of these bytes.
            if self._off_until_ns is None and self._line is line:
                self._act(event, now_ns)

    def due_ns(self) -> int | None:
        """Return when `advance` has something to do, at the latest."""
        if self._off_until_ns is not None:
            echo_ns = self._echo.due_ns()
            return self._off_until_ns if echo_ns is None else min(self._off_until_ns, echo_ns)
        due = (
            self._echo.due_ns(),
            self._line.due_ns(),
            self._arms.due_ns(),
            self._display.until_ns,
            self._outgoing[0][0] if self._outgoing else None,
            self._reader.due_ns() if self._line.lane is not None else None,
        )
        return min(at for at in due if at is not None)

    def advance(self, now_ns: int) -> Sequence[Outcome]:
        """Do everything that is due; return the outcomes since the last call."""
        self._outcomes += self._echo.take(now_ns)
        if self._off_until_ns is not None and now_ns >= self._off_until_ns:
            self._boot(now_ns, emergency=self._arms.emergency)
        if self._off_until_ns is None:
            self._end_passage(now_ns)
            if self._display.until_ns is not None and now_ns >= self._display.until_ns:
                self._rest(now_ns)
            self._read_card(now_ns)
            for event in self._line.advance(now_ns, self._heartbeat(now_ns)):
                self._act(event, now_ns)
            self._send(now_ns)
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def status(self) -> Mapping[str, object]:
        """Return the state in the words of the `status` event."""
        passage = self._arms.passage
        lane = self._line.lane
        return {
            "power": self._off_until_ns is None,
            "session": self._line.session,
            "lane": None if lane is None else lane.session,
            "lane_silent": self._line.silent,
            "arms": "locked" if self.locked else "released" if passage else "free",
            "tap": passage.tap if passage else None,
            "shows": self._display.shown.name.lower(),
            "emergency": self._arms.emergency,
            "tamper": self.tamper,
            "cards": self._reader.uids,
            "events_waiting": self._line.waiting,
            "line_errors": self._line.errors,
            "faults": self._faults.names(),
        }

    def obey(self, words: Sequence[str], now_ns: int) -> None:
        """Do one of VERBS.

        Raises:
            RefusedError: the words are no verb, or the verb cannot be done now. The state is
                unchanged.
        """
        self._end_passage(now_ns)
        match words:
            case ["emergency", ("on" | "off") as word]:
                self._switch_emergency(word == "on", now_ns)
            case ["tamper", ("on" | "off") as word]:
                self._switch_tamper(word == "on", now_ns)
            case ["fault", text]:
                self._set_fault(text)
            case ["present", uid]:
                self._present((uid,), now_ns)
            case ["clash", one, other]:
                self._present((one, other), now_ns)
            case ["remove"]:
                self._reader.remove()
                self._event("removed", now_ns)
            case _ if self._off_until_ns is not None:
                raise RefusedError(f"{' '.join(words)}: the board has no power")
            case ["pass"]:
                self._pass(now_ns)
            case ["push"]:
                self._push(now_ns)
            case ["restart"]:
                self._boot(now_ns, emergency=self._arms.emergency)
            case ["brownout"]:
                self._brown_out(now_ns)
            case _:
                raise RefusedError(
                    f"{' '.join(words)}: not a verb of this board; it knows: {VERBS}"
                )

    def _boot(self, now_ns: int, *, emergency: bool) -> None:
        """Power on. The switches keep their state, since they are no memory."""
        self._blank(now_ns, emergency=emergency)
        self._off_until_ns: int | None = None
        self._reader.power_on(now_ns)
        self._event("started", now_ns, session=self._line.session)
        self._show(now_ns, 0, 0, by="board")

    def _brown_out(self, now_ns: int) -> None:
        self._blank(now_ns, emergency=self._arms.emergency)
        self._off_until_ns = now_ns + BROWNOUT_MS * NS_PER_MS
        self._event("brownout", now_ns, off_ms=BROWNOUT_MS)

    def _blank(self, now_ns: int, *, emergency: bool) -> None:
        """Reset everything that is memory."""
        self._booted_ns = now_ns
        self._arms = Arms(
            release_ms=self._setup.release_ms, walk_ms=self._setup.walk_ms, emergency=emergency
        )
        self._display = Display(emergency=emergency)
        self._line = BoardLine(self._random, self._device_id, FIRMWARE, now_ns)
        self._taps: deque[int] = deque(maxlen=TAPS_REMEMBERED)
        self._outgoing: deque[tuple[int, bytes]] = deque()

    def _act(self, event: LineEvent, now_ns: int) -> None:
        match event:
            case Command(Open() as frame, copy):
                self._open(frame, now_ns, copy=copy)
            case Command(Show() as frame, copy):
                if not copy:
                    self._display.show(Picture(frame.outcome), frame.hold_ms, now_ns)
                    self._show(now_ns, frame.hold_ms, frame.date, by="lane")
            case Command(Read(), copy):
                if not copy:
                    self._reader.report_again()
            case CardTaken(card):
                self._reader.taken(card)
            case LaneSession(hello):
                self._event("session", now_ns, session=hello.session, firmware=hello.firmware)
                self._forget(now_ns)
            case LaneSilent():
                self._event("lane_lost", now_ns, reason="three heartbeats are missing")
                self._display.interrupt()
                self._show(now_ns, 0, 0, by="board")
            case LaneSpeaks():
                self._event("lane_back", now_ns)
                self._display.resume()
                self._rest(now_ns)
            case LineLost(reason) | LaneRefused(reason):
                self._event("lane_lost", now_ns, reason=reason)
                self._forget(now_ns)

    def _forget(self, now_ns: int) -> None:
        """Start over for a new session of either side.

        No passage, no taps, no card reported; out of service until the lane sends SHOW.
        """
        self._arms.forget()
        self._taps.clear()
        self._reader.new_session()
        self._display.show(Picture.OUT_OF_SERVICE, 0, now_ns)
        self._show(now_ns, 0, 0, by="board")

    def _open(self, frame: Open, now_ns: int, *, copy: bool) -> None:
        if copy or frame.tap in self._taps:
            self._event("duplicate_open", now_ns, tap=frame.tap, copy=copy)
            return
        self._taps.append(frame.tap)
        self._reader.opened()
        direction = "exit" if frame.direction else "entry"
        name = "open_in_emergency" if self._arms.emergency else "open"
        self._event(name, now_ns, tap=frame.tap, direction=direction, hold_ms=frame.hold_ms)
        for end in self._arms.release(frame.tap, frame.hold_ms, now_ns):
            self._report_end(end, now_ns)
        self._fault_on_open(now_ns)

    def _fault_on_open(self, now_ns: int) -> None:
        """Apply the faults that strike during a passage."""
        if self._faults.hits("restart-on-open"):
            self._boot(now_ns, emergency=self._arms.emergency)
        elif self._faults.hits("brownout-on-open"):
            self._brown_out(now_ns)
        elif fault := self._faults.strike("unplug-on-open"):
            self._outcomes.append(Unplug(int(fault.value or UNPLUGGED_MS) * NS_PER_MS))

    def _end_passage(self, now_ns: int) -> None:
        end = self._arms.advance(now_ns)
        if end is not None:
            self._report_end(end, now_ns)

    def _report_end(self, end: Passed | NotPassed, now_ns: int) -> None:
        match end:
            case Passed(tap, after_ms):
                self._event("passed", now_ns, tap=tap, after_ms=after_ms)
            case NotPassed(tap):
                self._event("not_passed", now_ns, tap=tap)
        self._line.report(end, now_ns)

    def _pass(self, now_ns: int) -> None:
        if not self._arms.walk(now_ns):
            self._turn(now_ns)

    def _push(self, now_ns: int) -> None:
        if self._arms.passage is not None:
            raise RefusedError("push: the arms are released, so this would be a passage; use pass")
        self._turn(now_ns)

    def _turn(self, now_ns: int) -> None:
        """Turn the arms without a passage: by force, or freely in an emergency, uncounted."""
        if not self._arms.locked:
            self._event("walked_free", now_ns)
            return
        self._event("forced", now_ns)
        self._line.report(Forced(), now_ns)

    def _switch_emergency(self, on: bool, now_ns: int) -> None:
        if on == self._arms.emergency:
            raise RefusedError(f"emergency {'on' if on else 'off'}: it is so already")
        self._arms.switch_emergency(on=on)
        self._display.switch_emergency(on=on)
        self._event("emergency", now_ns, on=on)
        if self._off_until_ns is None:
            self._show(now_ns, 0, 0, by="board")
        self._report_if_powered(Emergency(on), now_ns)

    def _switch_tamper(self, on: bool, now_ns: int) -> None:
        if on == self.tamper:
            raise RefusedError(f"tamper {'on' if on else 'off'}: it is so already")
        self.tamper = on
        self._event("tamper", now_ns, on=on)
        self._report_if_powered(Tamper(on), now_ns)

    def _report_if_powered(self, event: BoardEvent, now_ns: int) -> None:
        if self._off_until_ns is None:
            self._line.report(event, now_ns)

    def _present(self, texts: tuple[str, ...], now_ns: int) -> None:
        if not self._setup.reader:
            raise RefusedError("present: this board has no card reader; start it with --reader")
        self._reader.present(texts, now_ns)
        self._event("present" if len(texts) == 1 else "clash", now_ns)

    def _read_card(self, now_ns: int) -> None:
        if self._line.lane is None:
            return  # there is no session; the next one gets CARD for a card that lies there then
        card = self._reader.read(now_ns)
        if card is not None and not self._faults.hits("reader-broken"):
            self._line.report(card, now_ns)

    def _heartbeat(self, now_ns: int) -> Heartbeat:
        state = self._arms.state
        state |= EMERGENCY_BIT if self._arms.emergency else 0
        state |= TAMPER_BIT if self.tamper else 0
        state |= READER_BIT if "reader-broken" in self._faults.names() else 0
        return Heartbeat((now_ns - self._booted_ns) // NS_PER_MS & 0xFFFF_FFFF, state)

    def _send(self, now_ns: int) -> None:
        """Put outgoing frames through the faults; a delayed frame delays those behind it."""
        for seq, frame in self._line.take():
            sent = self._faults.send(seq, frame)
            if sent.struck:
                self._event(
                    "fault", now_ns, names=list(sent.struck), frame=type(frame).__name__.lower()
                )
            due_ns = max(
                now_ns + sent.delay_ms * NS_PER_MS, self._outgoing[-1][0] if self._outgoing else 0
            )
            self._outgoing.append((due_ns, sent.data))
        while self._outgoing and self._outgoing[0][0] <= now_ns:
            data = self._outgoing.popleft()[1]
            if data:
                self._outcomes.append(Send(b"\x00" + data))
                self._receive_own(data, now_ns)

    def _is_deaf(self) -> bool:
        return self._faults.hits("deaf") or self._faults.hits("dead")

    def _receive_own(self, data: bytes, now_ns: int) -> None:
        if self._faults.hits("hears-itself"):
            for event in self._line.receive(data, now_ns):
                self._act(event, now_ns)

    def _set_fault(self, text: str) -> None:
        if text == "none":
            self._faults.clear()
            return
        try:
            self._faults.set(parse_board_fault(text))
        except ValueError as error:
            raise RefusedError(f"fault: {error}") from error

    def _rest(self, now_ns: int) -> None:
        self._display.rest()
        self._show(now_ns, 0, 0, by="board")

    def _show(self, now_ns: int, hold_ms: int, date: int, *, by: str) -> None:
        self._event("show", now_ns, **describe(self._display.shown, hold_ms, date), by=by)

    def _event(self, name: str, now_ns: int, **details: object) -> None:
        event = Event(name, now_ns, details)
        self.history.append(event)
        self._outcomes.append(event)
