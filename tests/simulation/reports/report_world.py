"""A gate with reports on its disk and a city behind a faulty network, for tests.

Real are the outbox, the upload, the web client and the receiver; the web server around the receiver
has named faults.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette
from starlette.types import ASGIApp

from backoffice.receiver.app import Receiver, ReceiverLimits
from backoffice.reports.store import ReportStore
from tests.support.gate.reports import NOW_UNIX_S
from tests.support.web.web_server import WebServer
from validator.courier.report_upload import ReportUpload, UploadStatus
from validator.courier.waits import RETRY_AFTER_S_MAX, WAIT_S_MAX
from validator.courier.web.client import Web, WebLimits
from validator.domain.cards import CardUid
from validator.domain.report import Report, ReportKind
from validator.lane.outbox.outbox import DiskOutbox, OutboxLimits
from validator.lane.outbox.recording import Origin
from validator.reports.stored_report import StoredReport

GATE = "gate"
KEY = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
LIMITS = WebLimits()
SHORT = replace(LIMITS, answer_s=0.3, silence_s=0.2, bytes_s_min=1 << 20)
WAIT_S_LEAST = 0.1
SMALL = OutboxLimits(reports_max=5_000, reserve_bytes=0)
DAYS_S = 96 * 3_600.0


def denial(tap: int, unix_s: int = NOW_UNIX_S) -> Report:
    uid = CardUid(b"\x04" + tap.to_bytes(6, "big"))
    return Report(
        ReportKind.DENIED_BOARDING, tap, uid, "suspended", 7, unix_s, clock_synchronised=True
    )


def outbox(folder: Path, sealed: Callable[[], str] = lambda: "sealed") -> DiskOutbox:
    """An open outbox as a lane's clerk has it."""
    made = DiskOutbox(
        folder,
        Origin(GATE, 1, "boot"),
        lambda _uid: (sealed(), "key"),
        itertools.count(1).__next__,
        SMALL,
    )
    assert made.open(), made.trouble
    return made


@dataclass
class Lane:
    """A real outbox as courier.ports.LaneReports, with no socket between."""

    box: DiskOutbox
    quarantined: dict[str, str] = field(default_factory=dict)

    def oldest(self, count_max: int, skipped: int) -> Sequence[StoredReport]:
        """See LaneReports."""
        return self.box.oldest(count_max, skipped)

    def delivered(self, report_ids: Sequence[str]) -> None:
        """See LaneReports."""
        assert self.box.forget(report_ids) == len(report_ids)

    def rejected(self, report_id: str, reason: str) -> None:
        """See LaneReports."""
        assert self.box.reject(report_id, reason) == 1
        self.quarantined[report_id] = reason


@dataclass
class World:
    """A gate with reports on its disk, and a city behind a network."""

    store: ReportStore
    server: WebServer
    web: Web
    lane: Lane
    upload: ReportUpload

    @property
    def box(self) -> DiskOutbox:
        """The gate's disk."""
        return self.lane.box

    def deny(self, count: int) -> None:
        """Store the denials of so many passengers."""
        for tap in range(count):
            assert self.box.append(denial(tap))

    def serve(self, *, enrolled: bool = True, limits: ReceiverLimits | None = None) -> None:
        """Put the real receiver behind the server; enrol the gate if `enrolled`."""
        self.server.app = receiver(self.store, limits or ReceiverLimits())
        if enrolled:
            self.enrol()

    def enrol(self) -> None:
        """Enrol the gate as `turnike enroll` does."""
        token = self.store.invite(GATE, NOW_UNIX_S)
        self.store.enrol(GATE, token, KEY.public_key().public_bytes_raw(), NOW_UNIX_S)

    def fails(self) -> tuple[UploadStatus, float]:
        """Run a round that must deliver nothing and lose nothing."""
        waiting = self.box.waiting
        uploaded, wait_s = self.upload.round()
        assert self.box.waiting == waiting
        assert uploaded.problem.isprintable()
        assert 0 < len(uploaded.problem) < 300
        assert WAIT_S_LEAST <= wait_s <= WAIT_S_MAX + RETRY_AFTER_S_MAX
        return uploaded, wait_s

    def drain(self, rounds_max: int = 100) -> UploadStatus:
        """Run rounds until no report waits."""
        for _ in range(rounds_max):
            uploaded, wait_s = self.upload.round()
            if not self.box.waiting:
                return uploaded
            assert wait_s <= WAIT_S_MAX
        raise AssertionError(f"{self.box.waiting} reports still wait: {uploaded}")

    def received(self) -> list[int]:
        """The numbers of the reports in the city."""
        return sorted(int(row["seq"]) for row in self.store.select(0, 1 << 40))


def receiver(store: ReportStore, limits: ReceiverLimits) -> ASGIApp:
    return Starlette(routes=Receiver(store, limits, lambda: NOW_UNIX_S).routes)


def hurry(world: World) -> None:
    """Set limits short enough for a test to reach."""
    world.web._pace.limits = SHORT


def unhurried(world: World) -> None:
    """Set the real limits again: what must succeed may take long on a busy machine."""
    world.web._pace.limits = LIMITS
