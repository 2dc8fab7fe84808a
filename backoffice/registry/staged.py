"""The statements that bring a batch from `incoming` into the tables, on either database.

Each begins with the rows of `incoming` and looks each up once in a large table. All run within one
writing transaction.
"""

from typing import Any

import sqlalchemy as sa

from backoffice.registry.database import OPEN_VERSION, Database, counter
from backoffice.registry.new_cards import record
from backoffice.registry.schema import cards, incoming, outdated, states

_UNISSUED = (
    sa.select(incoming.c.uid)
    .select_from(incoming.outerjoin(cards, cards.c.uid == incoming.c.uid))
    .where(cards.c.uid.is_(None))
)


def unissued(connection: sa.Connection) -> frozenset[bytes]:
    """The staged UIDs that no issued card has."""
    return frozenset(connection.scalars(_UNISSUED))


def with_numbers_of_others(connection: sa.Connection) -> set[bytes]:
    """The staged UIDs whose number another card has."""
    joined = incoming.outerjoin(cards, cards.c.number == incoming.c.number)
    of_another = sa.func.coalesce(cards.c.uid, incoming.c.uid) != incoming.c.uid
    return set(connection.scalars(sa.select(incoming.c.uid).select_from(joined).where(of_another)))


def issue(connection: sa.Connection, database: Database) -> tuple[int, int]:
    """Issue the staged cards.

    Returns:
        How many cards were added, and how many rows changed anything, the added ones included.
    """
    added: int = connection.scalars(
        sa.select(sa.func.count()).select_from(_UNISSUED.subquery())
    ).one()
    row = database.insert(cards).from_select(
        ["uid", "number"], sa.select(incoming.c.uid, incoming.c.number).where(sa.true())
    )
    given = row.excluded.number
    row = row.on_conflict_do_update(
        index_elements=["uid"],
        set_={"number": given},
        where=given.is_not(None) & cards.c.number.is_distinct_from(given),
    )
    if added:
        record(connection, database, _UNISSUED, added)
    return added, connection.execute(row).rowcount


def newly_in(connection: sa.Connection, rule: int) -> int:
    """How many staged cards are not in the rule's table yet, and will be."""
    return _count_staged(connection, rule, incoming.c.is_in & ~_IS_IN)


def newly_out(connection: sa.Connection, rule: int) -> int:
    """How many staged cards are in the rule's table, and will leave it."""
    return _count_staged(connection, rule, ~incoming.c.is_in & _IS_IN)


def shorter(connection: sa.Connection, rule: int, now_unix_s: int) -> frozenset[bytes]:
    """The staged UIDs whose end is earlier than the one in force."""
    is_in_force = states.c.ends_unix_s.is_(None) | (states.c.ends_unix_s > now_unix_s)
    is_earlier = states.c.ends_unix_s.is_(None) | (incoming.c.ends_unix_s < states.c.ends_unix_s)
    chosen = sa.select(incoming.c.uid).select_from(_with_states(rule))
    chosen = chosen.where(incoming.c.is_in, _IS_IN, incoming.c.ends_unix_s.is_not(None))
    return frozenset(connection.scalars(chosen.where(is_in_force, is_earlier)))


# coalesce keeps a planner from an inner join that begins with the states.
_IS_IN = sa.func.coalesce(states.c.is_in, sa.false())


def _with_states(rule: int) -> sa.Join:
    return incoming.outerjoin(states, (states.c.rule == rule) & (states.c.uid == incoming.c.uid))


def _count_staged(connection: sa.Connection, rule: int, condition: sa.ColumnElement[bool]) -> int:
    chosen = sa.select(sa.func.count()).select_from(_with_states(rule)).where(condition)
    return int(connection.scalars(chosen).one())


def change(connection: sa.Connection, database: Database, rule: int) -> int:
    """Write the staged states.

    A state that the newest claimed version carries is copied into `outdated` before it changes.
    """
    open_version = counter(connection, OPEN_VERSION)
    if open_version > 1:
        connection.execute(_keep_outdated(database, rule, open_version))
    had = sa.exists().where(states.c.rule == rule, states.c.uid == incoming.c.uid)
    fresh = sa.select(
        sa.literal(rule),
        incoming.c.uid,
        incoming.c.ends_unix_s,
        incoming.c.is_in,
        sa.literal(open_version),
    ).where(incoming.c.is_in | had)
    row = database.insert(states).from_select(list(states.c.keys()), fresh)
    row = row.on_conflict_do_update(
        index_elements=["rule", "uid"],
        set_={name: row.excluded[name] for name in ("ends_unix_s", "is_in", "version")},
        where=_differs(states, row.excluded),
    )
    return connection.execute(row).rowcount


def _keep_outdated(database: Database, rule: int, open_version: int) -> sa.Insert:
    joined = _with_states(rule)
    # coalesce for the same reason as in _IS_IN
    is_claimed = sa.func.coalesce(states.c.version, open_version) < open_version
    claimed = sa.select(*states.c).select_from(joined).where(is_claimed, _differs(states, incoming))
    insert: sa.Insert = (
        database.insert(outdated)
        .from_select(list(states.c.keys()), claimed)
        .on_conflict_do_nothing()
    )
    return insert


def _differs(old: sa.Table, new: Any) -> sa.ColumnElement[bool]:
    columns = new.c if isinstance(new, sa.Table) else new
    return sa.or_(
        old.c.ends_unix_s.is_distinct_from(columns.ends_unix_s),
        old.c.is_in.is_distinct_from(columns.is_in),
    )
