"""Reports over networks that fail: the real carrier, report office and web adapter, a real outbox, and the real receiver behind a server with faults.

Nothing is lost, nothing is stored twice, each fault has a clear state, and no wait is a busy loop or lasts for ever.
"""

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from backoffice.receiver.app import RETRY_AFTER_S, Receiver, ReceiverLimits
from backoffice.reports.store import ReportStore
from tests.support.gate.reports import NOW_UNIX_S
from tests.support.web.web_server import Authority, Fault, WebServer
from validator.courier.ports import ReportAnswer, Result
from validator.courier.receiver_client import ReceiverClient
from validator.courier.report_upload import REFUSED_MAX, ReportUpload, UploadStatus
from validator.courier.waits import RETRY_AFTER_S_MAX, WAIT_S_MAX
from validator.courier.web.client import Web, WebLimits
from validator.domain.cards import CardUid
from validator.domain.report import Report, ReportKind
from validator.errors import RemoteError, SourceState
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
    """What a lane's clerk would have open."""
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
    aside: dict[str, str] = field(default_factory=dict)

    def oldest(self, count_max: int, skipped: int) -> Sequence[StoredReport]:
        """See LaneReports."""
        return self.box.oldest(count_max, skipped)

    def delivered(self, report_ids: Sequence[str]) -> None:
        """See LaneReports."""
        assert self.box.forget(report_ids) == len(report_ids)

    def rejected(self, report_id: str, reason: str) -> None:
        """See LaneReports."""
        assert self.box.reject(report_id, reason) == 1
        self.aside[report_id] = reason


@dataclass
class World:
    """A gate with reports on its disk, and a city behind a network."""

    store: ReportStore
    server: WebServer
    web: Web
    lane: Lane
    carrier: ReportUpload

    @property
    def box(self) -> DiskOutbox:
        """The gate's disk."""
        return self.lane.box

    def deny(self, count: int) -> None:
        """So many passengers."""
        for tap in range(count):
            assert self.box.append(denial(tap))

    def hears(self, *, enrolled: bool = True, limits: ReceiverLimits | None = None) -> None:
        """A receiver that knows the gate."""
        self.server.app = receiver(self.store, limits or ReceiverLimits())
        if enrolled:
            self.enrol()

    def enrol(self) -> None:
        """As `turnike enroll` does."""
        token = self.store.invite(GATE, NOW_UNIX_S)
        self.store.enrol(GATE, token, KEY.public_key().public_bytes_raw(), NOW_UNIX_S)

    def fails(self) -> tuple[UploadStatus, float]:
        """A round that must not bring anything, nor cost anything."""
        waiting = self.box.waiting
        carried, wait_s = self.carrier.round()
        assert self.box.waiting == waiting
        assert carried.problem.isprintable()
        assert 0 < len(carried.problem) < 300
        assert WAIT_S_LEAST <= wait_s <= WAIT_S_MAX + RETRY_AFTER_S_MAX
        return carried, wait_s

    def drain(self, rounds_max: int = 100) -> UploadStatus:
        """Round after round, until nothing waits."""
        for _ in range(rounds_max):
            carried, wait_s = self.carrier.round()
            if not self.box.waiting:
                return carried
            assert wait_s <= WAIT_S_MAX
        raise AssertionError(f"{self.box.waiting} reports still wait: {carried}")

    def received(self) -> list[int]:
        """The numbers of the reports in the city."""
        return sorted(int(row["seq"]) for row in self.store.select(0, 1 << 40))


def receiver(store: ReportStore, limits: ReceiverLimits) -> ASGIApp:
    return Starlette(routes=Receiver(store, limits, lambda: NOW_UNIX_S).routes)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    box, web = outbox(tmp_path / "outbox"), Web()
    with ReportStore.open(f"sqlite:///{tmp_path / 'registry.db'}") as store, WebServer() as server:
        lane = Lane(box)
        office = ReceiverClient(server.url, web, GATE, KEY, lambda: NOW_UNIX_S)
        yield World(store, server, web, lane, ReportUpload([lane], office, random.Random(1).random))
    web.close()
    box.close()


