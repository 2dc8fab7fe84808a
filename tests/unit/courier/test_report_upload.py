"""The report upload against lanes and back offices that refuse, lie, break off, or are gone."""

import random
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.gate.memory_uploads import MemoryLane, MemoryReceiver, Rule
from tests.support.gate.reports import stored
from validator.courier.ports import BatchError, ReportAnswer, Result
from validator.courier.report_upload import BATCH_MAX, LOOK_S, ReportUpload
from validator.courier.waits import (
    RETRY_AFTER_S_MAX,
    STATUS_LOOK_S,
    STATUS_S,
    STATUS_S_MAX,
    WAIT_S_MAX,
    StatusTimes,
)
from validator.errors import LaneGoneError, RemoteError, SourceState
from validator.reports.stored_report import StoredReport


def failing(state: SourceState = SourceState.UNREACHABLE, retry_after_s: float = 0.0) -> Rule:
    def rule(_reports: Sequence[StoredReport]) -> Mapping[str, ReportAnswer]:
        raise RemoteError(state, "no", retry_after_s)

    return rule


def carrier(lane: MemoryLane, office: MemoryReceiver, *more: MemoryLane) -> ReportUpload:
    return ReportUpload([lane, *more], office, random.Random(1).random)


def test_the_oldest_go_first_two_hundred_at_a_time_until_none_waits() -> None:
    lane, office = MemoryLane([stored(seq) for seq in range(450)]), MemoryReceiver()
    carrying = carrier(lane, office)
    told = [carrying.round() for _ in range(4)]
    assert office.sent == [BATCH_MAX, BATCH_MAX, 50]
    assert [wait_s for _, wait_s in told] == [0.0, 0.0, LOOK_S, LOOK_S]
    assert list(office.stored.values()) == sorted(
        office.stored.values(), key=lambda report: report.seq
    )
    assert lane.reports == []


def test_the_same_report_sent_twice_is_forgotten_once_it_is_known() -> None:
    lane, office = MemoryLane([stored(1)]), MemoryReceiver()
    office.take(lane.reports)
    state, _ = carrier(lane, office).round()
    assert (state.delivered, lane.reports, len(office.stored)) == (1, [], 1)


def test_an_answer_that_is_lost_on_the_way_costs_a_second_copy_and_nothing_else() -> None:
    lane, office = MemoryLane([stored(seq) for seq in range(3)]), MemoryReceiver()

    def lost(reports: Sequence[StoredReport]) -> Mapping[str, ReportAnswer]:
        office.take(reports)
        raise RemoteError(SourceState.UNREACHABLE, "the connection broke")

    office.rules = [lost]
    carrying = carrier(lane, office)
    assert carrying.round()[0].state is SourceState.UNREACHABLE
    assert len(lane.reports) == 3
    assert carrying.round()[0].delivered == 3
    assert set(office.copies.values()) == {2}
    assert len(office.stored) == 3


def test_an_answer_for_the_wrong_ids_forgets_nothing() -> None:
    lane, office = (
        MemoryLane([stored(1)]),
        MemoryReceiver([lambda _reports: {stored(99).report_id: ReportAnswer(Result.STORED)}]),
    )
    state, wait_s = carrier(lane, office).round()
    assert (state.state, len(lane.reports)) == (SourceState.NOT_OURS, 1)
    assert wait_s > 0


def test_a_report_that_is_not_answered_for_stays() -> None:
    lane = MemoryLane([stored(seq) for seq in range(4)])
    office = MemoryReceiver([lambda reports: {reports[2].report_id: ReportAnswer(Result.STORED)}])
    carrier(lane, office).round()
    assert [report.seq for report in lane.reports] == [0, 1, 3]


def test_a_rejected_report_is_quarantined_and_the_rest_go_on() -> None:
    lane, office = MemoryLane([stored(seq) for seq in range(3)]), MemoryReceiver()

    def rejecting(reports: Sequence[StoredReport]) -> Mapping[str, ReportAnswer]:
        return {
            **office.take(reports),
            reports[0].report_id: ReportAnswer(Result.REJECTED, "unknown gate"),
        }

    office.rules = [rejecting]
    state, _ = carrier(lane, office).round()
    assert (state.delivered, state.rejected, list(lane.aside.values())) == (2, 1, ["unknown gate"])


