"""The gate's codec against the golden frames, which the simulated board's has to match, too."""

import json
from pathlib import Path
from typing import Any

import pytest

from validator.lane.boards.serial import frames as f

GOLDEN = json.loads((Path(__file__).parents[3] / "golden" / "board_frames.json").read_text())
CLASSES: dict[str, type[Any]] = {
    "HELLO": f.Hello,
    "ACK": f.Ack,
    "OPEN": f.OpenFrame,
    "SHOW": f.ShowFrame,
    "READ": f.ReadFrame,
    "PASSED": f.PassedFrame,
    "NOT_PASSED": f.NotPassedFrame,
    "FORCED": f.ForcedFrame,
    "EMERGENCY": f.EmergencyFrame,
    "TAMPER": f.TamperFrame,
    "CARD": f.CardFrame,
    "HEARTBEAT": f.Heartbeat,
}


def value_of(golden: dict[str, Any]) -> tuple[int, f.Frame]:
    fields = dict(golden["value"])
    frame = CLASSES[fields.pop("type")]
    seq = fields.pop("seq")
    for name in ("device_id", "uid"):
        if name in fields:
            fields[name] = bytes.fromhex(fields[name])
    return seq, frame(**fields)


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: str(golden["name"]))
def test_golden_frame_both_ways(golden: dict[str, Any]) -> None:
    seq, frame = value_of(golden)
    assert f.encode(frame, seq).hex() == golden["frame"]
    assert f.FrameDecoder().feed(bytes.fromhex(golden["frame"])) == [(seq, frame)]


def test_every_type_has_a_golden_frame() -> None:
    assert {golden["value"]["type"] for golden in GOLDEN} == set(CLASSES)


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: str(golden["name"]))
def test_any_flipped_bit_is_counted_and_skipped(golden: dict[str, Any]) -> None:
    good = bytes.fromhex(golden["frame"])
    seq, frame = value_of(golden)
    for bit in range(8 * (len(good) - 1)):
        torn = bytearray(good)
        torn[bit // 8] ^= 1 << bit % 8
        decoder = f.FrameDecoder()
        assert (seq, frame) not in decoder.feed(bytes(torn))
        assert decoder.feed(good) == [(seq, frame)]
        assert decoder.errors > 0


def test_an_endless_frame_is_one_error_and_the_next_frame_is_decoded() -> None:
    decoder = f.FrameDecoder()
    for _ in range(100):
        assert decoder.feed(b"\x01" * 1000) == []
    assert decoder.errors == 1
    assert decoder.feed(b"\x00" + f.encode(f.ForcedFrame(), 3)) == [(3, f.ForcedFrame())]


def test_a_text_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 46 bytes"):
        f.encode(f.Hello(1, 1, bytes(8), "x" * 47), 0)


@pytest.mark.parametrize("frame", [f.OpenFrame(1, 2, 5), f.ShowFrame(8, 5, 0)])
def test_a_value_outside_the_protocol_is_no_frame(frame: f.Frame) -> None:
    assert f.decode(f.encode(frame, 0)[:-1]) is None
