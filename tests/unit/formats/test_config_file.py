"""A wrong configuration is refused in one way: `FILE: KEY: what is wrong; what to do`."""

import re
from pathlib import Path

import msgspec
import pytest

import backoffice.home.config
import validator.config
from backoffice.home.config import FILE_NAME, example
from validator.errors import ConfigError
from validator.formats.config_file import KeyFault, read_values, refuse

GATE = (Path(__file__).parents[3] / "config" / "validator.example.toml").read_text(encoding="utf-8")


class Lamp(msgspec.Struct, forbid_unknown_fields=True):
    """A configuration of two keys."""

    watts: int
    colour: str = "red"


def refusal(path: Path, **hints: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_values(path, Lamp, example="lamp.example.toml", **hints)
    return [line.removeprefix(f"{path}: ") for line in caught.value.lines]


def test_values_without_a_fault_convert(tmp_path: Path) -> None:
    path = tmp_path / "lamp.toml"
    path.write_text('watts = 5\ncolour = "blue"\n')
    values = read_values(path, Lamp, example="lamp.example.toml")
    assert msgspec.convert(values, Lamp) == Lamp(5, "blue")


def test_each_fault_of_a_key_is_a_line_that_names_the_example(tmp_path: Path) -> None:
    path = tmp_path / "lamp.toml"
    path.write_text('watts = "five"\ncolor = "blue"\n')
    assert refusal(path) == [
        "color: is not a key of the configuration; did you mean colour?; see lamp.example.toml",
        'watts: must be a whole number, not "five"; see lamp.example.toml',
    ]


def test_a_file_that_cannot_be_read_gets_the_hint_of_its_program(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    assert refusal(missing) == ["cannot be read (No such file or directory)"]
    assert refusal(missing, unreadable="name another") == [
        "cannot be read (No such file or directory); name another"
    ]
    assert refusal(missing, absent="is not there; make one") == ["is not there; make one"]
    assert refusal(tmp_path, absent="is not there; make one") == ["cannot be read (Is a directory)"]


def test_faults_between_keys_are_a_line_each_and_none_is_no_error() -> None:
    refuse(Path("/a.toml"), [])
    with pytest.raises(ConfigError) as caught:
        refuse(Path("/a\n.toml"), [KeyFault("b.c", "is empty"), KeyFault("d", "is full")])
    assert caught.value.lines == ("/a\\n.toml: b.c: is empty", "/a\\n.toml: d: is full")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('device = "/dev/turnike-reader"', ""),
        ('listen = "127.0.0.1:8021"', 'listen = "8021"'),
        ('listen = "127.0.0.1:8021"', 'listen = "0.0.0.0:8021"'),
        ('folder = "/', 'folder = "'),
        ('url = "https:', 'url = "http:'),
        ("[passage]", "[passages]"),
        ("lane = 1", "lane = 0"),
    ],
)
def test_every_line_about_a_gate_begins_with_file_and_key(
    tmp_path: Path, old: str, new: str
) -> None:
    path = tmp_path / "validator.toml"
    path.write_text(GATE.replace(old, new))
    assert path.read_text() != GATE
    with pytest.raises(ConfigError) as caught:
        validator.config.load(path)
    line = re.compile(rf"{re.escape(str(path))}: [a-z_]+(\.[a-z_]+)*(\[\d+\])?: .*")
    assert [each for each in caught.value.lines if not line.fullmatch(each)] == []


@pytest.mark.parametrize(
    "key",
    [
        'published = ""',
        'database = "sqlite:///registry.db"',
        "[expiry]\ntimestamp_hours = 168\nmetadata_days = 7",
        '[reports]\nsealing_key = "\\u0000"',
        '[receiver]\naddresses = ["reports.example.org"]',
        '[receiver]\ndatabase = "sqlite:///reports.db"',
    ],
)
def test_every_line_about_a_back_office_begins_with_file_and_key(tmp_path: Path, key: str) -> None:
    path = tmp_path / FILE_NAME
    rule = '[[rules]]\nname = "issued"\neffect = "require"\nuntil_unit_s = 3600'
    parts = [rule, key] if key.startswith("[") else [key, rule]
    path.write_text("\n".join(parts))
    with pytest.raises(ConfigError) as caught:
        backoffice.home.config.load(tmp_path)
    line = re.compile(rf"{re.escape(str(path))}: [a-z_]+(\.[a-z_]+)*: .*")
    assert [each for each in caught.value.lines if not line.fullmatch(each)] == []


def test_the_example_of_a_back_office_has_no_fault(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(example(), encoding="utf-8")
    assert backoffice.home.config.load(tmp_path).folder == tmp_path.resolve()
