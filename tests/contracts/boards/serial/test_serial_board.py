"""What is true of the serial board alone: reasons in words, and other devices on its line."""

import json
import os
import random
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from firmware_sim.board.frames import FROM_BOARD, FROM_LANE, Hello, encode
from tests.contracts.boards.rig import BoardListener, BoardRig, hearing, open_board
from tests.contracts.readers.rigs import threads_and_descriptors
from validator.domain.events import (
    BoardBack,
    BoardEvent,
    BoardLost,
    Emergency,
    Tamper,
)

UID = "0489ab12cd34ef"
NOBODY = 65_534
FRAMES = {
    golden["name"]: bytes.fromhex(golden["frame"])
    for golden in json.loads(
        (Path(__file__).parents[3] / "golden" / "board_frames.json").read_text()
    )
    if "frame" in golden
}


@contextmanager
def bare_line(link: Path) -> Iterator[int]:
    """Yield the test's end of a pty behind `link`: the test writes what the lane receives."""
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
    """Run as a user without rights; a superuser could open any file."""
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
def test_what_is_wrong_is_reported_once_in_one_line(
    tmp_path: Path, device: Callable[[Path], str], reason: str
) -> None:
    path = device(tmp_path)
    before = threads_and_descriptors()
    rights = without_rights() if device is forbidden else nullcontext()
    with rights, hearing(open_board(path)) as listener:
        events = listener.events(0.8)  # three tries
    assert [event.reason for event in events if isinstance(event, BoardLost)] == [
        f"board at {path}: {reason}"
    ]
    assert len(events) == 1
    assert threads_and_descriptors() == before


def test_a_line_without_a_device_is_reported_as_silent_once(tmp_path: Path) -> None:
    link = tmp_path / "board"
    with bare_line(link), hearing(open_board(str(link))) as listener:
        lost = listener.next(BoardLost, 2.0)
        assert lost.reason == f"board at {link}: is silent; is it wired and powered?"
        assert listener.events(2.0) == [], "every try ends like this, and the reason was reported"


@pytest.mark.parametrize(
    ("protocol", "seq", "update"),
    [(1, FROM_LANE, "the board's firmware"), (3, FROM_BOARD, "this lane")],
)
def test_a_board_of_another_protocol_is_reported_once(
    tmp_path: Path, protocol: int, seq: int, update: str
) -> None:
    link = tmp_path / "board"
    with bare_line(link) as master, hearing(open_board(str(link))) as listener:
        assert listener.events(0.05) == []
        events: list[BoardEvent] = []
        for _ in range(8):  # the line is opened again four times a second
            os.write(master, encode(Hello(protocol, 77, bytes(8), "other"), seq))
            events += listener.events(0.1)
        assert [event.reason for event in events if isinstance(event, BoardLost)] == [
            f"board at {link}: speaks protocol {protocol}, this lane speaks 2; update {update}"
        ]


def nonsense(rng: random.Random) -> bytes:
    """Return bytes that a faulty board might send: whole frames, halves, spoilt ones, and noise."""
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
def test_any_bytes_on_a_line_do_no_harm_to_the_board_that_follows(
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
    """Serve through the invalid frames; then the board is back within two seconds."""
    events = listener.events(2.0)
    back = max(number for number, event in enumerate(events) if isinstance(event, BoardBack))
    assert [type(event) for event in events[back:]] == [BoardBack, Emergency, Tamper]
