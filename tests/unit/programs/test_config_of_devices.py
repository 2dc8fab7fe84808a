"""[reader] and [board]: what one driver takes for another, what has no effect, what is no name."""

from pathlib import Path

import pytest

from tests.unit.programs.test_config import GOOD, written
from validator.config import Config, load
from validator.errors import ConfigError

OTHERS = GOOD[: GOOD.index("[reader]")] + GOOD[GOOD.index("[list]") :]
SERIAL = '[board]\ndevice = "/dev/b"\n'
RELAY = '[board]\ndriver = "gpio"\n[board.gpio]\nchip = "c"\nrelease = { line = 17 }\n'
LOT = '[board]\ndriver = "lot"\ndevice = "/dev/b"\n[board.lot]\n'
TYPED = '[reader.keyboard]\nbase = "hex"\norder = "printed"\nbytes = [7]\n'
NAMES = "names no reader of pcscd; write a pattern of a reader's name, as pcsc_scan shows it"
USB = 'is no USB device; write "usb", "usb:serial=NUMBER" or "usb:port=PATH", such as'
NO_PATH = "is not an absolute path; write one that begins with /"


def reader(driver: str, device: str, more: str = "") -> str:
    return f'[reader]\ndriver = "{driver}"\ndevice = "{device}"\n{more}\n'


def gate(folder: Path, *tables: str) -> Config:
    return load(written(folder, OTHERS + "\n".join(tables)))


def refusal(folder: Path, *tables: str) -> str:
    """The one line about these tables, without the file's name."""
    with pytest.raises(ConfigError) as caught:
        gate(folder, *tables)
    message = str(caught.value)
    file, _, told = message.partition(": ")
    assert file == f"{folder}/v.toml"
    assert message.isprintable(), "one line, without control characters"
    assert len(message) < len(file) + 300
    return told


PN532 = reader("pn532", "/dev/r")


@pytest.mark.parametrize(
    ("driver", "device", "told"),
    [
        ("pcsc", "/dev/ttyUSB0", f"'/dev/ttyUSB0' {NAMES}"),
        ("pcsc", "/dev/bus/usb/001/004", f"'/dev/bus/usb/001/004' {NAMES}"),
        ("pcsc", "usb", f"'usb' {NAMES}"),
        ("pcsc", "usb:port=1-1.2", f"'usb:port=1-1.2' {NAMES}"),
        ("rcs380", "/dev/ttyUSB0", f"'/dev/ttyUSB0' {USB}"),
        ("rcs380", "ACS ACR122U", f"'ACS ACR122U' {USB}"),
        ("rcs380", "usb:port=", f"'usb:port=' {USB}"),
        ("rcs380", "usb:port=2", f"'usb:port=2' {USB}"),
        ("rcs380", "usb:port=1-1:1.0", f"'usb:port=1-1:1.0' {USB}"),
        ("rcs380", "usb:port=١-١", f"'usb:port=١-١' {USB}"),
        ("rcs380", f"usb:serial={'1' * 127}", f"'usb:serial={'1' * 49}…' {USB}"),
        ("pn532", "usb", f"'usb' {NO_PATH}"),
        ("pn532", "ttyUSB0", f"'ttyUSB0' {NO_PATH}"),
        ("pn532", "ACS ACR122U", f"'ACS ACR122U' {NO_PATH}"),
        ("serial", "/dev/b2", "is set; remove it, since the driver serial reads cards through"),
    ],
)
def test_a_device_of_another_driver_is_refused(
    tmp_path: Path, driver: str, device: str, told: str
) -> None:
    assert refusal(tmp_path, reader(driver, device), SERIAL).startswith(f"reader.device: {told}")


@pytest.mark.parametrize(
    "pattern", ["ACS ACR122U [1]*", "[", "]", "[!", "*", "A[", "ACS ACR1252 Reader [ACR1252 PICC]"]
)
def test_a_pattern_may_have_brackets_whole_or_not(tmp_path: Path, pattern: str) -> None:
    assert gate(tmp_path, reader("pcsc", pattern), SERIAL).reader.device == pattern


