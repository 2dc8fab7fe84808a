"""The lane process on a system whose clocks are read from a file. For tests of time.

    python -m tests.processes.clocked_lane CONFIG CLOCK

CLOCK is a JSON object: {"unix_s", "synchronised", "boottime_ns", "boot_id"}. It is read whenever
the lane asks for the time.
"""

import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

from validator.config import load
from validator.domain.trusted_time import SystemClock
from validator.host.clock import Clock
from validator.programs import lane as app


class FileClock(Clock):
    """The lane's own clock on the file's figures instead of the system's."""

    path: Path

    def __init__(self) -> None:
        super().__init__()
        self._boot_id = str(self.read()["boot_id"])

    def read(self) -> dict[str, Any]:
        """The content of the file."""
        values: dict[str, Any] = json.loads(self.path.read_text())
        return values

    def system(self) -> SystemClock:
        """See Clock."""
        values = self.read()
        return SystemClock(values["unix_s"], values["synchronised"], values["boottime_ns"])


if __name__ == "__main__":
    FileClock.path = Path(sys.argv[2])
    with patch.object(app, "Clock", FileClock):
        app.serve(load(Path(sys.argv[1])), sys.stdout.fileno())
