"""The simulated board: sessions, passages, pictures and events."""

import pytest

from firmware_sim.board import frames as f
from firmware_sim.board.setup import Setup
from firmware_sim.outcomes import RefusedError
from tests.support.devices.board_bench import CARD, LANE, MS, Bench


def test_greets_until_greeted() -> None:
    bench = Bench(connect=False)
    bench.wait(1200, beating=False)
    assert [type(frame) for frame in bench.told()] == [f.Hello] * 3
    bench.say(LANE)
    bench.wait(1200)
    assert bench.told() == [bench.board._line._hello]  # the answer, and then no more


def test_a_known_greeting_is_not_answered_so_soon_after_the_last() -> None:
    bench = Bench(connect=False)
    bench.say(LANE)
    bench.told()
    bench.say(LANE)
    assert [frame for frame in bench.told() if isinstance(frame, f.Hello)] == []
    bench.now_ns += 101 * MS
    bench.say(LANE)
    assert len(bench.told()) == 1


def test_nothing_counts_before_the_greeting() -> None:
    bench = Bench(connect=False)
    bench.told()
    bench.say(f.Open(1, 0, 5000))
    assert (bench.told(), bench.happened("open"), bench.locked()) == ([], [], True)


def test_the_own_greeting_on_a_line_that_echoes_is_no_lane() -> None:
    bench = Bench(connect=False)
    earlier = list(bench.raw)
    bench.verb("restart")
    for data in earlier + bench.raw:  # also that of a session before
        bench.board.receive(data, bench.now_ns)
    assert bench.board.status()["lane"] is None


def test_its_own_acknowledgement_that_comes_back_acknowledges_no_event() -> None:
    bench = Bench(Setup(reader=True, walk_ms=None))
    bench.acknowledges = False
    bench.verb("present 04a1b2c3d4e5f6")
    bench.say(f.Open(1, 0, 5_000), 0)  # acknowledged with the seq that the card has
    assert bench.told() == [CARD, f.Ack(0)]
    bench.board.receive(b"".join(bench.raw), bench.now_ns)
    bench.wait(60)
    assert bench.told() == [CARD], "it goes again, since no lane has acknowledged it"


def test_its_own_heartbeats_that_come_back_are_no_lane() -> None:
    bench = Bench()
    for _ in range(20):
        bench.raw.clear()
        bench.wait(100, beating=False)
        bench.board.receive(b"".join(bench.raw), bench.now_ns)
        bench.turn()
    assert bench.happened("lane_lost", "lane_back") == ["lane_lost"]


def test_another_protocol_is_no_lane() -> None:
    bench = Bench()
    bench.say(f.Show(0, 0, 0))
    bench.say(f.Hello(3, 78, bytes(8), "lane of tomorrow"))
    assert bench.board.status()["lane"] is None
    assert bench.shows()[-1] == "out_of_service"
    assert (
        bench.board.history[-2].details["reason"]
        == "the lane speaks protocol 3, this board speaks 2"
    )


def test_a_refused_lane_is_not_greeted_for_ever() -> None:
    bench = Bench(connect=False)
    bench.told()
    for _ in range(5):
        bench.say(f.Hello(3, 78, bytes(8), "lane of tomorrow"))
    assert [type(frame) for frame in bench.told()] == [f.Hello]


def test_the_first_heartbeat_comes_with_the_session() -> None:
    bench = Bench(connect=False)
    bench.verb("emergency on")
    bench.say(LANE)
    assert f.Heartbeat(0, 0x01) in [frame for _, frame in bench.frames]


def test_open_and_walk_through() -> None:
    bench = Bench()
    seq = bench.say(f.Open(42, 0, 5000))
    assert not bench.locked()
    bench.wait(812)
    bench.verb("pass")
    assert bench.told() == [f.Ack(seq), f.Passed(42, 812)]
    assert bench.locked()
    assert bench.happened("open", "passed") == ["open", "passed"]
    assert bench.heartbeat().state == 0x08


