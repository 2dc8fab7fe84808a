"""The lane's end of docs/board-protocol.md, rule by rule; the test plays the board."""

import pytest

from validator.domain.cards import Card, CardUid
from validator.domain.events import (
    BoardBack,
    BoardLost,
    CardSeen,
    Clash,
    Emergency,
    Forced,
    NotPassed,
    Passed,
    ReaderBack,
    ReaderLost,
    Tamper,
)
from validator.lane.boards.serial import frames as f
from validator.lane.boards.serial.link import BoardLink, LinkEvent, OldCard

MS = 1_000_000
BOARD = f.Hello(2, 77, b"board001", "test board")


class Line:
    """A lane's link, a clock, and the frames that the link has sent since the last `sent`."""

    def __init__(self) -> None:
        self.now_ns = 5_000 * MS
        self.link = BoardLink(1234, b"lane0001", "turnike", self.now_ns)
        self.board = f.FrameDecoder()
        self.seq = 0

    def sent(self) -> list[tuple[int, f.Frame]]:
        frames = self.board.feed(bytes(self.link.outgoing))
        self.link.outgoing.clear()
        return frames

    def receives(self, *frames: f.Frame, seq: int = 0) -> list[LinkEvent]:
        """Give the lane frames of the board, with `seq` for its events; return its events."""
        shared = f.Hello | f.Ack | f.Heartbeat
        encoded = [
            f.encode(frame, f.BOARD_SEQ if isinstance(frame, shared) else seq) for frame in frames
        ]
        return self.link.receive(b"".join(encoded), self.now_ns)

    def echoes(self) -> list[LinkEvent]:
        """Return to the lane all that it has sent since the last `sent`; return its events."""
        sent = bytes(self.link.outgoing)
        self.link.outgoing.clear()
        return self.link.receive(sent, self.now_ns)

    def after(self, ms: int) -> list[LinkEvent]:
        """Let time go by as the loop does, from deadline to deadline; return the events."""
        end_ns = self.now_ns + ms * MS
        events: list[LinkEvent] = []
        while not self.link.lost and self.link.deadline_ns <= end_ns:
            self.now_ns = max(self.now_ns, self.link.deadline_ns)
            events += self.link.tick(self.now_ns)
        self.now_ns = end_ns
        return events


@pytest.fixture
def line() -> Line:
    """A link that has just sent HELLO."""
    return Line()


@pytest.fixture
def session(line: Line) -> Line:
    """A link in session with the board."""
    assert line.receives(BOARD) == [BoardBack(line.now_ns)]
    line.sent()
    return line


def beat(state: int) -> f.Heartbeat:
    return f.Heartbeat(1_000, state)


def test_hello_is_sent_at_once_and_again_until_it_is_answered(line: Line) -> None:
    hello = (0, f.Hello(2, 1234, b"lane0001", "turnike"))
    assert line.sent() == [hello]
    line.after(1_100)
    assert line.sent() == [hello, hello]


def test_a_new_session_always_gets_a_hello_and_a_known_one_not_within_100_ms(line: Line) -> None:
    line.sent()
    line.receives(BOARD)
    assert [type(frame) for _, frame in line.sent()] == [f.Hello]
    line.receives(BOARD)
    assert line.sent() == []


def test_a_second_hello_of_a_session_is_answered_and_begins_no_new_one(session: Line) -> None:
    session.after(200)
    session.sent()
    assert session.receives(BOARD) == []
    assert [type(frame) for _, frame in session.sent()] == [f.Hello]


def test_before_the_boards_hello_everything_is_ignored(line: Line) -> None:
    line.sent()
    assert line.receives(f.PassedFrame(1, 2), beat(1)) == []
    line.link.send(f.OpenFrame(1, 0, 5_000), line.now_ns)
    assert line.sent() == []


def test_another_protocol_is_board_lost_with_a_clear_reason(line: Line) -> None:
    assert line.receives(f.Hello(3, 77, b"board001", "")) == [
        BoardLost("speaks protocol 3, this lane speaks 2; update this lane", line.now_ns)
    ]


