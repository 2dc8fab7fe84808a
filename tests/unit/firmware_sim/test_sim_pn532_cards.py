"""What a card does in the simulated field: listed, halted, gone, asked for its number."""

import pytest

from firmware_sim.pn532.frames import encode
from firmware_sim.radio.field import Stage
from tests.support.gate.pn532_bench import CLASSIC, DESFIRE, DESFIRE_DATA, Bench

NUMBER = "1234567890123456"


@pytest.fixture
def bench() -> Bench:
    return Bench().awake()


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


def test_a_command_in_two_pieces_is_one_command(bench: Bench) -> None:
    bench.put(DESFIRE, number=NUMBER)
    bench.answer("4a0100")
    assert bench.answer("4041905a0000") == "4100"
    assert bench.answer("400103422201" + "00") == "41009100"


def test_a_card_without_rats_answers_no_apdu_and_a_classic_rejects_every_authentication(
    bench: Bench,
) -> None:
    bench.answer("1200")
    bench.put(DESFIRE)
    bench.answer("4a0100")
    assert bench.answer("400190600000" + "00") == "4101"
    bench.answer("5200")
    bench.put(CLASSIC)
    bench.answer("4a0100")
    assert bench.answer("40016000ffffffffffff11223344") == "4114"


def test_a_raw_deselect_halts_and_a_raw_halt_too(bench: Bench) -> None:
    bench.put(DESFIRE)
    bench.answer("4a0100")
    assert bench.answer("42c2") == "4300c2"
    assert bench.events()[-1] == "released"
    assert bench.answer("4a0100") == ""
    bench.put(CLASSIC)
    bench.said()
    assert bench.answer("425000") == "4301"
    assert bench.answer("4a0100") == ""


def test_a_deselected_card_can_be_selected_again_and_a_gone_one_cannot(bench: Bench) -> None:
    there = bench.put(DESFIRE)
    bench.answer("4a0100")
    bench.answer("4401")
    assert bench.answer("5401") == "5500"
    assert bench.answer("0006") == "0100"
    bench.answer("4401")
    bench.take(there)
    assert bench.answer("5401") == "5501"
    assert bench.answer("0006") == "0101"
    assert bench.answer("400190600000" + "00") == "4101"


def test_a_certain_card_can_be_asked_for(bench: Bench) -> None:
    bench.put(DESFIRE)
    bench.put(CLASSIC)
    assert bench.answer("4a0200" + CLASSIC.hex()) == "4b010100040804" + CLASSIC.hex()
    bench.answer("320100")
    assert bench.answer("4a010088" + DESFIRE.hex()) == "4b0101" + DESFIRE_DATA


def test_no_card_speaks_another_modulation(bench: Bench) -> None:
    bench.answer("3205000000")
    bench.put(DESFIRE)
    assert bench.answer("4a010300") == "4b00"
    assert bench.answer("066304") == "0703"
    assert bench.answer("08630400") == "09"
    assert bench.answer("066304") == "0700"


def test_get_version_comes_in_three_frames(bench: Bench) -> None:
    bench.put(DESFIRE)
    bench.answer("4a0100")
    assert bench.answer("40019060000000") == "41000401010100180591af"
    assert bench.answer("400190af000000") == "41000401010104180591af"
    assert bench.answer("400190af000000") == "4100" + DESFIRE.hex() + "ba6543210025209100"
    assert bench.answer("400190af000000") == "4100911c"


@pytest.mark.parametrize("stage", list(Stage)[:4])
def test_a_card_that_leaves_before_it_is_selected_is_never_reported(
    bench: Bench, stage: Stage
) -> None:
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


def test_auto_poll_finds_a_card_or_ends(bench: Bench) -> None:
    assert bench.answer("6002012010") == ""
    bench.pass_ms(599)
    assert bench.said() == []
    bench.pass_ms(1)
    assert bench.said() == [encode(bytes.fromhex("6100"))]
    assert bench.answer("60ff012010") == ""
    bench.put(DESFIRE)
    assert bench.said() == [encode(bytes.fromhex("61012012" + "01" + DESFIRE_DATA))]