def hurry(world: World) -> None:
    """Limits that a test can afford to meet."""
    world.web._pace.limits = SHORT


def unhurried(world: World) -> None:
    """What must succeed now may take its time on a slow day."""
    world.web._pace.limits = LIMITS


SPOILT = {
    Fault.BROKEN: SourceState.BUSY,
    Fault.TOO_MANY: SourceState.BUSY,
    Fault.TOO_MANY_UNTIL: SourceState.BUSY,
    Fault.UNAVAILABLE: SourceState.BUSY,
    Fault.CAPTIVE_PORTAL: SourceState.NOT_OURS,
    Fault.HTML_AS_FILE: SourceState.NOT_OURS,
    Fault.LOGIN_REQUIRED: SourceState.NOT_OURS,
    Fault.REDIRECT: SourceState.NOT_OURS,
    Fault.REDIRECT_ENDLESS: SourceState.NOT_OURS,
    Fault.NOT_FOUND: SourceState.NOT_OURS,
    Fault.FORBIDDEN: SourceState.NOT_OURS,
    Fault.PROXY_LOGIN: SourceState.PROXY,
    Fault.NOT_MODIFIED: SourceState.NOT_OURS,
    Fault.GARBAGE: SourceState.NOT_OURS,
    Fault.GZIP: SourceState.NOT_OURS,
    Fault.TAMPERED: SourceState.NOT_OURS,
    Fault.RANGE_UNASKED: SourceState.NOT_OURS,
    Fault.OVERLONG: SourceState.NOT_OURS,
    Fault.OVERLONG_CHUNKED: SourceState.NOT_OURS,
    Fault.ENDLESS_BODY: SourceState.REFUSED,
    Fault.ENDLESS_HEADERS: SourceState.NOT_OURS,
    Fault.ENDLESS_CONTINUE: SourceState.NOT_OURS,
    Fault.RESET: SourceState.UNREACHABLE,
    Fault.HALF_CLOSED: SourceState.UNREACHABLE,
    Fault.CUT_CHUNKED: SourceState.UNREACHABLE,
}
SLOW = (
    Fault.SILENT,
    Fault.STALL,
    Fault.DRIP_BODY,
    Fault.DRIP_HEADERS,
    Fault.DRIP_STATUS,
    Fault.DRIP_CHUNK_SIZE,
)


@pytest.mark.parametrize("loses", [True, False], ids=["before the receiver", "behind the receiver"])
@pytest.mark.parametrize(
    ("fault", "state"),
    [*SPOILT.items(), *((fault, SourceState.SLOW) for fault in SLOW)],
    ids=lambda each: each.name,
)
def test_a_fault_costs_time_and_nothing_else(
    world: World, fault: Fault, state: SourceState, loses: bool
) -> None:
    world.hears()
    world.deny(3)
    world.server.faults["*"], world.server.loses_posts, world.server.cut_after_bytes = (
        fault,
        loses,
        40,
    )
    world.server.files["v1/reports"] = (
        b'{"results":[' + b" " * 400 + b"]}"
    )  # of nobody, if it is lost
    told = []
    for _ in range(2):
        if fault in SLOW:
            hurry(world)
        told.append(world.fails()[0].state)
    assert told == [state] * 2
    assert world.received() == ([] if loses else [1, 2, 3])
    unhurried(world)
    world.server.faults.clear()
    assert world.drain() == UploadStatus(SourceState.FRESH, "", 3, 0)
    assert world.received() == [1, 2, 3]


def test_an_answer_that_is_torn_at_any_byte_forgets_nothing(world: World) -> None:
    world.hears()
    world.deny(1)
    world.carrier.round()
    assert world.received() == [1]
    world.deny(1)
    world.server.faults["*"] = Fault.TORN
    for cut in itertools.count():
        world.server.cut_after_bytes = cut
        carried, wait_s = world.carrier.round()
        if not world.box.waiting:
            break
        assert carried.state in (SourceState.UNREACHABLE, SourceState.NOT_OURS), cut
        assert WAIT_S_LEAST <= wait_s <= WAIT_S_MAX
    assert cut > 200, "head and body"
    assert (carried.delivered, world.received()) == (2, [1, 2])


