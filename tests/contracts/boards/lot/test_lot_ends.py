"""What a lane that ends leaves at a LOT turnstile: nothing that is permitted."""

from functools import partial
from pathlib import Path

import pytest

from tests.contracts.boards.rig import hearing
from tests.contracts.boards.rigs import LotRig, released
from validator.domain.outcomes import Direction
from validator.lane.boards import lot
from validator.lane.boards.lot.board import LotBoard


@pytest.mark.parametrize("fault", ["none", "delayed=60", "dropped"])
def test_a_closed_board_cancels_what_is_permitted_whatever_is_under_way(
    fault: str, tmp_path: Path
) -> None:
    rig = LotRig(tmp_path / "turnstile")
    try:
        for tap in range(1, 4):
            # The turnstile would end this permission by itself after a minute.
            board = LotBoard(rig.path, 1, Direction.ENTRY, 60_000)
            with hearing(board, lot.ABILITIES) as listener:
                listener.back()
                listener.open(tap, 60_000)
                assert listener.serve_until(partial(released, rig, tap)) == []
                rig.fault(fault)
                listener.events(0.08)  # a request is under way
                listener.board.close()
            rig.fault("none")
            while rig.simulator.say("status", "status")["registers"]["0040"]:
                pass  # the request is on the line; or the permission ends by its own time
            ended = [event["event"] for event in rig.simulator.events]
            assert "timed_out" not in ended, fault
    finally:
        rig.close()
