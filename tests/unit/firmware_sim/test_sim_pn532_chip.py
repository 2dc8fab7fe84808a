"""The simulated chip: waking, acknowledging, aborting, answering, speeds, timing."""

import pytest

from firmware_sim.pn532.frames import ACK, NACK, encode
from firmware_sim.pn532.radio import REAL
from tests.support.gate.pn532_bench import DESFIRE, DESFIRE_DATA, Bench, frame

NONE_LISTED = encode(bytes.fromhex("4b00"))


@pytest.fixture
def bench() -> Bench:
    return Bench().awake()


def test_a_chip_that_has_just_got_power_sleeps_until_five_edges() -> None:
    bench = Bench()
    bench.send(frame("02"))
    assert bench.said() == []
    bench = Bench()
    bench.send(bytes(4))
    bench.send(bytes(1) + frame("02"))
    assert bench.said() == [ACK, encode(bytes.fromhex("0332010607"))]


def test_one_byte_55_has_the_edges_of_five_zeros() -> None:
    bench = Bench()
    bench.send(b"\x55" + frame("02"))
    assert bench.said() == [ACK, encode(bytes.fromhex("0332010607"))]


def test_radio_commands_wait_for_sam_configuration() -> None:
    bench = Bench()
    bench.send(bytes(10))
    assert bench.answer("4a0100") == "error"
    assert bench.answer("1401") == "15"
    bench.put(DESFIRE)
    assert bench.answer("4a0100") == "4b0101" + DESFIRE_DATA


@pytest.mark.parametrize(
    ("command", "response"),
    [
        ("00006c69626e6663", "01006c69626e6663"),
        ("0001", "0100"),
        ("0006", "0127"),
        ("04", "0500000000"),
        ("0663396327", "070080"),
        ("08630100", "09"),
        ("0c", "0d000000"),
        ("0e8a00", "0f"),
        ("1200", "13"),
        ("32010a", "33"),
        ("3205ff01ff", "33"),
        ("5200", "5300"),
        ("5201", "5327"),
        ("4400", "4500"),
        ("5401", "5527"),
        ("400190600000", "4127"),
        ("42e080", "4301"),
    ],
)
def test_commands_answer_as_the_manual_says(bench: Bench, command: str, response: str) -> None:
    assert bench.answer(command) == response


@pytest.mark.parametrize(
    "command", ["", "99", "0201", "0005", "4a", "4a0300", "4a0105", "32", "320501", "1009", "6000"]
)
def test_an_unknown_or_misshapen_command_is_acknowledged_and_answered_with_the_error_frame(
    bench: Bench, command: str
) -> None:
    assert bench.answer(command) == "error"


def test_a_command_with_a_wrong_checksum_is_not_even_acknowledged(bench: Bench) -> None:
    bench.send(frame("02")[:-2] + b"\x00\x00")
    assert bench.said() == []
    assert bench.chip.skipped_frames == 1


def test_the_line_test_returns_262_bytes_in_an_extended_frame(bench: Bench) -> None:
    body = b"\x00\x00" + bytes(at & 0xFF for at in range(262))
    payload = b"\xd4" + body
    head = b"\xff\xff" + len(payload).to_bytes(2) + bytes((-sum(len(payload).to_bytes(2)) & 0xFF,))
    bench.send(b"\x00\x00\xff" + head + payload + bytes((-sum(payload) & 0xFF, 0)))
    assert bench.said() == [ACK, encode(b"\x01" + body[1:])]


def test_a_host_that_missed_the_response_gets_it_again(bench: Bench) -> None:
    bench.answer("02")
    bench.send(NACK)
    assert bench.said() == [encode(bytes.fromhex("0332010607"))]


def test_listing_waits_for_a_card_and_answers_the_moment_it_comes(bench: Bench) -> None:
    assert bench.answer("4a0200") == ""
    bench.pass_ms(60_000)
    assert bench.said() == []
    bench.put(DESFIRE)
    assert bench.said() == [encode(bytes.fromhex("4b0101" + DESFIRE_DATA))]


def test_an_ack_aborts_the_listing(bench: Bench) -> None:
    bench.answer("4a0200")
    bench.send(ACK)
    bench.put(DESFIRE)
    assert bench.said() == []
    assert bench.events() == ["aborted"]
    assert bench.answer("4a0200") == "4b0101" + DESFIRE_DATA


def test_a_new_command_takes_the_place_of_the_running_one(bench: Bench) -> None:
    bench.answer("4a0200")
    assert bench.answer("02") == "0332010607"
    bench.put(DESFIRE)
    assert bench.said() == []


def test_listing_with_limited_retries_gives_up(bench: Bench) -> None:
    bench.answer("32050000" + "02")
    assert bench.answer("4a0100") == "4b00"
    assert bench.answer("066339") == "0726"


def test_a_change_of_speed_waits_for_the_hosts_ack(bench: Bench) -> None:
    assert bench.answer("1007") == "11"
    assert bench.chip.baud == 115200
    bench.send(ACK)
    assert bench.chip.baud == 921600
    assert bench.events() == ["baud"]


def test_a_change_of_speed_whose_ack_was_lost_is_settled_by_the_hosts_own_speed(
    bench: Bench,
) -> None:
    bench.answer("1007")
    bench.chip.host_speed(115200, bench.now_ns)
    assert bench.chip.baud == 115200
    bench.chip.host_speed(921600, bench.now_ns)
    assert bench.chip.baud == 921600


def test_power_down_sleeps_and_only_the_uart_bit_lets_the_uart_wake_it(bench: Bench) -> None:
    assert bench.answer("16f0") == "1700"
    bench.send(frame("02"))
    assert bench.said() == []
    bench.send(frame("02"))
    assert bench.said() == [ACK, encode(bytes.fromhex("0332010607"))]
    assert bench.answer("1608") == "1700"
    bench.send(b"\x55" * 100 + frame("02"))
    assert bench.said() == []


def test_real_timing_costs_an_ack_processing_a_try_and_anticollision() -> None:
    bench = Bench(REAL).awake()
    bench.send(frame("4a0200"))
    bench.pass_ms(0.49)
    assert bench.said() == []
    bench.pass_ms(0.01)
    assert bench.said() == [ACK]
    bench.pass_ms(1.5)  # one millisecond into the first try: the next begins four later
    bench.put(DESFIRE)
    bench.pass_ms(4 + 3.4)
    assert bench.said() == []
    bench.pass_ms(0.1)
    assert bench.said() == [encode(bytes.fromhex("4b0101" + DESFIRE_DATA))]


def test_real_tries_in_vain_take_their_time() -> None:
    bench = Bench(REAL).awake()
    bench.answer("3205000002")
    bench.send(frame("4a0100"))
    bench.pass_ms(15.9)
    assert bench.said() == [ACK]
    bench.pass_ms(0.1)
    assert bench.said() == [NONE_LISTED]