def test_a_line_that_breaks_in_the_middle_of_the_request_brings_nothing(world: World) -> None:
    world.hears()
    world.deny(2)
    for fault, state in (
        (Fault.RESET, SourceState.UNREACHABLE),
        (Fault.GARBAGE, SourceState.NOT_OURS),
    ):
        world.server.accepting = fault
        assert world.fails()[0].state is state
    world.server.accepting = None
    assert world.drain().delivered == 2
    assert world.received() == [1, 2]


@pytest.mark.parametrize(
    ("fault", "asks_s"),
    [(Fault.TOO_MANY, 7.0), (Fault.TOO_MANY_UNTIL, 120.0), (Fault.UNAVAILABLE, 3_600.0)],
    ids=["429, seconds", "429, a date", "503, a date"],
)
def test_a_server_that_says_when_to_come_again_is_left_alone_until_then(
    world: World, fault: Fault, asks_s: float
) -> None:
    world.hears()
    world.deny(1)
    world.server.faults["*"] = fault
    waits = [world.fails()[1] for _ in range(12)]
    assert all(asks_s < wait_s <= asks_s + WAIT_S_MAX for wait_s in waits)


def test_the_receivers_own_limit_is_honoured_and_what_was_too_much_comes_later(
    world: World,
) -> None:
    world.hears(limits=ReceiverLimits(requests_per_minute=1))
    world.deny(300)
    assert world.carrier.round() == (UploadStatus(SourceState.FRESH, "", 200, 0), 0.0)
    carried, wait_s = world.fails()
    assert (carried.state, carried.delivered) == (SourceState.BUSY, 200)
    assert RETRY_AFTER_S < wait_s <= RETRY_AFTER_S + 2
    world.server.app = receiver(world.store, ReceiverLimits())
    assert world.drain().delivered == 300
    assert world.received() == list(range(1, 301))


def test_a_connection_that_ends_after_the_reports_were_stored_brings_them_twice_and_they_count_once(
    world: World,
) -> None:
    world.hears()
    for _ in range(5):
        world.deny(50)
        world.server.faults["*"] = Fault.RESET
        world.fails()
        world.server.faults.clear()
        world.carrier.round()
    assert world.drain().delivered == 250
    assert world.received() == list(range(1, 251))
    (seen,) = world.store.outboxes()
    assert (seen.received, seen.missing) == (250, 0)


