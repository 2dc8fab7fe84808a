"""`turnike check` and the devices: what a lane holds is a note, what does not answer is bad."""

import os
import time
from collections.abc import Iterator, Sequence
from typing import Never

import msgspec
import pytest

from firmware_sim.gpio.chips import Chip, Chips
from tests.support.devices.gpio_gate import ALONE
from validator.check import devices
from validator.check.devices import _answers, examine_devices
from validator.check.finding import Finding
from validator.config import Config
from validator.config.devices import BoardConfig, ReaderConfig
from validator.config.gpio import GpioConfig, OutputConfig
from validator.domain.events import ReaderBack, ReaderEvent, ReaderLost
from validator.lane.boards.gpio.board import GpioBoard
from validator.lane.boards.gpio.lines import ChipError
from validator.lane.boards.port import Port
from validator.lane.readers.absent import AbsentReader
from validator.lane.readers.pcsc import reasons


class MadeReader(AbsentReader):
    """A reader that reports these events, one after the other."""

    def __init__(self, *events: ReaderEvent) -> None:
        super().__init__("")
        self._events = list(events)

    def take(self) -> ReaderEvent | None:
        return self._events.pop(0) if self._events else None


def found(*events: ReaderEvent) -> Sequence[Finding]:
    return list(_answers({"reader": MadeReader(*events)}, {"reader": "usb"}))


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("validator.check.devices.DEVICE_WAIT_NS", 50_000_000)


@pytest.mark.parametrize(
    "reason",
    [
        "rcs380 at usb: in use by another program; every lane needs a reader of its own",
        "keyboard at /dev/input/by-id/a: in use by another program",
        reasons.held("ACS*"),
        reasons.in_use("ACS*", "ACS ACR122U 00 00"),
    ],
)
def test_a_reader_that_a_running_lane_holds_is_a_note(reason: str) -> None:
    assert found(ReaderLost(reason, time.monotonic_ns())) == [Finding("reader", "note", reason)]


def test_a_reader_that_is_gone_is_bad() -> None:
    reason = "rcs380 at usb: unplugged"
    assert found(ReaderLost(reason, time.monotonic_ns())) == [Finding("reader", "bad", reason)]


def test_a_reader_that_comes_back_within_the_wait_is_ok() -> None:
    lost = ReaderLost("rcs380 at usb: unplugged", time.monotonic_ns())
    (answer,) = found(lost, ReaderBack(time.monotonic_ns()))
    assert (answer.mark, answer.text) == ("ok", "usb: answers")


class HeldLine:
    """A serial line that a running lane has locked."""

    def __init__(self) -> None:
        self._ours, self._theirs = os.openpty()
        os.set_blocking(self._ours, False)
        self.path = os.ttyname(self._theirs)
        self._lane = Port(self.path, 115_200)

    def got(self) -> bytes:
        """What somebody has written to it."""
        try:
            return os.read(self._ours, 1_024)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        self._lane.close()
        os.close(self._theirs)
        os.close(self._ours)


@pytest.fixture
def lines() -> Iterator[tuple[HeldLine, HeldLine]]:
    """The lines of a board and of a reader, with a lane on both."""
    board, reader = HeldLine(), HeldLine()
    yield board, reader
    board.close()
    reader.close()


def gate(config: Config, reader: ReaderConfig, board: BoardConfig) -> Config:
    return msgspec.structs.replace(config, reader=reader, board=board)


def held(subject: str, path: str) -> Finding:
    told = f"{path}: held by another process, most likely the lane; read its log"
    return Finding(subject, "note", told)


@pytest.mark.parametrize("driver", ["serial", "lot"])
def test_serial_lines_that_a_running_lane_holds_are_notes_and_hear_nothing(
    config: Config, lines: tuple[HeldLine, HeldLine], driver: str
) -> None:
    board, reader = lines
    of = gate(
        config,
        ReaderConfig(driver="pn532", device=reader.path),
        msgspec.convert({"driver": driver, "device": board.path}, BoardConfig),
    )
    assert list(examine_devices(of)) == [held("board", board.path), held("reader", reader.path)]
    assert board.got() == reader.got() == b"", "a byte of a second program breaks a session"


