"""What the lanes say of the list that stands here: courier_ports.Lanes on their sockets. docs/lane-socket.md describes the status."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from validator.adapters.lane_client import LaneClient
from validator.carrier_ports import LaneGoneError


class LaneLists:
    """The lanes of this gate. For one thread."""

    def __init__(self, sockets: Sequence[Path]) -> None:
        """Each lane's socket; it need not be there."""
        self._sockets = sockets
        self._stuck: dict[
            Path, object
        ] = {}  # with what each lane was without this list when it was asked last

    def refused(self, era: int, list_version: int) -> str:
        """See courier_ports.Lanes."""
        lines = [self._asked(path, era, list_version) for path in self._sockets]
        return next(filter(None, lines), "")

    def _asked(self, path: Path, era: int, list_version: int) -> str:
        lane = LaneClient(path)
        try:
            status = lane.status()
        except LaneGoneError:
            status = {}
        finally:
            lane.close()
        problem = next(iter(status.get("list_problems") or ()), "")
        if [era, list_version] in (status.get("lists_refused") or ()):
            return f"{path}: {problem}"
        # A lane that cannot even see the list refuses none. It may only be about to look: it counts when nothing has changed since the last poll.
        stuck = (era, list_version, problem) if problem and _is_without(status, list_version) else None
        before, self._stuck[path] = self._stuck.get(path), stuck
        return f"{path}: {problem}" if stuck is not None and stuck == before else ""


def _is_without(status: Mapping[str, Any], list_version: int) -> bool:
    return status.get("list_version") != list_version