def saying(*results: Mapping[str, object]) -> ASGIApp:
    """A server that answers this, whatever it is asked."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await JSONResponse({"results": results})(scope, receive, send)

    return app


@pytest.mark.parametrize(
    "results",
    [
        [],
        [{"id": "00000000-0000-7000-8000-000000000000", "result": "stored"}],
        [{"id": "", "result": "rejected", "reason": "no"}],
        [{"id": "00000000-0000-7000-8000-000000000000", "result": "lost"}],
        [{"id": 7, "result": "stored"}],
        [{"result": "stored"}],
        ["stored"],
    ],
    ids=["nobody", "another", "no id", "an unknown word", "a number", "without an id", "no object"],
)
def test_an_answer_for_the_wrong_ids_forgets_nothing(
    world: World, results: Sequence[Mapping[str, object]]
) -> None:
    world.server.app = saying(*results)
    world.deny(2)
    assert [world.fails()[0].state for _ in range(3)] == [SourceState.NOT_OURS] * 3
    world.hears()
    assert world.drain().delivered == 2
    assert (world.received(), world.lane.aside) == ([1, 2], {})


def test_an_answer_for_some_reports_and_for_strangers_forgets_those_alone(world: World) -> None:
    world.deny(3)
    first, second, _ = world.box.oldest(3)
    stranger = {"id": "00000000-0000-7000-8000-000000000000", "result": "rejected", "reason": "no"}
    world.server.app = saying(
        {"id": second.report_id, "result": "already"},
        stranger,
        {"id": first.report_id, "result": "stored"},
    )
    world.carrier.round()
    assert [report.seq for report in world.box.oldest(20)] == [3]
    assert world.lane.aside == {}


def test_a_gate_that_is_not_enrolled_hears_so_and_keeps_its_reports_until_it_is(
    world: World,
) -> None:
    world.hears(enrolled=False)
    world.deny(2)
    for _ in range(3):
        carried, _ = world.fails()
        assert carried.state is SourceState.REFUSED
        assert "does not know this gate's key; turnike enroll" in carried.problem
    world.enrol()
    assert world.drain().delivered == 2
    world.store.strike_off(GATE, NOW_UNIX_S)
    world.deny(1)
    assert world.fails()[0].state is SourceState.REFUSED
    assert world.received() == [1, 2]


def test_a_server_that_is_somebody_else_by_its_certificate_is_told_nothing(
    tmp_path: Path, world: World
) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    world.hears()
    world.deny(1)
    web = Web(ca_file=str(ours.file))
    wrong = (
        theirs.context(),
        ours.context(names=["elsewhere.example.org"]),
        ours.context(days_left=-1),
    )
    world.server.tls = ours.context()
    office = ReceiverClient(world.server.url, web, GATE, KEY, lambda: NOW_UNIX_S)
    world.carrier = ReportUpload([world.lane], office, random.Random(1).random)
    for context in wrong:
        world.server.tls = context
        carried, _ = world.fails()
        assert (carried.state, "certificate" in carried.problem) == (SourceState.TLS, True)
    assert world.server.asked == []
    world.server.tls = ours.context()
    assert world.drain().delivered == 1
    web.close()


# What the receiver does not take


def test_a_receiver_that_takes_fewer_at_a_time_gets_fewer_at_a_time(world: World) -> None:
    world.hears(limits=ReceiverLimits(batch_max=7))
    world.deny(100)
    carried = world.drain()
    assert (carried.delivered, carried.rejected) == (100, 0)
    assert world.received() == list(range(1, 101))


def test_the_report_that_is_not_taken_is_found_among_the_others_and_put_aside(
    tmp_path: Path, world: World
) -> None:
    sealed = iter(["x" * 128 if number == 78 else "" for number in range(1, 301)])
    world.lane.box.close()
    world.lane.box = outbox(tmp_path / "another", lambda: next(sealed))
    world.deny(300)
    longest = max(len(report.json()) for report in world.box.oldest(77))
    alone = len(b'{"reports":[]}') + longest + 20
    world.hears(limits=ReceiverLimits(body_bytes_max=alone))
    carried = world.drain(1_000)
    world.box.close()
    assert (carried.delivered, carried.rejected, next(iter(world.lane.aside.values()))[-3:]) == (
        299,
        1,
        "413",
    )
    assert world.received() == [*range(1, 78), *range(79, 301)]


def choking(status: int) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await JSONResponse({"error": "no"}, status)(scope, receive, send)

    return app


@pytest.mark.parametrize("status", [400, 413])
def test_a_server_that_takes_nothing_at_all_is_no_judge_of_reports(
    world: World, status: int
) -> None:
    """A proxy that was set up wrongly over the weekend must not cost a single report."""
    world.server.app = choking(status)
    world.deny(100)
    told = [world.carrier.round() for _ in range(300)]
    assert (world.lane.aside, world.box.waiting) == ({}, 100)
    assert {carried.state for carried, _ in told[30:]} == {SourceState.NOT_OURS}
    assert f"answered {status}; none of {REFUSED_MAX} was taken" in told[-1][0].problem
    at_once = [
        len(list(run))
        for wait_s, run in itertools.groupby(told, lambda each: each[1])
        if not wait_s
    ]
    assert max(at_once) < REFUSED_MAX + 10, "nor is it asked at full speed"
    assert max(wait_s for _, wait_s in told) > WAIT_S_MAX / 2
    world.hears()
    assert world.drain().delivered == 100
    assert world.received() == list(range(1, 101))


# Days


@dataclass
class Town:
    """A city that is away until a second, and then well; it remembers what came when."""

    store: ReportStore
    back_s: float
    now_s: float = 0.0
    asked_s: list[float] = field(default_factory=list)
    came: list[int] = field(default_factory=list)

    def send(self, reports: Sequence[StoredReport]) -> Mapping[str, ReportAnswer]:
        """See courier.ports.ReportReceiver."""
        self.asked_s.append(self.now_s)
        if self.now_s < self.back_s:
            raise RemoteError(SourceState.UNREACHABLE, "no route")
        self.came += [report.seq for report in reports]
        answers = self.store.add(GATE, reports, NOW_UNIX_S + int(self.now_s))
        return {
            each: ReportAnswer(Result(told.result), told.reason) for each, told in answers.items()
        }


def test_four_days_without_a_network_lose_nothing_and_all_arrives_in_order(tmp_path: Path) -> None:
    drawn = random.Random(96)
    folder, every_s = tmp_path / "outbox", 576.0
    lane = Lane(outbox(folder))
    with ReportStore.open(f"sqlite:///{tmp_path / 'registry.db'}") as store:
        town = Town(store, back_s=DAYS_S)
        carrier = ReportUpload([lane], town, drawn.random)
        denied, restarted, longest_s = 0, 0, 0.0
        while town.now_s < DAYS_S + 3_600:
            while denied * every_s <= min(town.now_s, DAYS_S):
                assert lane.box.append(denial(denied, NOW_UNIX_S + int(town.now_s)))
                denied += 1
            if town.now_s > restarted * 86_400.0:  # each midnight the gate is started anew
                restarted += 1
                lane.box.close()
                lane.box, carrier = outbox(folder), ReportUpload([lane], town, drawn.random)
            if town.now_s < DAYS_S:
                assert lane.box.waiting == denied
            carried, wait_s = carrier.round()
            longest_s = max(longest_s, wait_s)
            town.now_s += wait_s + 0.01
        assert denied == DAYS_S / every_s + 1
        assert (carried.state, lane.box.waiting, lane.box.refused) == (SourceState.FRESH, 0, 0)
        assert town.came == list(range(1, denied + 1))
        (seen,) = store.outboxes()
        assert (seen.received, seen.missing, seen.refused, restarted) == (denied, 0, 0, 5)
    assert longest_s <= WAIT_S_MAX
    away = [each for each in town.asked_s if each < DAYS_S]
    assert DAYS_S / WAIT_S_MAX < len(away) < DAYS_S / 60, (
        "it neither gave up nor wore the network out"
    )
    first_s = next(each for each in town.asked_s if each >= DAYS_S)
    assert first_s - DAYS_S <= WAIT_S_MAX
    lane.box.close()


def test_reports_that_are_not_taken_one_after_the_other_and_the_last_of_all(
    tmp_path: Path, world: World
) -> None:
    """Whoever is not taken stays until another is, which shows that the server is well."""
    bad = {1, 2, 3, 5, 9, 10}
    sealed = iter(["x" * 128 if number in bad else "" for number in range(1, 12)])
    world.lane.box.close()
    world.lane.box = outbox(tmp_path / "another", lambda: next(sealed))
    world.deny(10)
    shortest = min(len(report.json()) for report in world.box.oldest(20))
    world.hears(limits=ReceiverLimits(body_bytes_max=len(b'{"reports":[]}') + shortest + 20))
    told = [world.carrier.round() for _ in range(200)]
    assert [report.seq for report in world.box.oldest(20)] == [9, 10]
    assert (told[-1][0].delivered, told[-1][0].rejected) == (4, 4)
    assert {carried.state for carried, _ in told[-50:]} == {SourceState.NOT_OURS}
    assert "answered 413; none of 2 was taken" in told[-1][0].problem
    world.deny(1)
    for _ in range(20):
        world.carrier.round()
    assert (world.box.waiting, len(world.lane.aside)) == (0, len(bad))
    assert world.received() == [4, 6, 7, 8, 11]
    world.box.close()
