"""The record of who learned a card at which gate, and whether one was shown; never which card.

    number = log.begin(asked)                       # before the order can reach a gate
    log.end(number, Outcome.SHOWN, now, gate_key)   # before the card is on any screen
    log.last_key("kadikoy-03")                      # by which that gate signed its last card

It is in the registry, which no gate and no receiver reaches.
"""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

import sqlalchemy as sa

from backoffice.registry.database import Database
from backoffice.registry.schema import learnings


class Outcome(Enum):
    """What became of it."""

    ASKED = "asked"
    """It is under way, or its command was killed."""
    SHOWN = "card shown"
    NO_CARD = "no card came"
    REFUSED = "refused by the gate"
    NO_ANSWER = "the gate did not answer"
    WRONG_ANSWER = "wrong answer"
    """By another key than the gate's, or with no card in it."""
    STOPPED = "stopped"


class Asked(NamedTuple):
    """Who asks to see a card, when, and where."""

    at_unix_s: int
    who: str
    gate_id: str
    lane: int
    request_id: str


class Learning(NamedTuple):
    """A row of the record."""

    number: int
    at_unix_s: int
    who: str
    gate_id: str
    lane: int
    request_id: str
    outcome: str
    ended_unix_s: int | None
    gate_key: bytes | None


class LearningLog:
    """The record. Each method is one transaction; each raises RegistryError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, asked: Asked) -> int:
        """Record that somebody asks. Returns the number of the row."""
        row = asked._asdict() | {"outcome": Outcome.ASKED.value}
        with self._database.writing() as connection:
            inserted = sa.insert(learnings).values(row).returning(learnings.c.number)
            return int(connection.execute(inserted).scalar_one())

    def end(
        self, number: int, outcome: Outcome, now_unix_s: int, gate_key: bytes | None = None
    ) -> None:
        """Record what became of it."""
        values = {"outcome": outcome.value, "ended_unix_s": now_unix_s, "gate_key": gate_key}
        with self._database.writing() as connection:
            connection.execute(
                sa.update(learnings).where(learnings.c.number == number).values(values)
            )

    def last_key(self, gate_id: str) -> bytes | None:
        """The key that signed the last card of this gate; None if it never showed one."""
        chosen = (
            sa.select(learnings.c.gate_key)
            .where(learnings.c.gate_id == gate_id, learnings.c.outcome == Outcome.SHOWN.value)
            .order_by(learnings.c.number.desc())
            .limit(1)
        )
        with self._database.reading() as connection:
            key = connection.execute(chosen).scalar_one_or_none()
            return None if key is None else bytes(key)

    def rows(self) -> Sequence[Learning]:
        """Every row, in order."""
        with self._database.reading() as connection:
            found = connection.execute(sa.select(learnings).order_by(learnings.c.number))
            return [Learning(*row) for row in found]
