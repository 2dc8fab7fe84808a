"""Any error on one line of printable ASCII."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validator.errors import LINE_CHARACTERS_MAX, one_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("disk full", "disk full"),
        ("  two\n lines\tand a tab ", "two lines and a tab"),
        ("\x1b[2Jİstanbul\u202e", "?[2J?stanbul?"),
        ("x" * 300, "x" * 200),
        ("", "ValueError"),
        (" \n", "ValueError"),
    ],
)
def test_an_error_is_one_line_of_printable_ascii(text: str, line: str) -> None:
    assert one_line(ValueError(text)) == line


def test_text_that_is_no_error_has_no_name_to_give() -> None:
    assert one_line("database disk image is\nmalformed") == "database disk image is malformed"
    assert one_line("") == ""


@given(st.text(max_size=1_000))
def test_no_text_moves_a_cursor_or_begins_a_line(text: str) -> None:
    line = one_line(ValueError(text))
    assert line.isprintable()
    assert line.isascii()
    assert 0 < len(line) <= LINE_CHARACTERS_MAX
