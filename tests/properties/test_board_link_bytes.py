"""The board link on any bytes at any time.

It never raises and never grows without bound. Its events do not depend on how bytes are cut.
"""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from tests.properties.test_board_frames_bytes import frames
from validator.lane.boards.serial import frames as f
from validator.lane.boards.serial.link import BoardLink, LinkEvent

HELLO = f.encode(f.Hello(2, 77, b"board001", ""), f.BOARD_SEQ)
pieces = st.lists(
    st.one_of(frames.map(lambda frame: f.encode(frame, 7)), st.binary(max_size=90), st.just(HELLO)),
    max_size=20,
)


def events_of(stream: bytes, cuts: list[int]) -> list[LinkEvent]:
    link = BoardLink(1, b"lane0001", "", 0)
    events: list[LinkEvent] = []
    edges = [0, *sorted(cuts), len(stream)]
    for start, end in itertools.pairwise(edges):
        events += link.receive(stream[start:end], 1_000)
    return events


@given(pieces, st.data())
def test_any_split_gives_the_same_events(parts: list[bytes], data: st.DataObject) -> None:
    stream = HELLO + b"".join(parts)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=10))
    assert events_of(stream, cuts) == events_of(stream, [])


@given(st.lists(st.tuples(st.binary(max_size=100), st.integers(0, 2_000_000_000)), max_size=30))
def test_any_bytes_at_any_time_never_raise(steps: list[tuple[bytes, int]]) -> None:
    link = BoardLink(1, b"lane0001", "", 0)
    link.receive(HELLO, 0)
    now_ns = 0
    for data, later_ns in steps:
        now_ns += later_ns
        link.receive(data, now_ns)
        link.send(f.ShowFrame(0, 0, 0), now_ns)
        link.tick(now_ns)
        assert len(link.outgoing) < 30 * 70
        assert link.lost or link.deadline_ns > now_ns
