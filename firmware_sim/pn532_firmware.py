"""What a PN532 does with a command (UM0701-02 section 7): parameters and registers in, response parameters out.

No frames, no acknowledgement, no speeds: those are `pn532.py`. Commands that take radio time are generators: they yield a
`Wait`, are resumed with the time, and return their response. So the whole firmware is one thread of plain code, and
aborting a command is closing its generator.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import NamedTuple

from firmware_sim.faults import Faults
from firmware_sim.pn532_field import Field, Presence, State

__all__ = ["IDEAL", "REAL", "BadCommandError", "Firmware", "Run", "Timing", "Wait"]

MS = 1_000_000
BAUDS = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600, 1288000)
TARGETS_MAX = 2
POLL_UNIT_NS = 150 * MS  # InAutoPoll counts its period in these (7.3.13)
FOREVER = 0xFF
CHAIN_MAX_BYTES = 4096  # a command that a host sends in pieces; DESFire's longest is far below

AUTO_RATS = 0x10  # SetParameters, bit 4
PARAMETERS_AT_RESET = 0x14
MAX_RETRIES_AT_RESET = 0xFF
SENS_REQ, SDD_REQ = 0x26, 0x93
FIFO_DATA, TX_CONTROL, VERSION = 0x6339, 0x6304, 0x6327
RF_ITEM_BYTES = {0x01: 1, 0x02: 3, 0x04: 1, 0x05: 3, 0x0A: 11, 0x0B: 8, 0x0C: 3, 0x0D: 9}

OK, TIMEOUT, NOT_AUTHENTICATED, WRONG_CONTEXT = 0x00, 0x01, 0x14, 0x27

GENERIC_106A, MIFARE, ISO_14443_4A = 0x00, 0x10, 0x20  # InAutoPoll's target types


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things take, in ns. Assumptions, not measurements of a chip."""

    ack_ns: int
    processing_ns: int
    try_ns: int
    anticollision_ns: int
    exchange_ns: int


IDEAL = Timing(0, 0, 0, 0, 0)
REAL = Timing(
    ack_ns=MS // 2, processing_ns=MS // 2, try_ns=5 * MS, anticollision_ns=7 * MS // 2, exchange_ns=5 * MS
)


class Wait(NamedTuple):
    """What a running command waits for: a time, and with `card` also for a change in the field."""

    due_ns: int | None
    card: bool = False


Run = Generator[Wait, int, bytes]
Happening = tuple[str, dict[str, object]]


class BadCommandError(Exception):
    """An unknown command or parameters that do not fit: answered with the error frame."""


@dataclass(slots=True)
class Target:
    """A listed card: its logical number, and the ATS without length byte when the chip has asked for it."""

    number: int
    presence: Presence
    ats: bytes

    def data(self) -> bytes:
        """TargetData of a type A card at 106 kbit/s (7.3.5)."""
        card, uid = self.presence.card, self.presence.shown_uid
        ats = bytes((len(self.ats) + 1,)) + self.ats if self.ats else b""
        return bytes((self.number,)) + card.sens_res + bytes((card.sel_res, len(uid))) + uid + ats


@dataclass(slots=True)
class Look:
    """How to look for cards: how many, whether with RATS, how often, how far apart, until when (None: for ever)."""

    start_ns: int
    step_ns: int
    end_ns: int | None
    tries: int | None
    count: int
    rats: bool
    wanted: bytes = b""
    deaf_to_one: bool = False