def test_a_board_of_protocol_1_is_board_lost_with_what_to_do(line: Line) -> None:
    old = f.encode(f.Hello(1, 77, b"board001", "board 1.0"), 0)  # it names no sender
    assert line.link.receive(old, line.now_ns) == [
        BoardLost("speaks protocol 1, this lane speaks 2; update the board's firmware", line.now_ns)
    ]


def test_the_lanes_own_hello_is_no_board(line: Line) -> None:
    assert line.echoes() == []
    line.after(600)
    assert line.echoes() == []
    assert line.sent() == [], "nor is it answered"


def test_what_an_earlier_session_of_the_lane_has_sent_is_no_board(session: Line) -> None:
    session.link.send(f.OpenFrame(9, 0, 5_000), session.now_ns)
    session.receives(f.ForcedFrame(), seq=0)
    session.after(600)
    late = bytes(session.link.outgoing)
    reopened = BoardLink(4321, b"lane0001", "turnike", session.now_ns)
    assert reopened.receive(late, session.now_ns) == []
    assert f.FrameDecoder().feed(bytes(reopened.outgoing)) == [
        (0, f.Hello(2, 4321, b"lane0001", "turnike"))
    ], "it sends HELLO, and no answer"


def test_a_silent_board_on_a_line_that_echoes_is_lost_as_soon_as_on_any_other(
    session: Line,
) -> None:
    session.receives(beat(0))
    events: list[LinkEvent] = []
    for _ in range(150):
        events += session.after(10)
        events += session.echoes()
    assert events == [
        BoardLost(
            "the line echoes what this lane sends, and the board is silent;"
            " is it wired and powered?",
            session.now_ns,
        )
    ]


def test_a_line_that_echoes_without_a_board_is_reported_as_that(line: Line) -> None:
    events: list[LinkEvent] = []
    for _ in range(200):
        events += line.after(10) + line.echoes()
    assert [type(event) for event in events] == [BoardLost]
    assert "echoes" in str(events[0])


def test_the_lanes_own_acknowledgement_acknowledges_no_open(session: Line) -> None:
    session.link.send(f.OpenFrame(9, 0, 5_000), session.now_ns)
    # The lane acknowledges it with the seq of its own OPEN.
    session.receives(f.PassedFrame(8, 100), seq=0)
    assert session.echoes() == []
    assert session.receives(beat(0b1000)) != [Passed(9, 0, session.now_ns)], (
        "the board knows no tap 9"
    )
    lost = session.after(300)
    assert "did not acknowledge OPEN" in str(lost)


def test_the_lanes_own_heartbeat_ends_no_emergency(session: Line) -> None:
    session.receives(beat(0b1))
    for _ in range(3):
        assert session.after(400) == []
        assert session.echoes() == []
        assert session.receives(beat(0b1)) == []


def test_an_open_that_waited_while_the_lane_did_not_run_is_not_sent(session: Line) -> None:
    session.link.send(f.ShowFrame(0, 0, 0), session.now_ns)
    session.link.send(f.OpenFrame(9, 0, 5_000), session.now_ns)
    session.sent()
    session.now_ns += 8_000 * MS
    assert session.receives(f.Ack(0)) == []
    late = "was not sent OPEN in time, since this lane did not run; is the machine overloaded?"
    assert session.link.tick(session.now_ns) == [BoardLost(late, session.now_ns)]
    assert f.OpenFrame(9, 0, 5_000) not in [frame for _, frame in session.sent()]


def test_a_lost_open_is_not_sent_again_after_the_lane_did_not_run(
    session: Line,
) -> None:
    session.link.send(f.OpenFrame(9, 0, 5_000), session.now_ns)
    session.sent()
    session.now_ns += 8_000 * MS
    session.receives(beat(0))
    assert [type(event) for event in session.link.tick(session.now_ns)] == [BoardLost]
    assert f.OpenFrame(9, 0, 5_000) not in [frame for _, frame in session.sent()]


def test_a_lane_that_did_not_run_and_has_no_command_keeps_its_board(session: Line) -> None:
    session.now_ns += 8_000 * MS
    session.receives(beat(0))
    assert session.link.tick(session.now_ns) == []


