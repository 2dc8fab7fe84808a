"""The cards added since the last search for collisions, which then need not read all 34 million.

    added, checked, uids = registry.new_cards.since()
    registry.new_cards.checked(added)

The record is kept while the new cards are few. After an import of a whole city, all cards are
compared again.
"""

from typing import NamedTuple

import sqlalchemy as sa

from backoffice.registry.database import CARDS_ADDED, CARDS_CHECKED, Database, counter, set_counter
from backoffice.registry.schema import new_cards

RECORDED_MAX = 200_000  # beyond, comparing all cards again is quicker


class NewCards(NamedTuple):
    """How many cards were ever added, how many of them were compared, and the UIDs of the rest.

    `uids` is None if they were too many to record.
    """

    added: int
    checked: int
    uids: tuple[bytes, ...] | None

    def __repr__(self) -> str:
        """Hide the cards."""
        return f"NewCards(added={self.added}, checked={self.checked})"


class NewCardsRecord:
    """The record of cards not yet compared. Each method is one transaction and may be repeated.

    Every method raises RegistryError.
    """

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
        """Record that the first `added` cards have been compared."""
        with self._database.writing() as connection:
            connection.execute(sa.delete(new_cards).where(new_cards.c.place <= added))
            set_counter(connection, CARDS_CHECKED, added)


def record(
    connection: sa.Connection, database: Database, unissued: sa.Select[tuple[bytes]], added: int
) -> None:
    """Count and record cards, in the transaction that adds them and before it does.

    Args:
        connection: The writing transaction.
        database: Where it writes.
        unissued: Selects the cards that the transaction will add.
        added: How many they are.
    """
    before, checked = (counter(connection, name) for name in (CARDS_ADDED, CARDS_CHECKED))
    if before + added - checked <= RECORDED_MAX:
        rows = unissued.add_columns(sa.literal(before + added))
        connection.execute(database.insert(new_cards).from_select(["uid", "place"], rows))
    set_counter(connection, CARDS_ADDED, before + added)
