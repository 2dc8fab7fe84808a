"""Every command of `turnike-backoffice` in a home that is none, or has a wrong file."""

import shutil
from pathlib import Path

import click
import pytest

from backoffice.cli.program import COMMANDS, main
from tests.support.city.table_city import AT_HOME, PLACES, PROGRAM, _configure, _home
from tests.support.machine.command_table import (
    WRONG,
    refused,
    state,
    typed,
)

WITHOUT_REGISTRY = {"rotate", "rotate fingerprint-key", "root accept", "root discard", "root show"}


NEEDS_NO_HOME = {"init", "root-key", "report-key", "batch"}


def test_every_command_is_in_the_table() -> None:
    told = {words.split()[0] for words in AT_HOME.values()} | NEEDS_NO_HOME
    assert told == set(COMMANDS)
    groups = [
        command
        for name in COMMANDS
        if isinstance(command := main.get_command(click.Context(main), name), click.Group)
    ]
    below = {f"{group.name} {name}" for group in groups for name in group.commands}
    places = {" ".join(place.command.split()[:2]) for place in PLACES}
    assert below <= places | set(AT_HOME)


@pytest.mark.parametrize("wrong", ["missing", "empty directory", "file", "loop"])
@pytest.mark.parametrize("name", AT_HOME)
def test_a_home_that_is_none_is_one_line(folder: Path, name: str, wrong: str) -> None:
    words = _home(folder, name)
    shutil.rmtree(folder / "city")
    match wrong:
        case "empty directory":
            (folder / "city").mkdir()
        case "file":
            (folder / "city").write_text("no home")
        case "loop":
            (folder / "city").symlink_to("city")
    before = state(folder)
    assert "city" in refused(typed(main, *words), PROGRAM)
    assert state(folder) == before


@pytest.mark.parametrize("name", AT_HOME)
def test_a_home_that_no_option_names_is_one_line_that_names_the_options(
    folder: Path, name: str
) -> None:
    told = refused(typed(main, *_home(folder, name)[:-2]), PROGRAM)
    assert "--home" in told
    assert "TURNIKE_HOME" in told


@pytest.mark.parametrize("wrong", [name for name in WRONG if name != "half"])
@pytest.mark.parametrize("file", ["backoffice.toml", "registry.db"])
@pytest.mark.parametrize("name", AT_HOME)
def test_a_home_with_a_wrong_file_is_one_line_and_changes_nothing(
    folder: Path, name: str, file: str, wrong: str
) -> None:
    if file == "registry.db" and (name in WITHOUT_REGISTRY or wrong in {"missing", "empty"}):
        return  # a registry that is not there yet is made
    _configure(folder, name)
    path = folder / "city" / file
    right = path.read_bytes()
    path.unlink()
    WRONG[wrong](path, right)
    before = state(folder)
    assert file in refused(typed(main, *_home(folder, name)), PROGRAM)
    assert state(folder) == before