class Firmware:
    """The application level of the chip. `run` starts a command; `asked_baud` and `asked_sleep` are what it wants of the link."""

    def __init__(self, field: Field, timing: Timing, faults: Faults) -> None:
        self.field = field
        self.timing = timing
        self._faults = faults
        self.happened: list[Happening] = []
        self.reset()
        self._commands: dict[int, Callable[[bytes, int], bytes | Run]] = {
            0x00: self._diagnose,
            0x02: self._firmware_version,
            0x04: self._general_status,
            0x06: self._read_register,
            0x08: self._write_register,
            0x0C: self._read_gpio,
            0x0E: self._write_gpio,
            0x10: self._set_baud,
            0x12: self._set_parameters,
            0x14: self._sam_configuration,
            0x16: self._power_down,
            0x32: self._rf_configuration,
            0x40: self._data_exchange,
            0x42: self._communicate_thru,
            0x44: self._deselect,
            0x4A: self._list_passive,
            0x52: self._release,
            0x54: self._select,
            0x60: self._auto_poll,
        }

    def reset(self) -> None:
        """Power-up: everything that a host has configured is lost."""
        self.asked_baud: int | None = None
        self.asked_sleep: int | None = None
        self.low_vbat = True
        self.targets: dict[int, Target] = {}
        self._registers: dict[int, int] = {VERSION: 0x80}
        self._parameters = PARAMETERS_AT_RESET
        self._passive_retries = MAX_RETRIES_AT_RESET
        self._gpio = bytearray(3)
        self._chain = bytearray()
        self._last_error = OK
        self._every_second = False
        self.field.power(on=False)

    def run(self, data: bytes, now_ns: int) -> bytes | Run:
        """Start a command: code and parameters.

        Raises:
            BadCommandError: answer with the error frame.
        """
        command = self._commands.get(data[0]) if data else None
        # C106 starts in Low Vbat and leaves it by SAMConfiguration (AN10609). Refusing radio commands until then is our
        # assumption: a host that forgets it shall fail here, in plain sight.
        if command is None or (self.low_vbat and data[0] >= 0x40):  # noqa: PLR2004
            raise BadCommandError
        return command(data[1:], now_ns)

    # Miscellaneous commands: section 7.2 of the manual.

    def _diagnose(self, body: bytes, now_ns: int) -> bytes | Run:
        match body[:1]:
            case b"\x00":
                return body
            case b"\x01" | b"\x02" | b"\x07":
                return bytes((OK,))
            case b"\x04":
                return b"\x80"  # 128 polls of a FeliCa card that is not there: all failed
            case b"\x06":
                return self._attention(now_ns)
            case _:
                raise BadCommandError

    def _attention(self, now_ns: int) -> Run:
        yield Wait(now_ns + self.timing.exchange_ns)
        there = self._current()
        if there is None:
            return bytes((WRONG_CONTEXT,))
        return bytes((OK if there.state is State.PROTOCOL and not there.gone else TIMEOUT,))

    def _firmware_version(self, body: bytes, _now_ns: int) -> bytes:
        _expect(not body)
        return bytes.fromhex("32010607")  # PN532, firmware 1.6, ISO 14443 A and B, ISO 18092

    def _general_status(self, body: bytes, _now_ns: int) -> bytes:
        _expect(not body)
        targets = b"".join(bytes((number, 0, 0, 0)) for number in self.targets)
        return bytes((self._last_error, self.field.on, len(self.targets))) + targets + b"\x00"

    def _read_register(self, body: bytes, _now_ns: int) -> bytes:
        _expect(bool(body) and len(body) % 2 == 0)
        return bytes(self._register(body[at] << 8 | body[at + 1]) for at in range(0, len(body), 2))

    def _register(self, address: int) -> int:
        value = self._registers.get(address, 0)
        return value & ~3 | (3 if self.field.on else 0) if address == TX_CONTROL else value

    def _write_register(self, body: bytes, _now_ns: int) -> bytes:
        _expect(bool(body) and len(body) % 3 == 0)
        for at in range(0, len(body), 3):
            address = body[at] << 8 | body[at + 1]
            self._registers[address] = body[at + 2]
            if address == TX_CONTROL:
                self._switch_field(on=bool(body[at + 2] & 3))
        return b""

    def _read_gpio(self, body: bytes, _now_ns: int) -> bytes:
        _expect(not body)
        return bytes(self._gpio)

    def _write_gpio(self, body: bytes, _now_ns: int) -> bytes:
        _expect(len(body) == 2)  # noqa: PLR2004
        for port, value in enumerate(body):
            if value & 0x80:
                self._gpio[port] = value & 0x7F
        return b""

    def _set_baud(self, body: bytes, _now_ns: int) -> bytes:
        _expect(len(body) == 1 and body[0] < len(BAUDS))
        self.asked_baud = BAUDS[body[0]]
        return b""

    def _set_parameters(self, body: bytes, _now_ns: int) -> bytes:
        _expect(len(body) == 1)
        self._parameters = body[0]
        return b""

    def _sam_configuration(self, body: bytes, _now_ns: int) -> bytes:
        _expect(1 <= len(body) <= 3 and 1 <= body[0] <= 4)  # noqa: PLR2004
        self.low_vbat = False
        return b""

    def _power_down(self, body: bytes, _now_ns: int) -> bytes:
        _expect(1 <= len(body) <= 2)  # noqa: PLR2004
        self.asked_sleep = body[0]
        self._switch_field(on=False)
        return bytes((OK,))

    # Commands that use the radio: section 7.3.

    def _rf_configuration(self, body: bytes, _now_ns: int) -> bytes:
        _expect(bool(body) and RF_ITEM_BYTES.get(body[0]) == len(body) - 1)
        match body[0]:
            case 0x01:
                self._switch_field(on=bool(body[1] & 1))
            case 0x05:
                self._passive_retries = body[3]
        return b""

    def _list_passive(self, body: bytes, now_ns: int) -> bytes | Run:
        _expect(len(body) >= 2 and 1 <= body[0] <= TARGETS_MAX and body[1] <= 4)  # noqa: PLR2004
        tries = None if self._passive_retries == FOREVER else self._passive_retries + 1
        self._start_looking()
        look = Look(
            start_ns=now_ns,
            step_ns=self.timing.try_ns,
            end_ns=None if tries is None else now_ns + tries * self.timing.try_ns,
            tries=tries,
            count=body[0] if body[1] == 0 else 0,  # the other speeds and types: no such card is ever here
            rats=bool(self._parameters & AUTO_RATS),
            wanted=_without_cascade_tags(body[2:]) if body[1] == 0 else b"",
            deaf_to_one=body[0] == TARGETS_MAX and self._deaf_turn(),
        )
        return self._list(look)

    def _deaf_turn(self) -> bool:
        self._every_second = not self._every_second
        return not self._every_second and self._faults.strike("every-second") is not None

    def _list(self, look: Look) -> Run:
        targets = yield from self._look(look)
        return bytes((len(targets),)) + b"".join(target.data() for target in targets)

    def _auto_poll(self, body: bytes, now_ns: int) -> bytes | Run:
        _expect(3 <= len(body) <= 17 and body[0] > 0 and 1 <= body[1] <= 0x0F)  # noqa: PLR2004
        count, period_ns, types = body[0], body[1] * POLL_UNIT_NS, body[2:]
        self._start_looking()
        rats = GENERIC_106A in types or ISO_14443_4A in types
        look = Look(
            start_ns=now_ns,
            step_ns=period_ns if self.timing.try_ns else 0,
            end_ns=None if count == FOREVER else now_ns + count * len(types) * period_ns,
            tries=None if count == FOREVER else count * len(types),
            count=TARGETS_MAX if rats or MIFARE in types else 0,
            rats=rats,
        )
        return self._poll(look)

    def _poll(self, look: Look) -> Run:
        targets = yield from self._look(look)
        found = bytearray((len(targets),))
        for target in targets:
            data = target.data()
            found += bytes((ISO_14443_4A if target.ats else MIFARE, len(data))) + data
        return bytes(found)

    def _start_looking(self) -> None:
        self.targets.clear()
        self._chain.clear()
        self._registers[FIFO_DATA] = SENS_REQ
        self._switch_field(on=True)

    def _look(self, look: Look) -> Generator[Wait, int, list[Target]]:
        """Ask for cards until some are selected or the tries are used up. A try in vain costs `step_ns`."""
        now_ns, used = look.start_ns, 0
        while True:
            used += 1
            answering, again = self.field.request() if look.count else ([], False)
            chosen = [there for there in answering if look.wanted in {b"", there.shown_uid}][: look.count]
            if chosen and not (look.deaf_to_one and len(answering) == 1):
                now_ns = yield Wait(now_ns + self.timing.anticollision_ns * len(chosen))
                if self._choose(chosen, rats=look.rats):
                    return list(self.targets.values())
                again = True
            if again and not look.step_ns and (look.tries is None or used < look.tries):
                continue
            resumed_ns = yield from _next_try(look, now_ns, again=again)
            if resumed_ns is None:
                return []
            now_ns = resumed_ns

    def _choose(self, chosen: list[Presence], *, rats: bool) -> bool:
        """Select the cards that are still there; whether there is one."""
        for there in chosen:
            self._registers[FIFO_DATA] = SDD_REQ
            ats = self.field.select(there, rats=rats)
            if ats is None:
                continue
            number = len(self.targets) + 1
            self.targets[number] = Target(number, there, ats)
            uids: dict[str, object] = {"uid": there.card.uid.hex(), "shown": there.shown_uid.hex()}
            self.happened.append(("selected", {**uids, "target": number}))
        return bool(self.targets)

    def _data_exchange(self, body: bytes, now_ns: int) -> bytes | Run:
        _expect(bool(body))
        target = self.targets.get(body[0] & 0x3F)
        if target is None:
            return self._status(WRONG_CONTEXT)
        self._chain = (self._chain + body[1:])[-CHAIN_MAX_BYTES:]
        if body[0] & 0x40:
            return self._status(OK)  # more to come: the chip collects
        data = bytes(self._chain)
        self._chain.clear()
        return self._exchange(target.presence, data, now_ns)

    def _exchange(self, there: Presence, data: bytes, now_ns: int) -> Run:
        yield Wait(now_ns + self.timing.exchange_ns)
        if there.gone:
            return self._status(TIMEOUT)
        if there.session is not None:
            return self._status(OK) + there.session.apdu(data)
        # Layer 3: a card that does not understand says nothing and starts again; a Classic shows who has no key.
        there.state = State.IDLE
        return self._status(
            NOT_AUTHENTICATED if data[:1] in {b"\x60", b"\x61"} and not there.card.ats else TIMEOUT
        )

    def _communicate_thru(self, body: bytes, now_ns: int) -> Run:
        yield Wait(now_ns + self.timing.exchange_ns)
        there = self._current()
        answer = self._raw(there, body) if there is not None and not there.gone else None
        return self._status(TIMEOUT) if answer is None else self._status(OK) + answer

    def _raw(self, there: Presence, data: bytes) -> bytes | None:
        """A frame as the host made it, with the chip's CRC; None is silence."""
        if there.session is not None:
            if data[:1] == b"\xc2":
                self._let_go(there)
                return data[:1]
            return there.session.block(data)
        if there.state is State.ACTIVE and data[:1] == b"\xe0" and there.card.ats:
            ats = there.activate()
            return bytes((len(ats) + 1,)) + ats
        there.state = State.HALT if data[:2] == b"\x50\x00" else State.IDLE
        return None

    def _deselect(self, body: bytes, now_ns: int) -> bytes | Run:
        return self._end(body, now_ns, forget=False)

    def _release(self, body: bytes, now_ns: int) -> bytes | Run:
        return self._end(body, now_ns, forget=True)

    def _end(self, body: bytes, now_ns: int, *, forget: bool) -> bytes | Run:
        _expect(len(body) == 1)
        numbers = [body[0]] if body[0] else list(self.targets)
        if any(number not in self.targets for number in numbers):
            return self._status(WRONG_CONTEXT)
        return self._halt(numbers, now_ns, forget=forget)

    def _halt(self, numbers: list[int], now_ns: int, *, forget: bool) -> Run:
        if numbers:
            yield Wait(now_ns + self.timing.exchange_ns)
        for number in numbers:
            self._let_go(self.targets[number].presence)
            if forget:
                del self.targets[number]
        return self._status(OK)  # also when a card has left meanwhile: a real one reports no error here

    def _let_go(self, there: Presence) -> None:
        if there.state is not State.HALT and not there.gone:
            self.happened.append(("released", {"uid": there.card.uid.hex()}))
        self.field.release(there)

    def _select(self, body: bytes, now_ns: int) -> bytes | Run:
        _expect(len(body) == 1)
        target = self.targets.get(body[0])
        return self._status(WRONG_CONTEXT) if target is None else self._wake(target, now_ns)

    def _wake(self, target: Target, now_ns: int) -> Run:
        yield Wait(now_ns + self.timing.anticollision_ns)
        woken = target.presence.session is not None or self.field.wake(target.presence, rats=bool(target.ats))
        return self._status(OK if woken else TIMEOUT)

    # What several commands share.

    def _current(self) -> Presence | None:
        return next((target.presence for target in self.targets.values()), None)

    def _switch_field(self, *, on: bool) -> None:
        if not on:
            self.targets.clear()
        self.field.power(on=on)

    def _status(self, code: int) -> bytes:
        self._last_error = code
        return bytes((code,))