def test_a_reader_on_a_board_that_a_lane_holds_is_held_too(
    config: Config, lines: tuple[HeldLine, HeldLine]
) -> None:
    path = lines[0].path
    of = gate(config, ReaderConfig(driver="serial"), BoardConfig(device=path))
    assert list(examine_devices(of)) == [held("board", path), held("reader", path)]


@pytest.mark.parametrize("driver", ["rcs380", "pcsc", "keyboard"])
def test_a_reader_without_a_lock_is_asked_beside_a_held_board(
    config: Config,
    lines: tuple[HeldLine, HeldLine],
    monkeypatch: pytest.MonkeyPatch,
    driver: str,
) -> None:
    path = lines[0].path
    reason = f"{driver} at usb: in use by another program; every lane needs a reader of its own"
    lost = MadeReader(ReaderLost(reason, time.monotonic_ns()))
    monkeypatch.setattr(devices, "make_reader", lambda _config, _board: lost)
    reader = msgspec.convert({"driver": driver, "device": "usb"}, ReaderConfig)
    of = gate(config, reader, BoardConfig(device=path))
    assert list(examine_devices(of)) == [held("board", path), Finding("reader", "note", reason)]
    assert lines[0].got() == b""


RELAY_GATE = BoardConfig(
    driver="gpio", gpio=GpioConfig(chip="sim", release=OutputConfig(line=ALONE.release.line))
)


def of_relay(config: Config, monkeypatch: pytest.MonkeyPatch, board: GpioBoard) -> list[Finding]:
    """What is found of a gate with this board and a reader that answers."""
    reader = MadeReader(ReaderBack(time.monotonic_ns()))
    monkeypatch.setattr(devices, "make_board", lambda _config: board)
    monkeypatch.setattr(devices, "make_reader", lambda _config, _board: reader)
    of = gate(config, ReaderConfig(driver="rcs380", device="usb"), RELAY_GATE)
    findings = list(examine_devices(of))
    assert findings[1] == Finding("reader", "ok", "usb: answers")
    return findings[:1]


def test_a_relay_that_a_running_lane_holds_is_a_note_and_does_not_move(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    chip = Chip("sim", lines=12, clock=time.monotonic_ns)
    chips = Chips(chip)
    lane = GpioBoard(ALONE, chips.open_lines)
    lane.take()
    before = dict(chip.high)
    (found,) = of_relay(config, monkeypatch, GpioBoard(ALONE, chips.open_lines))
    assert found.mark == "note"
    assert found.text.startswith("board at chip sim: ")
    assert chip.high == before
    lane.close()


@pytest.mark.parametrize(
    ("consumer", "mark"), [("turnike", "note"), ("spi0 CS0", "bad"), ("", "bad")]
)
def test_a_line_that_no_lane_holds_keeps_the_gate_from_serving(
    config: Config, monkeypatch: pytest.MonkeyPatch, consumer: str, mark: str
) -> None:
    chip = pytest.importorskip("validator.lane.boards.gpio.chip", reason="no extra gpio")
    reason = chip._held_line(0, consumer)

    def refuse(*_: object) -> Never:
        raise ChipError(reason)

    (found,) = of_relay(config, monkeypatch, GpioBoard(ALONE, refuse))
    assert found == Finding("board", mark, f"board at chip sim: {reason}")


def test_a_free_relay_answers(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    chips = Chips(Chip("sim", lines=12, clock=time.monotonic_ns))
    board = GpioBoard(ALONE, chips.open_lines)
    assert of_relay(config, monkeypatch, board) == [Finding("board", "ok", "chip sim: answers")]
