"""The lane socket: a Unix stream socket on which the gate's other programs ask the clerk.

    clients = LaneSocket(path)
    clients.wait(1.0)                     # for a request, for `wake` from another thread, or 1 s
    while asked := clients.take():        # Asked(client, request), whole and valid
        clients.answer(asked.client, Looking())
    clients.tell({"event": "tap", ...})   # to each client that watches

docs/lane-socket.md describes requests and answers.

A cleaned /run or a hand may remove or replace the socket's file while the lane runs. No client
could connect any more, so the file is checked every second and made again. A file that is no
socket, or another process's socket, stays; `news` has a line about it.

All but `wake` is for one thread, the clerk's. No client can delay it: no call blocks, a client
that does not read is dropped, one that sends invalid bytes gets an error and is dropped, and
events that a slow watcher does not read are counted instead of kept.
"""

import errno
import os
import select
import socket
import stat
import struct
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

CLIENTS_MAX = 8  # courier, console, a person or two; one more replaces the one silent longest
UNSENT_BYTES_MAX = 65_536  # two answers of twenty reports; a slower watcher loses events
MODE = 0o660  # only the service's group may connect
CHECK_S = 1.0  # between two checks of the socket's file
_READ_BYTES = 4_096
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
_encoder = msgspec.json.Encoder()


@dataclass(slots=True, eq=False)
class Client:
    """One connection."""

    socket: socket.socket
    is_owner: bool = False
    """Root, or the user that this process runs as."""
    received: bytearray = field(default_factory=bytearray)
    unsent: bytearray = field(default_factory=bytearray)
    watches: bool = False
    dropped: int = 0  # events since the last one sent
    ends: bool = False  # once all is sent
    asked: int = 0  # the number of its last request

    @property
    def awaited(self) -> int:
        """The poll events to wait for: room for answers, else requests, unless enough wait."""
        if self.unsent:
            return select.POLLOUT
        return select.POLLIN if len(self.received) <= LINE_BYTES_MAX else 0


class LaneSocket:
    """The lane's end: ports.LaneClients. Without a path no client can connect."""

    def __init__(
        self, path: Path | None, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Listen at `path`, in place of a socket that an ended process left.

        Args:
            path: the socket's file, or None for none.
            monotonic_s: the clock for the checks of the file, in seconds.

        Raises:
            OSError: no socket can be made there, or a running process listens there.
        """
        self.news: list[str] = []
        """Lines for the operator about the socket. The clerk removes a line that it logs."""
        self._path = path
        self._trouble = ""
        self._monotonic_s = monotonic_s
        self._check_s = monotonic_s() + CHECK_S
        self._wakened = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._listener = _listening(path) if path else None
        self._file = _file(path) if path else None
        self._clients: dict[int, Client] = {}
        self._asked: deque[Asked] = deque()
        self._numbers = count(1)  # of requests

    def wake(self) -> None:
        """End the wait under way, or the next one. Any thread may call it."""
        with suppress(BlockingIOError):
            os.eventfd_write(self._wakened, 1)

    def wait(self, limit_s: float) -> None:
        """Wait for a request, `wake` or the limit. Receives and sends what can be."""
        if self._path is not None and self._monotonic_s() >= self._check_s:
            self._check_s = self._monotonic_s() + CHECK_S
            self._check_file(self._path)
        poll = select.poll()
        poll.register(self._wakened, select.POLLIN)
        if self._listener is not None:
            poll.register(self._listener, select.POLLIN)
        for number, client in self._clients.items():
            poll.register(number, client.awaited)
        # A request that came while another client was served is answered without a wait.
        for number, _ in poll.poll(0 if self._asked else max(limit_s, 0.0) * 1_000):
            if number == self._wakened:
                os.eventfd_read(self._wakened)
            elif number in self._clients:
                self._serve(self._clients[number])
            else:
                self._accept()

    def take(self) -> Asked | None:
        """Return the next request, or None."""
        while self._asked:
            asked = self._asked.popleft()
            if asked.client.socket.fileno() in self._clients:
                return asked
        return None

    def answer(self, client: Client, answer: Answer) -> None:
        """Answer a request, and take the client's next line."""
        self._send(client, answer)
        self._take_line(client)

    def tell(self, event: Mapping[str, Any]) -> None:
        """Send an event to each client that watches."""
        for client in [client for client in self._clients.values() if client.watches]:
            if len(client.unsent) > UNSENT_BYTES_MAX // 2:
                client.dropped += 1
                continue
            if client.dropped:
                self._send(client, {"event": "dropped", "count": client.dropped})
                client.dropped = 0
            self._send(client, event)

    def close(self) -> None:
        """Disconnect all clients, and remove the socket's file."""
        for client in list(self._clients.values()):
            self._hang_up(client)
        if self._listener is not None and self._path is not None:
            self._listener.close()
            with suppress(OSError):
                if _file(self._path) == self._file:
                    self._path.unlink()
        os.close(self._wakened)

    def _check_file(self, path: Path) -> None:
        """Listen again if the file is not the one that was made. Connected clients stay."""
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
        assert self._listener is not None  # noqa: S101  # only a listener is registered besides
        with suppress(OSError):  # the client may have gone
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            if len(self._clients) >= CLIENTS_MAX:
                self._hang_up(min(self._clients.values(), key=lambda client: client.asked))
            self._clients[connection.fileno()] = Client(connection, _is_owner(connection))

    def _serve(self, client: Client) -> None:
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
        """Queue the client's next request, one at a time: clients are served in turn."""
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
        self._asked.append(Asked(client, request, client.is_owner))

    def _send(self, client: Client, line: Answer | Mapping[str, Any]) -> None:
        client.unsent += _encoder.encode(line) + b"\n"
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
        # No client can connect before the mode is right: it listens only then.
        listening.bind(str(path))
        path.chmod(MODE)
        listening.listen(CLIENTS_MAX)
    except OSError:
        listening.close()
        raise
    return listening


def _is_owner(connection: socket.socket) -> bool:
    """Whether the client was root or this process's user when it connected, as the kernel says."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _pid, uid, _gid = _CREDENTIALS.unpack(credentials)
    return uid in (0, os.geteuid())


def _take_away(path: Path) -> None:
    """Remove the socket that an ended process left.

    Raises:
        OSError: it is no socket, or a process listens on it.
    """
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise OSError(errno.EEXIST, "is no socket, and is where the lane's should be", str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # a process listens, and is busy
    raise OSError(errno.EADDRINUSE, "another process listens here", str(path))


def _file(path: Path) -> tuple[int, int] | None:
    """Return the device and inode of the file, or None if there is none.

    Raises:
        OSError: it cannot be checked.
    """
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino
