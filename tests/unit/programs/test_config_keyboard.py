"""[reader.keyboard]: what a reader types is stated whole, or refused in one line."""

from pathlib import Path

import pytest

from tests.unit.programs.test_config import GOOD, written
from validator.config import load
from validator.config.keyboard import KeyboardConfig
from validator.errors import ConfigError

READER = '[reader]\ndriver = "keyboard"\ndevice = "/dev/input/by-id/usb-R-event-kbd"\n'
TYPED = '[reader.keyboard]\nbase = "hex"\norder = "printed"\nbytes = [4, 7]\n'
OTHERS = GOOD.replace('[reader]\ndriver = "pn532"\ndevice = "/dev/r"\n', "")
KEYS = "reader.keyboard"


def refusal(folder: Path, reader: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(written(folder, OTHERS + reader))
    return str(caught.value)


def test_a_table_needs_base_order_and_lengths_alone(tmp_path: Path) -> None:
    config = load(written(tmp_path, OTHERS + READER + TYPED))
    assert config.reader.keyboard == KeyboardConfig(base="hex", order="printed", bytes=(4, 7))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ((TYPED, ""), f"{KEYS}: is missing: what the reader types for a UID; `turnike check"),
        (('base = "hex"\n', ""), f"{KEYS}.base: is missing and has no default"),
        (('order = "printed"\n', ""), f"{KEYS}.order: is missing and has no default"),
        (("bytes = [4, 7]\n", ""), f"{KEYS}.bytes: is missing and has no default"),
        (("[4, 7]", "[]"), f"{KEYS}.bytes"),
        (("[4, 7]", "[5]"), f"{KEYS}.bytes"),
        (("[4, 7]", "[7, 7]"), f"{KEYS}.bytes: has the same length twice"),
        (("[4, 7]", "[4]"), f'{KEYS}.seven_byte_cards: "whole" does not fit bytes = [4]: what'),
        (("[4, 7]", '[7]\nseven_byte_cards = "silent"'), '"silent" does not fit bytes = [7]'),
        (("[4, 7]", '[4]\nseven_byte_cards = "piece"'), '"piece" cannot serve: 4 of 7 bytes may'),
        (("[4, 7]", '[4, 7]\nends_with = "pause"'), f"{KEYS}.bytes: has two lengths, and ends_w"),
        (("[4, 7]", "[7]\nspeed = 1"), f"{KEYS}.speed: is not a key of the configuration"),
        (('"hex"', '"decimal"\nseparator = ":"'), f"{KEYS}.separator: is set; only hex has one"),
        (("by-id/usb-R-event-kbd", "event3"), "reader.device: '/dev/input/event3' changes when"),
        (('device = "/dev/input/by-id/usb-R-event-kbd"\n', ""), "reader.device: is missing; name"),
        (
            ('driver = "keyboard"', 'driver = "pn532"'),
            f"{KEYS}: is set; remove the table, since the driver pn532 types nothing",
        ),
    ],
)
def test_a_table_that_would_guess_or_confuse_cards_is_refused_in_one_line(
    tmp_path: Path, change: tuple[str, str], told: str
) -> None:
    message = refusal(tmp_path, (READER + TYPED).replace(*change, 1))
    assert told in message
    assert "\n" not in message


@pytest.mark.parametrize("kind", ["marked", "silent"])
def test_a_reader_of_short_uids_alone_says_what_it_does_with_long_ones(
    tmp_path: Path, kind: str
) -> None:
    typed = TYPED.replace("[4, 7]", f'[4]\nseven_byte_cards = "{kind}"')
    config = load(written(tmp_path, OTHERS + READER + typed))
    assert config.reader.keyboard is not None
    assert config.reader.keyboard.seven_byte_cards == kind
