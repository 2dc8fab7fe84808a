"""The simulated turnstile: registers, arms, and the people who pass. A `Device` of runner.py."""

from collections import deque
from collections.abc import Mapping, Sequence
from random import Random

from firmware_sim.faults import ALWAYS, LINE_FAULTS, Faults, Kind, parse
from firmware_sim.lot.slave import Slave
from firmware_sim.outcomes import Event, Outcome, RefusedError, Send

BAUD = 115_200
NS_PER_S, NS_PER_MS = 1_000_000_000, 1_000_000
ENTRY, EXIT = 0x40, 0x41
FREE = 0xFFFF
COUNTERS = {ENTRY: 0x44, EXIT: 0x46}
MODE, ADDS_UP, START_S = 0x3000, 0x3010, 0x3011
NORMAL, BLOCKED, ANTIPANIC = 0, 1, 2
LAMPS = range(0x1000, 0x100C)
DEFAULTS = {
    **dict.fromkeys(range(ENTRY, 0x49), 0),
    **dict.fromkeys(LAMPS, 0),
    MODE: NORMAL,
    0x3001: 0,
    ADDS_UP: 0,
    START_S: 7,
    0x3012: 7,
    0x3013: 30,
    0x3014: 7,
    0x3015: 7,
}
READ_ONLY = range(0x42, 0x49)
KEPT = (MODE, ADDS_UP, START_S)  # over a restart; the map says it of 3000h alone
LOT_FAULTS = {
    "noise": Kind(None, ALWAYS, "random bytes in front of an answer"),
    "dropped": Kind(None, ALWAYS, "an answer is not sent, and the request was done"),
    "deaf": Kind(None, ALWAYS, "a request is lost"),
    "busy": Kind(None, ALWAYS, "a request is answered with exception 06 and not done"),
    "bad-checksum": Kind(None, ALWAYS, "an answer has a wrong CRC"),
    "truncated": Kind(None, ALWAYS, "an answer loses its end"),
    "delayed": Kind("ms", ALWAYS, "an answer is sent MS milliseconds late", value_required=True),
    "echo": LINE_FAULTS["echo"],
}
VERBS = (
    "pass, enter, push, emergency on|off, block on|off, restart, fault NAME[=VALUE][/WHEN],"
    " fault none, unplug, replug, status, quit"
)