def test_a_passenger_walks_after_walk_ms() -> None:
    bench = Bench(Setup(walk_ms=300, release_ms=8))
    seq = bench.say(f.Open(42, 0, 5000))
    bench.wait(307)
    assert bench.heartbeat().state == 0x08
    assert bench.happened("passed") == ["passed"]
    assert f.Ack(seq) not in bench.told()


def test_no_passenger_walks_and_the_arms_lock() -> None:
    bench = Bench()
    seq = bench.say(f.Open(42, 1, 700))
    assert bench.heartbeat().state == 0x04
    bench.wait(300)
    assert bench.locked()
    assert f.NotPassed(42) in bench.told()
    assert bench.heartbeat().state == 0x10
    bench.say(f.Open(43, 0, 5000), seq + 1)
    assert bench.heartbeat().state == 0x04


def test_the_same_tap_never_opens_twice() -> None:
    bench = Bench()
    bench.say(f.Open(42, 0, 5000), 0)
    bench.verb("pass")
    bench.say(f.Open(42, 0, 5000), 0)  # a copy: its ACK was lost
    bench.say(f.Open(42, 0, 5000), 1)  # asked again
    assert bench.locked()
    assert bench.happened("open", "duplicate_open") == ["open", "duplicate_open", "duplicate_open"]
    assert [frame for frame in bench.told() if isinstance(frame, f.Ack)] == [
        f.Ack(0),
        f.Ack(0),
        f.Ack(1),
    ]


def test_only_the_last_32_taps_are_remembered() -> None:
    bench = Bench()
    for tap in range(1, 34):
        bench.say(f.Open(tap, 0, 5000))
        bench.verb("pass")
    bench.say(f.Open(2, 0, 5000))
    assert bench.happened("duplicate_open") == ["duplicate_open"]
    bench.say(f.Open(1, 0, 5000))
    assert len(bench.happened("open")) == 34


def test_another_tap_ends_the_passage_before_it() -> None:
    bench = Bench()
    bench.say(f.Open(1, 0, 5000))
    bench.say(f.Open(2, 0, 5000))
    assert bench.told() == [f.Ack(0), f.Ack(1), f.NotPassed(1)]
    assert bench.board.status()["tap"] == 2


def test_pushing_locked_arms_is_force_and_released_arms_cannot_be_forced() -> None:
    bench = Bench()
    bench.verb("push")
    bench.verb("pass")
    assert bench.told() == [f.Forced(), f.Forced()]
    bench.say(f.Open(1, 0, 5000))
    with pytest.raises(RefusedError, match="the arms are released"):
        bench.verb("push")


def test_emergency_frees_the_arms_and_is_never_overruled() -> None:
    bench = Bench()
    bench.say(f.Open(1, 0, 5000))
    bench.verb("emergency on")
    bench.wait(6000)
    assert not bench.locked()
    assert (
        bench.happened("passed", "not_passed") == []
    )  # the passage in progress ended without an event
    bench.told()
    seq = bench.say(f.Open(2, 0, 5000))
    assert bench.told() == [f.Ack(seq), f.NotPassed(2)]
    bench.verb("pass")
    assert bench.happened("walked_free", "forced") == ["walked_free"]
    assert bench.heartbeat().state == 0x11
    bench.verb("restart")
    assert not bench.locked()
    bench.verb("emergency off")
    assert bench.locked()


def test_show_returns_to_the_resting_picture() -> None:
    bench = Bench()
    bench.say(f.Show(0, 0, 0))
    bench.say(f.Show(3, 2000, 0))
    bench.wait(1999)
    assert bench.board.status()["shows"] == "denied"
    bench.wait(1)
    assert bench.shows() == ["out_of_service", "out_of_service", "ready", "denied", "ready"]


