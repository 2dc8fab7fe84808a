"""The demo's child processes, each a command that anybody can start by hand, and one ear for all that they say.

with Ear() as ear, child("lane", "validator", "lane", "--config", "v.toml") as lane:
    ear.listen(lane)
    for heard in ear.hear(limit_s): ...
"""

import contextlib
import ctypes
import json
import os
import queue
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, NamedTuple, Protocol, Self

END_WAIT_S = 10
READ_BYTES = 65_536
_STEPS_BACK = 10
_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(
    None
).prctl  # looked up here: between fork and exec nothing may be loaded, since another thread may hold the loader

Line = dict[str, Any]


class Heard(NamedTuple):
    """A line of a child, or `ended` when it has closed its output; what a `Source` tells; and the operator.

    Of the source `operator` come `key` (of the terminal), `signal` (its `number`: SIGINT, SIGTERM), `hangup`
    (the terminal was closed) and `orphaned` (the program that started the demo has ended).
    """

    source: str
    line: Line

    def is_(self, source: str, event: str) -> bool:
        """Whether it is this event of that child."""
        return self.source == source and self.line.get("event") == event


class Source(Protocol):
    """Something else that can be heard."""

    def fileno(self) -> int:
        """What becomes readable when there is something to hear."""

    def hear(self) -> Iterator[Heard]:
        """What there is, without waiting for more."""


class Child:
    """A child process with its standard input, and its standard output as lines."""

    def __init__(self, name: str, *command: str, is_elsewhere: bool = False) -> None:
        """Start `python -m command`, in a process group of its own: Ctrl-C is ours to pass on.

        It is killed when we end, whatever ends us. One that would be on another machine steps back here for
        those that would not.
        """
        self.name = name
        ours = os.getpid()
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ
            | {"TTY_COMPATIBLE": "0"},  # its progress bars would be drawn into the live view
            process_group=0,
            # Calls into libc, which take no lock that a thread may hold.
            preexec_fn=lambda: _begin(ours, is_elsewhere=is_elsewhere),  # noqa: PLW1509
        )
        self._rest = b""

    @property
    def output(self) -> IO[bytes]:
        """Its standard output."""
        assert self.process.stdout is not None  # noqa: S101 — it is a pipe
        return self.process.stdout

    def say(self, words: str) -> None:
        """Write one line to its standard input; one that has ended hears nothing."""
        assert self.process.stdin is not None  # noqa: S101 — it is a pipe
        with suppress(BrokenPipeError):
            self.process.stdin.write(f"{words}\n".encode())
            self.process.stdin.flush()

    def end_of_input(self) -> None:
        """Close its standard input: it waits for no more."""
        assert self.process.stdin is not None  # noqa: S101 — it is a pipe
        with suppress(BrokenPipeError):
            self.process.stdin.close()

    def take(self) -> Iterator[Line]:
        """The lines that have come, without waiting for more; `ended` at the end."""
        data = os.read(self.output.fileno(), READ_BYTES)
        if not data:
            yield {"event": "ended"}
            return
        *whole, self._rest = (self._rest + data).split(b"\n")
        yield from map(parsed, whole)

    def last_words(self) -> Iterator[Line]:
        """The lines that it had said when it ended, once it has ended."""
        while (lines := list(self.take())) != [{"event": "ended"}]:
            yield from lines

    def end(self) -> int:
        """SIGTERM, unless it has ended already; its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(END_WAIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def kill(self) -> None:
        """SIGKILL: it is gone when this returns."""
        self.process.kill()
        self.process.wait()

    def close(self) -> int:
        """End it, and give back what it held; its exit code."""
        code = self.end()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        return code


@contextmanager
def child(name: str, *command: str) -> Iterator[Child]:
    """A child for the length of a block."""
    started = Child(name, *command)
    try:
        yield started
    finally:
        started.close()


def _begin(parent: int, *, is_elsewhere: bool) -> None:
    """In the child, before it becomes its program: it is to die with its parent.

    By SIGKILL: nobody is left to wait for what it would do first, and one that is stopped would not end.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has died already, and nobody will tell
        os._exit(1)
    if is_elsewhere:
        os.nice(_STEPS_BACK)


def parsed(line: bytes) -> Line:
    """A line of a program: its JSON object, or else an event `text`."""
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    return (
        value
        if isinstance(value, dict)
        else {"event": "text", "text": line.decode(errors="replace")}
    )


