"""The simulated board's own reader, faults, and emergencies."""

from dataclasses import replace

import pytest

from firmware_sim.board import frames as f
from firmware_sim.board.faults import BOARD_FAULTS
from firmware_sim.board.setup import Setup
from firmware_sim.outcomes import RefusedError, Unplug
from tests.support.devices.board_bench import CARD, LANE, MS, Bench


def test_its_own_reader_reports_a_card_once() -> None:
    bench = Bench(Setup(reader=True, read_ms=12))
    bench.verb("present 04a1b2c3d4e5f6")
    bench.wait(11)
    assert bench.told() == []
    bench.wait(2000)
    assert bench.told() == [f.Card(1, False, 0x20, 0x0344, bytes.fromhex("04a1b2c3d4e5f6"))]
    with pytest.raises(RefusedError, match="a card already"):
        bench.verb("present 04a1b2c3d4e5f7")
    bench.verb("remove")
    bench.verb("present a1b2c3d4")
    bench.wait(12)
    assert bench.told() == [f.Card(1, False, 0x08, 0x0004, bytes.fromhex("a1b2c3d4"))]


def test_its_own_reader_two_cards_and_one_gone_too_early() -> None:
    bench = Bench(Setup(reader=True, read_ms=12))
    bench.verb("clash 04a1b2c3d4e5f6 a1b2c3d4")
    bench.wait(12)
    assert bench.told() == [f.Card(2, False, 0, 0, b"")]
    bench.verb("remove")
    bench.verb("present 04a1b2c3d4e5f6")
    bench.wait(5)
    bench.verb("remove")
    bench.wait(50)
    assert bench.told() == []


LAY = replace(CARD, lay=True)


def test_a_card_that_lies_there_when_a_lane_comes_is_reported_to_it() -> None:
    bench = Bench(Setup(reader=True), connect=False)
    bench.verb("present 04a1b2c3d4e5f6")
    bench.wait(1_000)
    assert CARD not in bench.told()
    bench.say(LANE)
    assert bench.told().count(CARD) == 1, "no lane knows of it"
    bench.wait(1_000)
    assert CARD not in bench.told()


def test_a_card_is_reported_once_in_each_session_and_not_when_it_has_gone() -> None:
    bench = Bench(Setup(reader=True))
    bench.verb("present 04a1b2c3d4e5f6")
    assert CARD in bench.told()
    bench.say(f.Hello(2, 555, bytes(8), "another lane"))
    assert LAY in bench.told()
    bench.verb("remove")
    bench.say(f.Hello(2, 556, bytes(8), "another lane"))
    assert CARD not in bench.told()


def test_a_card_held_to_a_board_without_power_is_read_when_that_is_back() -> None:
    bench = Bench(Setup(reader=True, read_ms=12))
    bench.verb("brownout")
    bench.verb("present 04a1b2c3d4e5f6")
    assert bench.board.status()["cards"] == ["04a1b2c3d4e5f6"]
    bench.wait(200)
    bench.say(LANE)
    assert CARD not in bench.told()
    bench.wait(12)
    assert LAY in bench.told()


def test_a_phone_in_a_new_session_has_the_uid_it_had() -> None:
    bench = Bench(Setup(reader=True))
    bench.verb("present 08010203")
    first = [frame for frame in bench.told() if isinstance(frame, f.Card)]
    bench.say(f.Hello(2, 555, bytes(8), "another lane"))
    again = [frame for frame in bench.told() if isinstance(frame, f.Card)]
    assert again == [replace(card, lay=True) for card in first]


def test_a_broken_reader_is_in_the_heartbeat() -> None:
    bench = Bench(Setup(reader=True), "reader-broken")
    bench.verb("present 04a1b2c3d4e5f6")
    assert bench.heartbeat().state == 0x20


@pytest.mark.parametrize(
    "verb",
    [
        "jump",
        "emergency",
        "emergency maybe",
        "emergency off",
        "tamper off",
        "present 04a1b2c3d4e5f6",
        "remove",
        "fault flood",
        "fault dropped=-1",
        "fault dropped=1.5",
        "fault delayed",
        "pass now",
        "ğ",
    ],
)
def test_what_cannot_be_obeyed_is_refused_and_changes_nothing(verb: str) -> None:
    bench = Bench()
    before = (bench.board.status(), list(bench.board.history))
    with pytest.raises(RefusedError):
        bench.verb(verb)
    assert (bench.board.status(), list(bench.board.history)) == before


def test_restart_in_the_middle_of_a_passage() -> None:
    bench = Bench(fault="restart-on-open=1")
    session = bench.board.status()["session"]
    bench.board.receive(
        f.encode(f.Open(1, 0, 5000), 0) + f.encode(f.Show(1, 1500, 0), 1), bench.now_ns
    )
    bench.turn()
    assert bench.happened("open", "passed", "not_passed") == ["open"]
    assert bench.board.status()["session"] != session
    assert bench.locked()
    assert "admitted" not in bench.shows()  # it came for the session before
    assert [type(frame) for frame in bench.told()] == [f.Hello]


def test_brownout_takes_power_and_gives_it_back() -> None:
    bench = Bench(fault="brownout-on-open=1")
    bench.say(f.Open(1, 0, 5000))
    with pytest.raises(RefusedError, match="no power"):
        bench.verb("pass")
    bench.verb("tamper on")
    assert not bench.locked()
    bench.wait(200)
    assert bench.locked()
    assert bench.happened("started") == ["started", "started"]
    bench.say(LANE)
    assert bench.heartbeat().state == 0x02