@pytest.mark.parametrize("pattern", ["", " ", "\\t"])
def test_an_empty_pattern_is_refused(tmp_path: Path, pattern: str) -> None:
    told = "reader.device: is missing; the driver pcsc needs a pattern of a reader's name"
    assert refusal(tmp_path, reader("pcsc", pattern), SERIAL).startswith(told)


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        ((reader("rcs380", "usb", "baud = 115200"), SERIAL), "reader.baud: is 115200, and the d"),
        ((reader("pcsc", "A", "baud = 230400"), SERIAL), "reader.baud: is 230400, and the driver"),
        ((reader("serial", "", "max_targets = 1"), SERIAL), "reader.max_targets: is 1, and the d"),
        (
            (reader("keyboard", "/dev/k", f"max_targets = 1\n{TYPED}"), SERIAL),
            "reader.max_targets: is 1, and the driver keyboard has no such setting; remove it",
        ),
        (
            (reader("keyboard", "/dev/k", f"read_number = true\n{TYPED}"), SERIAL),
            "reader.read_number: is true, and the driver keyboard passes no APDUs to a card; rem",
        ),
        ((reader("pcsc", "A", TYPED), SERIAL), "reader.keyboard: is set; remove the table, since"),
        ((reader("rcs380", "usb", TYPED), SERIAL), "reader.keyboard: is set; remove the table"),
        (
            (PN532, RELAY + "pulse_ms = 500"),
            'board.gpio.pulse_ms: is 500, and mode is "hold"; set mode = "pulse", or remove it',
        ),
        (
            (PN532, LOT + '[board.gpio]\nchip = "c"\nrelease = { line = 1 }'),
            "board.gpio: is set; remove the table, since the driver lot has no GPIO lines",
        ),
        (
            (PN532, RELAY + "[board.lot]\naddress = 1"),
            "board.lot: is set; remove the table, since the driver gpio asks no such turnstile",
        ),
        (
            (PN532, RELAY + "red = { line = 3, debounce_ms = 3 }"),
            "board.gpio.red.debounce_ms: is not a key of the configuration; it belongs under",
        ),
    ],
)
def test_a_key_without_effect_is_refused(
    tmp_path: Path, tables: tuple[str, ...], told: str
) -> None:
    assert refusal(tmp_path, *tables).startswith(told)


@pytest.mark.parametrize("driver", ["rcs380", "serial", "pcsc", "keyboard"])
def test_the_defaults_of_the_example_may_stay_with_any_driver(tmp_path: Path, driver: str) -> None:
    device = {"rcs380": "usb", "pcsc": "A", "serial": "", "keyboard": "/dev/k"}[driver]
    more = "max_targets = 2\nbaud = 921600\nread_number = false\n"
    more += TYPED if driver == "keyboard" else ""
    assert gate(tmp_path, reader(driver, device, more), SERIAL).reader.driver == driver


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        (
            (reader("pn532", "/dev/r", "max_targets = 3"), SERIAL),
            "max_targets: must be 1 or 2, not 3",
        ),
        (
            (reader("pn532", "/dev/r", 'max_targets = "2"'), SERIAL),
            'max_targets: must be 1 or 2, not "2"; see',
        ),
        ((reader("pn532", "/dev/r", "baud = 9600"), SERIAL), "460800 or 921600, not 9600; see"),
        (
            (reader("keyboard", "/dev/k", TYPED.replace("[7]", '["7"]')), SERIAL),
            'reader.keyboard.bytes[0]: must be 4, 7 or 10, not "7"; see',
        ),
        (
            (reader("keyboard", "/dev/k", TYPED.replace("[7]", "7")), SERIAL),
            "reader.keyboard.bytes: must be a list [...] of 1 to 3 entries, not 7",
        ),
        (
            (reader("keyboard", "/dev/k", 'keyboard = "hex"'), SERIAL),
            'reader.keyboard: must be a table, not "hex"',
        ),
        (
            (PN532, LOT + "address = 0"),
            "board.lot.address: must be a whole number from 1 to 32, not 0",
        ),
        ((PN532, LOT + 'address = "1"'), 'a whole number from 1 to 32, not "1"'),
        ((PN532, LOT + "address = 1.5"), "a whole number from 1 to 32, not 1.5"),
        ((PN532, LOT + "address = true"), "a whole number from 1 to 32, not true"),
        (
            (PN532, RELAY + "red = { line = 1024 }"),
            "board.gpio.red.line: must be a whole number from 0 to 1023, not 1024",
        ),
        (
            (PN532, RELAY + f"red = {{ line = {'9' * 400} }}"),
            f"from 0 to 1023, not {'9' * 59}…; see",
        ),
        ((PN532, RELAY + "red = 3"), "board.gpio.red: must be a table, not 3"),
        (
            (PN532, RELAY + "tamper = { line = 3, debounce_ms = 1001 }"),
            "board.gpio.tamper.debounce_ms: must be a whole number from 0 to 1000, not 1001",
        ),
        ((PN532, RELAY + "settle_ms = 1501"), "settle_ms: must be a whole number from 0 to 1500"),
        (
            (PN532, RELAY.replace('"c"', '""')),
            'board.gpio.chip: must be text in "quotes" of 1 to 32 characters, not ""',
        ),
        (
            (PN532, RELAY.replace('"c"', f'"{"c" * 33}"')),
            'board.gpio.chip: must be text in "quotes" of 1 to 32 characters, not "ccc',
        ),
        ((PN532, RELAY.replace('"c"', '"  "')), "board.gpio.chip: is blank; write the label that"),
    ],
)
def test_a_value_out_of_range_or_of_another_type_is_told_with_what_to_write(
    tmp_path: Path, tables: tuple[str, ...], told: str
) -> None:
    assert told in refusal(tmp_path, *tables)


