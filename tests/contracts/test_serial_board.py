"""What is true of the serial board alone: reasons in words, a line with something else at its end, and two ports on one line."""

import json
import os
import random
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from firmware_sim.board.frames import FROM_BOARD, FROM_LANE, Hello, encode
from tests.contracts.board_rig import BoardListener, BoardRig, hearing, open_board
from tests.contracts.loop import Loop
from tests.contracts.rigs import BoardReaderRig, threads_and_descriptors
from validator.domain.events import (
    BoardBack,
    BoardEvent,
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
NOBODY = 65_534
FRAMES = {
    golden["name"]: bytes.fromhex(golden["frame"])
    for golden in json.loads(
        (Path(__file__).parent.parent / "golden" / "board_frames.json").read_text()
    )
    if "frame" in golden
}


@contextmanager
def bare_line(link: Path) -> Iterator[int]:
    """A pty behind `link` with no board at its end: what it says is written by the test. Gives the test's end."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    link.unlink(missing_ok=True)
    link.symlink_to(os.ttyname(slave))
    try:
        yield master
    finally:
        os.close(slave)
        os.close(master)


@contextmanager
def without_rights() -> Iterator[None]:
    """As somebody who may not do everything; a superuser could open any file."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


def missing(folder: Path) -> str:
    return str(folder / "missing")


def forbidden(folder: Path) -> str:
    path = folder / "forbidden"
    path.touch(mode=0)
    return str(path)


def a_file(folder: Path) -> str:
    path = folder / "file"
    path.write_text("no board\n")
    path.chmod(0o666)
    return str(path)


def a_folder(folder: Path) -> str:
    return str(folder)


def a_loop_of_links(folder: Path) -> str:
    path = folder / "loop"
    path.symlink_to(path)
    return str(path)


@pytest.mark.parametrize(
    ("device", "reason"),
    [
        (missing, "there is no such device; is it plugged in, and is [board] device right?"),
        (forbidden, "it may not be opened; is this user in the group dialout?"),
        (a_file, "not a serial line; is [board] device right?"),
        (lambda _: "/dev/null", "not a serial line; is [board] device right?"),
        (a_folder, "cannot be opened (Is a directory); is [board] device right?"),
        (
            a_loop_of_links,
            "cannot be opened (Too many levels of symbolic links); is [board] device right?",
        ),
    ],
)
def test_what_is_wrong_is_said_once_in_one_clear_line(
    tmp_path: Path, device: Callable[[Path], str], reason: str
) -> None:
    path = device(tmp_path)
    before = threads_and_descriptors()
    rights = without_rights() if device is forbidden else nullcontext()
    with rights, hearing(open_board(path)) as listener:
        heard = listener.events(0.8)  # three tries
    assert [event.reason for event in heard if isinstance(event, BoardLost)] == [
        f"board at {path}: {reason}"
    ]
    assert len(heard) == 1
    assert threads_and_descriptors() == before


def test_a_line_on_which_nobody_speaks_is_silent_and_told_once(tmp_path: Path) -> None:
    link = tmp_path / "board"
    with bare_line(link), hearing(open_board(str(link))) as listener:
        lost = listener.next(BoardLost, 2.0)
        assert lost.reason == f"board at {link}: is silent; is it wired and powered?"
        assert listener.events(2.0) == [], "every try ends like this, and was told"


@pytest.mark.parametrize(
    ("protocol", "seq", "update"),
    [(1, FROM_LANE, "the board's firmware"), (3, FROM_BOARD, "this lane")],
)
def test_a_board_of_another_protocol_is_told_once(
    tmp_path: Path, protocol: int, seq: int, update: str
) -> None:
    link = tmp_path / "board"
    with bare_line(link) as master, hearing(open_board(str(link))) as listener:
        assert listener.events(0.05) == []
        heard: list[BoardEvent] = []
        for _ in range(8):  # the line is opened again four times a second
            os.write(master, encode(Hello(protocol, 77, bytes(8), "other"), seq))
            heard += listener.events(0.1)
        assert [event.reason for event in heard if isinstance(event, BoardLost)] == [
            f"board at {link}: speaks protocol {protocol}, this lane speaks 2; update {update}"
        ]


def nonsense(rng: random.Random) -> bytes:
    """Something that a mad board might say: whole frames, halves, spoilt ones, and noise."""
    frame = bytearray(rng.choice(list(FRAMES.values())))
    match rng.randrange(4):
        case 0:
            return bytes(frame)
        case 1:
            return bytes(frame[: rng.randrange(len(frame))])
        case 2:
            frame[rng.randrange(len(frame))] ^= 1 << rng.randrange(8)
            return bytes(frame)
        case _:
            return rng.randbytes(rng.choice((1, 7, 90, 4_096)))


@pytest.mark.parametrize("seed", range(2))
def test_a_line_that_says_anything_at_all_spoils_nothing_for_the_board_that_follows(
    tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    link = tmp_path / "board"
    with hearing(open_board(str(link))) as listener:
        with bare_line(link) as master:
            for number in range(1_500):
                try:
                    os.read(master, 4_096)
                    os.write(master, nonsense(rng))
                except BlockingIOError:
                    pass
                listener.event(0.001 if number % 100 == 0 else 0.0)
                listener.open(number)
        rig = BoardRig(link)
        try:
            rig.simulator.wait_for("started")
            serve_until_back(listener)
            listener.open(9_999)
            assert rig.simulator.wait_for("open")["tap"] == 9_999
        finally:
            rig.close()


def serve_until_back(listener: BoardListener) -> None:
    """Let the nonsense that was told be told; then a board is back within two seconds."""
    heard = listener.events(2.0)
    back = max(number for number, event in enumerate(heard) if isinstance(event, BoardBack))
    assert [type(event) for event in heard[back:]] == [BoardBack, Emergency, Tamper]


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


def test_asking_a_board_that_has_nothing_to_say_takes_no_time(rig: BoardReaderRig) -> None:
    with shared_line(rig.path) as (board, _):
        started = time.monotonic()
        for _ in range(100):
            assert board.take() is None
        assert time.monotonic() - started < 1.0


def test_a_card_that_is_heard_in_the_boards_turn_is_due_at_once(rig: BoardReaderRig) -> None:
    with shared_line(rig.path) as (board, reader):
        reader.arm()
        rig.present(UID)
        rig.status()  # so the event is on the line
        assert board.take() is None
        assert reader.deadline_ns() == 0
        assert isinstance(Loop(reader).event(0.0), CardSeen)


def test_an_event_that_is_heard_in_the_readers_turn_is_due_at_once(rig: BoardReaderRig) -> None:
    with shared_line(rig.path) as (board, reader):
        rig.say("push", "forced")
        rig.status()
        assert reader.take() is None
        assert board.deadline_ns() == 0
        assert isinstance(Loop(board).event(0.0), Forced)


def test_both_ports_tell_the_loss_of_their_line(rig: BoardReaderRig) -> None:
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


def test_a_card_that_comes_before_the_boards_word_about_its_reader_waits_for_it(
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


def test_a_card_that_waits_when_the_line_is_lost_is_not_told_after_it(rig: BoardReaderRig) -> None:
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


def test_cards_are_told_one_for_each_arming_in_their_order(rig: BoardReaderRig) -> None:
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


def test_a_reader_that_the_board_calls_broken_is_lost_until_it_is_mended(
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


def test_a_closed_reader_says_nothing_and_leaves_the_line_to_the_board(rig: BoardReaderRig) -> None:
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
def test_a_card_that_nobody_asked_for_in_time_is_told_only_if_it_still_lies_there(
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
