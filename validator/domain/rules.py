"""Rules as data: the content of a signed list, ready for the decision.

The same rules serve a pandemic, lost cards and fraud lists. A rule has its cards as a `Table`;
`lists/segment.py` holds them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Table(Protocol):
    """The cards that a rule knows, by fingerprint."""

    @property
    def key(self) -> bytes:
        """The 32-byte fingerprint key under which this table was made."""

    @property
    def fingerprint(self) -> Callable[[bytes], int]:
        """The function from a UID to its fingerprint under that key (cards.fingerprinter)."""

    def holds(self, fingerprint: int, unix_s: int) -> bool:
        """Whether the card of a 56-bit fingerprint is in the table at a wall time in seconds.

        A card whose entry was removed or has ended is not.
        """


class Effect(Enum):
    """What a rule does with a card.

    REFUSE and ADMIT apply to cards in their table. REQUIRE refuses cards that are not in its table.
    """

    REFUSE = "refuse"
    REQUIRE = "require"
    ADMIT = "admit"


@dataclass(frozen=True, slots=True)
class Scope:
    """The cards to which a rule applies: UID lengths in bytes, and SAK values. Empty means all."""

    uid_lengths: frozenset[int] = frozenset()
    saks: frozenset[int] = frozenset()

    def covers(self, uid_length: int, sak: int | None) -> bool:
        """Whether a card with a UID of `uid_length` bytes and this SAK is in scope.

        A card whose SAK the reader cannot tell (None) is in scope of every SAK: a reader that knows
        less must not open where another one would not.
        """
        return (not self.uid_lengths or uid_length in self.uid_lengths) and (
            not self.saks or sak is None or sak in self.saks
        )


EVERY_CARD = Scope()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a list.

    Attributes:
        scope: the cards to which a require rule applies.
        in_force_from_unix_s: its start date.
        reports: whether every tap that it decides is reported.
        notice: whether a require rule announces itself before its start date.

    Raises ValueError if another rule than a require rule has a scope or a notice.
    """

    name: str
    effect: Effect
    table: Table
    scope: Scope = EVERY_CARD
    in_force_from_unix_s: int = 0
    reports: bool = False
    notice: bool = False

    def __post_init__(self) -> None:
        if self.effect is not Effect.REQUIRE and (self.notice or self.scope != EVERY_CARD):
            raise ValueError(f"rule {self.name}: only a require rule has a scope or a notice")


@dataclass(frozen=True, slots=True)
class RuleSet:
    """One list version. Its rules are in order: the first that applies decides.

    Attributes:
        is_fallback: a newer list is here and cannot be used.
        sealing_key: the X25519 key to which reports seal the card; None without one.
    """

    version: int
    issued_unix_s: int
    expires_unix_s: int
    rules: tuple[Rule, ...]
    is_fallback: bool = False
    sealing_key: bytes | None = None