@pytest.mark.parametrize(
    ("character", "shown"),
    [("\\u001b[2J", r"'\x1b'"), ("\\n", r"'\n'"), ("\\u0085", r"'\x85'"), ("\\u007f", r"'\x7f'")],
)
@pytest.mark.parametrize(
    ("key", "tables"),
    [
        ("reader.device", (reader("pn532", "/dev/r@"), SERIAL)),
        ("reader.device", (reader("pcsc", "ACS@ACR"), SERIAL)),
        ("reader.device", (reader("keyboard", "/dev/k@", TYPED), SERIAL)),
        ("board.device", (PN532, SERIAL.replace("/dev/b", "/dev/b@"))),
        ("board.device", (PN532, LOT.replace("/dev/b", "/dev/b@"))),
        ("board.gpio.chip", (PN532, RELAY.replace('"c"', '"c@"'))),
    ],
)
def test_a_control_character_reaches_no_driver_and_no_terminal(
    tmp_path: Path, key: str, tables: tuple[str, ...], character: str, shown: str
) -> None:
    told = refusal(tmp_path, *(table.replace("@", character) for table in tables))
    assert told.startswith(f"{key}: '")
    assert told.endswith(f"has the control character {shown}; no name has one: write it again")


def test_a_zero_byte_is_called_by_its_name(tmp_path: Path) -> None:
    told = refusal(tmp_path, reader("pn532", "/dev/r\\u0000"), SERIAL)
    assert told == r"reader.device: '/dev/r\x00' has a zero byte; no name has one: write it again"


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        (
            (reader("pn532", f"/{'ş' * 2_048}"), SERIAL),
            "…' has 4097 bytes; a name has at most 4095",
        ),
        ((reader("pn532", "u" * 9_000), SERIAL), "…' has 9000 bytes; a name has at most 4095"),
        ((reader("pcsc", "A" * 513), SERIAL), "…' has 513 bytes; a name has at most 512"),
        ((reader("rcs380", "usb" * 3_000), SERIAL), USB),
        ((PN532, SERIAL.replace("/b", "/b" * 3_000)), "board.device: '/dev/b/b"),
        ((PN532, RELAY.replace('"c"', f'"gpiochip{"0" * 20}"')), "is a number that may change"),
    ],
)
def test_a_very_long_name_is_refused_in_a_short_line(
    tmp_path: Path, tables: tuple[str, ...], told: str
) -> None:
    assert told in refusal(tmp_path, *tables)


@pytest.mark.parametrize("device", ["/dev/b", "/dev/./b", "/dev//b", "/dev/x/../b"])
def test_two_spellings_of_one_line_are_the_same_line(tmp_path: Path, device: str) -> None:
    told = "reader.device: is the same line as board.device; each needs its own"
    assert refusal(tmp_path, reader("pn532", device), SERIAL) == told
    assert refusal(tmp_path, reader("pn532", device), LOT) == told
