"""Wrong files for every command of `turnike-backoffice`: one line, exit 2, nothing changed.

The parts of the table are tests/support/machine/command_table.py's. Commands run in this process
where that is true to life, and as processes of their own otherwise.
"""

import shutil
from pathlib import Path

import pytest

from backoffice.cli.program import main
from tests.support.city.table_city import PLACES, PROGRAM, Place
from tests.support.machine.command_table import (
    REWRITTEN,
    WRONG,
    ended_well,
    refused,
    state,
    typed,
)

HALF_IS_WHOLE = {"cards.csv", "today.csv"}  # rows that are there are rows


IDS = [f"{place.command.split(' @')[0]} {place.file}" for place in PLACES]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("place", PLACES, ids=IDS)
def test_a_wrong_file_is_one_line_and_changes_nothing(
    folder: Path, place: Place, wrong: str
) -> None:
    (folder / "safe").mkdir()
    path = folder / place.file
    right = path.read_bytes()
    path.unlink()
    WRONG[wrong](path, right)
    before = state(folder)
    ended = typed(main, *place.words(folder))
    if (wrong == "half" and place.file in HALF_IS_WHOLE) or "--format" in place.command:
        ended_well(ended)
    elif wrong == "web page" and "make" in place.command:
        ended_well(ended)  # a passphrase may be any words
    else:
        told = refused(ended, PROGRAM)
        assert place.file in told or (
            place.file == "words" and "the passphrase is not right" in told
        )
        assert state(folder) == before


@pytest.mark.parametrize("rewritten", REWRITTEN)
@pytest.mark.parametrize("place", PLACES, ids=IDS)
def test_a_file_that_an_editor_saved_is_read_or_refused_in_one_line(
    folder: Path, place: Place, rewritten: str
) -> None:
    (folder / "safe").mkdir()
    path = folder / place.file
    path.write_bytes(REWRITTEN[rewritten](path.read_bytes()))
    before = state(folder)
    ended = typed(main, *place.words(folder))
    ended_well(ended)
    if ended.code == 2:
        assert state(folder) == before


@pytest.mark.parametrize(
    "rewritten", ["byte order mark", "CRLF", "CR", "UTF-16", "no last line end"]
)
@pytest.mark.parametrize("file", ["words", "cards.csv"])
def test_what_people_write_is_read_as_any_editor_saves_it(
    folder: Path, file: str, rewritten: str
) -> None:
    (folder / "safe").mkdir()
    path = folder / file
    path.write_bytes(REWRITTEN[rewritten](path.read_bytes()))
    for place in PLACES:
        if place.file == file:
            ended = typed(main, *place.words(folder))
            assert ended.code == 0, ended
            assert ended.err == ""
            shutil.rmtree(folder / "safe")
            (folder / "safe").mkdir()
