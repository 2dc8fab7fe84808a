"""Which cards were added since all of them were last compared, so that a look for collisions need not read 34 million each minute.

    added, checked, uids = registry.new_cards.since()
    registry.new_cards.checked(added)

A record of the few new ones is kept while they are few; an import of a whole city is not worth one.
"""

from typing import NamedTuple

import sqlalchemy as sa

from backoffice.registry.database import CARDS_ADDED, CARDS_CHECKED, Database, counter, set_counter
from backoffice.registry.schema import new_cards

RECORDED_MAX = 200_000  # beyond, comparing all cards anew is quicker


class NewCards(NamedTuple):
    """How many cards were ever added, how many of those were compared, and the UIDs of the others; None if they were too many to record."""

    added: int
    checked: int
    uids: tuple[bytes, ...] | None

    def __repr__(self) -> str:
        """Hide the cards."""
        return f"NewCards(added={self.added}, checked={self.checked})"


class NewCardsRecord:
    """The record of cards that were not compared yet. Every method is one transaction, can be repeated, and raises RegistryError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def since(self) -> NewCards:
        """The cards added since `checked`."""
        with self._database.reading() as connection:
            added, checked = (counter(connection, name) for name in (CARDS_ADDED, CARDS_CHECKED))
            if added - checked > RECORDED_MAX:
                return NewCards(added, checked, None)
            uids = tuple(
                connection.scalars(sa.select(new_cards.c.uid).where(new_cards.c.place > checked))
            )
            return NewCards(added, checked, uids if len(uids) == added - checked else None)

    def checked(self, added: int) -> None:
        """So many cards, the first that were added, have been compared."""
        with self._database.writing() as connection:
            connection.execute(sa.delete(new_cards).where(new_cards.c.place <= added))
            set_counter(connection, CARDS_CHECKED, added)


def record(
    connection: sa.Connection, database: Database, unissued: sa.Select[tuple[bytes]], added: int
) -> None:
    """Within the writing transaction that adds so many cards, and before it does: count them, and note which they are."""
    before, checked = (counter(connection, name) for name in (CARDS_ADDED, CARDS_CHECKED))
    if before + added - checked <= RECORDED_MAX:
        rows = unissued.add_columns(sa.literal(before + added))
        connection.execute(database.insert(new_cards).from_select(["uid", "place"], rows))
    set_counter(connection, CARDS_ADDED, before + added)
