"""What is true of a board's own reader alone: two ports on one line, and cards that wait."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contracts.boards.rig import open_board
from tests.contracts.loop import Loop
from tests.contracts.readers.rigs import BoardReaderRig
from validator.domain.events import (
    BoardBack,
    BoardLost,
    CardSeen,
    Clash,
    Emergency,
    Forced,
    ReaderBack,
    ReaderLost,
    Tamper,
)
from validator.lane.boards.serial.board import SerialBoard
from validator.lane.boards.serial.card_tray import CARD_AGE_MAX_NS
from validator.lane.readers.board_reader import BoardReader

UID = "0489ab12cd34ef"


@contextmanager
def shared_line(path: str) -> Iterator[tuple[SerialBoard, BoardReader]]:
    """A board and its own reader on one line, as the lane has them, both back and at rest."""
    board = open_board(path)
    reader = BoardReader(board)
    try:
        assert isinstance(Loop(board).event(), BoardBack)
        assert isinstance(Loop(board).event(), Emergency)
        assert isinstance(Loop(board).event(), Tamper)
        assert isinstance(Loop(reader).event(0.0), ReaderBack)
        yield board, reader
    finally:
        reader.close()
        board.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[BoardReaderRig]:
    rig = BoardReaderRig(tmp_path / "board")
    yield rig
    rig.close()


def test_asking_a_board_without_an_event_takes_no_time(rig: BoardReaderRig) -> None:
    with shared_line(rig.path) as (board, _):
        started = time.monotonic()
        for _ in range(100):
            assert board.take() is None
        assert time.monotonic() - started < 1.0


def test_a_card_that_is_read_in_the_boards_turn_is_due_at_once(rig: BoardReaderRig) -> None:
    with shared_line(rig.path) as (board, reader):
        reader.arm()
        rig.present(UID)
        rig.status()  # so the event is on the line
        assert board.take() is None
        assert reader.deadline_ns() == 0
        assert isinstance(Loop(reader).event(0.0), CardSeen)


def test_an_event_that_is_read_in_the_readers_turn_is_due_at_once(rig: BoardReaderRig) -> None:
    with shared_line(rig.path) as (board, reader):
        rig.say("push", "forced")
        rig.status()
        assert reader.take() is None
        assert board.deadline_ns() == 0
        assert isinstance(Loop(board).event(0.0), Forced)


def test_both_ports_report_the_loss_of_their_line(rig: BoardReaderRig) -> None:
    with shared_line(rig.path) as (board, reader):
        rig.unplug()
        lost = Loop(reader).event()
        assert isinstance(lost, ReaderLost)
        assert Loop(board).event(0.0) == BoardLost(lost.reason, lost.at_ns)


def test_a_card_that_waits_for_an_unarmed_reader_does_not_hurry_the_loop(
    rig: BoardReaderRig,
) -> None:
    with shared_line(rig.path) as (board, reader):
        rig.present(UID)
        rig.status()
        assert Loop(reader).event(0.0) is None
        assert reader.deadline_ns() == board.deadline_ns() > 0
        reader.arm()
        assert reader.deadline_ns() == 0


def test_a_card_that_comes_before_the_state_of_the_boards_reader_waits_for_it(
    rig: BoardReaderRig,
) -> None:
    rig.fault("silent=1")
    board = open_board(rig.path)
    reader = BoardReader(board)
    try:
        assert isinstance(Loop(board).event(), BoardBack)
        rig.present(UID)
        reader.arm()
        assert isinstance(Loop(reader).event(), ReaderBack)
        reader.arm()
        assert isinstance(Loop(reader).event(), CardSeen)
    finally:
        board.close()


def test_a_card_that_waits_when_the_line_is_lost_is_not_reported_after_it(
    rig: BoardReaderRig,
) -> None:
    with shared_line(rig.path) as (_, reader):
        listener = Loop(reader)
        rig.present(UID)
        rig.status()
        assert listener.event(0.0) is None
        rig.remove()
        rig.unplug()
        assert isinstance(listener.event(), ReaderLost)
        rig.replug()
        while not isinstance(listener.event(), ReaderBack):
            pass
        reader.arm()
        assert listener.event(0.3) is None


def test_cards_are_reported_one_for_each_arming_in_their_order(rig: BoardReaderRig) -> None:
    with shared_line(rig.path) as (_, reader):
        rig.present(UID)
        rig.remove()
        rig.clash(UID, "0411223344aabb")
        rig.status()
        reader.arm()
        listener = Loop(reader)
        assert isinstance(listener.event(), CardSeen)
        assert listener.event(0.3) is None
        reader.arm()
        assert isinstance(listener.event(), Clash)


def test_a_reader_that_the_board_calls_broken_is_lost_until_it_is_repaired(
    rig: BoardReaderRig,
) -> None:
    with shared_line(rig.path) as (_, reader):
        listener = Loop(reader)
        rig.fault("reader-broken")
        lost = listener.event()
        assert isinstance(lost, ReaderLost)
        assert lost.reason == f"board at {rig.path}: it reports that its card reader does not work"
        assert listener.event(0.7) is None
        rig.fault("none")
        assert isinstance(listener.event(), ReaderBack)


def test_a_closed_reader_reports_nothing_and_leaves_the_line_to_the_board(
    rig: BoardReaderRig,
) -> None:
    with shared_line(rig.path) as (board, reader):
        reader.arm()
        reader.close()
        rig.present(UID)
        rig.say("push", "forced")
        assert reader.fileno() == -1
        assert isinstance(Loop(board).event(), Forced)
        assert reader.take() is None


class LateClock:
    """Monotonic time, and some more."""

    more_ns = 0

    def __call__(self) -> int:
        return time.monotonic_ns() + self.more_ns


@pytest.mark.parametrize("leaves", [True, False])
def test_a_card_that_waited_too_long_is_reported_only_if_it_still_lies_there(
    rig: BoardReaderRig, *, leaves: bool
) -> None:
    clock = LateClock()
    board = SerialBoard(rig.path, bytes(8), "test", clock)
    reader = BoardReader(board)
    try:
        assert isinstance(Loop(reader).event(), ReaderBack)
        rig.present(UID)
        rig.status()
        assert reader.take() is None
        clock.more_ns = CARD_AGE_MAX_NS + 1
        if leaves:
            rig.remove()
        reader.arm()
        assert reader.take() is None
        event = Loop(reader).event(1.0)
        assert isinstance(event, CardSeen) is not leaves, "the board was asked what lies there now"
    finally:
        board.close()
