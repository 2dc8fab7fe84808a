"""A clerk whose neighbours a test plays by hand: scans, clock, outbox, log and lane clients."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.support.gate.lane_clients import QueueClients
from tests.support.gate.reports import stored
from validator.domain.cards import CardUid
from validator.domain.report import Report, ReportKind
from validator.domain.rules import RuleSet
from validator.domain.trusted_time import Now
from validator.host.clock import AcceptedTime, Clock
from validator.lane.clerk import Clerk
from validator.lane.ports import Adopted, FoundTime, ListInForce, OutboxError, Scan
from validator.lane.tally import Tally
from validator.lists.names import ListName
from validator.reports.stored_report import StoredReport

REPORT = Report(
    ReportKind.DENIED_BOARDING, 1, CardUid(bytes(7)), "suspended", 3, 100, clock_synchronised=True
)


WHEN = {"unix_s": 77, "clock_synchronised": True}  # on every line


STORED = stored(1, unix_s=100, list_version=3, sealed="", sealed_to="")
WAITING = (STORED,)


def found(version: int | None, *problems: str) -> Adopted:
    """The result of a scan that found this list, and these things wrong."""
    return Adopted(
        None if version is None else RuleSet(version, 1_000 + version, 9_000, ()),
        problems,
        cards=0 if version is None else 1_000,
        refused=tuple(ListName(1, 9) for _ in problems),
    )


class HandClock(Clock):
    """The lane's clock, whose time is always 77 and whose floor a test can see."""

    def __init__(self) -> None:
        self.floor = 0
        self.is_signed = False

    def now(self) -> Now:
        return Now(77, synchronised=True)

    def refresh(self) -> None:
        """No kernel to ask."""

    def begin_with(self, accepted: AcceptedTime) -> None:
        self.floor = accepted.signed_unix_s
        self.is_signed = True

    def raise_floor(self, issued_unix_s: int) -> None:
        if not self.is_signed:
            self.floor = issued_unix_s


class World:
    """Everything that the clerk needs, played by hand."""

    def __init__(self, clients: QueueClients | None = None, **more: Any) -> None:
        """`more` replaces arguments of the clerk."""
        self.lines: list[dict[str, Any]] = []
        self.scans: list[Adopted | None] = []  # results, the next first
        self.steps = 0  # of the next scan
        self.between: list[Callable[[], object]] = []  # what happens after each of them
        self.times: list[FoundTime] = []
        self.kept: list[Report] = []
        self.disk = threading.Event()
        self.disk.set()
        self.full = False
        self.clock = HandClock()
        self.lists = ListInForce()
        self.rejected = 0
        self.trouble = ""
        self.news: list[str] = []
        self.is_open = False
        self.sealed_to: bytes | None = None
        self.clients = clients or QueueClients()
        self.tried_again = 0
        arguments: dict[str, Any] = {
            "tally": Tally("kadikoy-03", 2, "1.2.3", with_grounds=True),
            "scan": lambda: self.scan(),  # noqa: PLW0108  # a test may replace it
            "signed_time": lambda: self.times.pop(0) if self.times else None,
            "lists": self.lists,
            "outbox": self,
            "seal_to": self.seal_to,
            "prepare_seal": self.prepare,
            "clients": self.clients,
            "clock": self.clock,
            "log": lambda event: self.lines.append(dict(event)),
            "commit_budget_ms": 60,
        }
        self.clerk = Clerk(**arguments | more)

    @contextmanager
    def running(self) -> Iterator[Clerk]:
        thread = threading.Thread(target=self.clerk.run)
        thread.start()
        try:
            yield self.clerk
        finally:
            self.disk.set()
            self.clerk.stop()
            thread.join()

    def scan(self) -> Scan:
        for _ in range(self.steps):
            yield
            if self.between:
                self.between.pop(0)()
        return self.scans.pop(0) if self.scans else None

    # validator.lane.ports.Outbox

    @property
    def waiting(self) -> int:
        return len(self.kept)

    @property
    def refused(self) -> int:
        return int(self.full)

    def open(self) -> bool:
        self.is_open = True
        return True

    def close(self) -> None:
        self.is_open = False

    def oldest(self, count_max: int, skipped: int = 0) -> Sequence[StoredReport]:
        if self.trouble:
            raise OutboxError(self.trouble)
        return WAITING[skipped : skipped + count_max]

    def forget(self, report_ids: Iterable[str]) -> int:
        return len(list(report_ids))

    def reject(self, report_id: str, reason: str) -> int:
        del report_id, reason
        self.rejected += 1
        return 1

    def retry(self, count_max: int) -> int:
        again = min(self.rejected, count_max)
        self.rejected -= again
        return again

    def try_again(self) -> None:
        self.tried_again += 1

    def free_bytes(self) -> int | None:
        return 7_000

    def seal_to(self, public: bytes | None) -> None:
        self.sealed_to = public

    def prepare(self) -> None:
        """Nothing to prepare."""

    def append(self, report: Report) -> bool:
        self.disk.wait()
        if not self.full:
            self.kept.append(report)
        return not self.full