def choking(office: MemoryReceiver, poison: str) -> Rule:
    """Of a back office, or a proxy in front of it, that takes no batch with this report in it."""

    def rule(reports: Sequence[StoredReport]) -> Mapping[str, ReportAnswer]:
        if any(report.report_id == poison for report in reports):
            raise BatchError(SourceState.REFUSED, "422")
        return office.take(reports)

    return rule


def test_one_report_that_poisons_its_batch_is_found_and_quarantined() -> None:
    lane, office = MemoryLane([stored(seq) for seq in range(300)]), MemoryReceiver()
    poison = lane.reports[77].report_id

    office.rules = [choking(office, poison)] * 60
    carrying = carrier(lane, office)
    for _ in range(40):
        carrying.round()
    assert (list(lane.aside), lane.reports, len(office.stored)) == ([poison], [], 299)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("others", [0, 300])
def test_the_report_of_one_lane_that_is_not_taken_holds_up_no_other_lane(
    first: bool, others: int
) -> None:
    poisoned = MemoryLane([stored(seq, outbox_id="1" * 32) for seq in range(others + 1)])
    well, office = MemoryLane([stored(seq) for seq in range(400)]), MemoryReceiver()
    poison = poisoned.reports[others // 2].report_id
    office.rules = [choking(office, poison)] * 100
    carrying = carrier(poisoned, office, well) if first else carrier(well, office, poisoned)
    for seq in range(400, 430):
        well.reports.append(stored(seq))  # passengers go on coming there
        carrying.round()
    assert [*poisoned.aside] == [poison]
    assert well.reports == poisoned.reports == []
    assert len(office.stored) == others + 430


def test_a_lane_that_does_not_answer_is_not_tried_again_at_once_while_another_drains() -> None:
    class Deaf(MemoryLane):
        def delivered(self, report_ids: Sequence[str]) -> None:
            del report_ids
            raise LaneGoneError("lane 1 does not answer")

    deaf, well = (
        Deaf([stored(1, outbox_id="1" * 32)]),
        MemoryLane([stored(seq) for seq in range(1_000)]),
    )
    carrying = carrier(deaf, MemoryReceiver(), well)
    waits = [carrying.round()[1] for _ in range(4)]
    assert all(wait_s > 0 for wait_s in waits)


def test_the_wait_grows_and_is_drawn_whole_and_ends_with_the_fault() -> None:
    lane, office = MemoryLane([stored(1)]), MemoryReceiver([failing()] * 12)
    drawn = ReportUpload([lane], office, lambda: 0.999_999)
    waits = [drawn.round()[1] for _ in range(12)]
    assert waits[:4] == pytest.approx([2, 4, 8, 16], rel=1e-3)
    assert waits[-1] == pytest.approx(WAIT_S_MAX, rel=1e-3)
    assert drawn.round()[1] == LOOK_S
    least = ReportUpload([MemoryLane([stored(1)])], MemoryReceiver([failing()] * 3), lambda: 0.0)
    assert [least.round()[1] for _ in range(3)] == [0.1] * 3, "never a busy loop"


def test_what_the_server_asks_for_is_waited_at_least_but_not_for_ever() -> None:
    lane = MemoryLane([stored(1)])
    office = MemoryReceiver([failing(SourceState.BUSY, 120.0), failing(SourceState.BUSY, 1e9)])
    carrying = carrier(lane, office)
    assert 120 <= carrying.round()[1] <= 122
    assert RETRY_AFTER_S_MAX <= carrying.round()[1] <= RETRY_AFTER_S_MAX + 4


def test_the_gates_status_is_sent_each_minute_and_soon_after_a_change() -> None:
    times = StatusTimes(lambda: 0.5)
    assert times.is_due(100, "well")
    times.sent(100, "well")
    assert times.look_s == 100 + STATUS_LOOK_S
    assert not times.is_due(102, "well")
    assert times.is_due(104, "ill")
    times.sent(104, "ill")
    assert not times.is_due(104 + STATUS_S - 1, "ill")
    assert times.is_due(104 + STATUS_S, "ill")


def test_a_city_that_is_away_is_sent_statuses_less_and_less_often_though_no_report_waits() -> None:
    times, now_s, waits = StatusTimes(lambda: 0.999_999), 0.0, []
    for _ in range(12):
        assert times.is_due(now_s, now_s), "and a change does not hasten it"
        times.failed(now_s, RemoteError(SourceState.UNREACHABLE, "gone"))
        waits.append(times.look_s - now_s)
        now_s = times.look_s
    assert waits[:4] == pytest.approx([2, 4, 8, 16], rel=1e-3)
    assert waits[-1] == pytest.approx(WAIT_S_MAX, rel=1e-3)
    times.failed(now_s, RemoteError(SourceState.BUSY, "503", 900.0))
    assert times.look_s >= now_s + 900
    times.sent(now_s := times.look_s, "well")
    times.failed(now_s, RemoteError(SourceState.UNREACHABLE, "gone"))
    assert times.look_s == pytest.approx(now_s + 2, rel=1e-3)


def test_a_server_that_is_too_busy_gets_fewer_statuses_until_it_bears_more() -> None:
    times, now_s = StatusTimes(lambda: 0.5), 0.0
    for _ in range(9):
        times.failed(now_s, RemoteError(SourceState.BUSY, "503", 30.0))
        now_s = times.due_s
    times.sent(now_s, "well")
    assert STATUS_S < times.due_s - now_s <= STATUS_S_MAX
    assert times.is_due(now_s + STATUS_LOOK_S, "ill"), "a change is sent soon all the same"
    for _ in range(40):
        now_s = times.due_s
        times.sent(now_s, "well")
    assert times.due_s == now_s + STATUS_S


def test_a_lane_that_is_gone_does_not_hold_up_the_other() -> None:
    gone, well, office = (
        MemoryLane([stored(1)], is_gone=True),
        MemoryLane([stored(2)]),
        MemoryReceiver(),
    )
    carrying = carrier(gone, office, well)
    state, _ = carrying.round()
    assert (well.reports, state.state, state.problem) == (
        [],
        SourceState.FRESH,
        "lane 1 does not answer",
    )
    gone.is_gone = False
    carrying.round()
    assert gone.reports == []


faults = st.sampled_from(["ok", "gone", "lost answer", "half", "rejects", "wrong ids", "choke"])


@settings(max_examples=150)
@given(st.lists(faults, max_size=40), st.integers(0, 260), st.randoms(use_true_random=False))
def test_whatever_the_network_does_nothing_is_lost_and_nothing_counts_twice(
    plan: list[str], count: int, drawn: random.Random
) -> None:
    lane, office = MemoryLane([stored(seq) for seq in range(count)]), MemoryReceiver()
    sent = {report.report_id for report in lane.reports}

    def played(fault: str) -> Rule:
        def rule(reports: Sequence[StoredReport]) -> Mapping[str, ReportAnswer]:
            match fault:
                case "gone":
                    raise RemoteError(SourceState.UNREACHABLE, "gone")
                case "lost answer":
                    office.take(reports)
                    raise RemoteError(SourceState.UNREACHABLE, "broke")
                case "half":
                    return office.take(reports[::2])
                case "rejects":
                    return {
                        reports[0].report_id: ReportAnswer(Result.REJECTED, "no"),
                        **office.take(reports[1:]),
                    }
                case "wrong ids":
                    return {"someone else's": ReportAnswer(Result.STORED)}
                case "choke":
                    raise BatchError(SourceState.REFUSED, "413")
            return office.take(reports)

        return rule

    office.rules = [played(fault) for fault in plan]
    carrying = ReportUpload([lane], office, drawn.random)
    for _ in range(len(plan) + 600):
        _, wait_s = carrying.round()
        assert wait_s >= 0
        if not lane.reports and not office.rules:
            break
    waiting = {report.report_id for report in lane.reports}
    assert waiting == set()
    assert set(office.stored) | set(lane.aside) == sent
