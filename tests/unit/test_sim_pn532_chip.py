"""The simulated chip: waking, acknowledging, aborting, speeds, faults, and what a card does in its field."""

from dataclasses import dataclass, field
from random import Random

import pytest

from firmware_sim.cards import card_of
from firmware_sim.faults import parse
from firmware_sim.outcomes import Event, Outcome, Say, Unplug
from firmware_sim.pn532 import Chip
from firmware_sim.pn532_field import Presence, Stage
from firmware_sim.pn532_frames import ACK, ERROR, NACK, encode
from firmware_sim.pn532_radio import IDEAL, REAL, Timing

MS = 1_000_000
DESFIRE = bytes.fromhex("04a1b2c3d4e5f6")
DESFIRE_DATA = "0344200704a1b2c3d4e5f6067577810280"  # without the target number
CLASSIC = bytes.fromhex("11223344")
NONE_LISTED = encode(bytes.fromhex("4b00"))
NUMBER = "1234567890123456"


def frame(command: str) -> bytes:
    payload = b"\xd4" + bytes.fromhex(command)
    return (
        b"\x00\x00\xff"
        + bytes((len(payload), -len(payload) & 0xFF))
        + payload
        + bytes((-sum(payload) & 0xFF, 0))
    )


@dataclass
class Bench:
    """A chip and a clock that only the test moves."""

    timing: Timing = IDEAL
    chip: Chip = field(init=False)
    now_ns: int = 0
    outcomes: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chip = Chip(Random(1), self.timing)

    def awake(self) -> "Bench":
        self.send(bytes(10) + frame("1401"))
        self.pass_ms(50)
        self.said()
        return self

    def send(self, data: bytes) -> None:
        self.chip.hear(data, self.now_ns)
        self.outcomes += self.chip.advance(self.now_ns)

    def pass_ms(self, ms: float) -> None:
        self.now_ns += round(ms * MS)
        self.outcomes += self.chip.advance(self.now_ns)

    def put(self, uid: bytes, leaves: Stage | None = None, number: str | None = None) -> Presence:
        presence = self.chip.enter(card_of(uid, number), self.now_ns, leaves)
        self.outcomes += self.chip.advance(self.now_ns)
        return presence

    def take(self, presence: Presence) -> None:
        self.chip.leave(presence, self.now_ns)
        self.outcomes += self.chip.advance(self.now_ns)

    def said(self) -> list[bytes]:
        """What the chip has said since the last call."""
        said = [outcome.data for outcome in self.outcomes if isinstance(outcome, Say)]
        self.outcomes = [outcome for outcome in self.outcomes if not isinstance(outcome, Say)]
        return said

    def events(self) -> list[str]:
        return [outcome.name for outcome in self.outcomes if isinstance(outcome, Event)]

    def answer(self, command: str) -> str:
        """The response to a command, from its response code on; `error` for the error frame, empty for silence."""
        self.send(frame(command))
        if self.timing is REAL:
            self.pass_ms(100)
        said = self.said()
        assert said[0] == ACK
        if len(said) == 1:
            return ""
        assert len(said) == 2
        return "error" if said[1] == ERROR else said[1][6:-2].hex()


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


def test_two_cards_are_listed_together_or_one_after_the_other(bench: Bench) -> None:
    bench.put(DESFIRE)
    bench.put(CLASSIC)
    both = bench.answer("4a0200")
    assert both.startswith("4b02")
    assert DESFIRE.hex() in both
    assert CLASSIC.hex() in both
    bench.answer("5200")
    bench.answer("320102")
    bench.answer("320103")
    first = bench.answer("4a0100")
    bench.answer("4400")
    second = bench.answer("4a0100")
    assert {DESFIRE.hex() in first, DESFIRE.hex() in second} == {True, False}


def test_a_released_card_is_not_listed_again_while_it_stays(bench: Bench) -> None:
    bench.put(DESFIRE)
    assert bench.answer("4a0200") == "4b0101" + DESFIRE_DATA
    assert bench.answer("5200") == "5300"
    assert bench.answer("4a0200") == ""
    bench.pass_ms(1000)
    assert bench.said() == []


