"""The log: one JSON object a line on a descriptor, for the journal or whoever reads the pipe. Not Python's logging: it has no levels to lose."""

import os
import select
import threading
from collections.abc import Mapping
from typing import Any

import msgspec

from validator.formats.shown import json_shown

LINE_BYTES_MAX = (
    select.PIPE_BUF
)  # a pipe that polls writable takes this many bytes at once and whole (pipe(7))


class JsonLog:
    """Writes lines, none of which a reader takes for two or that moves a terminal's cursor; one that nobody takes at once is dropped and counted, and the next line that gets through tells how many.

    Threads may share one: the two of the courier do.
    """

    def __init__(self, fd: int) -> None:
        """`fd` stays its owner's to close."""
        self.dropped = 0
        self._fd = fd
        self._torn = b""
        self._writable = select.poll()
        self._writable.register(fd, select.POLLOUT)
        self._turn = (
            threading.Lock()
        )  # a poll object that two threads ask at once raises RuntimeError

    def line(self, fields: Mapping[str, Any]) -> None:
        """Write one line, or drop and count it when nobody takes it. Never raises, never waits."""
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
        self._torn = (
            b"" if written == len(line) else b"\n"
        )  # a full disk took a part: the next line begins anew
        return not self._torn
