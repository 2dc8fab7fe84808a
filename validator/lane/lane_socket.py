"""The lane socket: a Unix stream socket on which the gate's other programs ask the clerk. docs/lane-socket.md describes what they may say.

    socket = LaneSocket(path)
    socket.wait(1.0)                     # until somebody asks, `wake` is called from another thread, or the limit
    while asked := socket.take():        # (Client, Request), whole and valid
        socket.answer(asked.client, {"looking": True})
    socket.tell({"event": "tap", ...})   # to whoever watches

The socket's file may be removed or replaced while the lane runs (a cleaned /run, a hand): it is looked at every second and
made again, since nobody could reach the lane any more. What is no socket, or is another process's, is not taken away: `news` says so.

One thread, the clerk's, but for `wake`. Nobody can hold it up: nothing here blocks, a client that does not read is dropped, one that sends
rubbish is told so and dropped, and events that a slow watcher does not take are counted instead of kept.
"""

import errno
import os
import select
import socket
import stat
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from validator.ipc.answers import Answer, Refusal
from validator.ipc.requests import LINE_BYTES_MAX, RequestError, Watch, parse
from validator.lane.ports import Asked

CLIENTS_MAX = 8  # the courier, a console, a person or two; for one more, who has asked nothing for the longest time must go
UNSENT_BYTES_MAX = 65_536  # two answers of twenty reports; a watcher further behind loses events
MODE = 0o660  # only the service's group may connect
LOOK_S = 1.0  # how often it is looked whether the socket's file is still there
_READ_BYTES = 4_096
_encoder = msgspec.json.Encoder()


@dataclass(slots=True, eq=False)
class Client:
    """One connection."""

    socket: socket.socket
    received: bytearray = field(default_factory=bytearray)
    unsent: bytearray = field(default_factory=bytearray)
    watches: bool = False
    dropped: int = 0  # events since the last that was told
    ends: bool = False  # when all is sent
    asked: int = 0  # the number of its last request

    @property
    def awaited(self) -> int:
        """What is waited for: that it takes answers, else more requests, unless enough of them wait already."""
        if self.unsent:
            return select.POLLOUT
        return select.POLLIN if len(self.received) <= LINE_BYTES_MAX else 0


