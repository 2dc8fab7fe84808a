"""What is reported of a tap: a denied boarding, or the use of a staff card. Made at the gate, told to the back office, then forgotten."""

from dataclasses import dataclass
from enum import Enum

from validator.domain.cards import CardUid


class ReportKind(Enum):
    """What happened."""

    DENIED_BOARDING = "denied boarding"
    STAFF_CARD_USED = "staff card used"


@dataclass(frozen=True, slots=True)
class Report:
    """One report. `unix_s` is the trusted time of the tap, `clock_synchronised` whether the kernel vouched for it."""

    kind: ReportKind
    tap: int
    uid: CardUid
    rule: str
    list_version: int
    unix_s: int
    clock_synchronised: bool
