"""What is counted of a gate: bytes and requests by day and kind, its load on the server, delays."""

from array import array
from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

DAY_S = 86_400
LATENCY_STEP_S = 0.05
LATENCY_STEPS = 6_000  # five minutes; the last step counts all that is longer


class Of(IntEnum):
    """What is counted. All but the last five are bytes on the line."""

    METADATA = 0
    MANIFESTS = 1
    INDEX = 2
    PIECES = 3
    SNAPSHOTS = 4
    DOWN_LINE = 5  # headers, TLS records and handshakes, to the gate
    UP = 6  # all that the gate sends
    REQUESTS = 7
    HANDSHAKES = 8
    SD_ACCEPTED = (
        9  # bytes of whole blocks written to the SD card: the accepted store, pieces, lists
    )
    SD_PIECES = 10
    SD_LISTS = 11


DOWN = (Of.METADATA, Of.MANIFESTS, Of.INDEX, Of.PIECES, Of.SNAPSHOTS, Of.DOWN_LINE)
ON_CARD = (Of.SD_ACCEPTED, Of.SD_PIECES, Of.SD_LISTS)
AWAY = (
    ("≤ 10 min", 600),
    ("≤ 1 h", 3_600),
    ("≤ 1 day", DAY_S),
    ("≤ 1 week", 7 * DAY_S),
    ("≤ 4 weeks", 28 * DAY_S),
    ("longer", float("inf")),
)
NEW = "new"


def away(seconds: float | None) -> str:
    """The class of an absence of that length; None: the gate is new."""
    return NEW if seconds is None else next(name for name, up_to_s in AWAY if seconds <= up_to_s)


@dataclass
class Load:
    """The gates' load on the server: requests begun and bytes (both ways) in each second.

    The bytes of a long answer are spread over its time.
    """

    seconds: int
    requests: NDArray[np.int64] = field(init=False)
    bytes_: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self._requests = array("q", bytes(8 * (self.seconds + 1)))
        self._bytes = array("d", bytes(8 * (self.seconds + 1)))
        self._slopes = array("d", bytes(8 * (self.seconds + 2)))
        self.close()

    def count(self, at_s: float, took_s: float, bytes_: float) -> None:
        """Count one request."""
        second = int(at_s)
        if not 0 <= second < self.seconds:
            return
        self._requests[second] += 1
        last = min(int(at_s + took_s), self.seconds)
        if last <= second + 1:
            self._bytes[second] += bytes_
        else:
            self._slopes[second] += bytes_ / (last - second)
            self._slopes[last] -= bytes_ / (last - second)

    def close(self) -> None:
        """Make the vectors of what was counted."""
        self.requests = np.array(self._requests[: self.seconds], np.int64)
        self.bytes_ = (
            np.array(self._bytes[: self.seconds]) + np.cumsum(self._slopes)[: self.seconds]
        )


@dataclass
class Tally:
    """Everything that is counted of one gate; `merged` into that of the fleet."""

    days: list[list[int]]
    undisturbed: list[bool]
    """By day, whether the gate had its line and was in step all day."""
    enforced: "array[int]" = field(default_factory=lambda: array("q", bytes(8 * LATENCY_STEPS + 8)))
    enforced_max_s: float = 0.0
    back_s: dict[str, list[float]] = field(default_factory=dict)
    """By class of absence: seconds from when the line came back until the list was current."""
    returns: Counter[str] = field(default_factory=Counter)
    snapshots: Counter[str] = field(default_factory=Counter)
    fetched_changes: int = 0
    fetched_twice: int = 0
    thrown_away: int = 0
    """Pieces that had to make room for newer ones."""
    states: Counter[str] = field(default_factory=Counter)
    replays: Counter[str] = field(default_factory=Counter)

    def enforce(self, seconds: float) -> None:
        """Count a list that a gate in step enforced so many seconds after its publication."""
        self.enforced[min(int(seconds / LATENCY_STEP_S), LATENCY_STEPS)] += 1
        self.enforced_max_s = max(self.enforced_max_s, seconds)
