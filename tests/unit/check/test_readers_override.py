"""`turnike check --readers --driver NAME --key KEY=VALUE`: another driver for one try."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.unit.check import test_serial_adapters as adapters
from validator.check.readers import FoundReader, Override, found_readers, listing, override, trial
from validator.check.readers import try_one as try_reader
from validator.check.readers.found import lines_of
from validator.check.readers.trial import config_of
from validator.config.devices import ReaderConfig
from validator.errors import OperatorError
from validator.lane.ports import Reader
from validator.lane.readers.absent import AbsentReader
from validator.programs.devices import reader_drivers

PN532 = FoundReader("USB-UART adapter CH340", "here", lines_of("pn532", "/dev/a"))
SONY = FoundReader("Sony RC-S380/P", "here", lines_of("rcs380", "usb"))
DECIMAL = (
    "keyboard.base=decimal",
    "keyboard.order=printed",
    "keyboard.bytes=[4]",
    "keyboard.seven_byte_cards=silent",
)


def opened_by(
    monkeypatch: pytest.MonkeyPatch, found: list[FoundReader], number: int, named: Override
) -> ReaderConfig:
    """Return the configuration with which the try opens its reader."""
    monkeypatch.setattr(trial, "READY_S", 0.0)
    opened: list[ReaderConfig] = []

    def open_(reader: ReaderConfig, _locks: Path) -> Reader:
        opened.append(reader)
        return AbsentReader("gone")

    assert not try_reader(found, number, 0.0, identify=False, override=named, open_=open_)
    (config,) = opened
    return config


def test_a_key_is_used_for_the_try_and_its_lines_are_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = opened_by(monkeypatch, [SONY, PN532], 2, Override(keys=("baud=115200",)))
    assert (config.driver, config.device, config.baud) == ("pn532", "/dev/a", 115_200)
    printed = [line.strip() for line in capsys.readouterr().out.splitlines()[:4]]
    assert printed == ["[reader]", 'driver = "pn532"', 'device = "/dev/a"', "baud = 115200"]


def test_a_reader_that_is_not_in_the_list_is_tried_by_its_driver_and_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = opened_by(monkeypatch, [], 0, Override("pn532", ("device=/dev/reader",)))
    assert (config.driver, config.device) == ("pn532", "/dev/reader")


def test_a_reader_that_types_is_tried_with_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    link = "/dev/input/by-id/a"
    named = Override("keyboard", (f"device={link}", *DECIMAL))
    config = opened_by(monkeypatch, [], 0, named)
    assert config.keyboard is not None
    assert (config.device, config.keyboard.base, config.keyboard.bytes) == (link, "decimal", (4,))


def test_any_driver_of_a_serial_line_is_tried_at_one_and_named_in_the_list(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module in (listing, override):
        monkeypatch.setattr(module, "AT_A_SERIAL_LINE", ("pn532", "keyboard"))
    adapters.plug(tmp_path / "sys", "ttyUSB0", "1-1.2", "1a86:7523")
    adapters.link(tmp_path / "dev", "serial/by-path/a", "ttyUSB0")
    (found,) = found_readers(tmp_path, lambda _: True, list)
    assert found.notes[0] == (
        "a place for a reader (driver pn532 or keyboard, tried by --driver keyboard), or for a"
        " board"
    )
    config = opened_by(monkeypatch, [found], 1, Override("keyboard", DECIMAL))
    assert (config.driver, config.device) == ("keyboard", "/dev/serial/by-path/a")


@pytest.mark.parametrize(
    ("found", "driver", "keys", "told"),
    [
        (PN532, "pn533", (), "there is no such driver of a reader; there are keyboard, pcsc, pn"),
        (PN532, "serial", (), "there is no such driver"),
        (PN532, "pcsc", (), "USB-UART adapter CH340 cannot be one; it is tried with pn532"),
        (SONY, "pn532", (), "Sony RC-S380/P cannot be one; it is tried with rcs380"),
        (PN532, "", ("baud",), "--key baud: write KEY=VALUE"),
        (PN532, "", ("driver=pcsc",), "--driver names the driver"),
        (PN532, "", ("baud=115200", "baud=921600"), "each key of [reader] once"),
        (PN532, "", ("boud=115200",), "boud: is not a key of the configuration"),
        (PN532, "", ("baud=9600",), "baud: "),
        (PN532, "", ("baud=" + "[" * 5_000,), "baud: "),
        (PN532, "", ("device=reader",), "reader.device: 'reader' is not an absolute path"),
        (PN532, "", ("device=",), "reader.device: is missing"),
        (PN532, "", ("device=5",), "device: "),
        (PN532, "", ("keyboard.base=hex",), "keyboard.order: is missing"),
        (PN532, "", ("keyboard=5", "keyboard.base=hex"), "keyboard: must be a table"),
        (PN532, "", DECIMAL, "reader.keyboard: is set; remove the table"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    found: FoundReader, driver: str, keys: tuple[str, ...], told: str
) -> None:
    with pytest.raises(OperatorError) as refused:
        Override(driver, keys).lines_for(found)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\x7fb", "a\x01b", "ä\U0001f600"])
def test_the_lines_of_any_name_are_toml(text: str) -> None:
    assert config_of(lines_of("pcsc", text)).device == text


def test_a_device_with_quotes_is_tried_as_it_is() -> None:
    found = FoundReader("a slot", "here", lines_of("pcsc", "Sony"))
    lines = Override(keys=('device=A "B"',)).lines_for(found)
    assert config_of(lines).device == 'A "B"'


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--driver", "pn532"], "need --readers"),
        (["--key", "baud=115200"], "need --readers"),
        (["--readers", "--key", "baud=115200"], "need a reader: --try NUMBER"),
        (["--readers", "--driver", "pn532"], "need a reader: --try NUMBER"),
        (["--readers", "--driver", "pn533"], "there is no such driver"),
    ],
)
def test_options_that_lack_what_belongs_to_them_are_refused(options: list[str], told: str) -> None:
    from validator.cli import main  # noqa: PLC0415  # it guards this process's standard output

    ended = CliRunner().invoke(main, ["check", *options])
    assert told in f"{ended.output}{ended.exception}"
    assert isinstance(ended.exception, OperatorError) or ended.exit_code == 2


def test_every_driver_but_the_boards_own_can_be_named() -> None:
    words = ReaderConfig.__annotations__["driver"].__args__
    assert {*reader_drivers()} == {*words} - {"serial"}
