"""The URB stream of USB/IP, byte for byte: what vhci-hcd and the usbfs shim send and expect."""

import struct

import pytest

from firmware_sim.usb.function import Packets
from firmware_sim.usb.transfers import Completion
from firmware_sim.usb.urb_stream import StreamError, UrbStream
from tests.support.devices.usb_bench import IN, Bench, Table

SUBMIT_IN = (
    "00000001 00000007 00000000 00000001 00000001"  # CMD_SUBMIT, number 7, IN, endpoint 1
    "00000000 0000012c 00000000 00000000 00000000 0000000000000000"  # 300 bytes, no setup
)
ANSWER_OK = (
    "00000003 00000007 00000000 00000000 00000000"  # RET_SUBMIT
    "00000000 00000005 00000000 00000000 00000000 0000000000000000"  # status 0, 5 bytes
)
SUBMIT_OUT = (
    "00000001 00000008 00000000 00000000 00000002"
    "00000000 00000003 00000000 00000000 00000000 0000000000000000"
)
UNLINK_7 = (
    "00000002 80000007 00000000 00000000 00000000 00000007"
    "00000000 00000000 00000000 00000000 00000000 00000000"
)
GET_DEVICE_DESCRIPTOR = (
    "00000001 00000009 00000000 00000001 00000000"
    "00000000 00000012 00000000 00000000 00000000 8006000100001200"
)
PORT_RESET = (
    "00000001 0000000a 00000000 00000000 00000000"
    "00000000 00000000 00000000 00000000 00000000 2303040000000000"
)


class Connected:
    """One connection to a device on the table."""

    def __init__(self) -> None:
        self.table = Table()
        self.bench = Bench(self.table)
        self.stream = UrbStream(self.bench.device)

    def send(self, *messages: str) -> bytes:
        for message in messages:
            self.stream.receive(bytes.fromhex(message), self.bench.now_ns)
        return self.answers()

    def answers(self) -> bytes:
        for completion in self.bench.turn():
            self.stream.complete(completion)
        return self.stream.take()


@pytest.fixture
def connected() -> Connected:
    return Connected()


def status_and_count(answer: bytes) -> tuple[int, int]:
    status, count = struct.unpack_from(">ii", answer, 20)
    return status, count


def test_an_in_transfer_is_answered_with_its_data(connected: Connected) -> None:
    assert connected.send(SUBMIT_IN) == b""
    connected.table.to_send = [Packets(IN, b"hello")]
    assert connected.answers() == bytes.fromhex(ANSWER_OK) + b"hello"


def test_an_out_transfer_is_answered_with_its_length(connected: Connected) -> None:
    answer = connected.send(SUBMIT_OUT + "616263")
    assert (len(answer), status_and_count(answer)) == (48, (0, 3))
    assert connected.table.received == [(2, b"abc")]


def test_a_control_transfer_has_its_setup_in_the_head(connected: Connected) -> None:
    answer = connected.send(GET_DEVICE_DESCRIPTOR)
    assert answer[48:].hex() == "120100020000004034127856030201020301"


def test_an_unlinked_transfer_gets_one_answer_that_says_so(connected: Connected) -> None:
    answer = connected.send(SUBMIT_IN, UNLINK_7)
    assert answer.hex() == (
        "00000004" + "80000007" + "00000000" * 3 + "ffffff98" + "00000000" * 6  # -ECONNRESET
    )
    connected.table.to_send = [Packets(IN, b"hello")]
    assert connected.answers() == b""


def test_an_unlink_that_came_too_late_follows_the_completion(connected: Connected) -> None:
    connected.send(SUBMIT_IN)
    connected.table.to_send = [Packets(IN, b"hello")]
    answer = connected.send(UNLINK_7)
    assert answer[:48] == bytes.fromhex(ANSWER_OK)
    assert answer[53:].hex() == "00000004" + "80000007" + "00000000" * 10


@pytest.mark.parametrize(
    ("fault", "status"), [("stall", -32), ("babble", -75)], ids=["EPIPE", "EOVERFLOW"]
)
def test_faults_have_the_numbers_of_linux(connected: Connected, fault: str, status: int) -> None:
    connected.bench.obey(f"fault {fault}")
    connected.table.to_send = [Packets(IN, b"hello")]
    assert status_and_count(connected.send(SUBMIT_IN)) == (status, 0)


def test_a_device_without_its_plug_is_enodev(connected: Connected) -> None:
    connected.bench.device.plugged(False, connected.bench.now_ns)
    assert status_and_count(connected.send(SUBMIT_IN)) == (-19, 0)


def test_the_reset_of_a_hub_s_port_resets_the_device(connected: Connected) -> None:
    assert status_and_count(connected.send(PORT_RESET)) == (0, 0)
    assert connected.table.happened[-1] == "reset"


def test_completions_of_another_connection_are_not_taken(connected: Connected) -> None:
    other = UrbStream(connected.bench.device)
    other.receive(bytes.fromhex(SUBMIT_IN), 0)
    connected.table.to_send = [Packets(IN, b"hello")]
    (completion,) = connected.bench.turn()
    assert isinstance(completion, Completion)
    assert not connected.stream.complete(completion)
    assert other.complete(completion)


def test_closing_cancels_what_is_pending(connected: Connected) -> None:
    connected.send(SUBMIT_IN)
    connected.stream.close(connected.bench.now_ns)
    assert connected.bench.device.status()["pending"] == 0


@pytest.mark.parametrize(
    "message",
    [
        "00000005" + "00" * 44,
        "00000001 00000001 00000000 00000000 00000010" + "00" * 28,
        "00000001 00000001 00000000 00000000 00000002 00000000 7fffffff" + "00" * 20,
        "00000001 00000001 00000000 00000001 00000001 00000000 ffffffff" + "00" * 20,
    ],
    ids=["command", "endpoint", "too long", "negative"],
)
def test_what_is_no_stream_ends_the_connection(connected: Connected, message: str) -> None:
    with pytest.raises(StreamError):
        connected.send(message)
