"""The commands of a PN532 that use the radio (UM0701-02, section 7.3), and its listed cards.

A command that takes radio time is a generator: it yields a `Wait`, is resumed with the time, and
returns its response. So the firmware is one thread of plain code, and aborting a command is closing
its generator.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import NamedTuple

from firmware_sim.faults import Faults
from firmware_sim.radio.field import Field, Presence, State

__all__ = [
    "IDEAL",
    "REAL",
    "BadCommandError",
    "Handler",
    "Radio",
    "Run",
    "Timing",
    "Wait",
    "expect",
]

MS = 1_000_000
TARGETS_MAX = 2
POLL_UNIT_NS = 150 * MS  # InAutoPoll counts its period in these (7.3.13)
FOREVER = 0xFF
CHAIN_MAX_BYTES = 4096  # a command that a host sends in pieces; DESFire's longest is far below
SENS_REQ, SDD_REQ = 0x26, 0x93
OK, TIMEOUT, NOT_AUTHENTICATED, WRONG_CONTEXT = 0x00, 0x01, 0x14, 0x27
GENERIC_106A, MIFARE, ISO_14443_4A = 0x00, 0x10, 0x20  # InAutoPoll's target types


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations in ns: assumptions, not measurements of a chip."""

    ack_ns: int
    processing_ns: int
    try_ns: int
    anticollision_ns: int
    exchange_ns: int


IDEAL = Timing(0, 0, 0, 0, 0)
REAL = Timing(
    ack_ns=MS // 2,
    processing_ns=MS // 2,
    try_ns=5 * MS,
    anticollision_ns=7 * MS // 2,
    exchange_ns=5 * MS,
)


class Wait(NamedTuple):
    """What a running command waits for: a time, or with `card` a change in the field too."""

    due_ns: int | None
    card: bool = False


Run = Generator[Wait, int, bytes]
Handler = Callable[[bytes, int], bytes | Run]
Happening = tuple[str, dict[str, object]]


class BadCommandError(Exception):
    """An unknown command, or wrong parameters: the chip answers with the error frame."""


@dataclass(slots=True)
class Target:
    """A listed card: its logical number, and its ATS without length byte if the chip asked."""

    number: int
    presence: Presence
    ats: bytes

    def data(self) -> bytes:
        """Return TargetData of a type A card at 106 kbit/s (7.3.5)."""
        card, uid = self.presence.card, self.presence.shown_uid
        ats = bytes((len(self.ats) + 1,)) + self.ats if self.ats else b""
        return bytes((self.number,)) + card.sens_res + bytes((card.sel_res, len(uid))) + uid + ats


@dataclass(slots=True)
class Poll:
    """How a command polls for cards.

    Attributes:
        start_ns: the time of the first try.
        step_ns: between two tries.
        end_ns: when it gives up; None for never.
        tries: after how many tries it gives up; None for never.
        count: how many cards it takes at most.
        rats: whether it sends RATS.
        wanted: the UID it takes; empty for any.
        misses_one: the fault `every-second`: a single card does not answer.
    """

    start_ns: int
    step_ns: int
    end_ns: int | None
    tries: int | None
    count: int
    rats: bool
    wanted: bytes = b""
    misses_one: bool = False


