"""The log on a pipe: whole lines only, nothing waited for, and as many threads as like."""

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from validator.host.log import LINE_BYTES_MAX, JsonLog

LINES = 5_000
THREADS = 2  # as in the courier


class Pipe:
    """A log and the reader of its pipe."""

    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe()
        self.log = JsonLog(self.write_fd)

    def fill(self) -> None:
        """Fill the pipe, as when its reader stalls."""
        os.set_blocking(self.write_fd, False)
        room = fcntl.fcntl(self.write_fd, fcntl.F_GETPIPE_SZ)
        assert os.write(self.write_fd, b" " * (room - 1) + b"\n") == room
        os.set_blocking(self.write_fd, True)

    def drain(self) -> None:
        """Read all that is in the pipe."""
        os.set_blocking(self.read_fd, False)
        try:
            while os.read(self.read_fd, 1 << 20):
                pass
        except BlockingIOError:
            os.set_blocking(self.read_fd, True)

    def end(self) -> None:
        """Close the writing end."""
        os.close(self.write_fd)
        self.write_fd = -1

    def line(self) -> Any:
        """The next line."""
        with os.fdopen(os.dup(self.read_fd)) as lines:
            return json.loads(lines.readline())


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    try:
        yield made
    finally:
        os.close(made.read_fd)
        if made.write_fd >= 0:
            os.close(made.write_fd)


def test_two_threads_that_log_at_once_neither_fail_nor_mix_their_lines(pipe: Pipe) -> None:
    """The courier's list thread once ended with "concurrent poll() invocation".

    Its upload thread had logged at the same instant.
    """
    faults: list[RuntimeError] = []
    text: list[str] = []

    def write(thread: int) -> None:
        try:
            for number in range(LINES):
                pipe.log.line({"thread": thread, "number": number})
        except RuntimeError as error:
            faults.append(error)

    def read() -> None:
        with os.fdopen(os.dup(pipe.read_fd)) as lines:
            text.extend(lines)

    threads = [
        threading.Thread(target=write, args=(thread,), daemon=True) for thread in range(THREADS)
    ]
    reader = threading.Thread(target=read, daemon=True)
    for each in (reader, *threads):
        each.start()
    for each in threads:
        each.join()
    pipe.end()
    reader.join()
    assert not faults
    found = [json.loads(line) for line in text]
    for thread in range(THREADS):
        numbers = [line["number"] for line in found if line["thread"] == thread]
        assert numbers == sorted(set(numbers)) != []
    assert (
        len(found) + sum(line.get("log_dropped", 0) for line in found) + pipe.log.dropped
        == LINES * THREADS
    )


def test_a_line_that_is_not_read_is_dropped_and_the_next_one_has_the_count(pipe: Pipe) -> None:
    pipe.fill()
    pipe.log.line({"event": "first"})
    pipe.log.line({"event": "second"})
    assert pipe.log.dropped == 2
    pipe.drain()
    pipe.log.line({"event": "third"})
    assert pipe.line() == {"event": "third", "log_dropped": 2}
    pipe.log.line({"event": "fourth"})
    assert pipe.line() == {"event": "fourth"}


def test_a_line_too_long_to_be_written_whole_is_dropped(pipe: Pipe) -> None:
    pipe.log.line({"event": "x" * LINE_BYTES_MAX})
    pipe.log.line({"event": "short"})
    assert pipe.line() == {"event": "short", "log_dropped": 1}


def test_a_reader_that_has_gone_ends_no_writer() -> None:
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    log = JsonLog(write_fd)
    log.line({"event": "alone"})
    assert log.dropped == 1
    os.close(write_fd)
