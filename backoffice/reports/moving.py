"""Moves reports and gates from the registry's database into the receiver's: `reports move`.

After a kill the same command finishes the move: rows are deleted only once they are at the new
place.
"""

from contextlib import closing
from itertools import islice
from secrets import token_hex

import sqlalchemy as sa

from backoffice.registry.database import Database
from backoffice.reports.schema import (
    enrolments,
    exports,
    forgotten,
    forgotten_numbers,
    gates,
    learning_orders,
    nonces,
    reports,
    statuses,
)
from validator.errors import OperatorError

_ROWS = 1_000  # at once
TABLES = (
    gates,
    enrolments,
    reports,
    forgotten,
    forgotten_numbers,
    statuses,
    nonces,
    learning_orders,
    exports,
)


def move(from_url: str, to_url: str) -> int:
    """Move all rows. Returns how many reports moved; raises OperatorError.

    A row that the new place has already stays there as it is.
    """
    with_registry = OperatorError(
        "reports are with the registry, and stay there until [receiver] database in backoffice.toml"
        " names another database than the registry's: nothing was moved"
    )
    if from_url == to_url:
        raise with_registry
    with closing(Database(from_url)) as source, closing(Database(to_url)) as target:
        if _are_one(source, target):
            raise with_registry
        with target.writing() as connection:
            for table in TABLES:
                insert = target.insert(table).on_conflict_do_nothing()
                rows, names = source.stream(sa.select(table)), table.columns.keys()
                while some := [dict(zip(names, row, strict=True)) for row in islice(rows, _ROWS)]:
                    connection.execute(insert, some)
        with source.writing() as connection:
            counts = {table: connection.execute(sa.delete(table)).rowcount for table in TABLES}
    return counts[reports]


def _are_one(source: Database, target: Database) -> bool:
    """Whether two URLs name one database: then the move would delete what it moved."""
    # A link, another spelling of a path, another name of a host: only a row finds them all.
    name = f"?{token_hex(16)}"  # no gate's id has a question mark
    mark = nonces.c.gate_id == name
    row = {"gate_id": name, "nonce": "", "issued_unix_s": 0, "is_used": True}
    with target.writing() as connection:
        connection.execute(nonces.insert(), row)
    try:
        with source.reading() as connection:
            return bool(connection.execute(sa.select(nonces).where(mark)).all())
    finally:
        with target.writing() as connection:
            connection.execute(nonces.delete().where(mark))