def test_a_card_that_comes_back_is_listed_again(bench: Bench) -> None:
    there = bench.put(DESFIRE)
    bench.answer("4a0200")
    bench.answer("5200")
    bench.answer("4a0200")
    bench.take(there)
    bench.put(DESFIRE)
    assert bench.said() == [encode(bytes.fromhex("4b0101" + DESFIRE_DATA))]


def test_switching_the_field_off_forgets_that_a_card_was_halted(bench: Bench) -> None:
    bench.put(DESFIRE)
    bench.answer("4a0200")
    bench.answer("5200")
    bench.answer("320100")
    assert bench.answer("4a0200") == "4b0101" + DESFIRE_DATA


def test_a_phone_shows_another_identifier_after_each_field_reset(bench: Bench) -> None:
    bench.put(bytes.fromhex("08000000"))
    first = bench.answer("4a0100")
    bench.answer("320100")
    second = bench.answer("4a0100")
    assert first[:16] == second[:16] == "4b01010004200408"
    assert first != second


def test_without_automatic_rats_there_is_no_ats_until_the_host_asks(bench: Bench) -> None:
    bench.answer("1200")
    bench.put(DESFIRE)
    assert bench.answer("4a0100") == "4b01010344200704a1b2c3d4e5f6"
    assert bench.answer("42e080") == "4300067577810280"
    assert bench.answer("42b2") == "4300a3"


def test_a_classic_that_was_listed_without_release_answers_the_second_request(bench: Bench) -> None:
    bench.put(CLASSIC)
    assert bench.answer("4a0100") == "4b010100040804" + CLASSIC.hex()
    bench.answer("32050000" + "00")
    assert bench.answer("4a0100") == "4b00"
    assert bench.answer("4a0100") == "4b010100040804" + CLASSIC.hex()


def test_the_printed_number_is_read_from_file_two(bench: Bench) -> None:
    bench.put(DESFIRE, number=NUMBER)
    bench.answer("4a0100")
    read = "4001" + "90bd0000070200000000000000"
    assert bench.answer(read) == "4100919d"
    assert bench.answer("4001905a00000342220200") == "410091a0"
    assert bench.answer("4001905a00000342220100") == "41009100"
    assert bench.answer(read) == "4100" + NUMBER + "00" * 24 + "9100"
    assert bench.answer("400190bd0000070200000008000000") == "4100" + NUMBER + "9100"
    assert bench.answer("400190bd0000070300000000000000") == "410091f0"
    assert bench.answer("400190bd0000070220000000000000") == "410091be"
    assert bench.answer("400190bd00000102" + "00") == "4100917e"


def test_get_version_comes_in_three_frames(bench: Bench) -> None:
    bench.put(DESFIRE)
    bench.answer("4a0100")
    assert bench.answer("40019060000000") == "41000401010100180591af"
    assert bench.answer("400190af000000") == "41000401010104180591af"
    assert bench.answer("400190af000000") == "4100" + DESFIRE.hex() + "ba6543210025209100"
    assert bench.answer("400190af000000") == "4100911c"


@pytest.mark.parametrize("stage", list(Stage)[:4])
def test_a_card_that_leaves_before_it_is_selected_is_never_reported(bench: Bench, stage: Stage) -> None:
    bench.answer("3205000000")
    bench.put(DESFIRE, leaves=stage)
    assert bench.answer("4a0200") == "4b00"
    assert bench.events() == ["removed"]


@pytest.mark.parametrize("stage", list(Stage)[4:])
def test_a_card_that_leaves_later_is_reported_and_then_silent(bench: Bench, stage: Stage) -> None:
    bench.put(DESFIRE, leaves=stage)
    assert bench.answer("4a0200") == "4b0101" + DESFIRE_DATA
    assert bench.answer("5200") == "5300"
    assert "removed" in bench.events()
    assert bench.chip.field.present == []


def test_a_change_of_speed_waits_for_the_hosts_ack(bench: Bench) -> None:
    assert bench.answer("1007") == "11"
    assert bench.chip.baud == 115200
    bench.send(ACK)
    assert bench.chip.baud == 921600
    assert bench.events() == ["baud"]


def test_a_change_of_speed_whose_ack_was_lost_is_settled_by_the_hosts_own_speed(bench: Bench) -> None:
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


