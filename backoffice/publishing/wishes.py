"""How `publish` asks the publisher that is at work to publish now, and hears what came of it: over a socket in the home.

    with Wishes.heard_in(home) as wishes:        # the publisher that watches
        for wish in wishes.wait(1.0): wish.answer({"error": "…"})
    told = handed_over(home)                     # whoever asks; None: nobody listens, or the listener has gone

Who may write to the home may ask. Nothing is kept: a wish ends with the connection that it came by.
"""

import json
import os
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

ANSWER_BYTES_MAX = 1 << 16  # fits the buffer of a socket: no publisher waits for whoever asked
WISHES_MAX = 64
_NAME = ".publisher.sock"
_OWNER_ONLY = 0o177


class Wish:
    """One who asked."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def answer(self, told: dict[str, Any]) -> None:
        """Say what came of it. Nobody need be there any more."""
        with self._connection, suppress(OSError):
            self._connection.setblocking(False)
            self._connection.sendall(json.dumps(told).encode() + b"\n")


class Wishes:
    """Where wishes come in."""

    def __init__(self, listener: socket.socket | None) -> None:
        self._listener = listener

    @classmethod
    @contextmanager
    def heard_in(cls, home: Path) -> Iterator[Self]:
        """Listen, for the length of a block. Only for the one publisher of this home; where there can be no socket, nobody is heard."""
        listener = _listener(home)
        try:
            yield cls(listener)
        finally:
            if listener is not None:
                listener.close()
                with suppress(OSError):
                    (home / _NAME).unlink()

    def wait(self, seconds: float) -> list[Wish]:
        """Those who have asked, as soon as somebody has; none when the time is over."""
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
    """Ask the publisher that listens, and wait for what it says; None if there is none, or it ended before it could say."""
    with _reached(home) as path, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        content = b""
        try:
            asking.connect(path)
            while not content.endswith(b"\n") and len(content) < ANSWER_BYTES_MAX:
                piece = asking.recv(ANSWER_BYTES_MAX)
                if not piece:
                    return None
                content += piece
            told: dict[str, Any] = json.loads(content)
        except (OSError, ValueError):
            return None
        return told


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
    """The socket's path, short enough for its address (unix(7): 108 bytes) however deep the home lies."""
    fd = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{_NAME}"
    finally:
        os.close(fd)
