"""Asks the lanes on their sockets whether they use the installed list, and informs them of it.

docs/lane-socket.md describes their status.
"""

from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from validator.errors import LaneGoneError
from validator.ipc.answers import ListStatus
from validator.ipc.client import LaneClient


class LaneLists:
    """The lanes of this gate. For one thread."""

    def __init__(self, sockets: Sequence[Path]) -> None:
        """`sockets` has the path of each lane's socket, which need not exist."""
        self._sockets = sockets
        self._without: dict[Path, object] = {}  # which list a lane lacked at the last poll, and why

    def refused(self, era: int, list_version: int) -> str:
        """See courier.ports.Lanes."""
        lines = [self._complaint(path, era, list_version) for path in self._sockets]
        return next(filter(None, lines), "")

    def list_changed(self) -> None:
        """See courier.ports.Lanes.

        A lane that is gone or busy scans its folders within a second anyway.
        """
        for path in self._sockets:
            with suppress(LaneGoneError), closing(LaneClient(path)) as lane:
                lane.list_changed()

    def _complaint(self, path: Path, era: int, list_version: int) -> str:
        status = _list_status(path)
        problem = next(iter(status.list_problems), "")
        if (era, list_version) in status.lists_refused:
            return f"{path}: {problem}"
        # A lane that cannot even see the list refuses none. But it may only be about to scan, so it
        # counts when nothing has changed since the last poll.
        without = (
            (era, list_version, problem)
            if problem and status.list_version != list_version
            else None
        )
        before, self._without[path] = self._without.get(path), without
        return f"{path}: {problem}" if without is not None and without == before else ""


def _list_status(path: Path) -> ListStatus:
    """The lane's status of its list; an empty one if it does not answer, or not in this format."""
    lane = LaneClient(path)
    try:
        return lane.list_status()
    except LaneGoneError:
        return ListStatus()
    finally:
        lane.close()
