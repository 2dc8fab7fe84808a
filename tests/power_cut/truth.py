"""What must be found after a power cut, from what an outbox was given and what it had answered until then."""

from enum import StrEnum
from typing import NamedTuple

import msgspec
from msgspec import Struct

from validator.reports.stored_report import StoredReport


class Step(StrEnum):
    """What an outbox is told to do, and that it has done it."""

    OPENING = "opening"
    OPENED = "opened"
    HANDED = "handed"
    KEPT = "kept"
    REFUSED = "refused"
    FORGETTING = "forgetting"
    FORGOTTEN = "forgotten"
    REJECTING = "rejecting"
    REJECTED = "rejected"
    RETRYING = "retrying"
    RETRIED = "retried"


class Told(Struct, frozen=True):
    """A mark in the journal."""

    step: Step
    ids: tuple[str, ...] = ()
    quarantined: tuple[str, ...] = ()
    record: bytes = b""


class Found(NamedTuple):
    """What an outbox holds: the records by id, oldest first."""

    waiting: dict[str, bytes]
    quarantined: dict[str, bytes]


class Number(NamedTuple):
    """What no two reports may share."""

    outbox_id: str
    seq: int


class Truth:
    """What is certain of an outbox, kept up to date by `hear`."""

    def __init__(self) -> None:
        self.records: dict[str, bytes] = {}
        self.waiting: set[str] = set()
        self.quarantined: set[str] = set()
        self.in_flight: set[str] = set()
        self.forgetting: set[str] = set()
        self.rejecting: set[str] = set()
        """On the way into quarantine, or out of it."""
        self.doubtful: set[str] = set()
        """What was damaged beyond reading; a lucky cut may bring it back."""
        self.is_open = False
        """Whether a first start is done."""
        self._numbers: dict[Number, str] = {}
        self._next: dict[str, int] = {}  # of each outbox

    def copy(self) -> "Truth":
        """One that goes its own way."""
        twin = Truth()
        twin.records, twin.is_open = self.records.copy(), self.is_open
        twin.waiting, twin.quarantined = self.waiting.copy(), self.quarantined.copy()
        twin.in_flight, twin.forgetting = self.in_flight.copy(), self.forgetting.copy()
        twin.rejecting, twin.doubtful = self.rejecting.copy(), self.doubtful.copy()
        twin._numbers, twin._next = self._numbers.copy(), self._next.copy()
        return twin

    def hear(self, told: Told) -> list[str]:
        """The next step; what is wrong with it, in lines."""
        ids = set(told.ids)
        wrong: list[str] = []
        match told.step:
            case Step.OPENED:
                wrong = self._settle(ids, set(told.quarantined))
                self.is_open = True
            case Step.HANDED:
                self.in_flight = ids
                self.records.update(dict.fromkeys(ids, told.record))
            case Step.KEPT:
                wrong = self._number(ids)
                self.waiting |= ids
                self.in_flight = set()
            case Step.FORGETTING:
                self.forgetting = ids & self.waiting
                self.waiting -= ids
            case Step.FORGOTTEN:
                self.forgetting = set()
            case Step.REJECTING:
                self.rejecting = ids
                self.waiting -= ids
            case Step.REJECTED:
                self.quarantined |= self.rejecting
                self.rejecting = set()
            case Step.RETRYING:
                self.rejecting = ids
                self.quarantined -= ids
            case Step.RETRIED:
                self.waiting |= self.rejecting
                self.rejecting = set()
            case Step.OPENING | Step.REFUSED:
                pass
        return wrong

    def damage(self, found: "Found") -> None:
        """It was damaged, and a rescue that nothing disturbs finds this."""
        self.doubtful = (self.waiting - set(found.waiting)) | (
            self.quarantined - set(found.quarantined)
        )
        self.waiting -= self.doubtful
        self.quarantined -= self.doubtful

    def _settle(self, waiting: set[str], quarantined: set[str]) -> list[str]:
        wrong = self._compare(waiting, quarantined) + self._number(waiting & self.in_flight)
        self.waiting, self.quarantined = waiting, quarantined
        self.in_flight, self.forgetting, self.rejecting = set(), set(), set()
        self.doubtful = set()
        return wrong

    def _number(self, ids: set[str]) -> list[str]:
        wrong = []
        for report_id in ids:
            stored = msgspec.json.decode(self.records[report_id], type=StoredReport)
            number = Number(stored.outbox_id, stored.seq)
            if self._numbers.setdefault(number, report_id) != report_id:
                wrong.append(f"number given twice: {stored.seq}")
            elif stored.seq > self._next.get(stored.outbox_id, 1):
                wrong.append(f"numbers left out before {stored.seq}")
            self._next[stored.outbox_id] = max(stored.seq + 1, self._next.get(stored.outbox_id, 1))
        return wrong

    def _compare(self, waiting: set[str], quarantined: set[str]) -> list[str]:
        lost = self.waiting - waiting
        lost |= self.rejecting - waiting - quarantined
        back = (
            waiting
            - self.waiting
            - self.in_flight
            - self.forgetting
            - self.rejecting
            - self.doubtful
        )
        out = self.quarantined - quarantined
        twice = (waiting & quarantined) | (
            quarantined - self.quarantined - self.rejecting - self.doubtful
        )
        words = {
            "lost": lost,
            "invented or back": back,
            "gone from quarantine": out,
            "wrongly in quarantine": twice,
        }
        return [f"{word}: {len(ids)}" for word, ids in words.items() if ids]

    def wrong_with(self, found: Found) -> list[str]:
        """What must not be so after a cut, in lines."""
        held = found.waiting | found.quarantined
        wrong = self._compare(set(found.waiting), set(found.quarantined))
        changed = [
            report_id for report_id, record in held.items() if self.records.get(report_id) != record
        ]
        if changed:
            wrong.append(f"not byte for byte: {len(changed)}")
        return wrong
