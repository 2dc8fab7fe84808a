"""Rules as data: what a signed list says, ready to be asked. The same gate serves a pandemic, lost cards and fraud lists.

A rule holds its table only as a `Table` to ask; where the cards are kept is lists/segment.py's affair.
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
        """What makes a UID's fingerprint under that key (cards.fingerprinter)."""

    def holds(self, fingerprint: int, unix_s: int) -> bool:
        """Whether the card of this 56-bit fingerprint is in the table at that wall time (seconds): a removed or ended entry is not."""


class Effect(Enum):
    """What a rule does. Refuse and admit speak about the cards in their table, require about those that are not."""

    REFUSE = "refuse"
    REQUIRE = "require"
    ADMIT = "admit"


@dataclass(frozen=True, slots=True)
class Scope:
    """The cards a rule may speak about: UID lengths in bytes and SAK values; an empty set means all."""

    uid_lengths: frozenset[int] = frozenset()
    saks: frozenset[int] = frozenset()

    def covers(self, uid_length: int, sak: int) -> bool:
        """Whether a card with a UID of so many bytes and this SAK is in scope."""
        return (not self.uid_lengths or uid_length in self.uid_lengths) and (
            not self.saks or sak in self.saks
        )


EVERY_CARD = Scope()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `in_force_from_unix_s` is its start date; `reports` asks for a report of every tap that it decides.

    Only a require rule has a scope, and only it may give notice of itself before its start date; any other raises ValueError.
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
    """One list version: rules in order, the first that speaks decides. Times are Unix seconds.

    `is_fallback` says that a newer list is here and cannot be used; `sealing_key` is the X25519 key to which reports seal the card, if there is one.
    """

    version: int
    issued_unix_s: int
    expires_unix_s: int
    rules: tuple[Rule, ...]
    is_fallback: bool = False
    sealing_key: bytes | None = None
