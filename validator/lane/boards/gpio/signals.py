"""Lamps and buzzer: what each outcome looks and sounds like. Pure; time is an argument.

There is one pattern for an outcome, and a denial is one outcome: neither colour, nor rhythm, nor
length shows why a card was refused (domain/outcomes.py). An emergency has no tone, so that the
building's alarm stays audible.
"""

from dataclasses import dataclass
from enum import Enum, auto

from validator.domain.outcomes import Outcome

NS_PER_MS = 1_000_000
BLINK_MS = 250  # on, then off, as long as the picture is shown


class Lamp(Enum):
    """The colours of the lamps."""

    GREEN = auto()
    RED = auto()
    AMBER = auto()


@dataclass(frozen=True, slots=True)
class Picture:
    """A lamp, or none, whether it blinks, and a tone: ms of sound and silence in turn."""

    lamp: Lamp | None = None
    blinks: bool = False
    tone_ms: tuple[int, ...] = ()


_AGAIN = Picture(Lamp.RED, blinks=True, tone_ms=(60, 60, 60, 60, 60))

PICTURES = {
    Outcome.READY: Picture(Lamp.AMBER),
    Outcome.ADMITTED: Picture(Lamp.GREEN, tone_ms=(100,)),
    Outcome.ADMITTED_WITH_NOTICE: Picture(Lamp.GREEN, tone_ms=(100, 100, 100)),
    Outcome.DENIED: Picture(Lamp.RED, tone_ms=(400, 150, 400)),
    Outcome.TRY_AGAIN: _AGAIN,
    Outcome.UNSUPPORTED: _AGAIN,
    Outcome.OUT_OF_SERVICE: Picture(),
    Outcome.EMERGENCY: Picture(Lamp.GREEN, blinks=True),
}


class Signals:
    """What lamps and buzzer do now."""

    def __init__(self) -> None:
        """Show nothing, as a gate out of service."""
        self._rest = Outcome.OUT_OF_SERVICE
        self._shown = Outcome.OUT_OF_SERVICE
        self._since_ns = 0
        self._until_ns: int | None = None

    def show(self, outcome: Outcome, hold_ms: int, now_ns: int) -> None:
        """Show an outcome for `hold_ms`, or from now on if that is 0; see ports.Board."""
        if not hold_ms:
            if outcome is self._shown is self._rest:
                return  # its blinking goes on
            self._rest = outcome
        self._shown, self._since_ns = outcome, now_ns
        self._until_ns = now_ns + hold_ms * NS_PER_MS if hold_ms else None

    def advance(self, now_ns: int) -> None:
        """Return to the resting picture when its time has come."""
        if self._until_ns is not None and now_ns >= self._until_ns:
            self._shown, self._since_ns, self._until_ns = self._rest, self._until_ns, None

    def lamp(self, now_ns: int) -> Lamp | None:
        """Return the lamp that is on."""
        picture = PICTURES[self._shown]
        return None if picture.blinks and self._blink(now_ns) % 2 else picture.lamp

    def sounds(self, now_ns: int) -> bool:
        """Return whether the buzzer is on. A resting picture has no tone."""
        return self._until_ns is not None and self._tone(now_ns)[0]

    def due_ns(self, now_ns: int) -> int | None:
        """Return when lamp, tone or picture change next; None while nothing will."""
        picture = PICTURES[self._shown]
        due = [self._until_ns]
        if picture.blinks:
            due.append(self._since_ns + (self._blink(now_ns) + 1) * BLINK_MS * NS_PER_MS)
        if self._until_ns is not None:
            due.append(self._tone(now_ns)[1])
        return min((at for at in due if at is not None), default=None)

    def _blink(self, now_ns: int) -> int:
        return max(0, now_ns - self._since_ns) // (BLINK_MS * NS_PER_MS)

    def _tone(self, now_ns: int) -> tuple[bool, int | None]:
        """Return whether the tone sounds, and when that changes."""
        at_ns, sounds = self._since_ns, True
        for step_ms in PICTURES[self._shown].tone_ms:
            at_ns += step_ms * NS_PER_MS
            if now_ns < at_ns:
                return sounds, at_ns
            sounds = not sounds
        return False, None
