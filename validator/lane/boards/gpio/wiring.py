"""What is wired to which line of a GPIO chip, and how long the relay is held."""

from dataclasses import dataclass
from typing import Literal

Bias = Literal["pull-up", "pull-down", "none"]


@dataclass(frozen=True, slots=True)
class Output:
    """An output line, by its number on the chip; `active_low` inverts it."""

    line: int
    active_low: bool = False


@dataclass(frozen=True, slots=True)
class Input:
    """An input line, by its number on the chip.

    `debounce_ms` is how long a level has to stay before the kernel reports it.
    """

    line: int
    active_low: bool = True
    bias: Bias = "pull-up"
    debounce_ms: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """The lines of one gate; None for what is not wired.

    Attributes:
        chip: the label of the chip, as `gpiodetect` prints it in brackets.
        release: the relay that frees the arms.
        pulse_ms: how long the relay is on for a turnstile that counts by itself; 0 to hold it until
            the passenger is through or the time is over.
        hold_max_ms: the relay is never held longer, whatever a caller asks for.
        settle_ms: after the arms lock, an edge of the passage sensor in this time is still the
            passenger's: the kernel reports it late by its debounce, and a body that has begun to
            turn the arms ends its turn.
        passage: becomes active once for each person who goes through, either way.
        forced: becomes active when the turnstile reports a passage against locked arms.
        emergency: is active while the hardware frees the arms.
        tamper: is active while the housing is open.
        green, red, amber: lamps.
        buzzer: a buzzer that sounds while its line is active.
    """

    chip: str
    release: Output
    pulse_ms: int = 0
    hold_max_ms: int = 10_000
    settle_ms: int = 500
    passage: Input | None = None
    forced: Input | None = None
    emergency: Input | None = None
    tamper: Input | None = None
    green: Output | None = None
    red: Output | None = None
    amber: Output | None = None
    buzzer: Output | None = None

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Every wired output, the relay first."""
        wired = (self.release, self.green, self.red, self.amber, self.buzzer)
        return tuple(output for output in wired if output is not None)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Every wired input."""
        wired = (self.passage, self.forced, self.emergency, self.tamper)
        return tuple(line for line in wired if line is not None)
