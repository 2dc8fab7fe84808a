"""The rows of an import, sorted in a private temporary file.

The file is SQLite's own, about as large as the import, in the folder that TMPDIR names, and gone
when it is closed. Sorted by UID, the rows of one card are side by side, and the registry's pages
are written one after another. SQLite sorts any number of rows in the memory it is given.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, Self

from backoffice.imports.card_rows import Reason, Refused, Row
from validator.domain.cards import UID_LENGTHS

_CACHE_KIB = 64 * 1024
_FETCHED_ROWS = 10_000


class Refusal(Refused):
    """A refused row, with its line in the file."""

    def __init__(self, line: int, field: str, reason: Reason, text: str = "") -> None:
        super().__init__(field, reason, text)
        self.line = line


class Scratch:
    """The rows and refusals of one import.

    Raises sqlite3.Error, for example when the disk is full.
    """

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "PRAGMA temp_store = FILE",
            f"PRAGMA cache_size = -{_CACHE_KIB}",
            """
            CREATE TABLE rows
            (line INTEGER PRIMARY KEY, uid BLOB, number INTEGER, ends INTEGER, is_in INTEGER)
            """,
            "CREATE TABLE refusals (line INTEGER PRIMARY KEY, field TEXT, reason TEXT, text TEXT)",
            "CREATE TABLE unwanted (uid BLOB PRIMARY KEY, field TEXT, reason TEXT) WITHOUT ROWID",
            "BEGIN",
        ):
            self._db.execute(statement)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def add(self, rows: Iterable[Row]) -> None:
        """Keep rows of different lines."""
        self._db.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", rows)

    def refuse(self, refusals: Iterable[Refusal]) -> None:
        """Keep refusals; a line that is refused twice keeps its first one."""
        rows = ((one.line, one.field, one.reason.value, one.text) for one in refusals)
        self._db.executemany("INSERT OR IGNORE INTO refusals VALUES (?, ?, ?, ?)", rows)

    def refuse_second_uses(self) -> None:
        """Refuse every row whose number an earlier line gives to another UID."""
        self._db.execute(
            """
            INSERT OR IGNORE INTO refusals
            SELECT rows.line, 'number', ?, ''
            FROM (
                SELECT number, min(line) AS line FROM rows WHERE number IS NOT NULL
                GROUP BY number HAVING count(*) > 1
            ) AS first
            JOIN rows AS holder ON holder.line = first.line
            JOIN rows ON rows.number = first.number AND rows.uid <> holder.uid
            """,
            (Reason.NUMBER_TAKEN.value,),
        )
        self._db.execute("DELETE FROM rows WHERE line IN (SELECT line FROM refusals)")

    def by_uid(self, *, unwanted: bool = False) -> Iterator[Row]:
        """The rows that are not refused, by rising UID; those of one card in the order of the file.

        `unwanted`: only the rows of unwanted cards.
        """
        among = "JOIN unwanted USING (uid)" if unwanted else ""
        rows = f"SELECT line, uid, number, ends, is_in FROM rows {among}"  # noqa: S608 own words
        found = self._fetched(f"{rows} ORDER BY uid, line")
        return (
            Row(line, uid, number, ends, is_in=bool(is_in))
            for line, uid, number, ends, is_in in found
        )

    def add_unwanted(self, uids: Iterable[bytes], field: str, reason: Reason) -> None:
        """Record cards that the registry refused, and why."""
        rows = ((uid, field, reason.value) for uid in uids)
        self._db.executemany("INSERT OR IGNORE INTO unwanted VALUES (?, ?, ?)", rows)

    def remove_unwanted(self, uids: Iterable[bytes]) -> None:
        """Record that the registry took these cards after all."""
        self._db.executemany("DELETE FROM unwanted WHERE uid = ?", ((uid,) for uid in uids))

    def refuse_unwanted(self) -> None:
        """Refuse every row of the unwanted cards."""
        self._db.execute(
            """
            INSERT OR IGNORE INTO refusals
            SELECT rows.line, unwanted.field, unwanted.reason, ''
            FROM rows JOIN unwanted USING (uid)
            """
        )

    def twice(self, column: str) -> tuple[int, int, int]:
        """How many values of `column` ("uid" or "number") are in several rows, and two such lines.

        The lines are the first row with such a value, and the last row with the same value.
        """
        grouped = (
            "SELECT min(line) AS first, max(line) AS last FROM rows"  # noqa: S608 a column's name
            f" WHERE {column} IS NOT NULL GROUP BY {column} HAVING count(*) > 1"
        )
        # SQLite takes a bare column from the row that has the minimum (lang_select.html, 2.5).
        counted = f"SELECT count(*), min(first), last FROM ({grouped})"  # noqa: S608 likewise
        count, first, last = self._db.execute(counted).fetchone()
        return int(count), int(first or 0), int(last or 0)

    def has_long_twice(self) -> bool:
        """Whether a UID of more than 4 bytes is in several rows."""
        found = self._db.execute(
            "SELECT 1 FROM rows WHERE length(uid) > ? GROUP BY uid HAVING count(*) > 1 LIMIT 1",
            (UID_LENGTHS[0],),
        )
        return found.fetchone() is not None

    def count(self, table: str) -> int:
        """How many rows a table has: "rows", "refusals" or "unwanted"."""
        counted = self._db.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 a table's name
        return int(counted.fetchone()[0])

    def refusals(self) -> Iterator[Refusal]:
        """The refusals, in the order of the file."""
        for line, field, reason, text in self._fetched(
            "SELECT line, field, reason, text FROM refusals ORDER BY line"
        ):
            yield Refusal(line, field, Reason(reason), text)

    def reasons(self) -> dict[str, int]:
        """How many rows were refused for each reason, the most frequent first."""
        counted = self._db.execute(
            "SELECT reason, count(*) FROM refusals GROUP BY reason ORDER BY 2 DESC, 1"
        )
        return dict(counted.fetchall())

    def _fetched(self, select: str) -> Iterator[tuple[Any, ...]]:
        cursor = self._db.execute(select)
        while rows := cursor.fetchmany(_FETCHED_ROWS):
            yield from rows
