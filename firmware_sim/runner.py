"""The loop of every simulated device: waits for its port and standard input, prints JSON lines.

A device is a plain state machine with time as an argument; its port (`Port`) brings it to programs.
This module has the clock, the descriptors and the signals.

The loop ends on `quit`, SIGTERM, SIGINT, and when the reader of its standard output has gone: so a
program that started it and died does not leave it behind. (PR_SET_PDEATHSIG would follow the
*thread* that started the child, and kill the device when a worker thread of a healthy program
ends.) It goes on at the end of standard input, since a service manager gives none.
"""

import errno
import gc
import json
import os
import select
import signal
import stat
import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from firmware_sim.outcomes import Event, RefusedError, Unplug

__all__ = ["OutputError", "Port", "run"]

STDIN, STDOUT = 0, 1
VERB_MAX_BYTES = 4096  # longer than any verb: bounds a line without an end
LINES_WAITING_MAX = 10_000  # for a reader that lags: about an hour of taps, then the oldest go
PIPE_ATOMIC_BYTES = (
    4096  # PIPE_BUF: what a pipe takes without blocking when select calls it writable
)


class OutputError(Exception):
    """Standard output cannot be written; the text is one line."""


class Port(Protocol):
    """A simulated device together with what brings it to programs: a pty, a USB bus.

    The loop calls `advance` after every input and at `due_ns`. `now_ns` never goes back. One turn
    of the loop uses one `now_ns`, read right after the wait.
    """

    @property
    def path(self) -> str:
        """What a program names the device by: the first line of output."""

    @property
    def plugged(self) -> bool:
        """Whether programs can find the device."""

    def about(self) -> Mapping[str, object]:
        """Return more details for the events about the plug."""

    def reading(self) -> list[int]:
        """Return the descriptors to wait on for input."""

    def writing(self) -> list[int]:
        """Return the descriptors to wait on for room."""

    def read(self, ready: Collection[int], now_ns: int) -> None:
        """Read the ready ones of the descriptors."""

    def advance(self, now_ns: int) -> Iterable[Event | Unplug]:
        """Do everything that is due by `now_ns`; yield events, and plugs that come out."""

    def flush(self, now_ns: int) -> None:
        """Send what has come of it."""

    def due_ns(self) -> int | None:
        """Return when to call `advance` next; None when the device waits for an input."""

    def plug(self, now_ns: int) -> None:
        """Plug the device in. Raises OSError: it cannot be; it stays out."""

    def unplug(self, now_ns: int) -> None:
        """Unplug the device."""

    def close(self) -> None:
        """Take the device away at the end of the process."""

    def obey(self, words: Sequence[str], now_ns: int) -> None:
        """Do a verb of standard input; the loop itself does unplug, replug, status and quit.

        Raises:
            RefusedError: the verb or an argument is wrong; the state is unchanged.
        """

    def status(self) -> Mapping[str, object]:
        """Return the details of the `status` event."""