def test_a_copy_of_a_show_is_acknowledged_and_not_shown_again() -> None:
    bench = Bench()
    bench.say(f.Show(3, 2000, 0), 0)
    bench.wait(1500)
    bench.say(f.Show(3, 2000, 0), 0)
    assert bench.told() == [f.Ack(0), f.Ack(0)]
    bench.wait(500)
    assert bench.shows()[-2:] == ["denied", "out_of_service"]


def test_a_newer_show_replaces_at_once() -> None:
    bench = Bench()
    bench.say(f.Show(3, 2000, 0))
    bench.say(f.Show(0, 0, 0))
    bench.wait(3000)
    assert bench.shows()[-2:] == ["denied", "ready"]


def test_a_notice_has_its_date_written_out() -> None:
    bench = Bench()
    bench.say(f.Show(2, 1500, 380))
    assert bench.board.history[-1].details == {
        "outcome": "admitted_with_notice",
        "hold_ms": 1500,
        "date": "2021-01-15",
        "text_tr": "Kartınızı 15.01.2021 tarihine kadar eşleştiriniz",
        "text_en": "Match your card by 15.01.2021",
        "lamp": "green",
        "tone": "two beeps",
        "by": "lane",
    }


def test_a_silent_lane_is_out_of_service_until_it_speaks() -> None:
    bench = Bench()
    bench.say(f.Show(0, 0, 0))
    bench.wait(1499, beating=False)
    assert bench.board.status()["shows"] == "ready"
    bench.wait(1, beating=False)
    assert bench.shows()[-1] == "out_of_service"
    bench.say(f.Heartbeat(0, 0))
    assert bench.shows()[-1] == "ready"
    assert bench.happened("lane_lost", "lane_back") == ["lane_lost", "lane_back"]


def test_an_event_is_sent_four_times_and_then_the_line_is_lost() -> None:
    bench = Bench()
    bench.say(f.Open(1, 0, 5000))
    session = bench.board.status()["session"]
    bench.told()
    bench.acknowledges = False
    bench.verb("tamper on")
    bench.wait(199)
    assert bench.told() == [f.Tamper(on=True)] * 4
    bench.wait(1)
    assert bench.board.status()["session"] != session
    assert bench.happened("lane_lost", "passed", "not_passed") == ["lane_lost"]
    assert bench.locked()  # the board's new session has ended the passage
    assert [type(frame) for frame in bench.told()] == [
        f.Hello
    ]  # and nothing of the old one is sent again


def test_one_event_at_a_time_is_under_way() -> None:
    bench = Bench()
    bench.acknowledges = False
    bench.verb("push")
    bench.verb("tamper on")
    assert bench.told() == [f.Forced()]
    bench.say(f.Ack(0))
    assert bench.told() == [f.Tamper(on=True)]


def test_the_seventeenth_event_that_waits_loses_the_line() -> None:
    bench = Bench()
    bench.acknowledges = False
    for _ in range(17):
        bench.verb("push")
    assert bench.happened("lane_lost") == []
    bench.verb("push")
    assert bench.happened("lane_lost") == ["lane_lost"]


def test_a_new_lane_session_clears_taps_passage_and_picture() -> None:
    bench = Bench()
    bench.say(f.Show(0, 0, 0), 9)
    bench.say(f.Open(1, 0, 5000), 0)
    bench.say(f.Hello(2, 78, bytes(8), "lane"))
    assert bench.locked()
    assert bench.happened("not_passed") == []
    assert bench.shows()[-1] == "out_of_service"
    bench.say(f.Open(1, 0, 5000), 0)
    assert bench.happened("open") == ["open", "open"]


def test_the_same_session_again_changes_nothing() -> None:
    bench = Bench()
    bench.say(f.Open(1, 0, 5000), 0)
    bench.say(LANE)
    bench.say(f.Open(1, 0, 5000), 0)
    assert bench.happened("session", "open", "duplicate_open") == [
        "session",
        "open",
        "duplicate_open",
    ]
