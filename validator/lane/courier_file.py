"""The courier's health for the lane's status, from the file `courier.json` that it writes.

The clerk asks at each status; the file is read when it has changed. A courier that died leaves
its last report behind, so a report older than a poll may take is marked as silent.
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
    """The file `courier.json`. For one thread; it never writes."""

    def __init__(self, path: Path, poll_s: float | None) -> None:
        """Nothing is read before the first `look`.

        Args:
            path: the file.
            poll_s: seconds between two polls of the courier. None where the courier writes the
                file only when something changed, so that its age means nothing.
        """
        self._path = path
        self._poll_s = poll_s
        self._read: tuple[int, ...] | None = None
        self._found: CourierStatus | None = None

    def look(self, now_unix_s: int) -> CourierHealth:
        """Return the courier's last report, and what follows from its age. Never raises.

        If no report can be read, the state is "unknown", the problem is the reason, and the
        rest is None.
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
