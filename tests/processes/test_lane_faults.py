"""Every named fault of the devices against a real lane.

The lane survives, reports its state, and serves the next good card.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.gate_rig import Gate, gate, serving

READER_FAULTS = (
    "noise=1",
    "noise=0.3",
    "dropped=1",
    "dropped-ack=1",
    "truncated=1",
    "bad-checksum=1",
    "delayed=40",
    "delayed=400/1",
    "brownout",
    "unplug=50",
    "every-second",
    "leaves=before-anticollision/1",
    "leaves=in-anticollision/1",
    "leaves=before-select/1",
    "leaves=before-rats/1",
    "leaves=before-reply/1",
    "leaves=before-release/1",
)
BOARD_FAULTS = (
    "noise=1",
    "noise=0.3",
    "dropped=1",
    "dropped=3",
    "truncated=1",
    "bad-checksum=1",
    "duplicate",
    "delayed=20",
    "delayed=120/1",
)
BOARD_LOSSES = (
    "restart-on-open",
    "brownout-on-open",
    "unplug-on-open=300",
    "deaf=20",
    "silent=8",
    "dropped=60",
)


HELD_S = 4.0  # in which the field is taken away three times, and a held card answers each time


@pytest.fixture
def one_gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate with the reference reader."""
    with gate(tmp_path) as made:
        yield made


@pytest.mark.parametrize("fault", READER_FAULTS)
def test_a_fault_of_the_reader_is_survived(one_gate: Gate, fault: str) -> None:
    with serving(one_gate) as lane:
        one_gate.reader.say(f"fault {fault}")
        one_gate.reader.event("fault")
        one_gate.reader.say(f"present {one_gate.card('matched')}")
        one_gate.reader.event("present")
        one_gate.reader.say("remove")
        one_gate.reader.say("fault none")
        one_gate.reader.say("status")
        one_gate.reader.event("status")
        one_gate.serves(lane)
        assert lane.process.poll() is None


@pytest.mark.parametrize("fault", BOARD_FAULTS)
def test_a_fault_of_the_board_costs_no_passage(one_gate: Gate, fault: str) -> None:
    with serving(one_gate) as lane:
        one_gate.board.say(f"fault {fault}")
        one_gate.board.say("status")
        one_gate.board.event("status")
        for _ in range(3):
            line = one_gate.tap(lane, one_gate.card("matched"))
            assert lane.event("passage", tap=line["tap"])["passed"] is True
        taps = [line["tap"] for line in one_gate.board.catch_up() if line.get("event") == "open"]
        assert len(taps) == len(set(taps)) == 3, "each tap opened once"


@pytest.mark.parametrize("fault", BOARD_LOSSES)
def test_a_board_lost_in_the_middle_of_a_passage_comes_back(one_gate: Gate, fault: str) -> None:
    with serving(one_gate) as lane:
        one_gate.board.say(f"fault {fault}")
        one_gate.board.say("status")
        one_gate.board.event("status")
        one_gate.reader.say(f"present {one_gate.card('matched')}")
        lane.event("tap")
        lane.event("board", state="ready")
        one_gate.reader.say("remove")
        one_gate.board.say("fault none")
        one_gate.serves(lane)


def test_a_card_that_lies_there_before_the_board_is_ready_is_served_once_it_is(
    one_gate: Gate,
) -> None:
    one_gate.board.say("unplug")
    one_gate.board.event("unplugged")
    lane = one_gate.lane()
    try:
        lane.event("reader", state="ready")
        one_gate.reader.say(f"present {one_gate.card('matched')}")
        one_gate.reader.event("present")
        one_gate.board.say("replug")
        assert lane.event("tap")["outcome"] == "admitted"
    finally:
        lane.close()


@pytest.mark.parametrize("reads_on_board", [False, True])
def test_a_card_that_lies_there_while_the_lane_is_killed_opens_once(
    tmp_path: Path, *, reads_on_board: bool
) -> None:
    with gate(tmp_path, reads_on_board=reads_on_board) as one_gate:
        uid = one_gate.card("matched")
        lane = one_gate.lane()
        try:
            one_gate.board.event("show", outcome="ready", by="lane")
            one_gate.card_source.say(f"present {uid}")
            one_gate.board.event("open")
        finally:
            lane.kill()
            lane.close()
        with serving(one_gate) as lane:
            assert lane.event("tap")["outcome"] == "try_again"
            one_gate.board.event("show", outcome="try_again", by="lane")
            with pytest.raises(AssertionError, match="did not come"):
                lane.event("tap", HELD_S)
            one_gate.take_away()
            assert one_gate.tap(lane, uid)["outcome"] == "admitted", "once it has left"
        opens = [line for line in one_gate.board.catch_up() if line.get("event") == "open"]
        assert len(opens) == 2


