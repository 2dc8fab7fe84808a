"""What must be on the disk after a power cut, given all that the outbox answered until then."""

from enum import StrEnum
from typing import NamedTuple

import msgspec
from msgspec import Struct

from validator.reports.stored_report import StoredReport


class Step(StrEnum):
    """A request to an outbox, or the answer to one."""

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


class StepMark(Struct, frozen=True):
    """One step of an outbox, as a mark in the journal."""

    step: Step
    ids: tuple[str, ...] = ()
    quarantined: tuple[str, ...] = ()
    record: bytes = b""


class Found(NamedTuple):
    """The records that an outbox holds, by id, oldest first."""

    waiting: dict[str, bytes]
    quarantined: dict[str, bytes]


class Number(NamedTuple):
    """The number of a report, which no two reports may share."""

    outbox_id: str
    seq: int


class Truth:
    """What is certain about an outbox after each step that `take` was given."""

    def __init__(self) -> None:
        self.records: dict[str, bytes] = {}
        self.waiting: set[str] = set()
        self.quarantined: set[str] = set()
        self.in_flight: set[str] = set()
        self.forgetting: set[str] = set()
        self.rejecting: set[str] = set()
        """Reports that are being rejected, or that begin to wait again."""
        self.suspect: set[str] = set()
        """Reports that damage made unreadable. A power cut may by chance bring them back."""
        self.is_open = False
        """Whether the first start has ended."""
        self._numbers: dict[Number, str] = {}
        self._next: dict[str, int] = {}  # of each outbox

    def copy(self) -> "Truth":
        """Return a copy that later steps do not change."""
        twin = Truth()
        twin.records, twin.is_open = self.records.copy(), self.is_open
        twin.waiting, twin.quarantined = self.waiting.copy(), self.quarantined.copy()
        twin.in_flight, twin.forgetting = self.in_flight.copy(), self.forgetting.copy()
        twin.rejecting, twin.suspect = self.rejecting.copy(), self.suspect.copy()
        twin._numbers, twin._next = self._numbers.copy(), self._next.copy()
        return twin

    def take(self, mark: StepMark) -> list[str]:
        """Take the next step. Returns what is wrong with it, a line each."""
        ids = set(mark.ids)
        wrong: list[str] = []
        match mark.step:
            case Step.OPENED:
                wrong = self._settle(ids, set(mark.quarantined))
                self.is_open = True
            case Step.HANDED:
                self.in_flight = ids
                self.records.update(dict.fromkeys(ids, mark.record))
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
        """Note that the outbox was damaged, and that an undisturbed rescue finds `found`."""
        self.suspect = (self.waiting - set(found.waiting)) | (
            self.quarantined - set(found.quarantined)
        )
        self.waiting -= self.suspect
        self.quarantined -= self.suspect

    def _settle(self, waiting: set[str], quarantined: set[str]) -> list[str]:
        wrong = self._compare(waiting, quarantined) + self._number(waiting & self.in_flight)
        self.waiting, self.quarantined = waiting, quarantined
        self.in_flight, self.forgetting, self.rejecting = set(), set(), set()
        self.suspect = set()
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
            - self.suspect
        )
        out = self.quarantined - quarantined
        twice = (waiting & quarantined) | (
            quarantined - self.quarantined - self.rejecting - self.suspect
        )
        faults = {
            "lost": lost,
            "invented or back": back,
            "gone from quarantine": out,
            "wrongly in quarantine": twice,
        }
        return [f"{fault}: {len(ids)}" for fault, ids in faults.items() if ids]

    def wrong_with(self, found: Found) -> list[str]:
        """Return what is wrong with an outbox after a power cut, a line each."""
        held = found.waiting | found.quarantined
        wrong = self._compare(set(found.waiting), set(found.quarantined))
        changed = [
            report_id for report_id, record in held.items() if self.records.get(report_id) != record
        ]
        if changed:
            wrong.append(f"not byte for byte: {len(changed)}")
        return wrong
