"""A copy in memory of an outbox whose disk cannot be written, so that its reports reach the city.

    view = OutboxView(folder)      # changes to it are lost with it
    outbox_rows.oldest(view, 20, 0)

A card that the kernel has made read-only will be replaced, and the reports on it with it. SQLite
opens no database with a log there, since it would write the log's index beside it. So the pages of
the log are copied into the image here.

Reports that the city has received are deleted in the copy alone. Once the disk can be written they
are sent again, and the city answers that it has them.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from validator.lane.outbox.rescue import DATABASE, LOG, DamagedError, readable
from validator.lane.outbox.wal import committed_pages

VIEW_BYTES_MAX = 16 << 20  # some 35,000 reports: the copy is in memory that the lane has locked
# The file format's versions for writing and reading: 1 is without a log, 2 with one.
_VERSIONS_AT = slice(18, 20)
_PAGE_BYTES_AT = slice(16, 18)


class OutboxView:
    """The part of diskcache.Cache that `rows.py` uses. For one thread."""

    def __init__(self, folder: Path) -> None:
        """Copy the database and its log.

        Raises:
            DamagedError: it is damaged, or larger than VIEW_BYTES_MAX.
            OSError, sqlite3.Error: it cannot be read.
        """
        size = sum(
            (folder / name).stat().st_size for name in (DATABASE, LOG) if (folder / name).exists()
        )
        if size > VIEW_BYTES_MAX:
            raise DamagedError(f"{folder}: {size} bytes are too many to hold in memory")
        image = bytearray((folder / DATABASE).read_bytes())
        page_bytes = int.from_bytes(image[_PAGE_BYTES_AT], "big")
        for number, page in committed_pages(folder / LOG):
            if len(page) == page_bytes:
                at = (number - 1) * page_bytes
                image.extend(bytes(max(at + page_bytes - len(image), 0)))
                image[at : at + page_bytes] = page
        image[_VERSIONS_AT] = b"\x01\x01"
        self._database = sqlite3.connect(":memory:", isolation_level=None)
        try:
            self._database.deserialize(bytes(image))
            self._database.text_factory = readable
            (verdict,) = self._database.execute("PRAGMA integrity_check(1)").fetchone()
        except BaseException:
            self._database.close()
            raise
        if verdict != "ok":
            self._database.close()
            raise DamagedError(
                f"{folder}: damaged, and cannot be saved while the disk takes nothing"
            )

    def _sql(self, statement: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        return self._database.execute(statement, values)

    @contextmanager
    def transact(self) -> Iterator[None]:
        """Do nothing: a copy needs no transaction."""
        yield

    def close(self) -> None:
        """Drop the copy."""
        self._database.close()