def _next_try(look: Look, now_ns: int, *, again: bool) -> Generator[Wait, int, int | None]:
    """Wait for the next try: at once after a change in the field, or at the next step; None when they are used up.

    A quiet field is not asked in vain: with nothing that could answer, only a change is worth the next try.
    """
    end_ns = look.end_ns
    if end_ns is not None and now_ns + look.step_ns >= end_ns:
        if now_ns < end_ns:
            yield from _until(end_ns, now_ns)
        return None
    step_ns = look.step_ns
    next_ns = now_ns if not step_ns else look.start_ns + ((now_ns - look.start_ns) // step_ns + 1) * step_ns
    if not again:
        now_ns = yield Wait(end_ns, card=True)
    if step_ns and now_ns > next_ns:
        next_ns = look.start_ns - (look.start_ns - now_ns) // step_ns * step_ns
    if end_ns is not None and max(now_ns, next_ns) >= end_ns:
        yield from _until(end_ns, now_ns)
        return None
    return (yield from _until(next_ns, now_ns))


def _until(due_ns: int, now_ns: int) -> Generator[Wait, int, int]:
    while now_ns < due_ns:
        now_ns = yield Wait(due_ns)
    return now_ns


def _without_cascade_tags(uid: bytes) -> bytes:
    """A UID as a host asks for it: 88 stands in front of each part that goes on (ISO 14443-3, 6.5.4)."""
    match len(uid):
        case 8:
            return uid[1:]
        case 12:
            return uid[1:4] + uid[5:]
        case _:
            return uid


def _expect(condition: bool) -> None:
    if not condition:
        raise BadCommandError
