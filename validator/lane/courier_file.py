"""What the courier says of the source of lists, for the lane's status: `courier.json`, looked at every second and read when it is another.

The courier may be dead, and its last word would be read for ever; so it is told when it has not asked for longer than a poll may take.
"""

from pathlib import Path

import msgspec

from validator.host.plain_files import read_regular
from validator.ipc.answers import CourierHealth
from validator.ipc.courier_status import (
    COURIER_STATUS_BYTES_MAX,
    CourierStatus,
    CourierStatusError,
    decode,
    silence_s_max,
    wait_s_max,
)

UNHEARD = CourierHealth(
    state="unknown",
    problem="",
    since_unix_s=None,
    polled_unix_s=None,
    list_version=None,
    silent=None,
)
"""Of a courier that has written nothing yet."""


class CourierFile:
    """One such file. For one thread; it never writes."""

    def __init__(self, path: Path, poll_s: float | None) -> None:
        """`poll_s` is how often the courier asks; None where the file is written only when there is news: silence says nothing then."""
        self._path = path
        self._poll_s = poll_s
        self._read: tuple[int, ...] | None = None
        self._found: CourierStatus | None = None

    def look(self, now_unix_s: int) -> CourierHealth:
        """The courier's last word, and what follows from its age. Never raises.

        Beside the fields of the file: `silent` (None: nobody can tell), and `asks_within_s`, how soon after `polled_unix_s` it
        means to have asked again unless a large list is on its way (None likewise). If nothing can be read, the state is
        "unknown", the problem says why, and the rest is None.
        """
        problem = ""
        try:
            status = self._path.lstat()
            looks = (
                status.st_dev,
                status.st_ino,
                status.st_size,
                status.st_mtime_ns,
                status.st_ctime_ns,
            )
            if looks != self._read:
                self._read = looks
                self._found = decode(read_regular(self._path, COURIER_STATUS_BYTES_MAX))
        except FileNotFoundError:
            self._read = self._found = None
        except (OSError, CourierStatusError) as error:
            self._read = self._found = None
            problem = (error.strerror if isinstance(error, OSError) else "") or str(error)
        if self._found is None:
            return msgspec.structs.replace(UNHEARD, problem=problem)
        silent = asks_within_s = None
        if self._poll_s is not None:
            silent = now_unix_s - self._found.polled_unix_s > silence_s_max(
                self._found.state, self._poll_s
            )
            asks_within_s = wait_s_max(self._found.state, self._poll_s)
        return CourierHealth(
            **msgspec.structs.asdict(self._found), silent=silent, asks_within_s=asks_within_s
        )
