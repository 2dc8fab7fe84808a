"""Standard output as the commands of the back office write to it: what goes wrong there is no error of any file that they handle.

guard()      # before anything is printed
...
flush()      # raises OutputError
"""

import errno
import io
import os
import signal
import sys
from contextlib import suppress
from typing import Any

from validator.formats.shown import shown

STANDARD_OUTPUT = 1
PIPE_CLOSED = 128 + signal.SIGPIPE  # as a shell reports any program that a closed pipe ended


class OutputError(Exception):
    """What is printed cannot be written: its reader has gone, or there is no room. No OSError, so that nobody takes it for a file's."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror or str(error))
        self.is_closed = error.errno == errno.EPIPE


class _Descriptor(io.FileIO):
    """Standard output, unbuffered."""

    def write(self, content: Any) -> Any:
        """Write some of it. Raises OutputError."""
        try:
            return super().write(content)
        except OSError as error:
            raise OutputError(error) from error


class _Shown(io.TextIOWrapper):
    """Text of which nothing moves a cursor: databases, drafts and exports may come from others."""

    def write(self, text: str) -> int:
        """Write it, each line as shown() has it. Raises OutputError."""
        if not text.isprintable():
            super().write("\n".join(shown(line, sys.maxsize) for line in text.split("\n")))
        else:
            super().write(text)
        return len(text)


def guard() -> None:
    """Print through `_Descriptor` from now on, and show `?` for what the locale cannot. Not what a test or `batch` has put in its place."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    out = sys.stdout
    if not isinstance(out, io.TextIOWrapper) or isinstance(
        getattr(out.buffer, "raw", None), _Descriptor
    ):
        return
    with suppress(OSError, ValueError):  # it may be closed, or no file
        if out.fileno() == STANDARD_OUTPUT:
            sys.stdout = printer(STANDARD_OUTPUT, out.encoding, is_line_by_line=out.line_buffering)


def printer(fd: int, encoding: str, *, is_line_by_line: bool = False) -> io.TextIOWrapper:
    """What prints to standard output, or to a copy of it, and raises OutputError. The descriptor stays open."""
    out = io.BufferedWriter(_Descriptor(fd, "w", closefd=False))
    return _Shown(out, encoding=encoding, errors="replace", line_buffering=is_line_by_line)


def flush() -> None:
    """Write what is still held back. Raises OutputError."""
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def give_up() -> None:
    """Print no more: Python would try to write the rest once more at its end, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), STANDARD_OUTPUT)
