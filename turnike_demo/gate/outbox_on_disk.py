"""What is in a lane's outbox on the disk, whether the lane runs or not."""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from diskcache import Timeout

from validator.lane.outbox import rows as outbox_rows

_ROWS_AT_ONCE = 1_000
_FILES = "cache.db*"  # the database and its log


def reports_on_disk(outbox: Path) -> frozenset[str] | None:
    """Return the ids of the readable reports in this folder; None if it cannot be read.

    Reads a copy, so that the lane's own files are not touched.
    """
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
        while rows := outbox_rows.oldest(cache, _ROWS_AT_ONCE, skipped):
            skipped += len(rows)
            found |= {row.report.report_id for row in rows if row.report is not None}
    return found
