"""`turnike check --readers` with a reader that types: from known cards to lines to write."""

import os
import time
from collections.abc import Iterator

import pytest

from validator.check.readers import learning
from validator.check.readers.learning import Learnt, Unfit, learn_reader
from validator.lane.readers.keyboard.keys import EV_KEY, PRESS, RELEASE
from validator.lane.readers.keyboard.lines import InputEvent

DIGITS = dict(zip("1234567890", range(2, 12), strict=True))
ENTER = 28


class TypingDevice:
    """An input device on which the test types, in place of validator's InputDevice."""

    def __init__(self, path: str) -> None:
        assert path == "/dev/input/by-id/a"
        self.opened_ns = time.monotonic_ns() - 10_000_000_000
        self._read, self._write = os.pipe2(os.O_NONBLOCK)
        self._events: list[InputEvent] = []
        self.closed = False

    def types(self, text: str) -> None:
        for key in (*(DIGITS[each] for each in text), ENTER):
            for value in (PRESS, RELEASE):
                self._events.append(InputEvent(time.monotonic_ns(), EV_KEY, key, value))
        os.write(self._write, b"x")

    def fileno(self) -> int:
        return self._read

    def read(self) -> list[InputEvent]:
        events, self._events = self._events, []
        if events:
            os.read(self._read, 1)
        return events

    def close(self) -> None:
        self.closed = True
        os.close(self._read)
        os.close(self._write)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[TypingDevice]]:
    made: list[TypingDevice] = []

    def open_(path: str) -> TypingDevice:
        made.append(TypingDevice(path))
        return made[0]

    monkeypatch.setattr(learning, "InputDevice", open_)
    yield made
    assert all(each.closed for each in made)


def learnt(device: list[TypingDevice], cards: list[tuple[str, str]]) -> tuple[object, list[str]]:
    """Lay these cards, each a UID and what is typed; return the finding and all printed lines."""
    laid = iter(cards)
    typed: list[str] = []
    said: list[str] = []

    def ask(_prompt: str) -> str:
        uid, text = next(laid)
        typed.append(text)
        return uid

    def say(line: str) -> None:
        said.append(line)
        if line.startswith("now lay that card"):
            device[0].types(typed.pop())

    return learn_reader("/dev/input/by-id/a", 60.0, ask, say), said


def test_a_card_of_seven_bytes_gives_the_lines(device: list[TypingDevice]) -> None:
    uid = "04112233445566"
    finding, _ = learnt(device, [(uid, uid)])
    assert isinstance(finding, Learnt)
    assert 'base = "hex"' in finding.lines
    assert 'order = "printed"' in finding.lines


def test_a_card_of_four_bytes_asks_for_one_of_seven(device: list[TypingDevice]) -> None:
    finding, said = learnt(device, [("11223344", "11223344"), ("04112233445566", "04112233445566")])
    assert isinstance(finding, Learnt)
    assert any("7 bytes" in line for line in said)


def test_a_reader_that_types_a_part_is_called_unfit(device: list[TypingDevice]) -> None:
    finding, _ = learnt(device, [("04112233445566", "33445566")])
    assert isinstance(finding, Unfit)


def test_a_uid_that_is_none_is_asked_again(device: list[TypingDevice]) -> None:
    answers = iter(["no uid", "04112233445566"])
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if line.startswith("now lay that card"):
            device[0].types("04112233445566")

    assert isinstance(
        learn_reader("/dev/input/by-id/a", 60.0, lambda _: next(answers), say), Learnt
    )
    assert "write the UID in hex" in said[0]
