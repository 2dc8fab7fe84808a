"""The simulated chip's frame codec, against frames of the manual and of other programs."""

import pytest

from firmware_sim.pn532.frames import (
    ACK,
    ERROR,
    NACK,
    Ack,
    Command,
    Decoder,
    Frame,
    Nack,
    Skipped,
    encode,
)

GET_FIRMWARE_VERSION = bytes.fromhex("0000ff02fed4022a00")
SAM_CONFIGURATION = bytes.fromhex("0000ff05fbd4140100001700")


def frames_of(data: bytes) -> list[Frame]:
    decoder = Decoder()
    decoder.push(data)
    frames = []
    while (frame := decoder.next_frame()) is not None:
        frames.append(frame)
    return frames


def command_frame(data: bytes) -> bytes:
    payload = b"\xd4" + data
    size = len(payload)
    if size <= 255:
        head = bytes((size, -size & 0xFF))
    else:
        head = b"\xff\xff" + size.to_bytes(2) + bytes((-sum(size.to_bytes(2)) & 0xFF,))
    return b"\x00\x00\xff" + head + payload + bytes((-sum(payload) & 0xFF, 0))


def test_the_frames_that_nfcpy_opens_with_are_commands() -> None:
    data = bytes(10) + GET_FIRMWARE_VERSION + bytes(10) + SAM_CONFIGURATION
    assert frames_of(data) == [Command(b"\x02"), Command(bytes.fromhex("14010000"))]


def test_acknowledgements_differ_from_commands() -> None:
    assert frames_of(ACK + NACK + ACK) == [Ack(), Nack(), Ack()]


def test_a_response_is_the_one_nfcpy_expects() -> None:
    assert encode(bytes.fromhex("0332010607")) == bytes.fromhex("0000ff06fad50332010607e800")
    assert encode(b"\x15") == bytes.fromhex("0000ff02fed5151600")


def test_the_error_frame_is_the_manuals() -> None:
    assert bytes.fromhex("0000ff01ff7f8100") == ERROR


@pytest.mark.parametrize("size", [253, 254, 255, 262, 264])
def test_a_command_too_long_for_a_normal_frame_comes_in_an_extended_one(size: int) -> None:
    data = bytes(at & 0xFF for at in range(size))
    assert frames_of(command_frame(data)) == [Command(data)]


def test_a_response_of_255_bytes_is_extended_and_of_254_is_not() -> None:
    assert encode(bytes(254)).startswith(bytes.fromhex("0000ffff01d5"))
    assert encode(bytes(255)).startswith(bytes.fromhex("0000ffffff0100ffd5"))


def test_a_response_longer_than_the_chips_buffer_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="buffer"):
        encode(bytes(265))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("0000ff02ffd4022a00", "length checksum"),
        ("0000ff02fed4022b00", "data checksum"),
        ("0000ff02fed5032800", "frame identifier"),
        ("0000ffffff0109f7d4", "length checksum"),
        ("0000ffffff010af5d4", "length"),
    ],
)
def test_a_spoiled_frame_is_skipped_with_its_reason(data: str, reason: str) -> None:
    assert Skipped(reason) in frames_of(bytes.fromhex(data))


def test_a_frame_after_a_spoiled_one_is_received() -> None:
    spoiled = bytes.fromhex("0000ff02ffd4022a00")
    assert frames_of(spoiled + GET_FIRMWARE_VERSION)[-1] == Command(b"\x02")


def test_noise_without_an_end_does_not_fill_the_memory() -> None:
    decoder = Decoder()
    for _ in range(100):
        decoder.push(b"\x00\xff\xff\xff" * 100 + bytes(1000))
        while decoder.next_frame() is not None:
            pass
    assert len(decoder._held) < 1000
