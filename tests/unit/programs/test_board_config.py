"""[board] of a gate's configuration: each driver with its keys, and each fault as one line."""

import builtins
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from validator.config import Config, load
from validator.domain.events import BoardLost
from validator.errors import ConfigError
from validator.lane.boards.gpio.board import GpioBoard
from validator.lane.boards.gpio.wiring import Input, Output
from validator.lane.boards.lot import ABILITIES as LOT
from validator.lane.boards.lot.board import LotBoard
from validator.lane.boards.serial.board import SerialBoard
from validator.programs.devices import board_abilities, make_board
from validator.programs.gpio_board import wiring

EXAMPLE = Path(__file__).parents[3] / "config" / "validator.example.toml"
GATE = """
gate_id = "a"
[reader]
driver = "pn532"
device = "/dev/r"
[list]
folder = "/l"
keys = "/k"
stale = "decide"
missing = "deny"
[reports]
folder = "/o"
"""
RELAY = 'driver = "gpio"\n[board.gpio]\nchip = "pinctrl-rp1"\nrelease = { line = 17 }\n'
SERIAL = 'device = "/dev/b"\n'


def gate(folder: Path, board: str) -> Config:
    path = folder / "v.toml"
    path.write_text(f"{GATE}[board]\n{board}")
    return load(path)


def test_a_file_from_before_there_were_drivers_is_a_serial_board(tmp_path: Path) -> None:
    config = gate(tmp_path, SERIAL)
    assert config.board.driver == "serial"
    assert isinstance(make_board(config), SerialBoard)
    assert board_abilities(config).passage


def test_a_relay_alone_is_a_gpio_board_that_holds_it(tmp_path: Path) -> None:
    config = gate(tmp_path, RELAY)
    wired = wiring(config.board.gpio)
    assert (wired.chip, wired.release, wired.pulse_ms) == ("pinctrl-rp1", Output(17), 0)
    assert wired.inputs == ()
    assert not board_abilities(config).passage


def test_the_lines_of_the_example_are_a_good_board(tmp_path: Path) -> None:
    lines = (
        EXAMPLE.read_text().split("# [board.gpio]")[1].split("# [board.lot]")[0].splitlines()[1:]
    )
    table = "\n".join(line.removeprefix("# ") for line in lines if line.startswith("# "))
    assert set(tomllib.loads(table)) == set(wiring_keys())
    config = gate(tmp_path, f'driver = "gpio"\n[board.gpio]\n{table}')
    wired = wiring(config.board.gpio)
    assert wired.emergency == Input(22, active_low=False)
    assert wired.passage == Input(27)
    can = board_abilities(config)
    assert can.passage
    assert can.emergency
    assert can.lamps


def wiring_keys() -> list[str]:
    from validator.config.gpio import GpioConfig  # noqa: PLC0415

    return list(GpioConfig.__struct_fields__)


