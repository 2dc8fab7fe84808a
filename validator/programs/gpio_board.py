"""The board gpio from its table of the configuration, or AbsentBoard without the library."""

from validator.config.gpio import GpioConfig, InputConfig, OutputConfig
from validator.lane.boards.absent import AbsentBoard
from validator.lane.boards.gpio.board import GpioBoard
from validator.lane.boards.gpio.wiring import Input, Output, Wiring
from validator.lane.ports import Board


def make_gpio_board(gpio: GpioConfig | None) -> Board:
    """Return the board, not yet opened."""
    wired = wiring(gpio)
    try:
        from validator.lane.boards.gpio.chip import open_lines  # noqa: PLC0415
    except ImportError:  # a gpiod 1.x is there, or none: it has none of the names of 2.x
        return AbsentBoard(
            "board gpio: the Python package gpiod 2 is missing; install python3-libgpiod (Debian 13"
            " and later), or pip install 'turnike[gpio]', and start the lane again"
        )
    return GpioBoard(wired, open_lines)


def wiring(gpio: GpioConfig | None) -> Wiring:
    """Return the wiring that [board.gpio] describes."""
    if gpio is None:
        raise TypeError("the driver gpio needs its table; the configuration excludes this")
    return Wiring(
        chip=gpio.chip,
        release=_wired_output(gpio.release),
        pulse_ms=gpio.pulse_ms if gpio.mode == "pulse" else 0,
        hold_max_ms=gpio.hold_max_ms,
        settle_ms=gpio.settle_ms,
        passage=_input(gpio.passage),
        forced=_input(gpio.forced),
        emergency=_input(gpio.emergency),
        tamper=_input(gpio.tamper),
        green=_output(gpio.green),
        red=_output(gpio.red),
        amber=_output(gpio.amber),
        buzzer=_output(gpio.buzzer),
    )


def _output(line: OutputConfig | None) -> Output | None:
    return None if line is None else _wired_output(line)


def _wired_output(line: OutputConfig) -> Output:
    return Output(line.line, line.active == "low")


def _input(line: InputConfig | None) -> Input | None:
    if line is None:
        return None
    return Input(line.line, line.active == "low", line.bias, line.debounce_ms)
