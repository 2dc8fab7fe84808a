"""How long the courier waits: between two polls, after a failed upload, and between two statuses.

20,000 gates share one server. After an outage they must not come back in one moment, so each wait
has a random part: `draw` returns a number that is uniform in [0, 1).
"""

from collections.abc import Callable
from dataclasses import dataclass

from validator.errors import RemoteError, SourceState

JITTER = 0.2  # of the poll interval, each way: 20,000 gates must not ask at once
BUSY_WAIT_S_MAX = 300.0  # how far a gate steps back by itself from a server that is busy
RETRY_AFTER_S_MAX = 3_600.0  # and how far at most because the server asks

# Between two attempts to upload, doubled each time, the whole of it random.
WAIT_S_MIN, WAIT_S_MAX = 1.0, 300.0
_WAIT_S_LEAST = 0.1
_DOUBLINGS_MAX = 16

STATUS_S, STATUS_S_MAX = 60.0, 900.0  # a busy server makes the gates send their status less often
STATUS_LOOK_S = 2.0  # how often the lanes are asked whether something has changed meanwhile
_SLOWER, _FASTER = 2.0, 0.9


@dataclass(slots=True)
class PollWaits:
    """How long to wait after a poll for lists."""

    poll_s: float
    draw: Callable[[], float]
    busy_s: float = 0.0

    def after(self, error: RemoteError | None) -> float:
        """The seconds until the next poll, after one that ended with this error or with none."""
        regular_s = self.poll_s * (1 + JITTER * (2 * self.draw() - 1))
        if error is None or error.state is not SourceState.BUSY:
            self.busy_s = 0.0
            return regular_s
        self.busy_s = min(max(2 * self.busy_s, self.poll_s), BUSY_WAIT_S_MAX)
        asked_s = min(error.retry_after_s, RETRY_AFTER_S_MAX)
        return max(asked_s, regular_s) + self.busy_s * self.draw()


def upload_wait_s(failures: int, retry_after_s: float, draw: Callable[[], float]) -> float:
    """The seconds until the next attempt, after so many failures in a row.

    A random part of a wait that doubles with each failure ("full jitter"), after the seconds that
    the server asked for.
    """
    longest_s = min(WAIT_S_MIN * (1 << min(failures, _DOUBLINGS_MAX)), WAIT_S_MAX)
    return min(retry_after_s, RETRY_AFTER_S_MAX) + max(longest_s * draw(), _WAIT_S_LEAST)


class StatusTimes:
    """When the gate sends its status: each minute, soon after a change, less often while it fails.

    It has its own wait: a gate without a report to send asks for nothing else, and would not notice
    that the city is out of reach. While a server is busy, the gates find the pace at which it takes
    their statuses: no report must wait because 20,000 gates send that they are well.
    """

    def __init__(self, draw: Callable[[], float]) -> None:
        """`draw` is uniform in [0, 1)."""
        self._draw = draw
        self._failures = 0
        self.every_s = STATUS_S
        """The present interval, in seconds, while nothing changes."""
        self._sent: object = None
        self.look_s = 0.0
        """Until this time the lanes need not be asked for their status."""
        self.due_s = 0.0
        """When the status is sent, changed or not."""

    def is_due(self, now_s: float, notable: object) -> bool:
        """Whether to send the status now.

        `notable` is the part of it that an operator wants to know soon; a change makes it due.
        """
        self.look_s = now_s + STATUS_LOOK_S
        return now_s >= self.due_s or notable != self._sent

    def sent(self, now_s: float, notable: object) -> None:
        """Note that the back office took the status."""
        self.every_s = max(self.every_s * _FASTER, STATUS_S)
        self._sent, self._failures, self.due_s = notable, 0, now_s + self.every_s

    def failed(self, now_s: float, error: RemoteError) -> None:
        """Note that the back office did not take the status."""
        if error.state in (SourceState.BUSY, SourceState.SLOW):
            self.every_s = min(self.every_s * _SLOWER, STATUS_S_MAX)
        self._failures += 1
        wait_s = upload_wait_s(self._failures, error.retry_after_s, self._draw)
        self.look_s = self.due_s = now_s + wait_s