ECHOES = 60  # of some tries to open the reader
BOARD_ECHOES = ("echo", "echo=40", "echo-cut", "hears-itself")


@pytest.mark.parametrize("fault", BOARD_ECHOES)
def test_a_board_on_a_line_that_echoes_serves_as_on_any_other(one_gate: Gate, fault: str) -> None:
    one_gate.board.say(f"fault {fault}")
    with serving(one_gate) as lane:
        for _ in range(3):
            line = one_gate.tap(lane, one_gate.card("matched"))
            assert lane.event("passage", tap=line["tap"])["passed"] is True
        one_gate.board.say("emergency on")
        lane.event("emergency", on=True)
        one_gate.board.say("push")
        one_gate.board.event("walked_free")
        one_gate.board.say("emergency off")
        lane.event("emergency", on=False)
        said = [line.get("on") for line in lane.heard if line.get("event") == "emergency"]
        assert said == [False, True, False], "it does not flip"


@pytest.mark.parametrize("fault", ["echo", "echo=40", "echo-cut"])
def test_a_dead_board_on_a_line_that_echoes_is_noticed_and_no_card_is_admitted(
    one_gate: Gate, fault: str
) -> None:
    with serving(one_gate) as lane:
        one_gate.board.say(f"fault {fault}")
        one_gate.board.say("fault dead")
        one_gate.board.say("status")
        one_gate.board.event("status")
        lost = lane.event("board", state="lost")
        assert fault == "echo-cut" or "the line echoes what this lane sends" in lost["reason"]
        one_gate.reader.say(f"present {one_gate.card('matched')}")
        one_gate.reader.event("present")
        one_gate.reader.say("remove")
        one_gate.board.say("fault none")
        lane.event("board", state="ready")
        one_gate.serves(lane)


@pytest.mark.parametrize("fault", ["echo", "echo=40"])
def test_a_reader_on_a_line_that_echoes_is_out_of_service_with_the_reason(
    one_gate: Gate, fault: str
) -> None:
    with serving(one_gate) as lane:
        one_gate.reader.say(f"fault {fault}")
        lost = lane.event("reader", state="lost")
        assert lost["reason"].endswith(
            "the line echoes what this lane sends; are its two wires joined?"
        )
        one_gate.board.event("show", outcome="out_of_service", by="lane")
        one_gate.reader.say("fault none")
        lane.event("reader", state="ready")
        one_gate.serves(lane)


def test_a_reader_whose_echo_comes_late_is_not_called_ready_again_and_again(one_gate: Gate) -> None:
    with serving(one_gate) as lane:
        one_gate.reader.say(f"fault echo=30/{ECHOES}")
        lane.event("reader", state="lost")
        lane.event("reader", state="ready")
        one_gate.reader.say("status")
        assert one_gate.reader.event("status")["faults"] == [], "ready, while the line still echoed"
        one_gate.serves(lane)
        states = [line["state"] for line in lane.heard if line.get("event") == "reader"]
        assert states == ["ready", "lost", "ready"], "one loss, logged once"


def test_an_emergency_is_shown_and_its_alarms_are_counted(one_gate: Gate) -> None:
    with serving(one_gate) as lane:
        one_gate.board.say("push")
        lane.event("forced")
        one_gate.board.say("emergency on")
        assert (
            one_gate.board.event("show", outcome="emergency", by="board")["lamp"] == "green blink"
        )
        one_gate.board.event("show", outcome="emergency", by="lane")
        one_gate.board.say("emergency off")
        one_gate.board.event("show", outcome="ready", by="lane")
        one_gate.serves(lane)


def test_a_chip_left_at_another_speed_is_recovered_at_the_start(one_gate: Gate) -> None:
    one_gate.reader.say("fault stuck-baud")
    one_gate.reader.event("fault")
    with serving(one_gate) as lane:
        one_gate.serves(lane)


