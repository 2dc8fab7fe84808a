"""The simulated board's frames: golden ones both ways, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from firmware_sim.board import frames as f

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
