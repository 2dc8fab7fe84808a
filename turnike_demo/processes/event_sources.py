"""One wait over all sources of the demo's events: children, keys, signals, other threads.

with EventSources() as sources:
    sources.add_child(lane)
    for event in sources.wait(limit_s): ...
"""

import os
import selectors
import signal
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Self

from turnike_demo.processes.child import Child
from turnike_demo.processes.events import READ_BYTES, Event, Source


class _Parent:
    """A `Source`: the program that started the demo, by a pidfd, readable when it has ended."""

    def __init__(self, pidfd: int) -> None:
        self._pidfd = pidfd

    def fileno(self) -> int:
        """See `Source`."""
        return self._pidfd

    def events(self) -> Iterator[Event]:
        """See `Source`."""
        yield Event("operator", {"event": "orphaned"})


class EventSources:
    """Waits for children, the keys of a terminal, SIGINT, SIGTERM, SIGHUP, and the parent's end.

    A context manager; after the block the signals have their handlers of before. Where SIGHUP is
    ignored (nohup), it stays ignored, and the demo survives its parent; likewise where the demo
    leads a session of its own (setsid, a service).
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._signals, self._wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._handlers_before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._parent: int | None = None
        ignores_hangup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        hangup = () if ignores_hangup else (signal.SIGHUP,)
        for number in (signal.SIGINT, signal.SIGTERM, *hangup):
            self._handlers_before[number] = signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        self._selector.register(self._signals, selectors.EVENT_READ)
        if not ignores_hangup and os.getsid(0) != os.getpid():
            with suppress(OSError):  # the parent has ended, or the kernel is older than 5.3
                self._parent = os.pidfd_open(os.getppid())
                self._selector.register(self._parent, selectors.EVENT_READ, _Parent(self._parent))
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)
        self._selector.close()
        for descriptor in (self._signals, self._wakeup, self._parent):
            if descriptor is not None:
                os.close(descriptor)

    def add_child(self, child: Child) -> None:
        """Wait for this child too, until it has closed its output."""
        self._selector.register(child.output, selectors.EVENT_READ, child)

    def forget(self, child: Child) -> None:
        """Send no more events of this child, not even that it ended."""
        with suppress(KeyError, ValueError):  # it has ended already
            self._selector.unregister(child.output)

    def add(self, source: Source) -> None:
        """Wait for this source too."""
        self._selector.register(source, selectors.EVENT_READ, source)

    def add_keys(self, terminal: int) -> None:
        """Wait for keys of the terminal with this descriptor too."""
        self._selector.register(terminal, selectors.EVENT_READ, terminal)

    def wait(self, limit_s: float) -> Iterator[Event]:
        """Wait for an event; yield it and those that came with it, or nothing after `limit_s`."""
        for key, _ in self._selector.select(max(limit_s, 0)):
            if key.fd not in self._selector.get_map():
                continue  # `forget` was called since
            if isinstance(key.data, Child):
                yield from self._of_child(key.data)
            elif key.data is None:
                for number in os.read(self._signals, READ_BYTES):
                    name = "hangup" if number == signal.SIGHUP else "signal"
                    yield Event("operator", {"event": name, "number": number})
            elif isinstance(key.data, int):
                yield from self._keys(key.data)
            else:
                yield from key.data.events()

    def _of_child(self, child: Child) -> Iterator[Event]:
        for line in child.read_lines():
            if line.get("event") == "ended":
                self._selector.unregister(child.output)
                line["code"] = child.close()
            yield Event(child.name, line)

    def _keys(self, terminal: int) -> Iterator[Event]:
        pressed = b""
        with suppress(OSError):  # the terminal was closed
            pressed = os.read(terminal, READ_BYTES)
        if not pressed:
            self._selector.unregister(terminal)
        for key in pressed.decode(errors="replace"):
            yield Event("operator", {"event": "key", "key": key})