class Lines:
    """Standard output by lines, without ever blocking the device.

    A reader that lags loses the oldest lines; `lost` counts them.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting: deque[bytes] = deque()
        self.lost = 0
        self.closed = False
        self.error: OSError | None = None
        """Why writing failed; None also when the reader has gone."""

    @property
    def waiting(self) -> bool:
        """Whether there are lines to write."""
        return bool(self._waiting)

    def put(self, text: str) -> None:
        """Add a line; `flush` writes it."""
        if len(self._waiting) >= LINES_WAITING_MAX:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append(text.encode("utf-8", "replace")[: PIPE_ATOMIC_BYTES - 1] + b"\n")

    def event(self, event: Event) -> None:
        """Add an event."""
        self.put(json.dumps({"event": event.name, **event.details, "at_ns": event.at_ns}))

    def flush(self) -> None:
        """Write as much as the reader takes without blocking."""
        while (
            self._waiting and not self.closed and select.select((), (self._descriptor,), (), 0)[1]
        ):
            try:
                os.write(self._descriptor, self._waiting.popleft())
            except OSError as error:
                self.closed, self.error = True, None if error.errno == errno.EPIPE else error


class Loop:
    """One device on its port, standard input and output."""

    def __init__(self, port: Port, *, stdin: int = STDIN, stdout: int = STDOUT) -> None:
        self._port = port
        self._lines = Lines(stdout)
        self._stdout = stdout
        self._watch_stdout = _is_pipe(stdout)
        self._stdin = stdin
        self._verbs = bytearray()
        self._replug_at_ns: int | None = None
        self._stop = False

    def serve(self, wake: int) -> None:
        """Run until the end.

        Args:
            wake: a descriptor that becomes readable when a signal has come.

        Raises:
            OutputError: standard output cannot be written. A reader that has gone is no error.
        """
        self._lines.put(self._port.path)
        self._lines.flush()
        while not (self._stop or self._lines.closed):
            ready = self._wait(wake)
            now_ns = time.monotonic_ns()
            if wake in ready or self._stdout in ready:
                break
            self._port.read(ready, now_ns)
            if self._stdin in ready:
                self._read_verbs(now_ns)
            self._turn(now_ns)
        if self._lines.error is not None:
            raise OutputError(
                f"standard output: {self._lines.error.strerror}"
            ) from self._lines.error

    def _wait(self, wake: int) -> list[int]:
        """Wait for an input, or until something is due; return the readable descriptors.

        select, since its time-out has microseconds, poll's only milliseconds, and 0.5 ms matter.
        """
        read = [wake, *self._port.reading()]
        read += [self._stdin] if self._stdin >= 0 else []
        # A pipe's writing end is "readable" once its reader has gone. A terminal would be readable
        # at each key.
        read += [self._stdout] if self._watch_stdout else []
        write = self._port.writing() + ([self._stdout] if self._lines.waiting else [])
        due = [at for at in (self._port.due_ns(), self._replug_at_ns) if at is not None]
        left_s = max(0, min(due) - time.monotonic_ns()) / 1e9 if due else None
        return select.select(read, write, (), left_s)[0]

    def _turn(self, now_ns: int) -> None:
        """Take input, do what is due, send; print last, so that it delays no reply."""
        if self._replug_at_ns is not None and self._replug_at_ns <= now_ns:
            self._verb(["replug"], now_ns)
        for outcome in self._port.advance(now_ns):
            if isinstance(outcome, Event):
                self._lines.event(outcome)
            else:
                self._verb(["unplug"], now_ns)
                self._replug_at_ns = None if outcome.for_ns is None else now_ns + outcome.for_ns
        self._port.flush(now_ns)
        self._lines.flush()

    def _read_verbs(self, now_ns: int) -> None:
        """Do the verbs on standard input; stop reading it at its end or at an error."""
        try:
            data = os.read(self._stdin, VERB_MAX_BYTES)
        except OSError:
            data = b""
        if not data:
            self._stdin = -1
        *whole, rest = (self._verbs + data).split(b"\n")
        self._verbs = rest
        if len(rest) > VERB_MAX_BYTES:
            self._verbs.clear()
            self._error(f"a line longer than {VERB_MAX_BYTES} bytes", now_ns)
        if self._stdin < 0:
            whole, self._verbs = [*whole, rest], bytearray()  # a last verb without an end of line
        for line in whole:
            self._verb(line.decode("utf-8", "replace").split(), now_ns)
            self._turn(now_ns)  # verbs in one write are done one after the other, each to its end

    def _verb(self, words: Sequence[str], now_ns: int) -> None:
        """Do one verb, or print one `error` event."""
        try:
            match words:
                case []:
                    pass
                case ["quit"]:
                    self._stop = True
                case ["unplug"]:
                    self._unplug(now_ns)
                case ["replug"]:
                    self._replug(now_ns)
                case ["status"]:
                    self._status(now_ns)
                case _:
                    self._port.obey(words, now_ns)
        except RefusedError as refused:
            self._error(str(refused), now_ns)

    def _unplug(self, now_ns: int) -> None:
        if self._port.plugged:
            self._port.unplug(now_ns)
        elif self._replug_at_ns is None:
            raise RefusedError("unplug: the device is unplugged already")
        self._replug_at_ns = None  # a hand that pulls a plug that was to come back keeps it out
        self._lines.event(Event("unplugged", now_ns))

    def _replug(self, now_ns: int) -> None:
        if self._port.plugged:
            raise RefusedError("replug: the device is not unplugged")
        self._replug_at_ns = None
        try:
            self._port.plug(now_ns)
        except OSError as error:
            raise RefusedError(f"replug: {error}") from error
        details = {"path": self._port.path, **self._port.about()}
        self._lines.event(Event("replugged", now_ns, details))

    def _status(self, now_ns: int) -> None:
        about_port = {
            "plugged": self._port.plugged,
            "path": self._port.path,
            **self._port.about(),
            "lines_lost": self._lines.lost,
        }
        self._lines.event(Event("status", now_ns, {**about_port, **self._port.status()}))

    def _error(self, message: str, now_ns: int) -> None:
        self._lines.event(Event("error", now_ns, {"message": message}))


def run(port: Port) -> None:
    """Serve a device on its port, with this process's standard input and output, until the end.

    Closes the port.

    Raises:
        OutputError: standard output cannot be written.
    """
    gc.collect()
    gc.freeze()  # a full collection of what is loaded now would delay a reply by milliseconds
    wake, alarm = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    # In the background of a terminal, a read would stop the device; ignored, the read fails.
    signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
    try:
        Loop(port).serve(wake)
    finally:
        signal.set_wakeup_fd(-1)
        port.close()


def _is_pipe(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