class LaneSocket:
    """The listening side. Without a path nobody can ask, and `wait` only waits."""

    def __init__(
        self, path: Path | None, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Listen there, in place of whatever an earlier process left. Raises OSError, also if a living process listens there."""
        self.news: list[str] = []
        """What a person should hear of the socket, a line each; whoever tells it empties it."""
        self._path = path
        self._trouble = ""
        self._monotonic_s = monotonic_s
        self._look_s = monotonic_s() + LOOK_S
        self._wakened = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._listener = _listening(path) if path else None
        self._file = _file(path) if path else None
        self._clients: dict[int, Client] = {}
        self._asked: deque[Asked] = deque()
        self._numbers = count(1)  # of requests

    def wake(self) -> None:
        """End the `wait` under way, or the next one. Any thread may call it."""
        with suppress(BlockingIOError):
            os.eventfd_write(self._wakened, 1)

    def wait(self, limit_s: float) -> None:
        """Until somebody has asked something, or `wake`, or the limit. Takes what has come, and sends what can be sent."""
        if self._path is not None and self._monotonic_s() >= self._look_s:
            self._look_s = self._monotonic_s() + LOOK_S
            self._stay(self._path)
        poll = select.poll()
        poll.register(self._wakened, select.POLLIN)
        if self._listener is not None:
            poll.register(self._listener, select.POLLIN)
        for number, client in self._clients.items():
            poll.register(number, client.awaited)
        # What was taken while somebody else was attended to is to be answered now.
        for number, _ in poll.poll(0 if self._asked else max(limit_s, 0.0) * 1_000):
            if number == self._wakened:
                os.eventfd_read(self._wakened)
            elif number in self._clients:
                self._attend(self._clients[number])
            else:
                self._accept()

    def take(self) -> Asked | None:
        """The next request that has come, or None."""
        while self._asked:
            asked = self._asked.popleft()
            if asked.client.socket.fileno() in self._clients:
                return asked
        return None

    def answer(self, client: Client, answer: Answer) -> None:
        """Answer a request."""
        self._send(client, answer)
        self._take_line(client)

    def tell(self, event: Mapping[str, Any]) -> None:
        """Tell an event to whoever watches."""
        for client in [client for client in self._clients.values() if client.watches]:
            if len(client.unsent) > UNSENT_BYTES_MAX // 2:
                client.dropped += 1
                continue
            if client.dropped:
                self._send(client, {"event": "dropped", "count": client.dropped})
                client.dropped = 0
            self._send(client, event)

    def close(self) -> None:
        """Hang up, and take the socket away."""
        for client in list(self._clients.values()):
            self._hang_up(client)
        if self._listener is not None and self._path is not None:
            self._listener.close()
            with suppress(OSError):
                if _file(self._path) == self._file:
                    self._path.unlink()
        os.close(self._wakened)

    def _stay(self, path: Path) -> None:
        """Listen anew if the file is not the one that was made. Who is connected stays connected."""
        try:
            if _file(path) == self._file:
                self._trouble = ""
                return
            listener = _listening(path)
            self._file = _file(path)
        except OSError as error:
            trouble = f"{path}: the lane cannot be asked: {error.strerror or error}"
            self.news += [trouble] if trouble != self._trouble else []
            self._trouble = trouble
            return
        if self._listener is not None:
            self._listener.close()
        self._listener, self._trouble = listener, ""
        self.news.append(f"{path}: was removed or replaced, and is made again")

    def _accept(self) -> None:
        assert self._listener is not None  # noqa: S101 — only it is registered besides
        with suppress(OSError):  # whoever called may have gone
            called, _ = self._listener.accept()
            called.setblocking(False)
            if len(self._clients) >= CLIENTS_MAX:
                self._hang_up(min(self._clients.values(), key=lambda client: client.asked))
            self._clients[called.fileno()] = Client(called)

    def _attend(self, client: Client) -> None:
        if client.unsent:
            self._flush(client)
            if not client.unsent:
                self._take_line(client)
            return
        try:
            data = client.socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up(client)
            return
        client.received += data
        self._take_line(client)

    def _take_line(self, client: Client) -> None:
        """Put the client's next line among what is asked, one at a time: nobody is answered twice while others wait."""
        if client.unsent or client.ends or any(asked.client is client for asked in self._asked):
            return
        line, end, rest = client.received.partition(b"\n")
        if not end and len(line) <= LINE_BYTES_MAX:
            return
        client.received = rest
        try:
            request = parse(bytes(line))
        except RequestError as error:
            client.ends = True
            self._send(client, Refusal(str(error)))
            return
        client.asked = next(self._numbers)
        client.watches = client.watches or isinstance(request, Watch)
        self._asked.append(Asked(client, request))

    def _send(self, client: Client, told: Answer | Mapping[str, Any]) -> None:
        client.unsent += _encoder.encode(told) + b"\n"
        self._flush(client)
        if len(client.unsent) > UNSENT_BYTES_MAX:
            self._hang_up(client)

    def _flush(self, client: Client) -> None:
        try:
            while client.unsent:
                del client.unsent[: client.socket.send(client.unsent)]
        except BlockingIOError:
            return
        except OSError:
            self._hang_up(client)
            return
        if client.ends:
            self._hang_up(client)

    def _hang_up(self, client: Client) -> None:
        if self._clients.pop(client.socket.fileno(), None) is not None:
            client.socket.close()


def _listening(path: Path) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True)
    listening = socket.socket(
        socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    )
    try:
        with suppress(FileNotFoundError):
            _take_away(path)
        # Nobody can connect before the mode is right: it listens only then.
        listening.bind(str(path))
        path.chmod(MODE)
        listening.listen(CLIENTS_MAX)
    except OSError:
        listening.close()
        raise
    return listening


def _take_away(path: Path) -> None:
    """Remove what an ended process left. Raises OSError if somebody answers, or if it is no socket."""
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise OSError(
            errno.EEXIST, "is no socket, and stands where the lane's should be", str(path)
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # somebody listens, and has much to do
    raise OSError(errno.EADDRINUSE, "another process listens here", str(path))


def _file(path: Path) -> tuple[int, int] | None:
    """Which file stands there; None if there is none. Raises OSError."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino
