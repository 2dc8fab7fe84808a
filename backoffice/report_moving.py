"""Moves reports and gates out of the registry's database into the receiver's own, once: `turnike-backoffice reports move`.

Killed anywhere, the same command again finishes it: rows are deleted where they were only when they stand where they go.
"""

from contextlib import closing
from itertools import islice

import sqlalchemy as sa

from backoffice.database import Database
from backoffice.office import OfficeError
from backoffice.report_schema import (
    enrolments,
    exports,
    forgotten,
    forgotten_numbers,
    gates,
    nonces,
    reports,
    statuses,
)

_ROWS = 1_000  # at once
TABLES = (gates, enrolments, reports, forgotten, forgotten_numbers, statuses, nonces, exports)


def move(from_url: str, to_url: str) -> int:
    """Move them; how many reports there were. What stands at the new place already stays as it is there. Raises OfficeError."""
    if from_url == to_url:
        raise OfficeError(
            "reports are with the registry: [receiver] database in backoffice.toml names another place"
        )
    with closing(Database(from_url)) as source, closing(Database(to_url)) as target:
        with target.writing() as connection:
            for table in TABLES:
                insert = target.insert(table).on_conflict_do_nothing()
                rows, names = source.stream(sa.select(table)), table.columns.keys()
                while some := [dict(zip(names, row, strict=True)) for row in islice(rows, _ROWS)]:
                    connection.execute(insert, some)
        with source.writing() as connection:
            counts = {table: connection.execute(sa.delete(table)).rowcount for table in TABLES}
    return counts[reports]
