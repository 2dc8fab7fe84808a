"""The simulated chip under any bytes: it never raises or grows, and cuts change nothing."""

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.cards import Session, card_of
from firmware_sim.outcomes import Outcome
from firmware_sim.pn532.chip import Chip
from firmware_sim.pn532.faults import READER_FAULTS, parse_reader_fault
from firmware_sim.pn532.frames import ACK, NACK, Command, Decoder, encode
from firmware_sim.pn532.radio import IDEAL, REAL

WAKE = bytes(10) + bytes.fromhex("0000ff03fdd4140117" + "00")
CODES = [
    0x00,
    0x02,
    0x04,
    0x06,
    0x08,
    0x0C,
    0x0E,
    0x10,
    0x12,
    0x14,
    0x16,
    0x32,
    0x40,
    0x42,
    0x44,
    0x4A,
    0x52,
    0x54,
    0x60,
]


def frame(data: bytes) -> bytes:
    payload = b"\xd4" + data
    size = len(payload).to_bytes(2)
    head = (
        size[1:] + bytes((-size[1] & 0xFF,))
        if len(payload) < 256
        else b"\xff\xff" + size + bytes((-sum(size) & 0xFF,))
    )
    return b"\x00\x00\xff" + head + payload + bytes((-sum(payload) & 0xFF, 0))


commands = st.builds(
    lambda code, body: frame(bytes((code,)) + body),
    st.sampled_from(CODES),
    st.binary(max_size=20) | st.binary(max_size=263),
)
radio_commands = st.sampled_from(
    [
        "4a0200",
        "4a0100",
        "5200",
        "4400",
        "320100",
        "3205ff01ff",
        "3205ff0100",
        "1200",
        "42e080",
        "42b2",
        "400190600000",
        "5401",
    ]
).map(lambda text: frame(bytes.fromhex(text)))
pieces = st.one_of(commands, radio_commands, st.sampled_from([ACK, NACK]), st.binary(max_size=40))
streams = st.lists(pieces, max_size=20).map(b"".join)


def history(stream: bytes, cuts: list[int]) -> list[Outcome]:
    """Return all outcomes of a chip with two cards and a fault, for a stream with these cuts."""
    chip = Chip(Random(7))
    chip.faults.set(parse_reader_fault("noise=0.3"))
    chip.enter(0, card_of(bytes.fromhex("04a1b2c3d4e5f6")), card_of(bytes.fromhex("08000000")))
    chip.receive(WAKE, 0)
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    for begin, end in pairwise(places):
        chip.receive(stream[begin:end], 0)
    return chip.advance(0)


@given(streams, st.lists(st.integers(0, 10_000), max_size=10))
def test_the_same_bytes_cut_elsewhere_are_the_same_story(stream: bytes, cuts: list[int]) -> None:
    whole = history(stream, [])
    assert history(stream, cuts) == whole
    assert history(stream, list(range(len(stream)))) == whole


@given(
    st.lists(st.tuples(pieces, st.integers(0, 20_000_000)), max_size=20),
    st.sets(st.sampled_from(sorted(set(READER_FAULTS) - {"delayed", "leaves"}))),
    st.sampled_from([IDEAL, REAL]),
)
def test_no_bytes_at_no_time_with_no_fault_make_the_chip_raise(
    steps: list[tuple[bytes, int]], faults: set[str], timing: object
) -> None:
    chip = Chip(Random(7), REAL if timing is REAL else IDEAL)
    for name in faults:
        chip.faults.set(
            parse_reader_fault(f"{name}=/0.3" if READER_FAULTS[name].value else f"{name}=0.3")
        )
    chip.receive(WAKE, 0)
    chip.enter(0, card_of(bytes.fromhex("04a1b2c3d4e5f6")))
    now_ns = 0
    for data, later_ns in steps:
        chip.receive(data, now_ns)
        now_ns += later_ns
        chip.advance(now_ns)
        due_ns = chip.due_ns()
        assert due_ns is None or due_ns > now_ns
    assert len(chip._decoder._held) < 300
    assert len(chip._departures) <= 2


@given(st.binary(min_size=1, max_size=263))
def test_what_the_host_encodes_the_chip_decodes(data: bytes) -> None:
    decoder = Decoder()
    decoder.push(frame(data))
    assert decoder.next_frame() == Command(data)
    assert decoder.next_frame() is None


@given(st.binary(max_size=264))
def test_a_response_has_sums_that_come_to_zero(data: bytes) -> None:
    encoded = encode(data)
    begin = 8 if encoded[3:5] == b"\xff\xff" else 5
    assert sum(encoded[begin:-1]) & 0xFF == 0
    assert encoded[begin:-2] == b"\xd5" + data


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_a_card_answers_any_apdu_with_a_status_and_any_block_with_a_block_or_silence(
    messages: list[bytes],
) -> None:
    for uid in ("04a1b2c3d4e5f6", "08000000", "0102030405060708090a"):
        card = card_of(bytes.fromhex(uid))
        session = Session(card, card.shown_uid(Random(1)))
        for message in messages:
            assert len(session.apdu(message)) >= 2
            block = session.block(message)
            assert block is None or len(block) >= 1
