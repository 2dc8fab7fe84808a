"""Reader and board, opened with the lane's own drivers, so that the findings are the lane's.

A device that a running lane holds is left alone.
"""

import fcntl
import os
import select
import time
from collections.abc import Iterator

from validator.check.finding import Finding
from validator.config import Config
from validator.domain.events import BoardBack, BoardLost, ReaderBack, ReaderLost
from validator.lane.ports import Board, Reader
from validator.programs.lane import make_board, make_reader

# A chip left at another speed is found in two seconds; a board greets within one.
DEVICE_WAIT_S = 4.0


def examine_devices(config: Config) -> Iterator[Finding]:
    """Open both and wait for an answer, unless a lane holds them."""
    paths = {"board": config.board.device, "reader": config.reader.device or config.board.device}
    # Checked before our own drivers hold them.
    held = {subject: path for subject, path in paths.items() if _held(path)}
    for subject, path in held.items():
        yield Finding(
            subject,
            "note",
            f"{path}: held by another process, most likely the lane; read its log",
        )
    if "board" in held and config.reader.driver == "serial":
        return
    board = make_board(config)
    reader = make_reader(config, board)
    try:
        for subject, device in (("board", board), ("reader", reader)):
            if subject not in held:
                yield _device(subject, paths[subject], device)
    finally:
        reader.close()
        board.close()


def _device(subject: str, path: str, device: Board | Reader) -> Finding:
    deadline_s = time.monotonic() + DEVICE_WAIT_S
    lost = f"{subject} at {path}: no answer; check cable and power"
    while time.monotonic() < deadline_s:
        match device.take():
            case BoardBack() | ReaderBack():
                return Finding(subject, "ok", f"{path}: answers")
            case BoardLost(reason=reason) | ReaderLost(reason=reason):
                lost = reason
            case _:
                _wait(device)
    return Finding(subject, "bad", lost)


def _held(path: str) -> bool:
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False  # the driver reports the reason better
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _wait(device: Board | Reader) -> None:
    poll = select.poll()
    if device.fileno() >= 0:
        poll.register(device.fileno(), select.POLLIN)
    poll.poll(max(device.deadline_ns() - time.monotonic_ns(), 0) / 1e6)
