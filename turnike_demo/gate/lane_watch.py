"""Asks a lane for its status every second, and at once when asked to, in a thread of its own.

    watch = LaneWatch("lane-status", socket)
    sources.add(watch)
    watch.nudge()

Each answer is Event("lane-status", {"event": "status", "asked_ns": …, "status": {…}}); `status` is
None if the lane did not answer. A thread, since a clerk that adopts a list answers late, and the
demo would miss what the lane shows meanwhile.
"""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

from turnike_demo.processes.events import Event, Mailbox
from validator.errors import LaneGoneError
from validator.ipc.client import LaneClient

PERIOD_S = 1.0


class LaneWatch:
    """A `Source` of a lane's status, until `close`."""

    def __init__(self, name: str, socket: Path) -> None:
        """`name` is the source of the events, `socket` the lane's."""
        self._name = name
        self._lane = LaneClient(socket)
        self._mailbox = Mailbox()
        self._nudged = threading.Event()
        self._is_over = False
        threading.Thread(target=self._ask, name=name, daemon=True).start()

    def fileno(self) -> int:
        """See `Source`."""
        return self._mailbox.fileno()

    def events(self) -> Iterator[Event]:
        """See `Source`."""
        return self._mailbox.events()

    def nudge(self) -> None:
        """Ask now."""
        self._nudged.set()

    def close(self) -> None:
        """Stop asking, without waiting for an answer that is under way."""
        self._is_over = True
        self._nudged.set()
        self._mailbox.close()

    def _ask(self) -> None:
        while not self._is_over:
            asked_ns = time.monotonic_ns()
            try:
                status = self._lane.status()
            except LaneGoneError:
                status = None
            self._mailbox.put(
                Event(self._name, {"event": "status", "asked_ns": asked_ns, "status": status})
            )
            self._nudged.wait(PERIOD_S)
            self._nudged.clear()
        self._lane.close()
