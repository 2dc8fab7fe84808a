"""The log: one JSON object a line on a descriptor, for the journal or another reader of the pipe.

Python's logging is not used: each line here is an event of its own name, and none has a level.
"""

import os
import select
import threading
from collections.abc import Mapping
from typing import Any

import msgspec

from validator.formats.shown import json_shown

# A pipe that polls writable takes this many bytes at once and whole (pipe(7)).
LINE_BYTES_MAX = select.PIPE_BUF


class JsonLog:
    """Writes lines, each of which a reader sees as one and which move no terminal's cursor.

    A line that the reader does not take at once is dropped; the next line that gets through has
    the count. Threads may share one log: the courier's two do.
    """

    def __init__(self, fd: int) -> None:
        """Write to `fd`; the caller closes it."""
        self.dropped = 0
        self._fd = fd
        self._torn = b""
        self._writable = select.poll()
        self._writable.register(fd, select.POLLOUT)
        # A poll object that two threads ask at once raises RuntimeError.
        self._turn = threading.Lock()

    def line(self, fields: Mapping[str, Any]) -> None:
        """Write one line, or drop and count it if the reader does not take it at once.

        Never raises, never waits.
        """
        with self._turn:
            counted = {**fields, "log_dropped": self.dropped} if self.dropped else fields
            line = json_shown(msgspec.json.encode(counted).decode()).encode() + b"\n"
            if len(line) > LINE_BYTES_MAX or not self._write(line):
                self.dropped += 1
            else:
                self.dropped = 0

    def _write(self, line: bytes) -> bool:
        if not any(events & select.POLLOUT for _, events in self._writable.poll(0)):
            return False
        try:
            written = os.write(self._fd, self._torn + line) - len(self._torn)
        except OSError:
            return False  # the reader of the log is gone; the gate is not
        # After a full disk took a part of it, the next line starts on a line of its own.
        self._torn = b"" if written == len(line) else b"\n"
        return not self._torn
