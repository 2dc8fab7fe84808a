"""The faults of a TOML file: all at once, each with its key and the allowed words."""

import copy
import tomllib
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from backoffice.home.config import FileConfig, example
from validator.config import Config
from validator.formats.text_files import word_of
from validator.formats.toml_struct import FAULTS_MAX, faults, table_of

VALIDATOR = (Path(__file__).parents[3] / "config" / "validator.example.toml").read_text()


class Colour(Enum):
    """A choice."""

    RED = "red"
    GREEN = "green"


class Lamp(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of a list, with a check of its own."""

    name: str
    colour: Colour
    since: Annotated[datetime, Meta(tz=True)] | None = None

    def __post_init__(self) -> None:
        if self.name == "green" and self.colour is Colour.RED:
            raise ValueError("a lamp called green is not red")


class Power(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table."""

    volts: Annotated[int, Meta(ge=5, le=24)]
    mode: Literal["mains", "battery"] = "mains"
    spare: bool = False
    names: Annotated[tuple[str, ...], Meta(max_length=2)] = ()


class Machine(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file."""

    title: Annotated[str, Meta(pattern=r"^[a-z]+\Z", description="lower-case letters")]
    power: Power
    lamps: Annotated[tuple[Lamp, ...], Meta(min_length=1, max_length=3)]
    extra: Power | None = None


GOOD: dict[str, Any] = {
    "title": "a",
    "power": {"volts": 5},
    "lamps": [{"name": "one", "colour": "red"}],
}


def told(**changes: Any) -> list[str]:
    return faults(GOOD | changes, Machine)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"title": "A"}, 'title: must be lower-case letters, not "A"'),
        ({"title": 7}, "title: must be lower-case letters, not 7"),
        ({"power": {"volts": 4}}, "power.volts: must be a whole number from 5 to 24, not 4"),
        ({"power": {"volts": "5"}}, 'power.volts: must be a whole number from 5 to 24, not "5"'),
        ({"power": {"volts": 5.5}}, "power.volts: must be a whole number from 5 to 24, not 5.5"),
        ({"power": 5}, "power: must be a table, not 5"),
        (
            {"power": {"volts": 5, "mode": "batery"}},
            'power.mode: must be "battery" or "mains", not "batery"; did you mean "battery"?',
        ),
        (
            {"power": {"volts": 5, "spare": "yes"}},
            'power.spare: must be true or false, not "yes"',
        ),
        (
            {"power": {"volts": 5, "names": ["a", "b", "c"]}},
            "power.names: must be a list [...] of up to 2 entries, not ['a', 'b', 'c']",
        ),
        (
            {"power": {"volts": 5, "names": ["a", 1]}},
            'power.names[1]: must be text in "quotes", not 1',
        ),
        (
            {"power": {"volts": 5, "mod": "mains"}},
            "power.mod: is not a key of the configuration; did you mean mode?",
        ),
        (
            {"power": {"volts": 5, "title": "a"}},
            (
                "power.title: is not a key of the configuration; "
                "it belongs at the top of the file, above the first [table]"
            ),
        ),
        (
            {"volts": 5},
            "volts: is not a key of the configuration; it belongs under [power] or [extra]",
        ),
        ({"lamps": []}, "lamps: must be a list [...] of 1 to 3 entries, not []"),
        ({"lamps": "one"}, 'lamps: must be a list [...] of 1 to 3 entries, not "one"'),
        (
            {"lamps": [{"name": "one", "colour": "blue"}]},
            'lamps[one].colour: must be "red" or "green", not "blue"',
        ),
        (
            {"lamps": [{"name": "two"}]},
            "lamps[two].colour: is missing and has no default",
        ),
        (
            {"lamps": [{"name": "green", "colour": "red"}]},
            "lamps[green]: a lamp called green is not red",
        ),
        (
            {"lamps": [{"name": "a", "colour": "red", "since": "soon"}]},
            (
                "lamps[a].since: must be a date and a time with its offset, "
                'such as 2021-01-15T00:00:00+03:00, not "soon"'
            ),
        ),
        ({"a\nb": 1}, "'a\\nb': is not a key of the configuration"),
    ],
    ids=str,
)
def test_a_fault_names_its_key_and_what_is_allowed(change: dict[str, Any], says: str) -> None:
    assert told(**change) == [says]


def test_every_fault_of_a_file_is_reported_at_once_and_a_misspelt_key_is_not_missing_too() -> None:
    assert faults({"titel": "a", "power": {"volts": 90, "watts": 1}, "lamps": [{}]}, Machine) == [
        "titel: is not a key of the configuration; did you mean title?",
        "power.watts: is not a key of the configuration",
        "power.volts: must be a whole number from 5 to 24, not 90",
        "lamps[1].name: is missing and has no default",
        "lamps[1].colour: is missing and has no default",
    ]


def test_a_file_of_another_program_does_not_fill_the_terminal() -> None:
    found = told(**{f"key{number}": number for number in range(100)})
    assert len(found) == FAULTS_MAX + 1
    assert found[-1] == "and 80 more"


_VALUES = st.one_of(  # all values that TOML has
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)


@pytest.mark.parametrize(
    ("text", "kind"), [(VALIDATOR, Config), (example(), FileConfig)], ids=["gate", "city"]
)
@given(data=st.data())
def test_there_is_a_fault_exactly_where_the_file_does_not_convert(
    text: str, kind: type[Struct], data: st.DataObject
) -> None:
    values = copy.deepcopy(tomllib.loads(text))
    assert faults(values, kind) == []
    table = values
    while data.draw(st.booleans(), "deeper") and any(
        isinstance(each, dict) for each in table.values()
    ):
        table = table[
            data.draw(st.sampled_from([k for k, v in table.items() if isinstance(v, dict)]))
        ]
    some = st.text(max_size=6)
    name = data.draw(st.sampled_from(sorted(table)) | some if table else some, "key")
    if data.draw(st.booleans(), "remove"):
        table.pop(name, None)
    else:
        table[name] = data.draw(_VALUES, "value")
    try:
        msgspec.convert(values, kind)
    except msgspec.ValidationError:
        assert faults(values, kind)
    else:
        assert faults(values, kind) == []
    assert all("\n" not in fault for fault in faults(values, kind))


@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_of_unix_windows_and_notepad_are_read(ends: str, encoding: str) -> None:
    assert table_of(ends.join(('a = "ş"', "b = 1", "")).encode(encoding)) == {"a": "ş", "b": 1}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a = 1\n".encode("utf-16-le"), "has zero bytes: it is no text, or UTF-16 without a mark"),
        ("a = 1\n".encode("utf-16")[:-1], "is UTF-16 that breaks off"),
        ('a = 1\nb = "ş"\n'.encode("iso-8859-9"), "line 2 is not UTF-8; save it as UTF-8"),
        (b"a = 1\rb = 2\r", "ends its lines with CR alone"),
        (b"a = \xff", "line 1 is not UTF-8"),
        (b"a = ", "is not TOML: "),
        (b"a = 1" + b"0" * 5_000, "is not TOML: "),
        (b"a = " + b"[" * 3_000, "is not TOML: "),
        (b"\0\0\0\0", "has zero bytes"),
        (b"\x7fELF\x02\x01", "is not TOML: "),
    ],
    ids=repr,
)
def test_a_file_that_is_not_toml_gets_one_line_with_what_to_do(content: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        table_of(content)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"4f1a", b" 4f1a \r\n", b"\xef\xbb\xbf4f1a\n", "4f1a\r\n".encode("utf-16")]
)
def test_blanks_around_a_word_are_removed(content: bytes) -> None:
    assert word_of(content) == "4f1a"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf \n", "is empty"),
        (b"4f 1a", "has 2 words"),
        (b"\xff", "line 1 is not"),
    ],
)
def test_a_file_without_one_word_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        word_of(content)