def test_commands_go_one_at_a_time_in_order(session: Line) -> None:
    open_, show = f.OpenFrame(9, 0, 5_000), f.ShowFrame(1, 1_500, 0)
    session.link.send(open_, session.now_ns)
    session.link.send(show, session.now_ns)
    assert session.sent() == [(0, open_)]
    session.receives(f.Ack(0))
    assert session.sent() == [(1, show)]


def test_no_ack_in_50_ms_is_sent_again_three_times_with_the_same_seq_then_lost(
    session: Line,
) -> None:
    session.link.send(f.OpenFrame(9, 0, 5_000), session.now_ns)
    events = session.after(199)
    assert events == []
    assert [frame for frame in session.sent() if not isinstance(frame[1], f.Heartbeat)] == [
        (0, f.OpenFrame(9, 0, 5_000))
    ] * 4
    assert session.after(2) == [
        BoardLost(
            "did not acknowledge OPEN in 4 sends; is the wire to it in order?",
            session.now_ns - 1 * MS,
        )
    ]


def test_an_ack_of_another_seq_acknowledges_nothing(session: Line) -> None:
    session.link.send(f.OpenFrame(9, 0, 5_000), session.now_ns)
    session.link.send(f.ShowFrame(1, 1_500, 0), session.now_ns)
    session.sent()
    session.receives(f.Ack(200))
    assert session.sent() == []


def test_every_copy_of_an_event_is_acknowledged_and_acted_on_once(session: Line) -> None:
    assert session.receives(f.PassedFrame(9, 700), seq=5) == [Passed(9, 700, session.now_ns)]
    assert session.receives(f.PassedFrame(9, 700), seq=5) == []
    assert session.sent() == [(0, f.Ack(5)), (0, f.Ack(5))]
    assert session.receives(f.ForcedFrame(), seq=6) == [Forced(session.now_ns)]
    assert session.receives(f.ForcedFrame(), seq=6) == []


def test_a_new_session_of_the_board_drops_the_commands_of_the_last_one(session: Line) -> None:
    session.link.send(f.OpenFrame(9, 0, 5_000), session.now_ns)
    session.link.send(f.ShowFrame(1, 1_500, 0), session.now_ns)
    session.receives(f.ForcedFrame(), seq=0)
    session.sent()
    assert session.receives(f.Hello(2, 78, b"board001", "")) == [BoardBack(session.now_ns)]
    session.after(400)
    assert [
        frame for _, frame in session.sent() if not isinstance(frame, f.Hello | f.Heartbeat)
    ] == []
    assert session.receives(f.ForcedFrame(), seq=0) == [Forced(session.now_ns)]


def test_heartbeats_every_500_ms_and_three_missed_are_board_lost(session: Line) -> None:
    events = session.after(1_499)
    assert events == []
    assert [type(frame) for _, frame in session.sent()] == [f.Heartbeat, f.Heartbeat]
    assert session.after(1) == [BoardLost("is silent; is it wired and powered?", session.now_ns)]


def test_any_valid_frame_shows_life(session: Line) -> None:
    for _ in range(5):
        assert session.after(1_400) == []
        session.receives(beat(0))
    assert not session.link.lost


def test_a_heartbeat_makes_good_for_a_lost_passed(session: Line) -> None:
    session.receives(beat(0))
    session.link.send(f.OpenFrame(9, 0, 5_000), session.now_ns)
    assert session.receives(beat(0b1000)) == [], (
        "the board sent it before it received OPEN: it is about an earlier tap"
    )
    session.receives(f.Ack(0))
    assert session.receives(beat(0b1000)) == [Passed(9, 0, session.now_ns)]
    assert session.receives(beat(0b1000)) == []


def test_a_heartbeat_makes_good_for_a_lost_not_passed(session: Line) -> None:
    session.receives(beat(0))
    session.link.send(f.OpenFrame(9, 0, 5_000), session.now_ns)
    session.receives(f.Ack(0))
    assert session.receives(beat(0b100)) == []
    assert session.receives(beat(0b10000)) == [NotPassed(9, session.now_ns)]


