"""An outbox on a disk that can be read and takes nothing: its database in memory, so that its reports reach the city all the same.

    view = OutboxView(folder)      # a copy: whatever is done to it is forgotten with it
    outbox_rows.oldest(view, 20, 0)

A card that the kernel has made read-only is one that somebody will throw away. SQLite opens no database with a log there, since it
would have to write its index beside it; so the log's pages are put into the copy here. What the city has is taken out of the copy
alone: once the disk takes something again it is sent again, and the city says that it has it already.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from validator.lane.outbox.rescue import DATABASE, LOG, DamagedError, readable
from validator.lane.outbox.wal import committed_pages

VIEW_BYTES_MAX = (
    16 << 20
)  # some 35,000 reports: the copy is made in memory that the lane has locked
_VERSIONS_AT = slice(
    18, 20
)  # of the file format, for writing and reading: 1 is without a log, 2 with one
_PAGE_BYTES_AT = slice(16, 18)


class OutboxView:
    """As much of a diskcache.Cache as lane/outbox/rows.py asks for. For one thread."""

    def __init__(self, folder: Path) -> None:
        """Read it. Raises OSError, sqlite3.Error, and DamagedError for what cannot be used or is too large."""
        size = sum(
            (folder / name).stat().st_size for name in (DATABASE, LOG) if (folder / name).exists()
        )
        if size > VIEW_BYTES_MAX:
            raise DamagedError(f"{folder}: {size} bytes are too many to be held in memory")
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
            (told,) = self._database.execute("PRAGMA integrity_check(1)").fetchone()
        except BaseException:
            self._database.close()
            raise
        if told != "ok":
            self._database.close()
            raise DamagedError(
                f"{folder}: damaged, and cannot be saved while the disk takes nothing"
            )

    def _sql(self, statement: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        return self._database.execute(statement, values)

    @contextmanager
    def transact(self) -> Iterator[None]:
        """Nothing has to be all or nothing here."""
        yield

    def close(self) -> None:
        """Forget it."""
        self._database.close()