def test_unplugged_in_the_middle_of_a_passage() -> None:
    bench = Bench(fault="unplug-on-open")
    bench.say(f.Open(1, 0, 5000))
    assert bench.unplugs == [Unplug(500 * MS)]
    bench.verb("pass")
    assert bench.happened("passed") == ["passed"]  # it has its own power


def test_deaf_means_no_ack_and_nothing_done() -> None:
    bench = Bench()
    bench.verb("fault deaf")
    bench.say(f.Open(1, 0, 5000), 0)
    assert (bench.told(), bench.locked()) == ([], True)
    bench.verb("fault none")
    bench.say(f.Open(1, 0, 5000), 0)
    assert bench.told() == [f.Ack(0)]


@pytest.mark.parametrize("fault", ["dropped=1", "truncated=1", "bad-checksum=1", "noise=1"])
def test_a_lost_event_is_sent_again(fault: str) -> None:
    bench = Bench()
    bench.wait(10)
    bench.verb(f"fault {fault}")
    bench.verb("push")
    assert bench.told() == []
    bench.wait(50)
    bench.wait(50)
    assert bench.told() == [f.Forced()]


def test_duplicate_sends_twice() -> None:
    bench = Bench(fault="duplicate=1")
    bench.verb("push")
    assert bench.told() == [f.Forced(), f.Forced()]


def test_delayed_keeps_the_order() -> None:
    bench = Bench(fault="delayed=30")
    bench.verb("push")
    bench.verb("fault none")
    bench.say(f.Open(1, 0, 5000), 0)
    assert bench.told() == []
    bench.wait(30)
    assert bench.told() == [f.Forced(), f.Ack(0)]


def test_silent_means_no_heartbeats() -> None:
    bench = Bench(fault="silent")
    bench.frames.clear()
    bench.wait(2000)
    assert bench.frames == []


def test_every_fault_can_be_set_and_cleared() -> None:
    bench = Bench()
    for name in BOARD_FAULTS:
        bench.verb(f"fault {name}=20" if name == "delayed" else f"fault {name}")
    assert bench.board.status()["faults"] == list(BOARD_FAULTS)
    bench.verb("fault none")
    assert bench.board.status()["faults"] == []


def test_what_lies_on_its_reader_is_sent_again_when_the_lane_asks() -> None:
    bench = Bench(Setup(reader=True))
    bench.say(f.Read())
    assert bench.told() == [f.Ack(0)], "nothing lies there"
    bench.verb("present 04a1b2c3d4e5f6")
    assert bench.told() == [CARD]
    bench.say(f.Read())
    assert bench.told() == [f.Ack(1), CARD]
    bench.say(f.Read(), 1)
    assert bench.told() == [f.Ack(1)], "a copy of the question is no second one"


def test_an_emergency_is_shown_whatever_the_lane_sends_and_without_a_lane() -> None:
    bench = Bench(connect=False)
    bench.verb("emergency on")
    assert bench.board.status()["shows"] == "emergency"
    details = bench.board.history[-1].details
    assert (details["lamp"], details["tone"]) == ("green blink", None)
    assert (details["text_tr"], details["text_en"]) == (
        "Acil durum: geçiş serbest",
        "Emergency: walk through",
    )
    bench.say(LANE)
    bench.say(f.Show(0, 0, 0))
    bench.say(f.Show(3, 1_500, 0))
    bench.wait(4_000, beating=False)
    assert bench.board.status()["shows"] == "emergency"
    bench.say(f.Heartbeat(0, 0))
    bench.verb("emergency off")
    assert bench.board.status()["shows"] == "ready", (
        "what the lane wants to rest on, and no old refusal"
    )


def test_after_an_emergency_locked_arms_never_show_walk_through() -> None:
    bench = Bench()
    bench.verb("emergency on")
    bench.say(f.Show(7, 0, 0))
    bench.verb("emergency off")
    assert (bench.locked(), bench.board.status()["shows"]) == (True, "out_of_service")


def test_an_emergency_that_the_lane_shows_late_is_not_shown_at_locked_arms() -> None:
    bench = Bench()
    for hold_ms in (0, 1_500):
        bench.say(f.Show(7, hold_ms, 0))
        assert (bench.locked(), bench.board.status()["shows"]) == (True, "out_of_service")


def test_an_emergency_outlives_a_power_cut_on_the_display_too() -> None:
    bench = Bench()
    bench.verb("brownout")
    bench.verb("emergency on")
    bench.wait(300)
    assert bench.board.status()["shows"] == "emergency"


def test_a_card_that_no_lane_has_acknowledged_has_come_for_the_next_one_too() -> None:
    bench = Bench(Setup(reader=True))
    bench.acknowledges = False
    bench.verb("present 04a1b2c3d4e5f6")
    assert bench.told() == [CARD]
    bench.say(f.Hello(2, 555, bytes(8), "another lane"))
    assert CARD in bench.told()


def test_a_card_for_which_a_lane_opened_is_taken_though_its_ack_was_lost() -> None:
    bench = Bench(Setup(reader=True, walk_ms=None))
    bench.acknowledges = False
    bench.verb("present 04a1b2c3d4e5f6")
    bench.say(f.Open(1, 0, 5_000))
    bench.told()
    bench.say(f.Hello(2, 555, bytes(8), "another lane"))
    assert LAY in bench.told()
