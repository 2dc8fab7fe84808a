"""What the courier says of the source of lists, for the lane's status: `courier.json`, looked at every second and read when it is another.

The courier may be dead, and its last word would be read for ever; so it is told when it has not asked for longer than a poll may take.
"""

from pathlib import Path
from typing import Any

import msgspec

from validator.adapters.plain_files import read_regular
from validator.formats.courier_status import (
    COURIER_STATUS_BYTES_MAX,
    CourierStatus,
    CourierStatusError,
    decode,
    silence_s_max,
)


class CourierFile:
    """One such file. For one thread; it never writes."""

    def __init__(self, path: Path, poll_s: float | None) -> None:
        """`poll_s` is how often the courier asks; None where the file is written only when there is news: silence says nothing then."""
        self._path = path
        self._poll_s = poll_s
        self._read: tuple[int, ...] | None = None
        self._found: CourierStatus | None = None

    def look(self, now_unix_s: int) -> dict[str, Any] | None:
        """The courier's status, and whether it is silent (None: nobody can tell); None if nothing is known of it. Never raises."""
        try:
            status = self._path.lstat()
            looks = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            if looks != self._read:
                self._read = looks
                self._found = decode(read_regular(self._path, COURIER_STATUS_BYTES_MAX))
        except (OSError, CourierStatusError):
            self._read = self._found = None
        if self._found is None:
            return None
        silent = None
        if self._poll_s is not None:
            silent = now_unix_s - self._found.polled_unix_s > silence_s_max(self._found.state, self._poll_s)
        lists = msgspec.structs.asdict(self._found)
        del lists["upload"]  # the courier itself tells the city, and `turnike check` the operator
        return lists | {"silent": silent}
