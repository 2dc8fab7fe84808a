"""The simulated chip's named faults: each has its effect, as often as it was set."""

import pytest

from firmware_sim.outcomes import Outcome, Unplug
from firmware_sim.pn532.faults import parse_reader_fault
from firmware_sim.pn532.frames import ACK, encode
from tests.support.gate.pn532_bench import CLASSIC, DESFIRE, DESFIRE_DATA, MS, Bench, frame


@pytest.fixture
def bench() -> Bench:
    return Bench().awake()


def fault(bench: Bench, text: str) -> None:
    bench.chip.faults.set(parse_reader_fault(text))


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


def test_a_stuck_chip_acknowledges_and_keeps_its_speed(bench: Bench) -> None:
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
        parse_reader_fault(text)


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
