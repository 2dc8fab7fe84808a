"""Frames of a LOT turnstile: what is an answer, and what its simulated turnstile answers."""

from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.lot.slave import Slave, checksum
from validator.lane.boards.lot.frames import Read, Refused, Write, crc, decode, encode
from validator.lane.boards.lot.master import Failed, Master

MS = 1_000_000


def test_both_checksums_are_modbus() -> None:
    # The worked example of many Modbus manuals: read ten registers from 0 at address 1.
    assert encode(1, Read(0, 10)) == bytes.fromhex("01030000000ac5cd")
    assert crc(b"\x01\x03\x00\x00\x00\x0a") == checksum(b"\x01\x03\x00\x00\x00\x0a")


@given(data=st.binary(max_size=64))
def test_the_two_checksums_agree(data: bytes) -> None:
    assert crc(data) == checksum(data)


@given(
    data=st.binary(max_size=40),
    request=st.one_of(
        st.builds(Read, st.integers(0, 0xFFFF), st.integers(1, 20)),
        st.builds(Write, st.integers(0, 0xFFFF), st.just((1, 0))),
    ),
)
def test_any_bytes_are_an_answer_or_none(data: bytes, request: Read | Write) -> None:
    decode(1, request, data)
    master = Master(1, 0)
    master.ask(request, 0)
    for byte in data:
        master.receive(bytes((byte,)), 1)
    if not master.is_idle:
        assert master.receive(b"", 10**9) == Failed(request)


@given(
    values=st.lists(st.integers(0, 0xFFFF), min_size=9, max_size=9),
    noise=st.binary(max_size=12),
    cut=st.integers(0, 60),
)
def test_an_answer_is_found_behind_an_echo_and_noise_whole_or_in_pieces(
    values: list[int], noise: bytes, cut: int
) -> None:
    request = Read(0x40, 9)
    body = bytes((1, 3, 18)) + b"".join(value.to_bytes(2, "big") for value in values)
    data = noise + encode(1, request) + body + crc(body)
    master = Master(1, 0)
    master.ask(request, 0)
    results = [master.receive(data[:cut], 1), master.receive(data[cut:], 2)]
    found = [result for result in results if result is not None]
    # Twelve random bytes are no valid answer of 23 bytes; an exception of 5 would need its CRC.
    assert [getattr(result, "values", None) for result in found] == [tuple(values)]


def test_a_refusal_is_told_from_an_answer() -> None:
    body = b"\x01\x83\x02"
    assert decode(1, Read(0x40, 9), body + crc(body)) == Refused(2)
    assert decode(2, Read(0x40, 9), body + crc(body)) is None


def test_a_slave_answers_what_is_right_and_no_more() -> None:
    class Registers:
        """Four registers."""

        def __init__(self) -> None:
            self.values = [0] * 4

        def read(self, register: int) -> int:
            return self.values[register]

        def write(self, register: int, values: list[int], now_ns: int) -> None:
            assert now_ns
            self.values[register : register + len(values)] = values

    slave = Slave(1, Registers())  # type: ignore[arg-type]  # a list where any sequence would do

    def asked(frame: bytes) -> bytes:
        slave.receive(frame, 0)
        assert slave.answer(1_000) == b"", "a frame ends by silence"
        return slave.answer(2_000_000)

    assert asked(encode(1, Write(2, (7,)))) == bytes.fromhex("01100002 0001") + crc(
        bytes.fromhex("011000020001")
    )
    assert decode(1, Read(1, 2), asked(encode(1, Read(1, 2)))) == (0, 7)
    assert decode(1, Read(3, 2), asked(encode(1, Read(3, 2)))) == Refused(2)
    assert asked(encode(2, Read(1, 2))) == b""
    assert asked(encode(1, Read(1, 2))[:-1] + b"\0") == b""
    body = b"\x01\x06\x00\x01\x00\x05"
    assert asked(body + crc(body))[:3] == b"\x01\x86\x01"