def test_an_end_that_comes_before_the_ack_of_its_open_is_reported_once(
    session: Line,
) -> None:
    session.receives(beat(0))
    session.link.send(f.OpenFrame(9, 0, 5_000), session.now_ns)
    assert session.receives(f.PassedFrame(9, 700), seq=0) == [Passed(9, 700, session.now_ns)]
    session.receives(f.Ack(0))
    assert session.receives(beat(0b1000)) == []


def test_the_late_event_of_an_end_that_a_heartbeat_brought_is_acknowledged_and_not_reported(
    session: Line,
) -> None:
    session.receives(beat(0))
    for tap in (8, 9):
        session.link.send(f.OpenFrame(tap, 0, 5_000), session.now_ns)
        session.receives(f.Ack(tap - 8))
        assert session.receives(beat(0b1000)) == [Passed(tap, 0, session.now_ns)]
    session.sent()
    assert session.receives(f.PassedFrame(8, 700), seq=0) == []
    assert session.receives(f.PassedFrame(9, 700), seq=1) == []
    assert session.sent() == [(0, f.Ack(0)), (0, f.Ack(1))]


def test_an_event_before_the_first_heartbeat_reports_its_own_bit_alone(session: Line) -> None:
    now_ns = session.now_ns
    assert session.receives(f.EmergencyFrame(on=True), seq=0) == [Emergency(on=True, at_ns=now_ns)]
    lost = ReaderLost("it reports that its card reader does not work", now_ns)
    assert session.receives(beat(0b100011)) == [Tamper(on=True, at_ns=now_ns), lost]


def test_a_new_session_of_the_board_does_not_end_the_passage_of_the_last_one(session: Line) -> None:
    session.receives(beat(0))
    session.link.send(f.OpenFrame(9, 0, 5_000), session.now_ns)
    session.receives(f.Ack(0))
    session.receives(f.Hello(2, 78, b"board001", ""))
    assert NotPassed(9, session.now_ns) not in session.receives(beat(0b10000))


def test_a_new_session_of_the_board_may_end_the_taps_of_the_last_one_again(session: Line) -> None:
    session.receives(f.PassedFrame(9, 700), seq=0)
    session.receives(f.Hello(2, 78, b"board001", ""))
    assert session.receives(f.NotPassedFrame(9), seq=0) == [NotPassed(9, session.now_ns)]


def test_each_state_is_reported_once_by_event_or_heartbeat(session: Line) -> None:
    now_ns = session.now_ns
    assert session.receives(beat(0)) == [
        Emergency(on=False, at_ns=now_ns),
        Tamper(on=False, at_ns=now_ns),
        ReaderBack(now_ns),
    ]
    assert session.receives(f.EmergencyFrame(on=True), seq=1) == [Emergency(on=True, at_ns=now_ns)]
    assert session.receives(beat(0b01)) == []
    assert session.receives(beat(0b10)) == [
        Emergency(on=False, at_ns=now_ns),
        Tamper(on=True, at_ns=now_ns),
    ]
    lost = ReaderLost("it reports that its card reader does not work", now_ns)
    assert session.receives(beat(0b100010)) == [lost]


def test_a_board_that_reads_cards_itself(session: Line) -> None:
    uid = bytes.fromhex("04a1b2c3d4e5f6")
    seen = session.receives(f.CardFrame(1, False, 0x20, 0x0344, uid), seq=1)
    card = CardSeen(Card(CardUid(uid), 0x0344, 0x20), session.now_ns)
    assert seen == [card]
    assert session.receives(f.CardFrame(1, True, 0x20, 0x0344, uid), seq=3) == [OldCard(card)]
    assert session.receives(f.CardFrame(2, False, 0, 0, b""), seq=2) == [Clash(session.now_ns)]


def test_a_line_that_takes_nothing_is_lost_before_memory_is(session: Line) -> None:
    for tap in range(18):
        session.link.send(f.OpenFrame(tap, 0, 5_000), session.now_ns)
    assert session.link.tick(session.now_ns) == [
        BoardLost("left 17 commands waiting", session.now_ns)
    ]
