"""UIDs for a simulated reader: the spellings that a back office takes, by a parser of its own."""

import pytest

from firmware_sim.cards import parse_uid

UID = bytes.fromhex("04a12b3c4d5e6f")


@pytest.mark.parametrize(
    "text",
    [
        "04a12b3c4d5e6f",
        "04:A1:2B:3C:4D:5E:6F",
        "04-a1-2b-3c-4d-5e-6f",
        "04 a1 2b 3c 4d 5e 6f",
        "04  a1  2b  3c  4d  5e  6f",
        "0x04a12b3c4d5e6f",
        r"\x04a12b3c4d5e6f",
        " 04a12b3c4d5e6f\n",
    ],
)
def test_a_uid_is_read_as_programs_print_it(text: str) -> None:
    assert parse_uid(text) == UID


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("4-17-34-51-68-85-102", "is not a UID"),
        ("4:a1:2b:3c:4d:5e:6f", "is not a UID"),
        ("04:a1-2b:3c:4d:5e:6f", "is not a UID"),
        ("04a1 2b3c 4d5e 6f", "is not a UID"),
        (":04a12b3c4d5e6f", "is not a UID"),
        ("04a12b3c4d5e6", "is not a UID"),
        ("4.11E+12", "is not a UID"),
        ("", "is not a UID"),
        ("04a12b3c4d", "has 5 bytes"),
        ("88041122334455", "begins with 88"),
    ],
)
def test_what_is_no_uid_is_refused_in_words(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_uid(text)
