"""The simulated board keeps docs/board-protocol.md: frames, sessions, passages, duties, faults."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from firmware_sim.board import frames as f
from firmware_sim.board.board import Board
from firmware_sim.board.faults import BOARD_FAULTS, BoardFaults, parse_board_fault
from firmware_sim.board.setup import Setup
from firmware_sim.outcomes import Event, RefusedError, Send, Unplug

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "board_frames.json").read_text())
CLASSES: dict[str, type[Any]] = {
    "HELLO": f.Hello,
    "ACK": f.Ack,
    "OPEN": f.Open,
    "SHOW": f.Show,
    "READ": f.Read,
    "PASSED": f.Passed,
    "NOT_PASSED": f.NotPassed,
    "FORCED": f.Forced,
    "EMERGENCY": f.Emergency,
    "TAMPER": f.Tamper,
    "CARD": f.Card,
    "HEARTBEAT": f.Heartbeat,
}
MS = 1_000_000
LANE = f.Hello(2, 77, bytes(8), "lane")


def value_of(golden: dict[str, Any]) -> tuple[int, f.Frame]:
    fields = dict(golden["value"])
    make = CLASSES[fields.pop("type")]
    seq = fields.pop("seq")
    return seq, make(
        **{k: bytes.fromhex(v) if k in {"device_id", "uid"} else v for k, v in fields.items()}
    )


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: str(golden["name"]))
def test_golden_frame_both_ways(golden: dict[str, Any]) -> None:
    seq, frame = value_of(golden)
    assert f.encode(frame, seq).hex() == golden["frame"]
    assert f.FrameStream().feed(bytes.fromhex(golden["frame"])) == [(seq, frame)]


def test_every_type_has_a_golden_frame() -> None:
    assert {golden["value"]["type"] for golden in GOLDEN} == set(CLASSES)


def test_crc_is_the_published_one() -> None:
    assert f.crc16(b"123456789") == 0x29B1  # the check value of CRC-16/CCITT-FALSE


def test_an_endless_frame_is_one_error_and_the_next_frame_is_received() -> None:
    stream = f.FrameStream()
    for _ in range(1000):
        assert stream.feed(b"\x05") == []
        assert stream.held_bytes <= f.ENCODED_MAX_BYTES
    assert stream.errors == 1
    assert stream.feed(b"\x00" + f.encode(f.Forced(), 3)) == [(3, f.Forced())]


def test_the_longest_frame_byte_by_byte() -> None:
    stream = f.FrameStream()
    longest = f.Hello(1, 0xFFFF_FFFF, b"x" * 8, "y" * 46)
    found = [frame for byte in f.encode(longest, 0) for _, frame in stream.feed(bytes((byte,)))]
    assert (found, stream.errors) == ([longest], 0)


@pytest.mark.parametrize(
    "frame",
    [
        f.Hello(1, 0, bytes(8), ""),
        f.Hello(1, 1, bytes(7), ""),
        f.Hello(1, 1, bytes(8), "x" * 47),
        f.Open(1 << 32, 0, 0),
        f.Open(1, 2, 0),
        f.Show(8, 0, 0),
        f.Passed(-1, 0),
        f.Card(1, False, 0, 0, bytes(5)),
        f.Card(2, False, 0, 0, bytes(4)),
    ],
)
def test_what_does_not_fit_a_frame_is_refused(frame: f.Frame) -> None:
    with pytest.raises(f.FrameError):
        f.encode(frame, 0)


class Bench:
    """A board on a table: the lane's side of its line, a clock, and everything that came out."""

    def __init__(
        self, setup: Setup | None = None, fault: str = "", *, connect: bool = True
    ) -> None:
        random = Random(1)
        faults = BoardFaults(random)
        if fault:
            faults.set(parse_board_fault(fault))
        self.now_ns = 5_000 * MS
        self.board = Board(setup or Setup(walk_ms=None), random, faults, self.now_ns)
        self.acknowledges = True
        self.frames: list[tuple[int, f.Frame]] = []
        self.raw: list[bytes] = []
        self.unplugs: list[Unplug] = []
        self._stream = f.FrameStream()
        self._seq = 0
        self.turn()
        if connect:
            self.say(LANE)
            self.told()

    def turn(self) -> None:
        """Collect what the board sends, and acknowledge its events."""
        for outcome in self.board.advance(self.now_ns):
            match outcome:
                case Send(data):
                    self.raw.append(data)
                    self._hear(self._stream.feed(data))
                case Unplug():
                    self.unplugs.append(outcome)
                case Event():
                    pass

    def _hear(self, frames: list[tuple[int, f.Frame]]) -> None:
        for seq, frame in frames:
            self.frames.append((seq, frame))
            if self.acknowledges and not isinstance(frame, f.Hello | f.Ack | f.Heartbeat):
                self.say(f.Ack(seq))

    def say(self, frame: f.Frame, seq: int | None = None) -> int:
        """Send one frame as the lane; commands count their seq up unless `seq` is given."""
        if seq is None:
            is_command = isinstance(frame, f.Open | f.Show | f.Read)
            seq = self._seq if is_command else f.FROM_LANE
            self._seq += is_command
        self.board.receive(f.encode(frame, seq % 256), self.now_ns)
        self.turn()
        return seq

    def verb(self, text: str) -> None:
        self.board.obey(text.split(), self.now_ns)
        self.turn()

    def wait(self, ms: int, *, beating: bool = True) -> None:
        """Let time go by in the steps that the board asks for; the lane's heart beats meanwhile."""
        end_ns = self.now_ns + ms * MS
        beat_ns = self.now_ns if beating else end_ns
        while self.now_ns < end_ns:
            if beat_ns <= self.now_ns:
                beat_ns += 500 * MS
                self.say(f.Heartbeat(0, 0))
            due_ns = self.board.due_ns()
            self.now_ns = max(
                self.now_ns, min(end_ns, beat_ns, end_ns if due_ns is None else due_ns)
            )
            self.turn()

    def told(self) -> list[f.Frame]:
        """Return what the board has sent since the last call, without heartbeats."""
        frames, self.frames = self.frames, []
        return [frame for _, frame in frames if not isinstance(frame, f.Heartbeat)]

    def heartbeat(self) -> f.Heartbeat:
        """The next heartbeat, at most half a second from now."""
        self.frames.clear()
        self.wait(500)
        return next(frame for _, frame in reversed(self.frames) if isinstance(frame, f.Heartbeat))

    def locked(self) -> bool:
        return self.board.locked

    def happened(self, *names: str) -> list[str]:
        """What the history has of these names, in order."""
        return [event.name for event in self.board.history if event.name in names]

    def shows(self) -> list[object]:
        return [event.details["outcome"] for event in self.board.history if event.name == "show"]


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


CARD = f.Card(1, False, 0x20, 0x0344, bytes.fromhex("04a1b2c3d4e5f6"))
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
