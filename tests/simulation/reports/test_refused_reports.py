"""Reports that the receiver refuses: each is found and quarantined, and blocks no other."""

import itertools
from pathlib import Path

import pytest
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from backoffice.receiver.app import ReceiverLimits
from tests.simulation.reports.report_world import World, outbox
from validator.courier.report_upload import REFUSED_MAX
from validator.courier.waits import WAIT_S_MAX
from validator.errors import SourceState


def test_a_receiver_that_takes_fewer_at_a_time_gets_fewer_at_a_time(world: World) -> None:
    world.serve(limits=ReceiverLimits(batch_max=7))
    world.deny(100)
    uploaded = world.drain()
    assert (uploaded.delivered, uploaded.rejected) == (100, 0)
    assert world.received() == list(range(1, 101))


def test_the_report_that_is_not_taken_is_found_among_the_others_and_quarantined(
    tmp_path: Path, world: World
) -> None:
    sealed = iter(["x" * 128 if number == 78 else "" for number in range(1, 301)])
    world.lane.box.close()
    world.lane.box = outbox(tmp_path / "another", lambda: next(sealed))
    world.deny(300)
    longest = max(len(report.json()) for report in world.box.oldest(77))
    alone = len(b'{"reports":[]}') + longest + 20
    world.serve(limits=ReceiverLimits(body_bytes_max=alone))
    uploaded = world.drain(1_000)
    world.box.close()
    assert (
        uploaded.delivered,
        uploaded.rejected,
        next(iter(world.lane.quarantined.values()))[-3:],
    ) == (
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
    told = [world.upload.round() for _ in range(300)]
    assert (world.lane.quarantined, world.box.waiting) == ({}, 100)
    assert {uploaded.state for uploaded, _ in told[30:]} == {SourceState.NOT_OURS}
    assert f"answered {status}; none of {REFUSED_MAX} was taken" in told[-1][0].problem
    at_once = [
        len(list(run))
        for wait_s, run in itertools.groupby(told, lambda each: each[1])
        if not wait_s
    ]
    assert max(at_once) < REFUSED_MAX + 10, "nor is it asked at full speed"
    assert max(wait_s for _, wait_s in told) > WAIT_S_MAX / 2
    world.serve()
    assert world.drain().delivered == 100
    assert world.received() == list(range(1, 101))


def test_reports_that_are_not_taken_one_after_the_other_and_the_last_of_all(
    tmp_path: Path, world: World
) -> None:
    """A refused report stays until another is taken, which shows that the server works."""
    bad = {1, 2, 3, 5, 9, 10}
    sealed = iter(["x" * 128 if number in bad else "" for number in range(1, 12)])
    world.lane.box.close()
    world.lane.box = outbox(tmp_path / "another", lambda: next(sealed))
    world.deny(10)
    shortest = min(len(report.json()) for report in world.box.oldest(20))
    world.serve(limits=ReceiverLimits(body_bytes_max=len(b'{"reports":[]}') + shortest + 20))
    told = [world.upload.round() for _ in range(200)]
    assert [report.seq for report in world.box.oldest(20)] == [9, 10]
    assert (told[-1][0].delivered, told[-1][0].rejected) == (4, 4)
    assert {uploaded.state for uploaded, _ in told[-50:]} == {SourceState.NOT_OURS}
    assert "answered 413; none of 2 was taken" in told[-1][0].problem
    world.deny(1)
    for _ in range(20):
        world.upload.round()
    assert (world.box.waiting, len(world.lane.quarantined)) == (0, len(bad))
    assert world.received() == [4, 6, 7, 8, 11]
    world.box.close()