def test_unplugged_devices_are_logged_within_two_seconds_and_come_back(one_gate: Gate) -> None:
    with serving(one_gate) as lane:
        for device, name in ((one_gate.reader, "reader"), (one_gate.board, "board")):
            device.say("unplug")
            lost = lane.event(name, 4.0, state="lost")
            assert str(one_gate.folder / name) in lost["reason"]
            if name == "reader":
                one_gate.board.event("show", outcome="out_of_service", by="lane")
            device.say("replug")
            lane.event(name, 4.0, state="ready")
        one_gate.serves(lane)


@pytest.mark.parametrize("name", ["reader", "board"])
def test_unplugged_and_replugged_100_times(one_gate: Gate, name: str) -> None:
    with serving(one_gate) as lane:
        device = one_gate.reader if name == "reader" else one_gate.board
        for turn in range(100):
            device.say("unplug")
            lane.event(name, state="lost")
            device.say("replug")
            lane.event(name, state="ready")
            if turn % 20 == 19:
                one_gate.serves(lane)


def test_a_card_that_brings_a_second_one_along_is_two_cards(one_gate: Gate) -> None:
    with serving(one_gate) as lane:
        one_gate.reader.say("fault two-cards")
        one_gate.reader.event("fault")
        one_gate.reader.say(f"present {one_gate.card('matched')}")
        assert lane.event("tap")["outcome"] == "try_again"
        one_gate.take_away()
        one_gate.reader.say("fault none")
        one_gate.serves(lane)


@pytest.mark.parametrize(
    "fault", ["delayed=40", "bad-checksum=0.3", "truncated=0.1", "noise=0.1", "brownout"]
)
def test_a_card_that_stays_opens_once_on_a_bad_line(tmp_path: Path, fault: str) -> None:
    with gate(tmp_path, timing="real") as one_gate, serving(one_gate) as lane:
        one_gate.reader.say(f"present {one_gate.card('matched')}")
        line = lane.event("tap")
        lane.event("passage", tap=line["tap"])
        one_gate.reader.say(f"fault {fault}")
        one_gate.reader.event("fault")
        with pytest.raises(AssertionError, match="did not come"):
            lane.event("tap", HELD_S)


@pytest.mark.parametrize("trouble", ["emergency", "unplug"])
def test_a_card_laid_down_while_no_card_could_be_answered_is_served_afterwards(
    one_gate: Gate, trouble: str
) -> None:
    begin, end = (
        ("emergency on", "emergency off") if trouble == "emergency" else ("unplug", "replug")
    )
    with serving(one_gate) as lane:
        one_gate.board.say(begin)
        lane.wait_for(lambda line: line.get("on") is True or line.get("state") == "lost")
        one_gate.reader.say(f"present {one_gate.card('matched')}")
        one_gate.reader.event("selected")
        one_gate.board.say(end)
        assert lane.event("tap", 5.0)["outcome"] == "admitted"


def test_an_emergency_release_is_observed_and_never_overruled(one_gate: Gate) -> None:
    with serving(one_gate) as lane:
        one_gate.board.say("emergency on")
        lane.event("emergency", on=True)
        one_gate.reader.say(f"present {one_gate.card('suspended')}")
        one_gate.reader.event("selected")
        one_gate.reader.say("remove")
        one_gate.board.say("emergency off")
        lane.event("emergency", on=False)
        one_gate.serves(lane)
        assert [line["event"] for line in lane.heard].count("tap") == 1


def test_killed_at_50_random_moments_it_always_comes_back_serving(one_gate: Gate) -> None:
    moments = random.Random(50)
    for turn in range(50):
        lane = one_gate.lane()
        try:
            one_gate.board.event("show", outcome="ready", by="lane")
            for _ in range(moments.randrange(3)):
                one_gate.tap(lane, one_gate.card("matched"))
            one_gate.reader.say(f"present {one_gate.card('matched')}")
            if turn % 2:
                one_gate.reader.event("selected")  # in the middle of a tap, else at its very start
        finally:
            lane.kill()
            lane.close()
        one_gate.take_away()
    with serving(one_gate) as lane:
        one_gate.serves(lane)
