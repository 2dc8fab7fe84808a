"""What the registry takes and returns. Values alone; none shows a card in its repr."""

from typing import NamedTuple


class IssuedCard(NamedTuple):
    """A card of the scheme: its UID, and its printed number, 0 … 10^16 - 1, if that is known."""

    uid: bytes
    number: int | None = None

    def __repr__(self) -> str:
        """Hide the card: a repr is logged and is part of tracebacks."""
        return f"IssuedCard({len(self.uid)} bytes)"


class State(NamedTuple):
    """A card under a rule: in, until `ends_unix_s` if that is not None, or taken out."""

    uid: bytes
    is_in: bool
    ends_unix_s: int | None = None

    def __repr__(self) -> str:
        """Hide the card."""
        return f"State({len(self.uid)} bytes, is_in={self.is_in}, ends_unix_s={self.ends_unix_s})"


StateRow = tuple[bytes, bool, int | None]
"""The fields of a State; SQLite's booleans are 0 and 1."""


class UnderRule(NamedTuple):
    """The state of one card under one rule.

    `version` is the list version that carries it, None while it is pending.
    """

    rule: str
    is_in: bool
    ends_unix_s: int | None
    version: int | None


class Counts(NamedTuple):
    """The cards of one rule that are in (ended ones included), and its pending states."""

    rule: str
    in_: int
    pending: int


class Outcome(NamedTuple):
    """What became of a batch: how many rows changed anything, and which UIDs were refused.

    All others had the state already. Of the changed ones, `added` were not issued before, or not
    in, and `removed` were in and are out. `shorter` are the UIDs whose new end is earlier than the
    one in force, if the caller asked for them.
    """

    changed: int
    refused: frozenset[bytes] = frozenset()
    added: int = 0
    removed: int = 0
    shorter: frozenset[bytes] = frozenset()

    def __repr__(self) -> str:
        """Hide the cards."""
        counts = f"added={self.added}, removed={self.removed}, shorter={len(self.shorter)}"
        return f"Outcome(changed={self.changed}, refused={len(self.refused)}, {counts})"