@pytest.mark.parametrize(
    ("board", "told"),
    [
        ("", "board.device: is missing; the driver serial needs its serial line"),
        (SERIAL + 'driver = "usb"', 'not "usb"'),
        (
            SERIAL + RELAY,
            (
                "board.device: is set; remove it, since the driver gpio finds its chip by "
                "board.gpio.chip"
            ),
        ),
        ('driver = "gpio"', "board.gpio: is missing; the driver gpio needs the chip and its lines"),
        (
            SERIAL + '[board.gpio]\nchip = "a"\nrelease = { line = 1 }',
            "board.gpio: is set; remove the table, since the driver serial has no GPIO lines",
        ),
        (
            'driver = "gpio"\n[board.gpio]\nchip = "a"\n',
            "board.gpio.release: is missing and has no default",
        ),
        (
            RELAY.replace("pinctrl-rp1", "gpiochip0"),
            (
                "board.gpio.chip: 'gpiochip0' is a number that may change; write the label that "
                "`gpiodetect` shows"
            ),
        ),
        (
            RELAY.replace("pinctrl-rp1", "/dev/gpiochip0"),
            "board.gpio.chip: '/dev/gpiochip0' is a number that may change",
        ),
        (
            RELAY + "red = { line = 5 }\ntamper = { line = 5 }",
            "board.gpio.tamper: is line 5 of red too; each needs its own",
        ),
        (
            RELAY + "buzzer = { line = 17 }",
            "board.gpio.buzzer: is line 17 of release too; each needs its own",
        ),
        (
            RELAY + "hold_max_ms = 4999",
            "board.gpio.hold_max_ms: is 4999, less than passage.hold_ms; raise it or lower that",
        ),
        (
            RELAY + 'passage = { line = 2, bias = "none", debounce_ms = 0 }',
            "board.gpio.passage: has neither bias nor debounce; an open wire would report without",
        ),
        ('driver = "lot"', "board.device: is missing; the driver lot needs its serial line"),
        (
            SERIAL + 'driver = "lot"\n[board.lot]\naddress = 33',
            "board.lot.address: must be a whole number from 1 to 32",
        ),
        (
            SERIAL + "[board.lot]\naddress = 3",
            "board.lot: is set; remove the table, since the driver serial asks no such turnstile",
        ),
        (RELAY + "lamp = { line = 2 }", "board.gpio.lamp: is not a key of the configuration"),
        (RELAY + "red = { line = -1 }", "board.gpio.red.line: must be a whole number"),
        (
            RELAY + 'red = { line = 2, active = "on" }',
            'board.gpio.red.active: must be "high" or "low", not "on"',
        ),
    ],
)
def test_a_fault_is_one_line_with_file_and_key(tmp_path: Path, board: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        gate(tmp_path, board)
    message = str(caught.value)
    assert told in message
    assert message.startswith(f"{tmp_path}/v.toml: ")
    assert "\n" not in message


def test_a_pulse_longer_than_the_arms_are_free_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"board\.gpio\.pulse_ms: is longer than passage\.hold_ms"
    ):
        gate(
            tmp_path,
            RELAY + 'mode = "pulse"\npulse_ms = 600\n[passage]\nhold_ms = 500',
        )
    assert gate(tmp_path, RELAY + 'mode = "pulse"\n').board.gpio is not None


def test_the_reader_of_a_serial_board_needs_one(tmp_path: Path) -> None:
    path = tmp_path / "v.toml"
    reader = '[reader]\ndriver = "serial"\n'
    text = GATE.replace('[reader]\ndriver = "pn532"\ndevice = "/dev/r"\n', reader)
    path.write_text(f"{text}[board]\n{RELAY}")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert "reader.driver: is serial, and a board of the driver gpio reads no cards" in str(
        caught.value
    )


def test_a_lot_turnstile_has_its_address(tmp_path: Path) -> None:
    for more, address in (("", 1), ("[board.lot]\naddress = 32\n", 32)):
        config = gate(tmp_path, f'driver = "lot"\n{SERIAL}{more}')
        board = make_board(config)
        assert isinstance(board, LotBoard)
        assert board._address == address
        assert board_abilities(config) == LOT
        board.close()


@pytest.mark.parametrize("error", [ImportError("none"), ImportError("cannot import name 'line'")])
def test_a_missing_library_is_a_lost_board_that_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: ImportError
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> ModuleType:
        if name == "validator.lane.boards.gpio.chip":
            raise error
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    board = make_board(gate(tmp_path, RELAY))
    event = board.take()
    assert isinstance(event, BoardLost)
    assert "python3-libgpiod" in event.reason
    assert "turnike[gpio]" in event.reason
    assert "\n" not in event.reason
    assert board.take() is None
    board.close()


def test_the_library_of_the_lock_file_opens_a_board(tmp_path: Path) -> None:
    pytest.importorskip("gpiod", reason="the extra gpio is not installed")
    board = make_board(gate(tmp_path, RELAY.replace("pinctrl-rp1", "no-such-chip")))
    assert isinstance(board, GpioBoard)
    event = board.take()
    assert isinstance(event, BoardLost), "this machine has no chip of that label"
    assert event.reason.startswith("board at chip no-such-chip: ")
    board.close()
