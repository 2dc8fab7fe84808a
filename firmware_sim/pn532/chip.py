"""The simulated PN532's link level: bytes in, bytes and events out (UM0701-02, section 6.2).

It acknowledges, answers, aborts, sleeps, wakes and changes speed. The commands are in
pn532/firmware.py, the cards in radio/field.py, the pty in wires.py. No I/O, no clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random

from firmware_sim.cards import Card
from firmware_sim.faults import Fault, Faults
from firmware_sim.outcomes import Event, Outcome, Send, Unplug
from firmware_sim.pn532.firmware import Firmware
from firmware_sim.pn532.frames import (
    ACK,
    ERROR,
    Ack,
    Command,
    Decoder,
    Frame,
    Nack,
    Skipped,
    encode,
)
from firmware_sim.pn532.radio import IDEAL, BadCommandError, Run, Timing, Wait
from firmware_sim.radio.field import Field, Presence

__all__ = ["Chip"]

BAUD_AT_RESET = 115200
BAUD_STUCK = 921600
WAKE_EDGES = 5  # rising edges on the UART's line (7.2.11); 55 has five, 00 has one
WAKE_BY_UART = 0x10  # PowerDown's WakeUpEnable: HSU
NOISE_MAX_BYTES = 16
MS = 1_000_000


@dataclass(frozen=True, slots=True, order=True)
class Departure:
    """A frame and when it leaves; `turn` orders equal times. Faults of replies spare ACKs."""

    due_ns: int
    turn: int
    frame: bytes
    is_reply: bool


class Chip:
    """A PN532 on a UART, with cards in its field.

    Inputs (`receive`, `host_speed`, `enter`, `leave`, `plugged`, `brown_out`) take the time and
    return nothing. `advance` does everything that is due and returns the outcomes in order; call
    it after every input and at `due_ns`. `now_ns` never goes back. With equal inputs at equal
    times and an equally seeded `random`, two chips send the same; how the bytes are cut into
    pieces makes no difference.

    Args:
        random: draws everything that is left to chance.
        timing: the durations of the chip; wire time is the wire's.
    """

    def __init__(self, random: Random, timing: Timing = IDEAL) -> None:
        self.faults = Faults(random)
        self.field = Field(random)
        self.baud = BAUD_AT_RESET
        self.skipped_frames = 0
        self._random = random
        self._timing = timing
        self._firmware = Firmware(self.field, timing, self.faults)
        self._decoder = Decoder()
        self._departures: list[Departure] = []
        self._turn = 0
        self._outcomes: list[Outcome] = []
        self._powered = True
        self._running: Run | None = None
        self._wait = Wait(None)
        self._code = 0
        self._asleep, self._edges, self._wakes_by_uart = True, 0, True
        self._pending_baud: int | None = None
        self._last_reply = b""
        self._field_changed = False

    # Inputs

    def host_speed(self, baud: int, now_ns: int) -> None:
        """Take the speed of the host's port.

        It completes a change of speed whose ACK was lost in the host's own buffers.
        """
        if self._pending_baud is not None and baud == self._pending_baud:
            self._change_baud(now_ns)

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take any bytes from the host, sent at the chip's speed."""
        self._settle(now_ns)
        self._decoder.push(self._past_wake_up(data))
        while (frame := self._decoder.next_frame()) is not None:
            self._receive_frame(frame, now_ns)
            self._settle(now_ns)
            if self._asleep:
                self._decoder.push(self._past_wake_up(self._decoder.reset()))

    def _receive_frame(self, frame: Frame, now_ns: int) -> None:
        match frame:
            case Command(command):
                self._begin(command, now_ns)
            case Ack():
                self._acknowledged(now_ns)
            case Nack():
                self._repeat(now_ns)
            case Skipped():
                self.skipped_frames += 1

    def enter(self, now_ns: int, *cards: Card) -> list[Presence]:
        """Put cards into the field at once: the chip cannot poll between one and the next.

        Raises:
            ValueError: one is there already, or there is no room; then none has entered.
        """
        self._settle(now_ns)
        entered = self.field.enter(*cards)
        self._field_changed = True
        return entered

    def leave(self, now_ns: int, *leaving: Presence) -> None:
        """Take cards out of the field, all at once."""
        self._settle(now_ns)
        for presence in leaving:
            self.field.leave(presence)
        self._field_changed = True
        self._report(now_ns)

    def plugged(self, on: bool, now_ns: int) -> None:
        """Take that the plug, which powers the chip, was pulled or is back in."""
        self._settle(now_ns)
        self._powered = on
        self._reset()

    def brown_out(self, now_ns: int) -> None:
        """Let the supply dip: the chip resets and sleeps."""
        self._settle(now_ns)
        self._reset()

    def stick(self, now_ns: int) -> None:
        """Go to the speed at which a killed host left the chip."""
        self._settle(now_ns)
        self.baud, self._pending_baud = BAUD_STUCK, None
        self._event("baud", now_ns, baud=self.baud)

    # Outputs

    def advance(self, now_ns: int) -> list[Outcome]:
        """Do what is due by `now_ns`; return the outcomes since the last call."""
        self._settle(now_ns)
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def due_ns(self) -> int | None:
        """Return when `advance` has something to do; None when the chip waits for an input."""
        due = [self._departures[0].due_ns] if self._departures else []
        if self._running is not None and self._wait.due_ns is not None:
            due.append(self._wait.due_ns)
        return min(due, default=None)

    def status(self) -> Mapping[str, object]:
        """Return the details of the `status` event."""
        return {
            "baud": self.baud,
            "asleep": self._asleep,
            "field": self.field.on,
            "running": None if self._running is None else f"{self._code:02x}",
            "cards": self.field.about(),
            "faults": self.faults.names(),
            "skipped_frames": self.skipped_frames,
        }

    # Power and speed

    def _reset(self) -> None:
        self._stop()
        self._departures.clear()
        self._decoder.reset()
        self._firmware.reset()
        self._asleep, self._edges, self._wakes_by_uart = True, 0, True
        self._pending_baud = None
        self._last_reply = b""
        self._field_changed = False
        # A stuck chip stays so until the end of the fault.
        self.baud = BAUD_STUCK if self.faults.on("stuck-baud") else BAUD_AT_RESET

    def _past_wake_up(self, data: bytes) -> bytes:
        """Return the bytes after the rising edge that wakes the chip; all when not asleep."""
        if not self._powered:
            return b""
        if not self._asleep:
            return data
        for at, byte in enumerate(data):
            self._edges += _rising_edges(byte)
            if self._edges >= WAKE_EDGES and self._wakes_by_uart:
                self._asleep = False
                return data[at + 1 :]
        return b""

    def _sleep(self, wake_sources: int) -> None:
        self._stop()
        self._asleep, self._edges = True, 0
        self._wakes_by_uart = bool(wake_sources & WAKE_BY_UART)

    def _change_baud(self, now_ns: int) -> None:
        if self._pending_baud is None:
            return
        baud, self._pending_baud = self._pending_baud, None
        if self._struck("stuck-baud", now_ns) is None and baud != self.baud:
            self.baud = baud
            self._event("baud", now_ns, baud=baud)

    # Commands

    def _begin(self, data: bytes, now_ns: int) -> None:
        """Acknowledge a command and start it, in place of one that still runs (6.2.2.1)."""
        self._stop()
        self._pending_baud = None
        self._code = data[0] if data else 0
        acked_ns = now_ns + self._timing.ack_ns
        if self._struck("dropped-ack", now_ns) is None:
            self._depart(ACK, acked_ns, is_reply=False)
        running = self._life(data, acked_ns + self._timing.processing_ns)
        self._wait = next(running)
        self._running = running

    def _life(self, data: bytes, start_ns: int) -> Run:
        """Run a command from its start to the frame that answers it."""
        now_ns = yield Wait(start_ns)
        try:
            result = self._firmware.run(data, now_ns)
        except BadCommandError:
            return ERROR
        parameters = result if isinstance(result, bytes) else (yield from result)
        return encode(bytes(((self._code + 1) & 0xFF,)) + parameters)

    def _stop(self) -> None:
        """Drop the running command and a reply that has not left."""
        running, self._running = self._running, None
        self._wait = Wait(None)
        self._code = 0
        if running is not None:
            running.close()
        self._departures.clear()

    def _acknowledged(self, now_ns: int) -> None:
        """Take the host's ACK: it completes a change of speed, or aborts the running command."""
        if self._pending_baud is not None:
            self._change_baud(now_ns)
        elif self._running is not None or self._departures:
            self._event("aborted", now_ns, command=f"{self._code:02x}")
            self._stop()

    def _repeat(self, now_ns: int) -> None:
        if self._running is None and self._last_reply:
            self._depart(self._last_reply, now_ns, is_reply=True)

    # Time

    def _settle(self, now_ns: int) -> None:
        """Do everything that is due by `now_ns`, in order of time."""
        while True:
            if self._field_changed:
                self._field_changed = False
                if self._running is not None and self._wait.card:
                    self._step(now_ns)
                    continue
            due_ns = self.due_ns()
            if due_ns is None or due_ns > now_ns:
                return
            if self._departures and self._departures[0].due_ns == due_ns:
                self._leave_port(heappop(self._departures))
            else:
                self._step(due_ns)

    def _step(self, now_ns: int) -> None:
        """Resume the running command; what it returns is its reply."""
        assert self._running is not None  # noqa: S101  (both callers have checked)
        try:
            self._wait = self._running.send(now_ns)
        except StopIteration as end:
            self._running = None
            self._last_reply = end.value
            delay = self._struck("delayed", now_ns)
            late_ns = delay.value * MS if delay is not None and isinstance(delay.value, int) else 0
            self._depart(end.value, now_ns + late_ns, is_reply=True)
        self._report(now_ns)

    def _depart(self, frame: bytes, due_ns: int, *, is_reply: bool) -> None:
        self._turn += 1
        heappush(self._departures, Departure(due_ns, self._turn, frame, is_reply))

    def _leave_port(self, departure: Departure) -> None:
        """Send a frame, or what its fault makes of it."""
        now_ns = departure.due_ns
        frame = departure.frame
        if departure.is_reply:
            frame = self._spoil(frame, now_ns)
        if frame:
            self._outcomes.append(Send(frame))
        if departure.is_reply:
            self._after_reply()

    def _after_reply(self) -> None:
        """Do what the firmware asked of the link, once the reply has left."""
        if self._firmware.asked_baud is not None:
            self._pending_baud, self._firmware.asked_baud = self._firmware.asked_baud, None
        if self._firmware.asked_sleep is not None:
            sources, self._firmware.asked_sleep = self._firmware.asked_sleep, None
            self._sleep(sources)

    # Faults and events

    def _spoil(self, frame: bytes, now_ns: int) -> bytes:
        """Put a reply through the faults; return the bytes that leave the chip."""
        if self._struck("brownout", now_ns) is not None:
            self._reset()
            return b""
        unplug = self._struck("unplug", now_ns)
        if unplug is not None:
            self._outcomes.append(
                Unplug(unplug.value * MS if isinstance(unplug.value, int) else None)
            )
            return b""
        if self._struck("dropped", now_ns) is not None:
            return b""
        if self._struck("bad-checksum", now_ns) is not None:
            frame = frame[:-2] + bytes((frame[-2] ^ 0x5A, frame[-1]))
        if self._struck("truncated", now_ns) is not None:
            frame = frame[: self._random.randrange(1, len(frame))]
        if self._struck("noise", now_ns) is not None:
            frame = self._random.randbytes(self._random.randrange(1, NOISE_MAX_BYTES + 1)) + frame
        return frame

    def _struck(self, name: str, now_ns: int) -> Fault | None:
        fault = self.faults.strike(name)
        if fault is not None:
            self._event("fault", now_ns, fault=name, state="struck")
        return fault

    def _report(self, now_ns: int) -> None:
        """Make events of what happened to cards."""
        for name, details in self._firmware.radio.happened:
            self._outcomes.append(Event(name, now_ns, details))
        self._firmware.radio.happened.clear()
        for there in self.field.take_left():
            stage = {} if there.left_at is None else {"stage": there.left_at.value}
            self._event("removed", now_ns, uid=there.card.uid.hex(), **stage)

    def _event(self, name: str, at_ns: int, **details: object) -> None:
        self._outcomes.append(Event(name, at_ns, details))


def _rising_edges(byte: int) -> int:
    """Count the rising edges of one byte on the line.

    That is a start bit, eight bits with the lowest first, and a stop bit.
    """
    bits = byte << 1 | 0x200
    return sum(1 for at in range(9) if bits >> at & 3 == 0b10)  # noqa: PLR2004
