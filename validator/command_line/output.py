"""Standard output of a command: a failed write raises OutputError, which is no error of a file.

guard(escapes=True)    # before anything is printed
...
flush()                # raises OutputError
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
    """A write to standard output that failed: its reader has gone, or the disk is full.

    It is no OSError, so that a handler of file errors does not catch it.

    Attributes:
        is_closed: whether the reader has gone.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror or str(error))
        self.is_closed = error.errno == errno.EPIPE


class _Descriptor(io.FileIO):
    """Standard output, unbuffered."""

    def write(self, content: Any) -> Any:
        """Write some of `content`. Raises OutputError."""
        try:
            return super().write(content)
        except OSError as error:
            raise OutputError(error) from error


class _Escaped(io.TextIOWrapper):
    """Text without control characters: registries, drafts and exports hold text of others."""

    def write(self, text: str) -> int:
        """Write each line, escaped by shown(). Raises OutputError."""
        if not text.isprintable():
            super().write("\n".join(shown(line, sys.maxsize) for line in text.split("\n")))
        else:
            super().write(text)
        return len(text)


def guard(*, escapes: bool) -> None:
    """From now on, print through a stream that raises OutputError; print `?` for unknown letters.

    A stream that a test or `batch` has put in place of standard output stays.

    Args:
        escapes: whether to escape control characters; not for a command that draws on the terminal.
    """
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
            sys.stdout = printer(
                STANDARD_OUTPUT,
                out.encoding,
                escapes=escapes,
                is_line_buffered=out.line_buffering,
            )


def printer(
    fd: int, encoding: str, *, escapes: bool = True, is_line_buffered: bool = False
) -> io.TextIOWrapper:
    """Return a text stream to standard output or a copy of it; its writes raise OutputError.

    The descriptor stays open when the stream is closed.
    """
    out = io.BufferedWriter(_Descriptor(fd, "w", closefd=False))
    kind = _Escaped if escapes else io.TextIOWrapper
    return kind(out, encoding=encoding, errors="replace", line_buffering=is_line_buffered)


def flush() -> None:
    """Write what is still buffered. Raises OutputError."""
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def give_up() -> None:
    """Print no more: Python would try to write the rest once more at its end, and complain."""
    null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(null, STANDARD_OUTPUT)
    os.close(null)
