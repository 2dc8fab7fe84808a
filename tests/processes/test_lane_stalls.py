"""A lane process that is stopped and continues (SIGSTOP, SIGCONT) admits no card late.

A machine that swaps or freezes does the same to it. A stop of a few hundred milliseconds is not
tried here: an answer as old as that may still be decided.
"""

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.gate_rig import Gate, gate, serving
from tests.support.machine.programs import Program

STILL_S = 2.0
LONG_S = 60.0  # for an event on a busy machine
MOMENTS = 6
STAGES_S = 0.015  # a tap is through by then: the chip's 8 ms with real timing, and the lane's one


@pytest.fixture(params=["pn532", "pn532 at real times", "board"])
def one_gate(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gate]:
    timing = "real" if "real" in request.param else "ideal"
    with gate(tmp_path, reads_on_board=request.param == "board", timing=timing) as made:
        yield made


def stop(lane: Program) -> None:
    lane.process.send_signal(signal.SIGSTOP)


def go_on(lane: Program) -> int:
    """Let it run again. Returns when."""
    now_ns = time.monotonic_ns()
    lane.process.send_signal(signal.SIGCONT)
    return now_ns


def present(of: Gate, kind: str) -> int:
    """Lay a fresh card of that kind on the reader. Returns when."""
    of.card_source.say(f"present {of.card(kind)}")
    return int(of.card_source.event("present", LONG_S)["at_ns"])


def opened_ns(of: Gate) -> list[int]:
    """When the board was opened, so far."""
    return [int(line["at_ns"]) for line in of.board.catch_up() if line.get("event") == "open"]


def test_a_card_that_came_and_left_while_the_lane_was_stopped_opens_nothing(one_gate: Gate) -> None:
    with serving(one_gate) as lane:
        stop(lane)
        present(one_gate, "matched")
        time.sleep(STILL_S)  # the stall itself; nothing is waited for
        one_gate.take_away()
        go_on(lane)
        one_gate.serves(lane, LONG_S)
        assert len(opened_ns(one_gate)) == 1, "for the card that came after it, and no other"


def test_a_card_that_still_lies_there_is_served_once_the_lane_goes_on(one_gate: Gate) -> None:
    with serving(one_gate) as lane:
        stop(lane)
        present(one_gate, "matched")
        time.sleep(STILL_S)  # the stall itself; nothing is waited for
        went_on_ns = go_on(lane)
        line = lane.event("tap", LONG_S)
        assert line["outcome"] == "admitted"
        assert line["read_ns"] > went_on_ns, "it was read again"
        one_gate.board.event("open", LONG_S, tap=line["tap"])
        one_gate.take_away()
        one_gate.serves(lane, LONG_S)
        assert len(opened_ns(one_gate)) == 2


def test_a_suspended_card_that_left_meanwhile_is_neither_shown_nor_reported(one_gate: Gate) -> None:
    with serving(one_gate) as lane:
        stop(lane)
        present(one_gate, "suspended")
        time.sleep(STILL_S)  # the stall itself; nothing is waited for
        one_gate.take_away()
        go_on(lane)
        one_gate.serves(lane, LONG_S)
        assert [line["outcome"] for line in lane.heard if line.get("event") == "tap"] == [
            "admitted"
        ]


@pytest.mark.parametrize("seed", range(2))
def test_stopped_at_any_moment_of_a_tap_it_opens_at_once_or_not_at_all(
    one_gate: Gate, seed: int
) -> None:
    moments = random.Random(seed)
    with serving(one_gate) as lane:
        for _ in range(MOMENTS):
            present(one_gate, "matched")
            time.sleep(
                moments.uniform(0, STAGES_S)
            )  # which moment of the tap it is; nothing is waited for
            stop(lane)
            time.sleep(STILL_S)  # the stall itself; nothing is waited for
            one_gate.take_away()
            went_on_ns = go_on(lane)
            one_gate.board.event(
                "show", LONG_S, outcome="ready"
            )  # by the lane, or by the board that receives it again
            shown_ns = present(one_gate, "matched")
            lane.event("tap", LONG_S, outcome="admitted", waited=False)
            one_gate.take_away()
            late = [at_ns for at_ns in opened_ns(one_gate) if went_on_ns < at_ns < shown_ns]
            assert late == [], "for a card that had gone"


def test_a_card_that_waited_behind_another_and_left_meanwhile_is_not_admitted(
    tmp_path: Path,
) -> None:
    with gate(tmp_path, walks=False) as one_gate, serving(one_gate) as lane:
        present(one_gate, "matched")
        first = lane.event("tap", LONG_S)["tap"]
        one_gate.take_away()
        present(one_gate, "matched")
        one_gate.reader.event(
            "released", LONG_S
        )  # the lane has taken its answer, and asks for the next card
        stop(lane)
        time.sleep(STILL_S)  # the stall itself; nothing is waited for
        one_gate.take_away()
        one_gate.board.say("pass")
        one_gate.board.event("passed", LONG_S, tap=first)
        go_on(lane)
        told = [
            lane.wait_for(lambda line: line.get("event") in {"tap", "passage"}, LONG_S)
            for _ in range(2)
        ]
        by_event = {line["event"]: line for line in told}  # they come in either order
        assert (by_event["tap"]["tap"], by_event["tap"]["outcome"]) == (first + 1, "try_again")
        assert (by_event["passage"]["tap"], by_event["passage"]["passed"]) == (first, True)
        assert len(opened_ns(one_gate)) == 1
