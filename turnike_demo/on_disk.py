"""What lies in a lane's outbox on the disk, whoever runs: read from a copy, so that the lane's own is not touched."""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from diskcache import Timeout

from validator.lane.outbox import rows as outbox_rows

_STEP = 1_000
_FILES = "cache.db*"  # the database and its log


def reports_on_disk(outbox: Path) -> frozenset[str] | None:
    """The ids of the reports that wait there and can be read; None if none can be told of."""
    with tempfile.TemporaryDirectory(prefix="turnike-outbox-") as copy:
        try:
            for file in outbox.glob(_FILES):
                shutil.copy2(file, copy)
            return frozenset(_ids(Path(copy)))
        except (OSError, sqlite3.Error, Timeout):
            return None


def _ids(folder: Path) -> set[str]:
    found: set[str] = set()
    with closing(outbox_rows.connected(folder)) as cache:
        skipped = 0
        while rows := outbox_rows.oldest(cache, _STEP, skipped):
            skipped += len(rows)
            found |= {row.report.report_id for row in rows if row.report is not None}
    return found
