"""What the lane's loop and clerk need from the world: Protocols and the values that pass.

Loop and clerk do not import their neighbours, so that each can be read and tried alone. A need of
one call is a function argument of `Lane` or `Clerk`. A Protocol stands for a device (a folder a
kind in readers/ and boards/) and for the clerk's two neighbours of many calls, the outbox and the
lane clients. tests/contracts tries readers, boards and lane clients.

A device reports its fault as a ReaderLost or BoardLost event, never as an exception, and keeps
retrying by itself. Only the loop's thread uses Reader and Board. No call blocks it for more than
100 ms, not even during a fault. Opening and closing a serial port takes as long as its driver
does; the gate is out of service then anyway.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from validator.domain.cards import CardUid
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
from validator.ipc.answers import Answer
from validator.ipc.requests import Request
from validator.ipc.signed_time import SignedTime
from validator.lists.names import ListName
from validator.reports.stored_report import StoredReport

# Devices

IN_USE = "in use"
"""In the reason of every loss of a device that another program holds; the contracts test it."""


class Reader(Protocol):
    """A card reader."""

    def fileno(self) -> int:
        """Return the descriptor to poll for input, or -1 while there is none.

        Any other call may change it.
        """

    def deadline_ns(self) -> int:
        """Return the monotonic time to call `take` even without input: liveness, retries."""

    def arm(self) -> None:
        """Ask for the next card, other than the one just reported until that is gone.

        Does nothing while armed or lost.
        """

    def forget(self) -> None:
        """Report the last card again if it still lies there: it could not be answered.

        A device that cannot do so ignores the call.
        """

    def take(self) -> ReaderEvent | None:
        """Return the next event, or None.

        Call until None once `fileno` is readable or `deadline_ns` has passed. A reader's first
        event is ReaderBack or ReaderLost. A card event disarms the reader.
        """

    def close(self) -> None:
        """Leave the device as a fresh program expects it. Never raises; may be called twice."""


class Board(Protocol):
    """The turnstile controller; boards/ has a folder for each kind.

    Each `open` ends in one event, unless the board is lost or an emergency begins: Passed or
    NotPassed, or Closed from a board without a passage sensor.
    """

    def fileno(self) -> int:
        """Return the descriptor to poll for input, or -1 while there is none.

        Any other call may change it.
        """

    def deadline_ns(self) -> int:
        """Return the monotonic time to call `take` even without input: heartbeat, resend, retry."""

    def take(self) -> BoardEvent | None:
        """Return the next event, or None.

        Call until None once `fileno` is readable or `deadline_ns` has passed.
        """

    def open(self, tap: int, direction: Direction, hold_ms: int) -> None:
        """Release the arms for one passage. Does nothing while the board is lost."""

    def show(self, outcome: Outcome, hold_ms: int, date: int) -> None:
        """Show an outcome.

        Args:
            outcome: what to show.
            hold_ms: for how long; 0 makes it the resting picture.
            date: days since 2020-01-01, 0 for none.
        """

    def close(self) -> None:
        """Send what can be sent at once, and release the device. Never raises; may be repeated."""


# What a kind of device can tell. Each driver has a constant ABILITIES with its own; that of GPIO
# lines has a function of what is wired.


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderAbilities:
    """What a kind of reader can tell, and so what a gate with it can promise.

    Attributes:
        clash: it reports two cards at once; else it picks one of them.
        early_leave: it reports a card that left before it had answered in full.
        laid_before: it knows a card that lay there when the lane began, and reports LaidBefore.
        leaving: it notices that a card has left; else the same card counts as new after a while.
        apdus: it passes APDUs to a card, which the printed number needs.
    """

    clash: bool
    early_leave: bool
    laid_before: bool
    leaving: bool
    apdus: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardAbilities:
    """What a kind of board can tell and do, and so what a gate with it can promise.

    Attributes:
        confirms: it acknowledges what it is asked to do.
        passage: it reports whether the passenger went through, else only when the arms lock.
        forced: it notices someone who goes through the locked arms.
        emergency: it reports the emergency release.
        tamper: it reports that the housing was opened.
        lamps: it shows outcomes by colours or tones.
        picture: it shows outcomes in words, on a display.
        date: it shows the date that comes with a notice.
        directions: it can release one direction alone.
    """

    confirms: bool
    passage: bool
    forced: bool
    emergency: bool
    tamper: bool
    lamps: bool
    picture: bool
    date: bool
    directions: bool


# The loop hands over to the clerk


@dataclass(frozen=True, slots=True)
class TapTimes:
    """Durations of a tap in ns, from the reader's event.

    To the decision, to the passenger being told, and how long the loop waited for a report.
    """

    decided_ns: int
    told_ns: int
    report_ns: int


@dataclass(frozen=True, slots=True)
class TapDone:
    """A tap whose passenger has been told."""

    tap: RecordTap
    times: TapTimes


@dataclass(frozen=True, slots=True)
class CardToLearn:
    """A refused or unknown card that came while learning was on; `number` is "" if not read."""

    uid: CardUid
    number: str = field(repr=False)  # a repr ends up in logs and tracebacks


DeviceNote = ReaderLost | ReaderBack | BoardLost | BoardBack | Emergency | Forced | Tamper
TalliedNote = TapDone | RecordPassage | DeviceNote
Note = TalliedNote | CardToLearn


class ListInForce:
    """The reference to the list in force. The clerk swaps it; a tap keeps what it began with."""

    def __init__(self) -> None:
        self.current: RuleSet | None = None


# Lists and time, for the clerk


@dataclass(frozen=True, slots=True)
class Adopted:
    """The result of a scan of the list folder.

    `rules` are in force from now on; None: there is no usable list. `problems` has one clear line
    for each thing wrong. `cards` counts the entries of all tables, removed ones included.
    `is_news` is false for the same list from other files. `refused` are the lists that `problems`
    say are not used; the courier asks for them, to download again what is damaged.
    """

    rules: RuleSet | None
    problems: tuple[str, ...] = ()
    cards: int = field(default=0, compare=False)
    is_news: bool = field(default=True, compare=False)
    refused: tuple[ListName, ...] = field(default=(), compare=False)


Scan = Generator[None, None, Adopted | None]
"""A scan of the list folder in steps of at most 1 MiB. Returns None when nothing has changed."""


class FoundTime(NamedTuple):
    """The newest signed time, if there is one, and one line on what is wrong with its file."""

    signed: SignedTime | None
    problem: str = ""


# The outbox


class OutboxError(Exception):
    """The outbox cannot be used now; the message is one clear line."""


class Outbox(Protocol):
    """Where reports wait until they are in the city. Only the clerk's thread uses it."""

    @property
    def waiting(self) -> int | None:
        """How many reports wait; None while unknown, which is not 0."""

    @property
    def refused(self) -> int:
        """How many reports were refused since the start: no room, or a disk that failed."""

    @property
    def rejected(self) -> int | None:
        """How many reports are quarantined, as the back office rejected them; None: unknown."""

    @property
    def trouble(self) -> str:
        """Why reports cannot be kept now, in one line; empty while they can."""

    @property
    def news(self) -> list[str]:
        """Lines for the operator. The clerk removes a line that it logs."""

    def open(self) -> bool:
        """Check and open the outbox, in the thread that will own it.

        Returns:
            Whether it is open. If not, `trouble` says why, and `try_again` retries.
        """

    def close(self) -> None:
        """Close it. Reports are safe without this call."""

    def try_again(self) -> None:
        """Check whether the trouble is over. Called about once a second. Never raises."""

    def free_bytes(self) -> int | None:
        """Return the free bytes of its disk, or None while unknown."""

    def prepare(self) -> None:
        """Do in advance what the next report needs. Never raises."""

    def append(self, report: Report) -> bool:
        """Keep a report.

        Returns:
            True once it is as safe as this outbox makes it; False if it was refused and counted.
        """

    def oldest(self, count_max: int, skipped: int = 0) -> Sequence[StoredReport]:
        """Return the reports that have waited longest, after `skipped` of them.

        Raises:
            OutboxError: they cannot be read now.
        """

    def forget(self, report_ids: Iterable[str]) -> int:
        """Delete delivered reports that `oldest` returned. Durable on return.

        Returns:
            How many were deleted.

        Raises:
            OutboxError: they cannot be deleted now.
        """

    def reject(self, report_id: str, reason: str) -> int:
        """Quarantine a report that the back office will never take. Durable on return.

        Returns:
            How many were quarantined: 1, or 0 for an unknown id.

        Raises:
            OutboxError: the disk does not take it now.
        """

    def retry(self, count_max: int) -> int:
        """Let quarantined reports wait again, at most `count_max`. Durable on return.

        Returns:
            How many wait again.

        Raises:
            OutboxError: the disk does not take it now.
        """


# The lane clients: programs of this gate that ask the clerk


class Asked(NamedTuple):
    """A request and the client that sent it."""

    client: Any  # for LaneClients.answer, which made it
    request: Request
    by_owner: bool = False  # the client is root, or the lane's own user, as the kernel says


class LaneClients(Protocol):
    """The programs connected to the lane. Any thread may call `wake`, only the clerk's the rest."""

    @property
    def news(self) -> list[str]:
        """Lines for the operator about the connection. The clerk removes a line that it logs."""

    def wait(self, limit_s: float) -> None:
        """Wait for a request, for `wake`, or for the limit."""

    def wake(self) -> None:
        """End the wait under way, or the next one."""

    def take(self) -> Asked | None:
        """Return the next request, or None."""

    def answer(self, client: Any, answer: Answer) -> None:
        """Answer a request. Does nothing if the client has gone."""

    def tell(self, event: Mapping[str, Any]) -> None:
        """Send an event to each client that watches."""
