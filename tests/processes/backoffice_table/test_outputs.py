"""Outputs of `turnike-backoffice`: full disks, closed pipes, locales, terminals."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.city.table_city import (
    AT_HOME,
    MODULE,
    OPEN,
    OUT,
    PROGRAM,
    SIGN,
    WORDS,
    Place,
    _home,
    _prepare,
)
from tests.support.machine.command_table import (
    PIPE_CLOSED,
    Ended,
    on_a_full_disk,
    on_a_terminal,
    refused,
    started,
    state,
    unread,
    without_room,
)

PRINTS = {
    "help": ("--help",),
    "version": ("--version",),
    "help of a command": ("import", "--help"),
    **dict.fromkeys(("show", "root show", "gates", "reports list", "reports log", "import"), ()),
}


def _printing(folder: Path, name: str) -> tuple[str, ...]:
    return PRINTS[name] or _home(folder, name)


@pytest.mark.parametrize("name", PRINTS)
def test_an_output_without_room_is_one_line_and_without_a_reader_is_none(
    folder: Path, name: str
) -> None:
    words = _printing(folder, name)
    told = f"{PROGRAM}: standard output: No space left on device\n"
    assert without_room(MODULE, *words) == Ended(1, "", told)
    assert unread(MODULE, *words) == Ended(PIPE_CLOSED, "", "")


def test_batch_ends_as_other_commands_when_its_output_has_no_reader() -> None:
    order = b'{"id": "a", "run": ["--version"]}\n'
    told = f"{PROGRAM}: standard output: No space left on device\n"
    with Path("/dev/full").open("wb") as full:
        assert started(MODULE, "batch", stdin=order, stdout=full.fileno()) == Ended(1, "", told)
    reading, writing = os.pipe()
    os.close(reading)
    assert started(MODULE, "batch", stdin=order, stdout=writing) == Ended(PIPE_CLOSED, "", "")
    os.close(writing)


def test_reports_open_into_a_pipe_that_is_closed_early_is_quiet(folder: Path) -> None:
    command = " ".join(Place(OPEN, "").words(folder))
    program = f"{sys.executable} -m {MODULE} {command}"
    ended = subprocess.run(
        ["bash", "-c", f"{program} | true; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode in {0, PIPE_CLOSED}
    assert "rror" not in ended.stderr
    assert unread(MODULE, *Place(OPEN, "").words(folder)).code in {0, PIPE_CLOSED}


@pytest.mark.parametrize(
    "locale", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "iso-8859-9"}, {"PYTHONIOENCODING": "ascii"}]
)
def test_a_locale_without_every_letter_shows_what_it_can(
    folder: Path, locale: dict[str, str]
) -> None:
    environment = {**locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for words in (("--help",), _home(folder, "gates"), _home(folder, "show")):
        ended = started(MODULE, *words, environment=environment)
        assert (ended.code, ended.err) == (0, "")
    gone = started(MODULE, "show", "--home", "/ığüşöç", environment=environment)
    refused(gone, PROGRAM)


@pytest.mark.parametrize("columns", [20, 80])
def test_a_narrow_terminal_shows_the_same(folder: Path, columns: int) -> None:
    with on_a_terminal(MODULE, *_home(folder, "import"), columns=columns) as terminal:
        ended = terminal.end()
    assert ended.code == 0
    assert "rows 1: added 1" in ended.out


def test_the_question_for_a_passphrase_stays_on_the_screen(folder: Path) -> None:
    words = _home(folder, "reports export")
    place = words.index("--passphrase-file")
    environment = {"OPENBLAS_NUM_THREADS": "1"}  # numpy's would count too
    with on_a_terminal(
        MODULE, *words[:place], *words[place + 2 :], columns=80, environment=environment
    ) as terminal:
        terminal.wait_for("Passphrase of reports.pem: ")
        tasks = list(Path(f"/proc/{terminal.process.pid}/task").iterdir())
        assert len(tasks) == 1, "what draws bars is a thread, and would draw over the question"
        terminal.types(WORDS)
        ended = terminal.end()
    assert ended.code == 0
    assert "logged as export" in ended.out


@pytest.mark.parametrize(
    "command", [SIGN, OUT, "report-key make c --out @ --passphrase-file @words"]
)
def test_without_a_terminal_no_question_is_asked(folder: Path, command: str) -> None:
    words = Place(command.replace("--passphrase-file @words", ""), "").words(folder)
    before = state(folder)
    told = refused(started(MODULE, *words), PROGRAM)
    assert "--passphrase-file" in told
    assert state(folder) == before


@pytest.mark.parametrize("missing", ["sqlalchemy", "psycopg", "uvicorn", "starlette"])
def test_a_package_that_is_not_installed_names_its_extra(
    folder: Path, tmp_path: Path, missing: str
) -> None:
    (tmp_path / f"{missing}.py").write_text(f"raise ModuleNotFoundError('no', name={missing!r})\n")
    name = "serve" if missing in {"uvicorn", "starlette"} else "show"
    if missing == "psycopg":
        config = folder / "city" / "backoffice.toml"
        config.write_text(
            f'database = "postgresql+psycopg://nobody@127.0.0.1:9/none"\n{config.read_text()}'
        )
    path = f"{tmp_path}:{Path(__file__).parents[3]}"
    told = refused(started(MODULE, *_home(folder, name), environment={"PYTHONPATH": path}), PROGRAM)
    assert told == f"{PROGRAM}: {missing} is not installed; pip install 'turnike[backoffice]'\n"


ON_A_FULL_DISK = [
    *(
        name
        for name in AT_HOME
        if name
        not in {
            "publish --watch",
            "serve",
            "show",
            "show a card",
            "gates",
            "reports list",
            "reports log",
            "root show",
            "reports export",
        }
    ),
]


@pytest.mark.parametrize("name", ON_A_FULL_DISK)
def test_a_full_disk_is_one_line_and_changes_nothing(folder: Path, name: str) -> None:
    _prepare(folder, name)
    city = folder / "city"
    before = state(city)
    try:
        ended = on_a_full_disk(MODULE, city, *_home(folder, name))
    except OSError as error:
        pytest.skip(
            f"no file system can be mounted here ({error}); "
            "util-linux's unshare and its right would do"
        )
    if ended.code == 0:
        return  # a page of the database had room for it
    refused(ended, PROGRAM)
    assert "No space left" in ended.err or "full" in ended.err
    # An unpublished list may have been begun, and an empty database made: the next run continues.
    if name not in {"publish", "reports move"}:
        assert state(city) == before


def test_a_city_that_has_no_room_is_not_founded_by_half(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        ended = on_a_full_disk(
            MODULE, disk, "init", str(disk / "city"), "--development", free_kib=64
        )
    except OSError as error:
        pytest.skip(
            f"no file system can be mounted here ({error}); "
            "util-linux's unshare and its right would do"
        )
    refused(ended, PROGRAM)
    assert state(disk) == {}