class Radio:
    """The radio side of the firmware.

    Attributes:
        commands: from code to the handler of parameters and time, which returns the response's
            parameters at once, or a run of the command.
        happened: what happened to cards, of which the chip makes events.
        targets: the listed cards by their logical number.
        auto_rats: SetParameters, bit 4.
        passive_retries: RFConfiguration, item 5.
        fifo: the content of CIU_FIFOData: still SENS_REQ when no card has answered it.
        last_error: the status of the last command, for GetGeneralStatus.
    """

    def __init__(self, field: Field, timing: Timing, faults: Faults) -> None:
        self.field = field
        self.timing = timing
        self._faults = faults
        self.happened: list[Happening] = []
        self.commands: dict[int, Handler] = {
            0x40: self._data_exchange,
            0x42: self._communicate_thru,
            0x44: self._deselect,
            0x4A: self._list_passive,
            0x52: self._release,
            0x54: self._select,
            0x60: self._auto_poll,
        }
        self.reset()

    def reset(self) -> None:
        """Reset everything, as a power-up does."""
        self.targets: dict[int, Target] = {}
        self.auto_rats = True
        self.passive_retries = FOREVER
        self.fifo = 0
        self.last_error = OK
        self._chain = bytearray()
        self._every_second = False
        self.switch(on=False)

    def switch(self, *, on: bool) -> None:
        """Switch the RF field on or off; off forgets the listed cards."""
        if not on:
            self.targets.clear()
        self.field.power(on=on)

    def attention(self, now_ns: int) -> Run:
        """Run Diagnose 06: whether the listed card is still there (7.2.1)."""
        yield Wait(now_ns + self.timing.exchange_ns)
        there = self._current()
        if there is None:
            return bytes((WRONG_CONTEXT,))
        return bytes((OK if there.state is State.PROTOCOL and not there.gone else TIMEOUT,))

    def _list_passive(self, body: bytes, now_ns: int) -> bytes | Run:
        expect(len(body) >= 2 and 1 <= body[0] <= TARGETS_MAX and body[1] <= 4)  # noqa: PLR2004
        tries = None if self.passive_retries == FOREVER else self.passive_retries + 1
        self._start_polling()
        poll = Poll(
            start_ns=now_ns,
            step_ns=self.timing.try_ns,
            end_ns=None if tries is None else now_ns + tries * self.timing.try_ns,
            tries=tries,
            # No card here has another speed or type.
            count=body[0] if body[1] == 0 else 0,
            rats=self.auto_rats,
            wanted=_without_cascade_tags(body[2:]) if body[1] == 0 else b"",
            misses_one=body[0] == TARGETS_MAX and self._misses_turn(),
        )
        return self._list(poll)

    def _misses_turn(self) -> bool:
        self._every_second = not self._every_second
        return not self._every_second and self._faults.strike("every-second") is not None

    def _list(self, poll: Poll) -> Run:
        targets = yield from self._select_cards(poll)
        return bytes((len(targets),)) + b"".join(target.data() for target in targets)

    def _auto_poll(self, body: bytes, now_ns: int) -> bytes | Run:
        expect(3 <= len(body) <= 17 and body[0] > 0 and 1 <= body[1] <= 0x0F)  # noqa: PLR2004
        count, period_ns, types = body[0], body[1] * POLL_UNIT_NS, body[2:]
        self._start_polling()
        rats = GENERIC_106A in types or ISO_14443_4A in types
        poll = Poll(
            start_ns=now_ns,
            step_ns=period_ns if self.timing.try_ns else 0,
            end_ns=None if count == FOREVER else now_ns + count * len(types) * period_ns,
            tries=None if count == FOREVER else count * len(types),
            count=TARGETS_MAX if rats or MIFARE in types else 0,
            rats=rats,
        )
        return self._auto_polled(poll)

    def _auto_polled(self, poll: Poll) -> Run:
        targets = yield from self._select_cards(poll)
        found = bytearray((len(targets),))
        for target in targets:
            data = target.data()
            found += bytes((ISO_14443_4A if target.ats else MIFARE, len(data))) + data
        return bytes(found)

    def _start_polling(self) -> None:
        self.targets.clear()
        self._chain.clear()
        self.fifo = SENS_REQ
        self.switch(on=True)

    def _select_cards(self, poll: Poll) -> Generator[Wait, int, list[Target]]:
        """Poll until cards are selected or the tries are used up; a try in vain takes `step_ns`."""
        now_ns, used = poll.start_ns, 0
        while True:
            used += 1
            answering, again = self.field.request() if poll.count else ([], False)
            chosen = [there for there in answering if poll.wanted in {b"", there.shown_uid}][
                : poll.count
            ]
            if chosen and not (poll.misses_one and len(answering) == 1):
                now_ns = yield Wait(now_ns + self.timing.anticollision_ns * len(chosen))
                if self._choose(chosen, rats=poll.rats):
                    return list(self.targets.values())
                again = True
            if again and not poll.step_ns and (poll.tries is None or used < poll.tries):
                continue
            resumed_ns = yield from _next_try(poll, now_ns, again=again)
            if resumed_ns is None:
                return []
            now_ns = resumed_ns

    def _choose(self, chosen: list[Presence], *, rats: bool) -> bool:
        """Select the cards that are still there; return whether there is one."""
        for there in chosen:
            self.fifo = SDD_REQ
            ats = self.field.select(there, rats=rats)
            if ats is None:
                continue
            number = len(self.targets) + 1
            self.targets[number] = Target(number, there, ats)
            uids: dict[str, object] = {"uid": there.card.uid.hex(), "shown": there.shown_uid.hex()}
            self.happened.append(("selected", {**uids, "target": number}))
        return bool(self.targets)

    def _data_exchange(self, body: bytes, now_ns: int) -> bytes | Run:
        expect(bool(body))
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
        # Layer 3: a card that does not know the command is silent and starts again; a Classic
        # rejects a wrong key.
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
        """Send a frame of the host to the card, with the chip's CRC; None is silence."""
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
        expect(len(body) == 1)
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
        return self._status(OK)  # also when a card has left: a real chip reports no error here

    def _let_go(self, there: Presence) -> None:
        if there.state is not State.HALT and not there.gone:
            self.happened.append(("released", {"uid": there.card.uid.hex()}))
        self.field.release(there)

    def _select(self, body: bytes, now_ns: int) -> bytes | Run:
        expect(len(body) == 1)
        target = self.targets.get(body[0])
        return self._status(WRONG_CONTEXT) if target is None else self._wake(target, now_ns)

    def _wake(self, target: Target, now_ns: int) -> Run:
        yield Wait(now_ns + self.timing.anticollision_ns)
        woken = target.presence.session is not None or self.field.wake(
            target.presence, rats=bool(target.ats)
        )
        return self._status(OK if woken else TIMEOUT)

    def _current(self) -> Presence | None:
        return next((target.presence for target in self.targets.values()), None)

    def _status(self, code: int) -> bytes:
        self.last_error = code
        return bytes((code,))


