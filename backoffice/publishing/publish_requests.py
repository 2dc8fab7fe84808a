"""How `publish` asks a running publisher to publish now, over a socket in the home.

    with Wishes.heard_in(home) as wishes:        # `publish --watch`
        for wish in wishes.wait(1.0): wish.answer({"error": "…"})
    answer = handed_over(home)                   # `publish`; None: no publisher listens

Users who may write to the home may ask. Nothing is stored: a wish ends with its connection.
"""

import json
import os
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

ANSWER_BYTES_MAX = 1 << 16  # fits a socket's buffer: a publisher never waits for a client
WISHES_MAX = 64
_NAME = ".publisher.sock"
_OWNER_ONLY = 0o177


class Wish:
    """A client that asked the publisher to publish."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def answer(self, result: dict[str, Any]) -> None:
        """Send the result, if the client is still there."""
        with self._connection, suppress(OSError):
            self._connection.setblocking(False)
            self._connection.sendall(json.dumps(result).encode() + b"\n")


class Wishes:
    """The socket on which wishes arrive."""

    def __init__(self, listener: socket.socket | None) -> None:
        self._listener = listener

    @classmethod
    @contextmanager
    def heard_in(cls, home: Path) -> Iterator[Self]:
        """Listen for a block; for the one publisher of this home.

        Where no socket can be made, no wish arrives.
        """
        listener = _listener(home)
        try:
            yield cls(listener)
        finally:
            if listener is not None:
                listener.close()
                with suppress(OSError):
                    (home / _NAME).unlink()

    def wait(self, seconds: float) -> list[Wish]:
        """Wait for wishes at most so long. Returns as soon as there is one."""
        listener = self._listener
        if (
            not select.select([listener] if listener else [], [], [], seconds)[0]
            or listener is None
        ):
            return []
        found: list[Wish] = []
        with suppress(BlockingIOError):
            while len(found) < WISHES_MAX:
                found.append(Wish(listener.accept()[0]))
        return found


def handed_over(home: Path) -> dict[str, Any] | None:
    """Ask the running publisher to publish, and wait for its answer.

    None if no publisher listens, or it ended before it answered.
    """
    with _reached(home) as path, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        content = b""
        try:
            asking.connect(path)
            while not content.endswith(b"\n") and len(content) < ANSWER_BYTES_MAX:
                piece = asking.recv(ANSWER_BYTES_MAX)
                if not piece:
                    return None
                content += piece
            answer: dict[str, Any] = json.loads(content)
        except (OSError, ValueError):
            return None
        return answer


def _listener(home: Path) -> socket.socket | None:
    before = os.umask(_OWNER_ONLY)
    try:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _reached(home) as path:
                Path(path).unlink(missing_ok=True)  # of a publisher that was killed
                listener.bind(path)
            listener.listen(WISHES_MAX)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
    except OSError:  # a unit or a file system without sockets: `publish` waits for its turn then
        return None
    finally:
        os.umask(before)
    return listener


@contextmanager
def _reached(home: Path) -> Iterator[str]:
    """The socket's path through /proc, short enough for its address (unix(7): 108 bytes)."""
    fd = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{_NAME}"
    finally:
        os.close(fd)
