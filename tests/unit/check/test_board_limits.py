"""`turnike check` says what a gate cannot promise with its board."""

from dataclasses import fields, replace

import msgspec
import pytest

from tests.support.gate.checked_gate import found
from validator.check.board_limits import board_limits, examine_board_limits
from validator.config import Config
from validator.config.devices import BoardConfig
from validator.config.gpio import GpioConfig
from validator.lane.boards.serial import ABILITIES
from validator.lane.ports import BoardAbilities

RELAY_ALONE = {"chip": "pinctrl-rp1", "release": {"line": 17}}
MORE = {
    "passage": {"line": 27},
    "emergency": {"line": 22},
    "tamper": {"line": 23},
    "green": {"line": 5},
    "red": {"line": 6},
}


def gate(config: Config, **table: object) -> Config:
    gpio = msgspec.convert(RELAY_ALONE | table, GpioConfig)
    return msgspec.structs.replace(config, board=BoardConfig(driver="gpio", gpio=gpio))


def test_a_board_that_can_do_everything_has_no_limit(config: Config) -> None:
    assert list(board_limits(ABILITIES, config)) == []
    assert found(config, "board") == []


@pytest.mark.parametrize("name", [field.name for field in fields(BoardAbilities)])
def test_each_thing_that_a_board_cannot_do_is_named_alone(config: Config, name: str) -> None:
    told = list(board_limits(replace(ABILITIES, **{name: False}), config))
    # Words replace lamps; the date is part of the words.
    assert len(told) == {"lamps": 0, "date": 0}.get(name, 1)


def test_a_relay_alone_promises_little_and_each_wire_promises_more(config: Config) -> None:
    alone = [finding.text for finding in examine_board_limits(gate(config))]
    assert [text.split(":")[1].strip() for text in alone] == [
        "it acknowledges nothing",
        "no passage sensor",
        "it does not notice who goes through the locked arms",
        "it does not report the emergency release",
        "it does not report an open housing",
        "it shows no outcome",
        "one release for both directions",
    ]
    assert all("\n" not in text for text in alone)
    wired = [finding.text for finding in examine_board_limits(gate(config, **MORE))]
    assert [text.split(":")[1].strip() for text in wired] == [
        "it acknowledges nothing",
        "lamps and tones only",
        "one release for both directions",
    ]


def test_a_passage_nobody_saw_is_explained_by_the_operators_choice(config: Config) -> None:
    ways = {
        way: next(text for text in board_limits_of(config, way) if "no passage sensor" in text)
        for way in ("admit", "try_again")
    }
    assert "one card may pay for several people" in ways["admit"]
    assert "told to try again for 60 s" in ways["try_again"]


def board_limits_of(config: Config, way: str) -> list[str]:
    passage = msgspec.convert({"same_card_after_passing": way}, type(config.passage))
    changed = msgspec.structs.replace(gate(config), passage=passage)
    return [finding.text for finding in examine_board_limits(changed)]
