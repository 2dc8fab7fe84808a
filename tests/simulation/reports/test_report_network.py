"""Reports over networks that fail: nothing is lost, and nothing is stored twice.

Each fault has a clear state, and no wait is a busy loop or lasts for ever.
"""

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from backoffice.receiver.app import RETRY_AFTER_S, ReceiverLimits
from backoffice.reports.store import ReportStore
from tests.simulation.reports.report_world import (
    DAYS_S,
    GATE,
    KEY,
    WAIT_S_LEAST,
    Lane,
    World,
    denial,
    hurry,
    outbox,
    receiver,
    unhurried,
)
from tests.support.gate.reports import NOW_UNIX_S
from tests.support.web.web_server import Authority, Fault
from validator.courier.ports import ReportAnswer, Result
from validator.courier.receiver_client import ReceiverClient
from validator.courier.report_upload import ReportUpload, UploadStatus
from validator.courier.waits import WAIT_S_MAX
from validator.courier.web.client import Web
from validator.errors import RemoteError, SourceState
from validator.reports.stored_report import StoredReport

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
    world.serve()
    world.deny(3)
    world.server.faults["*"], world.server.loses_posts, world.server.cut_after_bytes = (
        fault,
        loses,
        40,
    )
    # The answer if the request does not reach the receiver: no results.
    world.server.files["v1/reports"] = b'{"results":[' + b" " * 400 + b"]}"
    states = []
    for _ in range(2):
        if fault in SLOW:
            hurry(world)
        states.append(world.fails()[0].state)
    assert states == [state] * 2
    assert world.received() == ([] if loses else [1, 2, 3])
    unhurried(world)
    world.server.faults.clear()
    assert world.drain() == UploadStatus(SourceState.FRESH, "", 3, 0)
    assert world.received() == [1, 2, 3]


def test_an_answer_that_is_torn_at_any_byte_forgets_nothing(world: World) -> None:
    world.serve()
    world.deny(1)
    world.upload.round()
    assert world.received() == [1]
    world.deny(1)
    world.server.faults["*"] = Fault.TORN
    for cut in itertools.count():
        world.server.cut_after_bytes = cut
        uploaded, wait_s = world.upload.round()
        if not world.box.waiting:
            break
        assert uploaded.state in (SourceState.UNREACHABLE, SourceState.NOT_OURS), cut
        assert WAIT_S_LEAST <= wait_s <= WAIT_S_MAX
    assert cut > 200, "head and body"
    assert (uploaded.delivered, world.received()) == (2, [1, 2])


def test_a_line_that_breaks_in_the_middle_of_the_request_brings_nothing(world: World) -> None:
    world.serve()
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
def test_a_server_that_answers_when_to_retry_is_left_alone_until_then(
    world: World, fault: Fault, asks_s: float
) -> None:
    world.serve()
    world.deny(1)
    world.server.faults["*"] = fault
    waits = [world.fails()[1] for _ in range(12)]
    assert all(asks_s < wait_s <= asks_s + WAIT_S_MAX for wait_s in waits)


def test_the_receivers_own_limit_is_honoured_and_what_was_too_much_comes_later(
    world: World,
) -> None:
    world.serve(limits=ReceiverLimits(requests_per_minute=1))
    world.deny(300)
    assert world.upload.round() == (UploadStatus(SourceState.FRESH, "", 200, 0), 0.0)
    uploaded, wait_s = world.fails()
    assert (uploaded.state, uploaded.delivered) == (SourceState.BUSY, 200)
    assert RETRY_AFTER_S < wait_s <= RETRY_AFTER_S + 2
    world.server.app = receiver(world.store, ReceiverLimits())
    assert world.drain().delivered == 300
    assert world.received() == list(range(1, 301))


def test_a_connection_that_ends_after_the_reports_were_stored_brings_them_twice_and_they_count_once(
    world: World,
) -> None:
    world.serve()
    for _ in range(5):
        world.deny(50)
        world.server.faults["*"] = Fault.RESET
        world.fails()
        world.server.faults.clear()
        world.upload.round()
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
    world.serve()
    assert world.drain().delivered == 2
    assert (world.received(), world.lane.quarantined) == ([1, 2], {})


def test_an_answer_for_some_reports_and_for_strangers_forgets_those_alone(world: World) -> None:
    world.deny(3)
    first, second, _ = world.box.oldest(3)
    stranger = {"id": "00000000-0000-7000-8000-000000000000", "result": "rejected", "reason": "no"}
    world.server.app = saying(
        {"id": second.report_id, "result": "already"},
        stranger,
        {"id": first.report_id, "result": "stored"},
    )
    world.upload.round()
    assert [report.seq for report in world.box.oldest(20)] == [3]
    assert world.lane.quarantined == {}


