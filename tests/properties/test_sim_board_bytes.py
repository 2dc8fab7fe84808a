"""The simulated board on any bytes, in any pieces.

It never raises, never holds more than one frame, and the pieces never change the outcome.
"""

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.board import frames as f
from firmware_sim.board.board import Board
from firmware_sim.board.faults import BoardFaults
from firmware_sim.board.setup import Setup
from firmware_sim.outcomes import Outcome

u8 = st.integers(0, 0xFF)
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFF_FFFF)
frames: st.SearchStrategy[f.Frame] = st.one_of(
    st.builds(
        f.Hello,
        u8,
        st.integers(1, 0xFFFF_FFFF),
        st.binary(min_size=8, max_size=8),
        st.text(st.characters(codec="utf-8"), max_size=11),
    ),
    st.builds(f.Ack, u8),
    st.builds(f.Open, u32, st.integers(0, 1), u16),
    st.builds(f.Show, st.integers(0, 7), u16, u16),
    st.just(f.Read()),
    st.builds(f.Passed, u32, u16),
    st.builds(f.NotPassed, u32),
    st.just(f.Forced()),
    st.builds(f.Emergency, st.booleans()),
    st.builds(f.Tamper, st.booleans()),
    st.sampled_from((4, 7, 10)).flatmap(
        lambda n: st.builds(
            f.Card, st.just(1), st.booleans(), u8, u16, st.binary(min_size=n, max_size=n)
        )
    ),
    st.builds(f.Card, st.just(2), st.booleans(), u8, u16, st.just(b"")),
    st.builds(f.Heartbeat, u32, u8),
)
HELLO = f.encode(f.Hello(2, 77, bytes(8), "lane"), 0)
streams = st.lists(
    st.one_of(
        st.builds(f.encode, frames, u8),
        st.binary(max_size=90),
        st.just(HELLO),
        st.binary(min_size=1).map(lambda b: b + b"\0"),
        st.integers(60, 200).map(lambda n: b"\x05" * n),
    )
).map(b"".join)


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [stream[start:end] for start, end in pairwise(edges)]


def new_board() -> Board:
    random = Random(1)
    return Board(Setup(walk_ms=None), random, BoardFaults(random), 0)


def outcomes(board: Board, chunks: list[bytes]) -> list[Outcome]:
    """Give all pieces at one moment: only the cuts differ."""
    out = list(board.advance(0))
    for chunk in chunks:
        board.receive(chunk, 0)
    return out + list(board.advance(0))


@given(frames, u8)
def test_round_trip(frame: f.Frame, seq: int) -> None:
    encoded = f.encode(frame, seq)
    assert encoded.index(0) == len(encoded) - 1
    assert len(encoded) <= f.ENCODED_MAX_BYTES + 1
    assert f.decode(encoded[:-1]) == (seq, frame)


@given(st.binary(max_size=64))
def test_stuffing_round_trip(payload: bytes) -> None:
    assert f.unstuff(f.stuff(payload)) == payload


@given(st.binary(max_size=200))
def test_what_is_decoded_has_one_encoding(data: bytes) -> None:
    decoded = f.decode(data)
    assert decoded is None or f.encode(decoded[1], decoded[0]) == data + b"\0"


@given(streams, st.lists(st.integers(0, 10_000)))
def test_any_split_gives_the_same(stream: bytes, cuts: list[int]) -> None:
    whole, cut = new_board(), new_board()
    assert outcomes(whole, [HELLO + stream]) == outcomes(cut, pieces(HELLO + stream, cuts))
    assert whole.status() == cut.status()


@given(streams)
def test_byte_by_byte_holds_at_most_one_frame(stream: bytes) -> None:
    decoder = f.FrameStream()
    found = []
    for byte in stream:
        found += decoder.feed(bytes((byte,)))
        assert decoder.held_bytes <= f.ENCODED_MAX_BYTES
    whole = f.FrameStream()
    assert (whole.feed(stream), whole.errors) == (found, decoder.errors)


@given(st.lists(st.tuples(streams, st.integers(0, 2_000_000_000)), max_size=8))
def test_any_bytes_at_any_time_never_raise(story: list[tuple[bytes, int]]) -> None:
    board = new_board()
    now_ns = 0
    for stream, later_ns in story:
        board.receive(stream, now_ns)
        board.advance(now_ns)
        now_ns += later_ns
        board.advance(now_ns)
        due_ns = board.due_ns()
        assert due_ns is not None
        assert due_ns > now_ns  # all that was due is done: the loop does not spin
