"""Any bytes from a host: the simulated USB devices neither raise nor grow, and are repeatable."""

import contextlib
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.rcs380.commands import IDEAL, REAL
from firmware_sim.rcs380.frames import Command, decode
from firmware_sim.usb.device import WAITING_MAX
from firmware_sim.usb.urb_stream import StreamError, UrbStream
from tests.support.devices.rcs380_bench import DESFIRE, ReaderBench, frame
from tests.support.devices.usb_bench import Bench, Table

codes = st.sampled_from([0x00, 0x02, 0x04, 0x06, 0x12, 0x20, 0x22, 0x28, 0x2A, 0x48, 0xFE])
commands = st.builds(lambda code, body: bytes((code,)) + body, codes, st.binary(max_size=40))
transfers = st.one_of(
    st.binary(max_size=80),
    commands.map(lambda command: frame(command.hex())),
    st.just(bytes.fromhex("0000ff00ff00")),
)
timings = st.sampled_from([IDEAL, REAL])


@given(st.binary(max_size=1100))
def test_any_bytes_are_a_frame_or_none(data: bytes) -> None:
    decode(data)


@given(st.integers(0, 255), st.binary(max_size=1001))
def test_every_frame_of_a_host_is_understood(code: int, body: bytes) -> None:
    assert decode(frame((bytes((code,)) + body).hex())) == Command(code, body)


@given(st.lists(transfers, max_size=20), timings, st.integers(0, 3))
def test_a_reader_answers_any_transfers_and_then_serves(
    sent: list[bytes], timing: object, seed: int
) -> None:
    bench = ReaderBench(IDEAL if timing is IDEAL else REAL, seed)
    bench.put(DESFIRE)
    for data in sent:
        bench.write(data)
        bench.turn(1)
    while bench.receive(10_000) is not None:
        pass
    assert bench.ask("20", 10) == "211101"


@given(st.lists(transfers, max_size=12), st.integers(0, 3))
def test_equal_inputs_at_equal_times_give_equal_answers(sent: list[bytes], seed: int) -> None:
    def story() -> list[object]:
        bench = ReaderBench(REAL, seed)
        bench.obey("fault noise=0.3")
        bench.obey("present 08000000")
        heard: list[object] = []
        for data in sent:
            bench.write(data)
            heard.append(bench.receive(5))
        return [*heard, *bench.events]

    assert story() == story()


heads = st.builds(
    lambda command, number, inward, endpoint, length, setup: b"".join(
        (
            b"".join(each.to_bytes(4, "big") for each in (command, number, 0, inward, endpoint)),
            bytes(4) + length.to_bytes(4, "big") + bytes(12) + setup,
        )
    ),
    st.sampled_from([1, 1, 1, 2, 3]),
    st.integers(0, 9),
    st.integers(0, 1),
    st.integers(0, 3),
    st.sampled_from([0, 1, 8, 64, 300]),
    st.binary(min_size=8, max_size=8),
)
streams = st.lists(st.one_of(heads, heads, st.binary(max_size=60)), max_size=12).map(b"".join)


def answers(stream: bytes, pieces: list[int]) -> bytes | None:
    """Send a stream in pieces to a device; return all answers, None if it was no stream."""
    bench = Bench(Table())
    connection = UrbStream(bench.device)
    cuts = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in pieces)})
    answer = b""
    with contextlib.suppress(StreamError):
        for start, end in pairwise(cuts):
            connection.receive(stream[start:end], bench.now_ns)
            for completion in bench.turn():
                connection.complete(completion)
            answer += connection.take()
        connection.close(bench.now_ns)
        assert bench.device.status()["pending"] == 0
        return answer
    return None


@given(streams, st.lists(st.integers(0, 2000), max_size=8))
def test_any_bytes_are_a_stream_or_end_the_connection(stream: bytes, pieces: list[int]) -> None:
    answers(stream, pieces)


@given(st.lists(heads.filter(lambda head: head[3] == 1), max_size=6), st.data())
def test_a_stream_cut_anywhere_has_the_same_answers(
    heads: list[bytes], data: st.DataObject
) -> None:
    numbered = [head[:4] + at.to_bytes(4, "big") + head[8:] for at, head in enumerate(heads, 1)]
    stream = b"".join(
        head + (b"" if head[15] else bytes(int.from_bytes(head[24:28], "big"))) for head in numbered
    )
    pieces = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    assert answers(stream, pieces) == answers(stream, [])


def test_a_host_that_never_reads_does_not_make_the_device_grow() -> None:
    bench = ReaderBench()
    for _ in range(3 * WAITING_MAX):
        bench.write(frame("20"))
    taken = 0
    while bench.receive() is not None:
        taken += 1
    assert taken <= WAITING_MAX