def test_a_gate_that_is_not_enrolled_reports_so_and_keeps_its_reports_until_it_is(
    world: World,
) -> None:
    world.serve(enrolled=False)
    world.deny(2)
    for _ in range(3):
        uploaded, _ = world.fails()
        assert uploaded.state is SourceState.REFUSED
        assert "does not know this gate's key; turnike enroll" in uploaded.problem
    world.enrol()
    assert world.drain().delivered == 2
    world.store.strike_off(GATE, NOW_UNIX_S)
    world.deny(1)
    assert world.fails()[0].state is SourceState.REFUSED
    assert world.received() == [1, 2]


def test_a_server_with_the_certificate_of_another_receives_nothing(
    tmp_path: Path, world: World
) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    world.serve()
    world.deny(1)
    web = Web(ca_file=str(ours.file))
    wrong = (
        theirs.context(),
        ours.context(names=["elsewhere.example.org"]),
        ours.context(days_left=-1),
    )
    world.server.tls = ours.context()
    receiver_client = ReceiverClient(world.server.url, web, GATE, KEY, lambda: NOW_UNIX_S)
    world.upload = ReportUpload([world.lane], receiver_client, random.Random(1).random)
    for context in wrong:
        world.server.tls = context
        uploaded, _ = world.fails()
        assert (uploaded.state, "certificate" in uploaded.problem) == (SourceState.TLS, True)
    assert world.server.asked == []
    world.server.tls = ours.context()
    assert world.drain().delivered == 1
    web.close()


# An absence of days


@dataclass
class ReturningCity:
    """A city that is away until second `back_s`, and then takes every report."""

    store: ReportStore
    back_s: float
    now_s: float = 0.0
    asked_s: list[float] = field(default_factory=list)
    received: list[int] = field(default_factory=list)

    def send(self, reports: Sequence[StoredReport]) -> Mapping[str, ReportAnswer]:
        """See courier.ports.ReportReceiver."""
        self.asked_s.append(self.now_s)
        if self.now_s < self.back_s:
            raise RemoteError(SourceState.UNREACHABLE, "no route")
        self.received += [report.seq for report in reports]
        answers = self.store.add(GATE, reports, NOW_UNIX_S + int(self.now_s))
        return {
            each: ReportAnswer(Result(told.result), told.reason) for each, told in answers.items()
        }


def test_four_days_without_a_network_lose_nothing_and_all_arrives_in_order(tmp_path: Path) -> None:
    drawn = random.Random(96)
    folder, every_s = tmp_path / "outbox", 576.0
    lane = Lane(outbox(folder))
    with ReportStore.open(f"sqlite:///{tmp_path / 'registry.db'}") as store:
        city = ReturningCity(store, back_s=DAYS_S)
        upload = ReportUpload([lane], city, drawn.random)
        denied, restarted, longest_s = 0, 0, 0.0
        while city.now_s < DAYS_S + 3_600:
            while denied * every_s <= min(city.now_s, DAYS_S):
                assert lane.box.append(denial(denied, NOW_UNIX_S + int(city.now_s)))
                denied += 1
            if city.now_s > restarted * 86_400.0:  # each midnight the gate is restarted
                restarted += 1
                lane.box.close()
                lane.box, upload = outbox(folder), ReportUpload([lane], city, drawn.random)
            if city.now_s < DAYS_S:
                assert lane.box.waiting == denied
            uploaded, wait_s = upload.round()
            longest_s = max(longest_s, wait_s)
            city.now_s += wait_s + 0.01
        assert denied == DAYS_S / every_s + 1
        assert (uploaded.state, lane.box.waiting, lane.box.refused) == (SourceState.FRESH, 0, 0)
        assert city.received == list(range(1, denied + 1))
        (seen,) = store.outboxes()
        assert (seen.received, seen.missing, seen.refused, restarted) == (denied, 0, 0, 5)
    assert longest_s <= WAIT_S_MAX
    away = [each for each in city.asked_s if each < DAYS_S]
    assert DAYS_S / WAIT_S_MAX < len(away) < DAYS_S / 60, (
        "it neither gave up nor wore the network out"
    )
    first_s = next(each for each in city.asked_s if each >= DAYS_S)
    assert first_s - DAYS_S <= WAIT_S_MAX
    lane.box.close()
