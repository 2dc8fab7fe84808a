"""Events: what a child prints, what another thread reports, and what the operator does."""

import json
import os
import queue
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

READ_BYTES = 65_536

Line = dict[str, Any]


class Event(NamedTuple):
    """One line with the name of its source; the line's `event` is what happened.

    A child's last event is `ended`, with its exit code as `code`. The source `operator` sends
    `key` (a key of the terminal), `signal` (its `number`: SIGINT or SIGTERM), `hangup` (the
    terminal was closed) and `orphaned` (the program that started the demo has ended).
    """

    source: str
    line: Line

    def is_(self, source: str, name: str) -> bool:
        """Return whether the source is `source` and the line's `event` is `name`."""
        return self.source == source and self.line.get("event") == name


class Source(Protocol):
    """Something other than a child that sends events."""

    def fileno(self) -> int:
        """Return the descriptor that is readable while `events` has some."""

    def events(self) -> Iterator[Event]:
        """Yield the events that are there, without waiting for more."""


class Mailbox:
    """A `Source` of events that other threads put in."""

    def __init__(self) -> None:
        self._readable, self._writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        # Held over the check and the write: a closed descriptor's number may be another file's
        # a moment later.
        self._closing = threading.Lock()
        self._is_closed = False

    def put(self, event: Event) -> None:
        """Add an event, from any thread; after `close`, drop it."""
        self._events.put(event)
        # A full pipe has woken the reader already.
        with self._closing, suppress(BlockingIOError):
            if not self._is_closed:
                os.write(self._writable, b"\0")

    def fileno(self) -> int:
        """See `Source`."""
        return self._readable

    def events(self) -> Iterator[Event]:
        """See `Source`."""
        with suppress(BlockingIOError):
            os.read(self._readable, READ_BYTES)
        while not self._events.empty():
            yield self._events.get()

    def close(self) -> None:
        """Close the pipe. Call it once."""
        with self._closing:
            self._is_closed = True
            os.close(self._readable)
            os.close(self._writable)


def parsed(line: bytes) -> Line:
    """Return a printed line as its JSON object; any other line as an event `text`."""
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    return {"event": "text", "text": line.decode(errors="replace")}
