"""The printed number: the right commands, and no number from any other answer."""

from collections.abc import Callable, Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.cards import Kind, Session, card_of
from validator.lane.readers.printed_number import printed_number

UID = bytes.fromhex("0489ab12cd34ef")
NUMBER = "1234567890123456"
DONE = b"\x91\x00"


def saying(answers: Iterable[bytes]) -> Callable[[bytes], bytes]:
    """Return a card that gives these answers, then none."""
    left: Iterator[bytes] = iter(answers)
    return lambda _apdu: next(left, b"")


def test_a_simulated_transit_card_gives_the_number_printed_on_it() -> None:
    session = Session(card_of(UID, NUMBER), UID)

    assert printed_number(session.apdu) == NUMBER


def test_only_the_number_is_asked_for_and_nothing_else_of_the_file() -> None:
    asked: list[str] = []
    session = Session(card_of(UID, NUMBER), UID)

    def exchange(apdu: bytes) -> bytes:
        asked.append(apdu.hex())
        return session.apdu(apdu)

    printed_number(exchange)

    assert asked == ["905a00000342220100", "90bd0000070200000008000000"]


def test_a_phone_without_the_application_gives_none() -> None:
    card = card_of(bytes.fromhex("08010203"))
    assert card.kind is Kind.PHONE

    assert printed_number(Session(card, card.uid).apdu) is None


@pytest.mark.parametrize(
    "answers",
    [
        (),
        (b"",),
        (b"\x91",),
        (b"\x91\xa0",),
        (b"\x6a\x82",),
        (b"\x00" + DONE, bytes.fromhex(NUMBER) + DONE),
        (DONE,),
        (DONE, DONE),
        (DONE, bytes.fromhex(NUMBER)),
        (DONE, bytes.fromhex(NUMBER) + b"\x91\xaf"),
        (DONE, bytes.fromhex(NUMBER)[:-1] + DONE),
        (DONE, bytes.fromhex(NUMBER) + b"\x00" + DONE),
        (DONE, bytes.fromhex("12345678901234fa") + DONE),
        (DONE, bytes.fromhex("ffffffffffffffff") + DONE),
    ],
)
def test_a_wrong_or_short_answer_gives_no_number(answers: tuple[bytes, ...]) -> None:
    assert printed_number(saying(answers)) is None


@given(st.lists(st.binary(max_size=300), max_size=3))
def test_no_answers_raise_or_give_anything_but_sixteen_digits(answers: list[bytes]) -> None:
    number = printed_number(saying(answers))

    assert number is None or (len(number) == 16 and number.isascii() and number.isdigit())


@given(st.from_regex(r"[0-9]{16}\Z", fullmatch=True))
def test_every_number_is_read_as_it_is_printed(number: str) -> None:
    assert printed_number(saying([DONE, bytes.fromhex(number) + DONE])) == number
