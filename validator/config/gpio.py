"""[board.gpio]: what is wired to which line of a GPIO chip."""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from validator.config.names import name_fault
from validator.formats.config_file import KeyFault
from validator.formats.shown import quoted

PULSE_MS = 300
LineNumber = Annotated[int, msgspec.Meta(ge=0, le=1_023)]


class OutputConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An output line: `active` is the level that switches it on."""

    line: LineNumber
    active: Literal["high", "low"] = "high"


class InputConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An input line: `active` is its level while it reports; `bias` its level without a contact."""

    line: LineNumber
    active: Literal["high", "low"] = "low"
    bias: Literal["pull-up", "pull-down", "none"] = "pull-up"
    debounce_ms: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 20


class GpioConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[board.gpio]; validator/lane/boards/gpio/wiring.py says what each line is for."""

    chip: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    release: OutputConfig
    mode: Literal["hold", "pulse"] = "hold"
    pulse_ms: Annotated[int, msgspec.Meta(ge=20, le=2_000)] = PULSE_MS
    hold_max_ms: Annotated[int, msgspec.Meta(ge=500, le=60_000)] = 10_000
    settle_ms: Annotated[int, msgspec.Meta(ge=0, le=1_500)] = 500
    passage: InputConfig | None = None
    forced: InputConfig | None = None
    emergency: InputConfig | None = None
    tamper: InputConfig | None = None
    green: OutputConfig | None = None
    red: OutputConfig | None = None
    amber: OutputConfig | None = None
    buzzer: OutputConfig | None = None


OUTPUTS = ("release", "green", "red", "amber", "buzzer")
INPUTS = ("passage", "forced", "emergency", "tamper")


def gpio_faults(gpio: GpioConfig | None, hold_ms: int) -> Iterator[KeyFault]:
    """Check the table against itself and `passage.hold_ms`, for the driver gpio."""
    if gpio is None:
        told = "is missing; the driver gpio needs the chip and its lines"
        yield KeyFault("board.gpio", told)
        return
    if gpio.chip.startswith("/") or gpio.chip.startswith("gpiochip"):
        told = "is a number that may change; write the label that `gpiodetect` shows"
        yield KeyFault("board.gpio.chip", f"{quoted(gpio.chip)} {told}")
    elif not gpio.chip.strip():
        yield KeyFault("board.gpio.chip", "is blank; write the label that `gpiodetect` shows")
    elif told := name_fault(gpio.chip):
        yield KeyFault("board.gpio.chip", f"{quoted(gpio.chip)} {told}")
    yield from _same_line_twice(gpio)
    if gpio.mode == "hold" and hold_ms > gpio.hold_max_ms:
        told = f"is {gpio.hold_max_ms}, less than passage.hold_ms; raise it or lower that"
        yield KeyFault("board.gpio.hold_max_ms", told)
    if gpio.mode == "hold" and gpio.pulse_ms != PULSE_MS:
        told = f'is {gpio.pulse_ms}, and mode is "hold"; set mode = "pulse", or remove it'
        yield KeyFault("board.gpio.pulse_ms", told)
    if gpio.mode == "pulse" and gpio.pulse_ms > hold_ms:
        told = "is longer than passage.hold_ms, in which the turnstile stays free; shorten it"
        yield KeyFault("board.gpio.pulse_ms", told)
    for name in INPUTS:
        line: InputConfig | None = getattr(gpio, name)
        if line is not None and line.bias == "none" and line.debounce_ms == 0:
            told = "has neither bias nor debounce; an open wire would report without end"
            yield KeyFault(f"board.gpio.{name}", told)


def _same_line_twice(gpio: GpioConfig) -> Iterator[KeyFault]:
    wired = {name: getattr(gpio, name) for name in (*OUTPUTS, *INPUTS)}
    lines = {name: entry.line for name, entry in wired.items() if entry is not None}
    for line, count in Counter(lines.values()).items():
        if count > 1:
            first, *others = (name for name, number in lines.items() if number == line)
            for other in others:
                told = f"is line {line} of {first} too; each needs its own"
                yield KeyFault(f"board.gpio.{other}", told)