class Mailbox:
    """A source of what other threads tell."""

    def __init__(self) -> None:
        self._readable, self._writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        self._closing = threading.Lock()  # a closed number may be another file's a moment later
        self._is_closed = False

    def put(self, heard: Heard) -> None:
        """From any thread. A full pipe has woken the reader already; after `close` nobody reads."""
        self._heard.put(heard)
        with self._closing, suppress(BlockingIOError):
            if not self._is_closed:
                os.write(self._writable, b"\0")

    def fileno(self) -> int:
        """See Source."""
        return self._readable

    def hear(self) -> Iterator[Heard]:
        """See Source."""
        with suppress(BlockingIOError):
            os.read(self._readable, READ_BYTES)
        while not self._heard.empty():
            yield self._heard.get()

    def close(self) -> None:
        """Give it up."""
        with self._closing:
            self._is_closed = True
            os.close(self._readable)
            os.close(self._writable)


class _Parent:
    """The program that started this one, by its pidfd: readable when it has ended."""

    def __init__(self, pidfd: int) -> None:
        self._pidfd = pidfd

    def fileno(self) -> int:
        """See Source."""
        return self._pidfd

    def hear(self) -> Iterator[Heard]:
        """See Source."""
        yield Heard("operator", {"event": "orphaned"})


class Ear:
    """Hears children, the keys of a terminal, SIGINT, SIGTERM and SIGHUP, and the end of the parent.

    A context manager: after it, signals do what they did before. A SIGHUP that is ignored stays so (nohup);
    the end of the parent is then none of ours, nor in a session of our own (setsid, a service).
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._parent: int | None = None
        is_alone = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        for number in (signal.SIGINT, signal.SIGTERM, *(() if is_alone else (signal.SIGHUP,))):
            self._before[number] = signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        if not is_alone and os.getsid(0) != os.getpid():
            with suppress(OSError):  # it has gone, or this kernel (before 5.3) cannot tell
                self._parent = os.pidfd_open(os.getppid())
                self._selector.register(self._parent, selectors.EVENT_READ, _Parent(self._parent))
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._selector.close()
        for descriptor in (self._woken, self._wake, self._parent):
            if descriptor is not None:
                os.close(descriptor)

    def listen(self, to: Child) -> None:
        """Hear what this child says, until it has closed its output."""
        self._selector.register(to.output, selectors.EVENT_READ, to)

    def forget(self, child: Child) -> None:
        """Hear nothing more of it, not even its end."""
        with suppress(KeyError, ValueError):  # it has ended already
            self._selector.unregister(child.output)

    def attend(self, source: Source) -> None:
        """Hear this source too."""
        self._selector.register(source, selectors.EVENT_READ, source)

    def watch_keys(self, terminal: int) -> None:
        """Hear the keys of this terminal."""
        self._selector.register(terminal, selectors.EVENT_READ, terminal)

    def hear(self, limit_s: float) -> Iterator[Heard]:
        """What comes first, and what has come with it; nothing if nothing comes within the limit."""
        for key, _ in self._selector.select(max(limit_s, 0)):
            if key.fd not in self._selector.get_map():
                continue  # forgotten since
            if isinstance(key.data, Child):
                yield from self._hear_child(key.data)
            elif key.data is None:
                for number in os.read(self._woken, READ_BYTES):
                    event = "hangup" if number == signal.SIGHUP else "signal"
                    yield Heard("operator", {"event": event, "number": number})
            elif isinstance(key.data, int):
                yield from self._hear_keys(key.data)
            else:
                yield from key.data.hear()

    def _hear_child(self, of: Child) -> Iterator[Heard]:
        for line in of.take():
            if line.get("event") == "ended":
                self._selector.unregister(of.output)
                line = {"event": "ended", "code": of.close()}  # noqa: PLW2901 — it says one thing more
            yield Heard(of.name, line)

    def _hear_keys(self, terminal: int) -> Iterator[Heard]:
        pressed = b""
        with contextlib.suppress(OSError):  # a terminal that has gone away
            pressed = os.read(terminal, READ_BYTES)
        if not pressed:
            self._selector.unregister(terminal)
        for key in pressed.decode(errors="replace"):
            yield Heard("operator", {"event": "key", "key": key})
