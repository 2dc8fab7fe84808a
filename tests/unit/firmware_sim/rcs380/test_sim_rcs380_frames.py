"""Host frames of a Port-100: the chip's codec."""

import pytest

from firmware_sim.rcs380.frames import ACK, ERROR, Ack, Command, Invalid, decode, encode

GET_FIRMWARE_VERSION = "0000ffffff0200fed6200a00"  # as nfcpy and Linux send it


def test_a_frame_of_the_host_is_decoded() -> None:
    assert decode(bytes.fromhex(GET_FIRMWARE_VERSION)) == Command(0x20, b"")
    assert decode(bytes.fromhex("0000ffffff0300fdd60601" + "2300")) == Command(0x06, b"\x01")
    assert decode(ACK) == Ack()


def test_a_frame_of_the_chip_is_encoded() -> None:
    assert encode(b"\x21\x11\x01").hex() == "0000ffffff0400fcd7211101f600"
    assert bytes.fromhex("0000ffffff") == ERROR


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "start"),
        ("0000ff00ff", "start"),
        ("0000ff02fed4022a00", "start"),  # a PN532's
        ("0000ffffff0200ffd6200a00", "length checksum"),
        ("0000ffffff0100ffd62a00", "length"),
        ("0000ffffff0300fdd6200a00", "length"),
        ("0000ffffff0200fed6200b00", "data checksum"),
        ("0000ffffff0200fed7200900", "direction"),
        (GET_FIRMWARE_VERSION + "00", "length"),
    ],
)
def test_what_is_no_frame_of_a_host_has_its_reason(data: str, reason: str) -> None:
    assert decode(bytes.fromhex(data)) == Invalid(reason)