def _next_try(poll: Poll, now_ns: int, *, again: bool) -> Generator[Wait, int, int | None]:
    """Wait for the next try: at once after a change in the field, else at the next step.

    A field in which no card can answer is not polled until it changes.

    Returns:
        The time of the next try; None when they are used up.
    """
    end_ns = poll.end_ns
    if end_ns is not None and now_ns + poll.step_ns >= end_ns:
        if now_ns < end_ns:
            yield from _until(end_ns, now_ns)
        return None
    step_ns = poll.step_ns
    next_ns = (
        now_ns
        if not step_ns
        else poll.start_ns + ((now_ns - poll.start_ns) // step_ns + 1) * step_ns
    )
    if not again:
        now_ns = yield Wait(end_ns, card=True)
    if step_ns and now_ns > next_ns:
        next_ns = poll.start_ns - (poll.start_ns - now_ns) // step_ns * step_ns
    if end_ns is not None and max(now_ns, next_ns) >= end_ns:
        yield from _until(end_ns, now_ns)
        return None
    return (yield from _until(next_ns, now_ns))


def _until(due_ns: int, now_ns: int) -> Generator[Wait, int, int]:
    while now_ns < due_ns:
        now_ns = yield Wait(due_ns)
    return now_ns


def _without_cascade_tags(uid: bytes) -> bytes:
    """Return a host's UID without 88, which precedes all parts but the last (ISO 14443-3)."""
    match len(uid):
        case 8:
            return uid[1:]
        case 12:
            return uid[1:4] + uid[5:]
        case _:
            return uid


def expect(condition: bool) -> None:
    """Raise BadCommandError unless the condition holds."""
    if not condition:
        raise BadCommandError