def test_auto_poll_finds_a_card_or_ends(bench: Bench) -> None:
    assert bench.answer("6002012010") == ""
    bench.pass_ms(599)
    assert bench.said() == []
    bench.pass_ms(1)
    assert bench.said() == [encode(bytes.fromhex("6100"))]
    assert bench.answer("60ff012010") == ""
    bench.put(DESFIRE)
    assert bench.said() == [encode(bytes.fromhex("61012012" + "01" + DESFIRE_DATA))]


def fault(bench: Bench, text: str) -> None:
    bench.chip.faults.set(parse(text))


def test_a_dropped_reply_is_one_reply_and_the_next_comes(bench: Bench) -> None:
    fault(bench, "dropped=1")
    assert bench.answer("02") == ""
    assert bench.answer("02") == "0332010607"


def test_a_truncated_reply_and_one_with_a_bad_checksum_and_one_behind_noise(bench: Bench) -> None:
    whole = encode(bytes.fromhex("0332010607"))
    for name in ("truncated=1", "bad-checksum=1", "noise=1"):
        fault(bench, name)
        bench.send(frame("02"))
        said = bench.said()[1]
        match name:
            case "truncated=1":
                assert whole.startswith(said)
                assert said != whole
            case "bad-checksum=1":
                assert said[:-2] == whole[:-2]
                assert said != whole
            case _:
                assert said.endswith(whole)
                assert said != whole


def test_a_lost_ack_does_not_keep_the_command_from_running(bench: Bench) -> None:
    fault(bench, "dropped-ack=1")
    bench.send(frame("02"))
    assert bench.said() == [encode(bytes.fromhex("0332010607"))]


def test_a_delayed_reply_comes_late(bench: Bench) -> None:
    fault(bench, "delayed=20/1")
    assert bench.answer("02") == ""
    bench.pass_ms(19)
    assert bench.said() == []
    bench.pass_ms(1)
    assert bench.said() == [encode(bytes.fromhex("0332010607"))]


def test_a_brownout_loses_speed_configuration_and_wakefulness(bench: Bench) -> None:
    bench.answer("1007")
    bench.send(ACK)
    fault(bench, "brownout")
    assert bench.answer("02") == ""
    assert bench.chip.baud == 115200
    bench.send(frame("02"))
    assert bench.said() == []
    bench.send(bytes(5))
    assert bench.answer("4a0100") == "error"


def test_a_stuck_chip_says_yes_and_stays_where_it_is(bench: Bench) -> None:
    fault(bench, "stuck-baud")
    bench.chip.stick(bench.now_ns)
    assert bench.answer("1004") == "11"
    bench.send(ACK)
    assert bench.chip.baud == 921600
    fault(bench, "stuck-baud=0")
    bench.answer("1004")
    bench.send(ACK)
    assert bench.chip.baud == 115200


def test_the_plug_can_come_out_instead_of_a_reply(bench: Bench) -> None:
    fault(bench, "unplug=250")
    bench.send(frame("02"))
    assert bench.said() == [ACK]
    assert Unplug(250 * MS) in bench.outcomes


def test_every_second_request_for_two_is_deaf_to_a_single_card(bench: Bench) -> None:
    fault(bench, "every-second")
    bench.put(DESFIRE)
    assert bench.answer("4a0200") == "4b0101" + DESFIRE_DATA
    bench.answer("320100")
    assert bench.answer("4a0200") == ""
    bench.send(ACK)
    assert bench.answer("4a0200") == "4b0101" + DESFIRE_DATA
    bench.answer("320100")
    bench.put(CLASSIC)
    assert bench.answer("4a0200").startswith("4b02")


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "dropped=x",
        "dropped=2.0",
        "dropped=-1",
        "delayed",
        "delayed=x",
        "leaves=now",
        "leaves",
        "delayed=1/x",
    ],
)
def test_a_fault_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=text.split("=", maxsplit=1)[0]):
        parse(text)


def test_a_probability_strikes_sometimes(bench: Bench) -> None:
    fault(bench, "dropped=0.5")
    answers = [bench.answer("02") for _ in range(100)]
    assert 20 < answers.count("") < 80


def test_equal_seeds_make_equal_chips() -> None:
    def history() -> list[Outcome]:
        bench = Bench().awake()
        fault(bench, "noise=0.5")
        bench.put(bytes.fromhex("08000000"))
        for _ in range(20):
            bench.send(frame("4a0100") + frame("320100"))
        return bench.outcomes

    assert history() == history()
