"""The simulated reader as a `SerialDevice`: the verbs of standard input, and the chip.

It parses verbs and refuses wrong ones; the chip and its field carry them out. No I/O, no clock.
"""

from collections.abc import Mapping, Sequence
from random import Random

from firmware_sim.echo import Echo
from firmware_sim.faults import Fault
from firmware_sim.outcomes import Event, Outcome, RefusedError, Send
from firmware_sim.pn532.chip import Chip
from firmware_sim.pn532.faults import parse_reader_fault
from firmware_sim.radio.hand import CARD_VERBS, Hand

__all__ = ["VERBS", "Pn532"]

VERBS = {
    **CARD_VERBS,
    "brownout": "brownout",
    "fault": "fault NAME[=VALUE][/WHEN], or fault none",
}
LOOP_VERBS = "unplug, replug, status, quit"


class Pn532:
    """A `firmware_sim.serial_port.SerialDevice`: a chip that takes verbs.

    A verb either raises RefusedError and changes nothing, or is done when `obey` returns.
    """

    def __init__(self, chip: Chip, random: Random) -> None:
        self.chip = chip
        self._hand = Hand(chip, chip.faults, random)
        self._echo = Echo(chip.faults, random)
        self._events: list[Event] = []

    @property
    def baud(self) -> int:
        """The chip's speed, in bits a second."""
        return self.chip.baud

    def host_speed(self, baud: int, now_ns: int) -> None:
        """Pass the program's speed on to the chip."""
        self.chip.host_speed(baud, now_ns)

    def receive(self, data: bytes, now_ns: int) -> None:
        """Pass bytes on to the chip; a line that echoes returns them first."""
        self._echo.receive(data, now_ns)
        if self.chip.faults.strike("dead") is None:
            self.chip.receive(data, now_ns)

    def plugged(self, on: bool, now_ns: int) -> None:
        """Pass the plug's state on to the chip."""
        self.chip.plugged(on, now_ns)

    def due_ns(self) -> int | None:
        """Return when to call `advance` next; None when the chip waits for an input."""
        return min(
            (at for at in (self._echo.due_ns(), self.chip.due_ns()) if at is not None), default=None
        )

    def status(self) -> Mapping[str, object]:
        """Return the chip's status."""
        return self.chip.status()

    def advance(self, now_ns: int) -> list[Outcome]:
        """Return the outcomes, the verbs' own events first: a card comes before its answer."""
        events, self._events = self._events, []
        return [
            *events,
            *self._echo.take(now_ns),
            *filter(self._comes_out, self.chip.advance(now_ns)),
        ]

    def _comes_out(self, outcome: Outcome) -> bool:
        return not isinstance(outcome, Send) or self.chip.faults.strike("dead") is None

    def obey(self, words: Sequence[str], now_ns: int) -> None:
        """Do one verb.

        Raises:
            RefusedError: the text has what is wrong, and what to write.
        """
        usage = VERBS.get(words[0])
        if usage is None:
            raise RefusedError(
                f"no verb is called {words[0]!r}; there are {', '.join(VERBS)}, {LOOP_VERBS}"
            )
        try:
            if words[0] in CARD_VERBS:
                self._events += self._hand.obey(words, now_ns)
            else:
                self._obey(words, now_ns, usage)
        except ValueError as error:
            raise RefusedError(f"{words[0]}: {error}") from error

    def _obey(self, words: Sequence[str], now_ns: int, usage: str) -> None:
        match words:
            case ["brownout"]:
                self.chip.brown_out(now_ns)
                self._event("brownout", now_ns)
            case ["fault", "none"]:
                self.chip.faults.clear()
                self._event("fault", now_ns, fault="none", state="cleared")
            case ["fault", text]:
                self.set_fault(parse_reader_fault(text), now_ns)
            case _:
                raise ValueError(f"write {usage}")

    def set_fault(self, fault: Fault, now_ns: int) -> None:
        """Switch a fault on."""
        self.chip.faults.set(fault)
        self._event("fault", now_ns, fault=fault.name, state="set")
        if fault.name == "stuck-baud":
            self.chip.stick(now_ns)

    def _event(self, name: str, at_ns: int, **details: object) -> None:
        self._events.append(Event(name, at_ns, details))
