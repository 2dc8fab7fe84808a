"""Reader and board, opened with the lane's own drivers, so that the findings are the lane's.

A device that a running lane holds is left alone.
"""

import fcntl
import os
import select
import time
from collections.abc import Iterator, Mapping, Sequence

from validator.check.finding import Finding
from validator.config import Config
from validator.config.devices import AT_A_SERIAL_LINE
from validator.domain.events import BoardBack, BoardLost, ReaderBack, ReaderLost
from validator.lane.ports import IN_USE, Board, Reader
from validator.programs.devices import make_board, make_reader

# A chip left at another speed is found in two seconds; a board greets within one.
DEVICE_WAIT_NS = 4_000_000_000
_BOARDS_AT_A_SERIAL_LINE = ("serial", "lot")


def examine_devices(config: Config) -> Iterator[Finding]:
    """Open both and wait for an answer, unless a lane holds them."""
    board_name = f"chip {config.board.gpio.chip}" if config.board.gpio else config.board.device
    paths = {"board": board_name, "reader": config.reader.device or config.board.device}
    # A lock on a serial line is checked before our own drivers take it. Other kinds of devices have
    # none: their drivers' refusals name the holder.
    on_lines = {"board": config.board.driver, "reader": config.reader.driver}
    lines = {
        name: path
        for name, path in paths.items()
        if on_lines[name] in (*AT_A_SERIAL_LINE, *_BOARDS_AT_A_SERIAL_LINE)
    }
    held = {subject: path for subject, path in lines.items() if _held(path)}
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
    devices: dict[str, Board | Reader] = {"board": board, "reader": reader}
    try:
        yield from _answers(
            {subject: devices[subject] for subject in paths if subject not in held}, paths
        )
    finally:
        reader.close()
        board.close()


def _answers(devices: Mapping[str, Board | Reader], paths: Mapping[str, str]) -> Iterator[Finding]:
    """Wait for all of them at once: a gate without devices is examined in one wait."""
    lost = {name: f"{name} at {paths[name]}: no answer; check cable and power" for name in devices}
    answered: set[str] = set()
    deadline_ns = time.monotonic_ns() + DEVICE_WAIT_NS
    while answered != set(devices) and time.monotonic_ns() < deadline_ns:
        waiting = [name for name in devices if name not in answered]
        taken = {name: devices[name].take() for name in waiting}
        for name, event in taken.items():
            match event:
                case BoardBack() | ReaderBack():
                    answered.add(name)
                case BoardLost(reason=reason) | ReaderLost(reason=reason):
                    lost[name] = reason
        if not any(taken.values()):
            _wait([devices[name] for name in waiting], deadline_ns)
    for name in devices:
        if name in answered:
            yield Finding(name, "ok", f"{paths[name]}: answers")
        else:
            yield Finding(name, "note" if IN_USE in lost[name] else "bad", lost[name])


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


def _wait(devices: Sequence[Board | Reader], deadline_ns: int) -> None:
    poll = select.poll()
    for device in devices:
        if device.fileno() >= 0:
            poll.register(device.fileno(), select.POLLIN)
    due_ns = min([deadline_ns, *(device.deadline_ns() for device in devices)])
    poll.poll(max(due_ns - time.monotonic_ns(), 0) / 1e6)
