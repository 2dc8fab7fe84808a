"""The report of a tap: a denied boarding, or the use of a staff card.

The gate makes it, sends it to the back office, and then deletes it.
"""

from dataclasses import dataclass
from enum import Enum

from validator.domain.cards import CardUid


class ReportKind(Enum):
    """The kinds of taps that are reported."""

    DENIED_BOARDING = "denied boarding"
    STAFF_CARD_USED = "staff card used"


@dataclass(frozen=True, slots=True)
class Report:
    """One report.

    `unix_s` is the trusted time of the tap. `clock_synchronised` is set if that is the system
    clock, which the kernel called synchronised.
    """

    kind: ReportKind
    tap: int
    uid: CardUid
    rule: str
    list_version: int
    unix_s: int
    clock_synchronised: bool
