"""Asks a lane of the demo how it fares, each second and when something has happened, in a thread of its own.

    watch = LaneWatch("lane-status", socket)
    ear.attend(watch)            # Heard("lane-status", {"event": "status", "asked_ns": …, "status": {…}}); None from a lane that does not answer
    watch.nudge()                # ask at once

A clerk that adopts a list answers late. Whoever waited for it would meanwhile miss what the lane shows.
"""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

from turnike_demo.children import Heard, Mailbox
from validator.errors import LaneGoneError
from validator.ipc.client import LaneClient

LOOK_S = 1.0


class LaneWatch:
    """A children.Source, from its making to `close`."""

    def __init__(self, name: str, socket: Path) -> None:
        """`name` is the source of what is heard."""
        self._name = name
        self._lane = LaneClient(socket)
        self._mailbox = Mailbox()
        self._nudged = threading.Event()
        self._is_over = False
        threading.Thread(target=self._ask, name=name, daemon=True).start()

    def fileno(self) -> int:
        """See children.Source."""
        return self._mailbox.fileno()

    def hear(self) -> Iterator[Heard]:
        """See children.Source."""
        return self._mailbox.hear()

    def nudge(self) -> None:
        """Ask now."""
        self._nudged.set()

    def close(self) -> None:
        """Ask no more. An answer that is under way is not waited for."""
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
                Heard(self._name, {"event": "status", "asked_ns": asked_ns, "status": status})
            )
            self._nudged.wait(LOOK_S)
            self._nudged.clear()
        self._lane.close()
