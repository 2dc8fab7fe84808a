"""The simulated reader as a `Device` of the loop: the verbs of standard input, and the chip.

It parses verbs and refuses wrong ones; the chip and its field carry them out. No I/O, no clock.
"""

from collections.abc import Mapping, Sequence
from random import Random

from firmware_sim.cards import Card, Kind, card_of, parse_uid
from firmware_sim.echo import Echo
from firmware_sim.faults import Fault
from firmware_sim.outcomes import Event, Outcome, RefusedError, Send
from firmware_sim.pn532.chip import Chip
from firmware_sim.pn532.faults import parse_reader_fault
from firmware_sim.pn532.field import CARDS_MAX, Presence, Stage

__all__ = ["VERBS", "Pn532"]

VERBS = {
    "present": "present UID [number=DIGITS] [leaves=STAGE]",
    "remove": "remove [UID]",
    "clash": "clash UID UID",
    "brownout": "brownout",
    "fault": "fault NAME[=VALUE][/WHEN], or fault none",
}
LOOP_VERBS = "unplug, replug, status, quit"


class Pn532:
    """A `firmware_sim.runner.Device`: a chip that takes verbs.

    A verb either raises RefusedError and changes nothing, or is done when `obey` returns.
    """

    def __init__(self, chip: Chip, random: Random) -> None:
        self.chip = chip
        self._random = random
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
            self._obey(words, now_ns, usage)
        except ValueError as error:
            raise RefusedError(f"{words[0]}: {error}") from error

    def _obey(self, words: Sequence[str], now_ns: int, usage: str) -> None:
        match words:
            case ["present", uid, *options]:
                self._present(parse_uid(uid), _options(options, usage), now_ns)
            case ["remove"]:
                self._remove(list(self.chip.field.present), now_ns)
            case ["remove", uid]:
                self._remove([self._there(parse_uid(uid))], now_ns)
            case ["clash", first, second]:
                self._clash(parse_uid(first), parse_uid(second), now_ns)
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

    def _present(self, uid: bytes, options: Mapping[str, str], now_ns: int) -> None:
        first, *others = self.chip.enter(
            now_ns, card_of(uid, options.get("number")), *self._companion()
        )
        first.leaves = Stage(options["leaves"]) if "leaves" in options else self._leaving()
        for there in (first, *others):
            self._event("present", now_ns, **_about(there))

    def _companion(self) -> list[Card]:
        """Return the second card that a fault adds, if there is room for two."""
        if (
            len(self.chip.field.present) + 2 > CARDS_MAX
            or self.chip.faults.strike("two-cards") is None
        ):
            return []
        return [Card(b"\x04" + self._random.randbytes(6), Kind.DESFIRE)]

    def _leaving(self) -> Stage | None:
        fault = self.chip.faults.strike("leaves")
        return None if fault is None else Stage(fault.value)

    def _clash(self, first: bytes, second: bytes, now_ns: int) -> None:
        both = self.chip.enter(now_ns, card_of(first), card_of(second))
        self._event("clash", now_ns, uids=[there.card.uid.hex() for there in both])

    def _there(self, uid: bytes) -> Presence:
        for there in self.chip.field.present:
            if there.card.uid == uid:
                return there
        raise ValueError(f"card {uid.hex()} is not on the reader")

    def _remove(self, leaving: Sequence[Presence], now_ns: int) -> None:
        if not leaving:
            raise ValueError("no card is on the reader")
        self.chip.leave(now_ns, *leaving)

    def _event(self, name: str, at_ns: int, **details: object) -> None:
        self._events.append(Event(name, at_ns, details))


def _about(there: Presence) -> dict[str, object]:
    return {
        "uid": there.card.uid.hex(),
        "shown": there.shown_uid.hex(),
        "kind": there.card.kind.value,
    }


def _options(words: Sequence[str], usage: str) -> dict[str, str]:
    """Parse `key=value` words.

    Raises:
        ValueError: an unknown key, one twice, or an unknown stage.
    """
    options: dict[str, str] = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign or key not in {"number", "leaves"} or key in options:
            raise ValueError(f"{word!r} is not understood; write {usage}")
        options[key] = value
    if "leaves" in options and options["leaves"] not in {stage.value for stage in Stage}:
        raise ValueError(
            f"no stage is called {options['leaves']!r};"
            f" there are {', '.join(stage.value for stage in Stage)}"
        )
    return options