class Turnstile:
    """One LOT turnstile with counters for entry and exit."""

    def __init__(self, address: int, random: Random, now_ns: int) -> None:
        del now_ns
        self.history: deque[Event] = deque(maxlen=10_000)
        self._random = random
        self._faults = Faults(random)
        self._slave = Slave(address, self)
        self._registers = dict(DEFAULTS)
        self._deadlines_ns: dict[int, int] = {}  # of a permission that nobody uses
        self._outcomes: list[Outcome] = []
        self._outgoing: deque[tuple[int, bytes]] = deque()

    @property
    def baud(self) -> int:
        """The default speed, in bits a second."""
        return BAUD

    def host_speed(self, baud: int, now_ns: int) -> None:
        """Do nothing: the wire garbles another speed."""

    def plugged(self, on: bool, now_ns: int) -> None:
        """Do nothing: the turnstile has its own power."""

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take bytes from the lane."""
        if not data:
            return
        if self._faults.strike("echo"):
            self._outgoing.append((now_ns, data))
        if not self._faults.strike("deaf"):
            self._slave.receive(data, now_ns)

    def obey(self, words: Sequence[str], now_ns: int) -> None:
        """Do a verb."""
        match words:
            case ["pass"]:
                self._pass(now_ns)
            case ["enter"]:
                self._registers[0x42] = 1
                self._event("entered", now_ns)
            case ["push"]:
                self._event("forced", now_ns)  # the map has no register for it
            case ["emergency", ("on" | "off") as to]:
                self._switch_mode(ANTIPANIC if to == "on" else NORMAL, now_ns)
                self._event("emergency", now_ns, on=to == "on")
            case ["block", ("on" | "off") as to]:
                self._switch_mode(BLOCKED if to == "on" else NORMAL, now_ns)
                self._event("blocked", now_ns, on=to == "on")
            case ["restart"]:
                kept = {register: self._registers[register] for register in KEPT}
                self._registers = DEFAULTS | kept
                self._deadlines_ns.clear()
                self._event("started", now_ns)
            case ["fault", text]:
                self._set_fault(text)
                self._event("fault_set", now_ns, fault=text)
            case _:
                raise RefusedError(f"{' '.join(words)}: not a verb; there are {VERBS}")

    def due_ns(self) -> int | None:
        """Return when `advance` has something to do."""
        due = [self._slave.due_ns(), *self._deadlines_ns.values()]
        due += [self._outgoing[0][0]] if self._outgoing else []
        return min((at for at in due if at is not None), default=None)

    def advance(self, now_ns: int) -> Sequence[Outcome]:
        """Do everything that is due by `now_ns`; return the outcomes."""
        for direction, due_ns in list(self._deadlines_ns.items()):
            if due_ns <= now_ns:
                self._close(direction)
                self._event("timed_out", now_ns, direction=_name(direction))
        answer = self._slave.answer(now_ns, is_busy=lambda: bool(self._faults.strike("busy")))
        if answer:
            self._send(answer, now_ns)
        while self._outgoing and self._outgoing[0][0] <= now_ns:
            self._outcomes.append(Send(self._outgoing.popleft()[1]))
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def status(self) -> Mapping[str, object]:
        """Return the details of the `status` event."""
        return {
            "registers": {f"{register:04x}": value for register, value in self._registers.items()},
            "faults": self._faults.names(),
        }

    def read(self, register: int) -> int:
        """Return a register; see slave.Registers."""
        return self._registers[register]

    def write(self, register: int, values: Sequence[int], now_ns: int) -> None:
        """Write registers from this one on; see slave.Registers."""
        for at in range(register, register + len(values)):
            if at not in self._registers:
                raise LookupError(at)
            if at in READ_ONLY:
                raise ValueError(at)
        for at, value in enumerate(values, register):
            if at in COUNTERS:
                self._permit(at, value, now_ns)
            else:
                self._registers[at] = value
        if register in LAMPS:
            self._event("lamps", now_ns, register=f"{register:04x}", values=list(values))

    def _permit(self, direction: int, value: int, now_ns: int) -> None:
        if value in {0, FREE}:
            self._close(direction)
            self._registers[direction] = value
            return
        if self._registers[MODE] != NORMAL:
            return
        before = self._registers[direction] if self._registers[ADDS_UP] else 0
        self._registers[direction] = min(before + value, 0xFFFE) if self._registers[ADDS_UP] else 1
        self._deadlines_ns[direction] = now_ns + self._registers[START_S] * NS_PER_S
        self._event("open", now_ns, direction=_name(direction))

    def _close(self, direction: int) -> None:
        self._registers[direction] = 0
        self._deadlines_ns.pop(direction, None)

    def _pass(self, now_ns: int) -> None:
        open_ones = [of for of in COUNTERS if self._registers[of]]
        if self._registers[MODE] == ANTIPANIC or not open_ones:
            self._event("walked_free" if self._registers[MODE] == ANTIPANIC else "held", now_ns)
            return
        (direction, *_) = open_ones
        self._registers[0x42] = 0
        left = self._registers[direction]
        if left != FREE:
            self._close(direction)
            self._registers[direction] = left - 1
        low = COUNTERS[direction]
        count = self._registers[low] + (self._registers[low + 1] << 16) + 1
        self._registers[low], self._registers[low + 1] = count & 0xFFFF, count >> 16 & 0xFFFF
        self._event("passed", now_ns, direction=_name(direction))

    def _switch_mode(self, mode: int, now_ns: int) -> None:
        del now_ns
        self._registers[MODE] = mode
        for direction in COUNTERS:
            self._close(direction)

    def _send(self, answer: bytes, now_ns: int) -> None:
        if self._faults.strike("dropped"):
            return
        if self._faults.strike("bad-checksum"):
            answer = answer[:-1] + bytes((answer[-1] ^ 1,))
        if self._faults.strike("truncated"):
            answer = answer[: self._random.randrange(1, len(answer))]
        if self._faults.strike("noise"):
            answer = self._random.randbytes(self._random.randrange(1, 13)) + answer
        fault = self._faults.strike("delayed")
        delay_ns = int(fault.value or 0) * NS_PER_MS if fault else 0
        self._outgoing.append((now_ns + delay_ns, answer))

    def _set_fault(self, text: str) -> None:
        if text == "none":
            self._faults.clear()
            return
        try:
            self._faults.set(parse(text, LOT_FAULTS))
        except ValueError as error:
            raise RefusedError(f"fault: {error}") from error

    def _event(self, name: str, now_ns: int, **details: object) -> None:
        event = Event(name, now_ns, details)
        self.history.append(event)
        self._outcomes.append(event)


def _name(direction: int) -> str:
    return "entry" if direction == ENTRY else "exit"
