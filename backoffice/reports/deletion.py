"""The statement that deletes reports; it remembers which numbers of an outbox they had.

So a deleted report is no missing one, and is not stored again when its gate sends it again.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from backoffice.registry.database import Database
from backoffice.reports.schema import forgotten, forgotten_numbers, reports
from validator.reports.stored_report import StoredReport


def oldest_unix_s(database: Database, before_unix_s: int, now_unix_s: int) -> int | None:
    """When the oldest report came that `forget` would delete.

    Unix seconds; None if there is none.
    """
    came = _came_unix_s(now_unix_s)
    chosen = sa.select(sa.func.min(came)).where(
        reports.c.received_unix_s < before_unix_s, came < before_unix_s
    )
    with database.reading() as connection:
        oldest = connection.execute(chosen).scalar_one()
        return None if oldest is None else int(oldest)


def forget(database: Database, came_before_unix_s: int, now_unix_s: int) -> int:
    """Delete the reports that came before a time. Returns how many; what they say of gaps is kept.

    A report counts as received no earlier than its gate made it: a server clock that was years
    behind dated it too early. A gate's time later than now is ignored.
    """
    # The first condition is the one with an index; no report came before it was received.
    old = (reports.c.received_unix_s < came_before_unix_s) & (
        _came_unix_s(now_unix_s) < came_before_unix_s
    )
    by = (reports.c.gate_id, reports.c.outbox_id)
    summed = sa.select(
        *by, sa.func.count(), sa.func.sum(reports.c.refused_before), sa.func.max(reports.c.seq)
    ).where(old)
    with database.writing() as connection:
        if database.is_sqlite:  # else the bytes stay in free pages of the file
            connection.exec_driver_sql("PRAGMA secure_delete = ON")
        _note_numbers(connection, old)
        insert = database.insert(forgotten).from_select(
            list(forgotten.c.keys()), summed.group_by(*by)
        )
        new, was = insert.excluded, forgotten.c
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=["gate_id", "outbox_id"],
                set_={
                    "count": was.count + new.count,
                    "refused": was.refused + new.refused,
                    "seq": sa.case((new.seq > was.seq, new.seq), else_=was.seq),
                },
            )
        )
        return connection.execute(sa.delete(reports).where(old)).rowcount


def _note_numbers(connection: sa.Connection, old: sa.ColumnElement[bool]) -> None:
    """Record which numbers are about to be deleted.

    A range grows where it can, so ranges stay few.
    """
    of = (reports.c.gate_id, reports.c.outbox_id)
    place = sa.func.row_number().over(partition_by=of, order_by=reports.c.seq)
    numbered = (
        sa.select(*of, reports.c.seq, (reports.c.seq - place).label("island")).where(old).subquery()
    )
    first, last = (
        sa.func.min(numbered.c.seq).label("first"),
        sa.func.max(numbered.c.seq).label("last"),
    )
    by = (numbered.c.gate_id, numbered.c.outbox_id)
    islands = connection.execute(sa.select(*by, first, last).group_by(*by, numbered.c.island)).all()
    gone = forgotten_numbers.c
    for island in islands:
        grown = sa.update(forgotten_numbers).where(
            gone.gate_id == island.gate_id,
            gone.outbox_id == island.outbox_id,
            gone.last_seq == island.first - 1,
        )
        if not connection.execute(grown.values(last_seq=island.last)).rowcount:
            connection.execute(sa.insert(forgotten_numbers).values(tuple(island)))


def take_back(connection: sa.Connection, gate_id: str, stored: Sequence[StoredReport]) -> set[str]:
    """Delete again, of the reports just stored, those that were deleted before. Returns their ids.

    Checked after they were stored: a transaction that deletes the same report may be running, and
    its numbers are recorded once it ends.
    """
    gone = forgotten_numbers.c
    chosen = sa.select(gone.outbox_id, gone.first_seq, gone.last_seq).where(
        gone.gate_id == gate_id,
        gone.outbox_id.in_({report.outbox_id for report in stored}),
        gone.last_seq >= min((report.seq for report in stored), default=0),
        gone.first_seq <= max((report.seq for report in stored), default=0),
    )
    ranges = connection.execute(chosen).all() if stored else []
    again = {
        report.report_id
        for report in stored
        for of in ranges
        if of.outbox_id == report.outbox_id and of.first_seq <= report.seq <= of.last_seq
    }
    if again:
        connection.execute(sa.delete(reports).where(reports.c.report_id.in_(again)))
    return again


def _came_unix_s(now_unix_s: int) -> sa.ColumnElement[int]:
    made, received = reports.c.unix_s, reports.c.received_unix_s
    return sa.case(((made > received) & (made <= now_unix_s), made), else_=received)
