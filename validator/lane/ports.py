"""What the lane needs from the world, as Protocols. One contract suite in tests/contracts runs on every implementation.

No device raises for its fault: a fault is a ReaderLost or BoardLost value, and the adapter goes on trying by itself, for ever.
Reader and Board have one owner thread, the lane's loop, and never hold it up for more than 100 ms, not even during a fault; only opening
and closing a serial port is as quick as its driver, and happens while the gate is out of service anyway.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from validator.domain.events import (
    BoardBack,
    BoardEvent,
    BoardLost,
    Emergency,
    Forced,
    ReaderBack,
    ReaderEvent,
    ReaderLost,
    Tamper,
)
from validator.domain.outcomes import Direction, Outcome
from validator.domain.passage import RecordPassage, RecordTap
from validator.domain.report import Report
from validator.domain.rules import RuleSet
from validator.domain.trusted_time import Now
from validator.reports.stored_report import StoredReport


class Reader(Protocol):
    """One card reader."""

    def fileno(self) -> int:
        """The descriptor to poll for input, or -1 while there is none. It may change at every call of the others."""

    def deadline_ns(self) -> int:
        """The monotonic time at which `take` wants to be called even without input: liveness, retries."""

    def arm(self) -> None:
        """Ask for the next card; the one just told is left alone until it is gone. Nothing happens when armed already or lost."""

    def forget(self) -> None:
        """The card told last could not be answered: if it still lies there, tell it again, where the device can."""

    def take(self) -> ReaderEvent | None:
        """The next event, or None. Call it until None when `fileno` is readable or `deadline_ns` has come.

        The first event of a reader is ReaderBack or ReaderLost. After a card event the reader is not armed.
        """

    def close(self) -> None:
        """Leave the device as a fresh program expects it. Never raises; may be called twice."""


class Board(Protocol):
    """The turnstile controller."""

    def fileno(self) -> int:
        """The descriptor to poll for input, or -1 while there is none. It may change at every call of the others."""

    def deadline_ns(self) -> int:
        """The monotonic time at which `take` wants to be called even without input: heartbeats, resends, retries."""

    def take(self) -> BoardEvent | None:
        """The next event, or None. Call it until None when `fileno` is readable or `deadline_ns` has come."""

    def open(self, tap: int, direction: Direction, hold_ms: int) -> None:
        """Release the arms for one passage. Lost without a word when the board is lost: the event has told."""

    def show(self, outcome: Outcome, hold_ms: int, date: int) -> None:
        """Show an outcome for `hold_ms`, or, with 0, as the resting picture; `date` in days since 2020-01-01, 0 for none."""

    def close(self) -> None:
        """Send what waits, as far as it goes at once, and let the device go. Never raises; may be called twice."""


class WallClock(Protocol):
    """Wall time by the floor rule (domain/trusted_time.py)."""

    def now(self) -> Now:
        """The time to decide by."""


class Lists(Protocol):
    """The one reference that adopting a list swaps."""

    @property
    def current(self) -> RuleSet | None:
        """The list version in force, or None while there is none."""


@dataclass(frozen=True, slots=True)
class TapTimes:
    """Monotonic ns from the reader's event to the decision, to the passenger being told, and how long a report was waited for."""

    decided_ns: int
    told_ns: int
    report_ns: int


@dataclass(frozen=True, slots=True)
class TapDone:
    """A tap whose passenger has been told."""

    tap: RecordTap
    times: TapTimes


DeviceNote = ReaderLost | ReaderBack | BoardLost | BoardBack | Emergency | Forced | Tamper
Note = TapDone | RecordPassage | DeviceNote


class Desk(Protocol):
    """What the loop asks of the clerk. Neither call waits for a lock without a limit."""

    def file(self, report: Report) -> bool:
        """Hand a report over and wait for its commit, at most the configured budget. False: the commit is still to come, or refused."""

    def note(self, note: Note) -> None:
        """Hand over bookkeeping; never waits."""


class OutboxError(Exception):
    """The outbox cannot be used now; the message is one clear line."""


class Outbox(Protocol):
    """Where reports wait until they are in the city. One owner thread, the clerk."""

    @property
    def waiting(self) -> int | None:
        """How many reports wait; None while nobody knows, which is not 0."""

    @property
    def refused(self) -> int:
        """How many were refused since the start: no room, or a disk that failed."""

    @property
    def rejected(self) -> int | None:
        """How many the back office did not take: put aside, for a person to look at; None while nobody knows."""

    @property
    def trouble(self) -> str:
        """Why reports cannot be kept now, in one line; empty while they can."""

    @property
    def news(self) -> list[str]:
        """What a person should hear of, a line each; whoever tells it takes it out."""

    def open(self) -> bool:
        """Look it over and open it, in the thread that will own it; whether it is open. What is wrong is in `trouble`, and tried again."""

    def close(self) -> None:
        """Give it up; nothing is lost without."""

    def try_again(self) -> None:
        """Look whether what was wrong still is; asked about once a second. Never raises."""

    def free_bytes(self) -> int | None:
        """How much room its disk has; None while that cannot be told."""

    def prepare(self) -> None:
        """Do for the next report what can be done before it comes. Never raises."""

    def append(self, report: Report) -> bool:
        """Keep a report; True once it is as safe as this outbox makes it. False when it was refused and counted. Never raises."""

    def oldest(self, count_max: int, skipped: int = 0) -> Sequence[StoredReport]:
        """The reports that have waited longest, after so many of them. Raises OutboxError."""

    def forget(self, report_ids: Iterable[str]) -> int:
        """Drop delivered reports, of those that `oldest` told; how many. Durable when it returns. Raises OutboxError."""

    def reject(self, report_id: str, reason: str) -> int:
        """Put a report aside that the back office will never take; how many. Durable when it returns. Raises OutboxError."""

    def retry(self, count_max: int) -> int:
        """Let so many of those wait again; how many did. Durable when it returns. Raises OutboxError."""
