"""The board's frames on any bytes, in any pieces."""

from hypothesis import given
from hypothesis import strategies as st

from validator.lane.boards.serial import frames as f

u8 = st.integers(0, 0xFF)
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFF_FFFF)
texts = st.text(st.characters(codec="utf-8"), max_size=11)
uids = st.sampled_from((4, 7, 10)).flatmap(lambda n: st.binary(min_size=n, max_size=n))
frames: st.SearchStrategy[f.Frame] = st.one_of(
    st.builds(f.Hello, u8, st.integers(1, 0xFFFF_FFFF), st.binary(min_size=8, max_size=8), texts),
    st.builds(f.Ack, u8),
    st.builds(f.OpenFrame, u32, st.integers(0, 1), u16),
    st.builds(f.ShowFrame, st.integers(0, 7), u16, u16),
    st.just(f.ReadFrame()),
    st.builds(f.PassedFrame, u32, u16),
    st.builds(f.NotPassedFrame, u32),
    st.just(f.ForcedFrame()),
    st.builds(f.EmergencyFrame, st.booleans()),
    st.builds(f.TamperFrame, st.booleans()),
    st.builds(f.CardFrame, st.just(1), st.booleans(), u8, u16, uids),
    st.builds(f.CardFrame, st.just(2), st.booleans(), u8, u16, st.just(b"")),
    st.builds(f.Heartbeat, u32, u8),
)


@given(frames, u8)
def test_round_trip(frame: f.Frame, seq: int) -> None:
    encoded = f.encode(frame, seq)
    assert encoded.count(0) == 1
    assert len(encoded) <= f.ENCODED_BYTES_MAX + 1
    assert f.decode(encoded[:-1]) == (seq, frame)


@given(st.binary(max_size=200))
def test_decode_never_raises(data: bytes) -> None:
    decoded = f.decode(data)
    assert decoded is None or f.encode(decoded[1], decoded[0])


@given(
    st.lists(st.one_of(frames.map(lambda frame: f.encode(frame, 7)), st.binary(max_size=90))),
    st.data(),
)
def test_any_split_gives_the_same_events(pieces: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(pieces)
    whole = f.FrameDecoder()
    expected = whole.feed(stream)
    split = f.FrameDecoder()
    got = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        got += split.feed(stream[:size])
        stream = stream[size:]
    assert (got, split.errors) == (expected, whole.errors)
