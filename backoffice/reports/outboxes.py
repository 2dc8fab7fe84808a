"""What came of each outbox of a gate, and which numbers of it never came."""

from typing import NamedTuple

import sqlalchemy as sa

from backoffice.registry.database import Database
from backoffice.reports.schema import forgotten, reports

GAPS_MAX = 10_000  # a faulty gate may leave any number


class OutboxView(NamedTuple):
    """One outbox of a gate: how many reports came, the highest number, and how many are missing.

    `missing` numbers lie below `newest_seq` and never came; `refused` reports the gate could not
    keep.
    """

    gate_id: str
    lane: int
    outbox_id: str
    received: int
    newest_seq: int
    missing: int
    refused: int
    newest_unix_s: int


class Gap(NamedTuple):
    """A range of numbers of an outbox that never came, though later ones did."""

    gate_id: str
    outbox_id: str
    first_seq: int
    last_seq: int


def outboxes_of(database: Database) -> list[OutboxView]:
    """Each outbox with what is missing of it.

    Those of a gate are in the order in which they were first received, whatever the gate's clock
    was.
    """
    by = (reports.c.gate_id, reports.c.outbox_id)
    grouped = (
        sa.select(
            *by,
            sa.func.max(reports.c.lane).label("lane"),
            sa.func.count().label("count"),
            sa.func.max(reports.c.seq).label("seq"),
            sa.func.sum(reports.c.refused_before).label("refused"),
            sa.func.max(reports.c.unix_s).label("unix_s"),
            sa.func.min(reports.c.received_unix_s).label("received_unix_s"),
        )
        .group_by(*by)
        .subquery()
    )
    gone = forgotten.c
    joined = grouped.outerjoin(
        forgotten, (gone.gate_id == grouped.c.gate_id) & (gone.outbox_id == grouped.c.outbox_id)
    )
    chosen = sa.select(
        grouped,
        sa.func.coalesce(gone.count, 0).label("gone"),
        sa.func.coalesce(gone.refused, 0).label("gone_refused"),
        sa.func.coalesce(gone.seq, 0).label("gone_seq"),
    ).select_from(joined)
    in_order = (grouped.c.gate_id, grouped.c.received_unix_s, grouped.c.unix_s)
    with database.reading() as connection:
        return [
            OutboxView(
                row.gate_id,
                row.lane,
                row.outbox_id,
                row.count + row.gone,
                newest := max(row.seq, row.gone_seq),
                newest - row.count - row.gone,
                int(row.refused) + row.gone_refused,
                row.unix_s,
            )
            for row in connection.execute(chosen.order_by(*in_order))
        ]


def gaps_of(database: Database) -> list[Gap]:
    """The missing numbers between those that are stored, in order, at most GAPS_MAX ranges.

    A gap below deleted reports is in `OutboxView.missing` alone.
    """
    of = (reports.c.gate_id, reports.c.outbox_id)
    before = sa.func.lag(reports.c.seq).over(partition_by=of, order_by=reports.c.seq)
    held = sa.select(*of, reports.c.seq, before.label("before")).subquery()
    gone = forgotten.c
    joined = held.outerjoin(
        forgotten, (gone.gate_id == held.c.gate_id) & (gone.outbox_id == held.c.outbox_id)
    )
    last = sa.func.coalesce(held.c.before, gone.seq, 0)
    chosen = (
        sa.select(held.c.gate_id, held.c.outbox_id, last + 1, held.c.seq - 1)
        .select_from(joined)
        .where(held.c.seq - last > 1)
        .order_by(held.c.gate_id, held.c.outbox_id, held.c.seq)
        .limit(GAPS_MAX)
    )
    with database.reading() as connection:
        return [Gap(*row) for row in connection.execute(chosen)]
