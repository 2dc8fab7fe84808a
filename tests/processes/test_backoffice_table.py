"""Wrong input for every command of `turnike-backoffice`: one line, the right exit code, no change.

The parts of the table are tests/support/machine/command_table.py's. Commands run in this process
where that is true to life, and as processes of their own otherwise.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import click
import pytest

from backoffice.cli.program import COMMANDS, main
from backoffice.registry import database
from tests.support.machine.command_table import (
    INTERRUPTED,
    PIPE_CLOSED,
    REWRITTEN,
    WRONG,
    Ended,
    ended_well,
    on_a_full_disk,
    on_a_terminal,
    refused,
    started,
    state,
    typed,
    unread,
    wait_until_asleep,
    without_room,
)

PROGRAM, MODULE = "turnike-backoffice", "backoffice"
SHELVES = next(filter(os.path.isdir, ["/dev/shm"]), None)  # noqa: S108  # each command waits for its fsyncs otherwise
CARD, OTHER = "04a12b3c4d5e6f", "04a12b3c4d5e70"
WORDS = b"correct horse battery staple\n"
EXPORT = ("--from", "2020-01-01T00:00Z", "--who", "somebody")


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """A folder with a published city, a draft that waits, keys of each kind, files for commands."""
    with TemporaryDirectory(dir=SHELVES) as name:
        folder = Path(name)

        def run(*arguments: str) -> None:
            ended = typed(main, *arguments)
            assert ended.code == 0, ended

        city, words = folder / "city", folder / "words"
        words.write_bytes(WORDS)
        (folder / "cards.csv").write_text(f"uid,number\n{CARD},1234567812345678\n{OTHER},\n")
        (folder / "today.csv").write_text(f"uid,state\n{CARD},in\n")
        run("init", str(city), "--development")
        run("import", "cards", str(folder / "cards.csv"), "--home", str(city))
        run("publish", "--home", str(city))
        for key in ("a", "b"):
            run("root-key", "make", key, "--out", name, "--passphrase-file", str(words))
        run("report-key", "make", "reports", "--out", name, "--passphrase-file", str(words))
        run("report-key", "make", "ministry", "--out", name, "--no-passphrase")
        run("report-key", "make", "exporter", "--out", name, "--signing", "--no-passphrase")
        run("enroll", "kadikoy-03", "--home", str(city))
        run("rotate", "timestamp", "root", "--add", str(folder / "a.pub"), "--home", str(city))
        for copy in ("draft.json", "signed.json"):
            shutil.copy(city / "root" / "2.root.draft.json", folder / copy)
        for path in sorted(city.rglob("development-[ab].pem")):
            run("root-key", "sign", str(folder / "signed.json"), "--key", str(path), "--yes")
        shutil.copy(city / "root" / "1.root.json", folder / "1.root.json")
        run("reports", "export", *_exporting(folder), str(folder / "march.export"))
        yield folder


def _exporting(folder: Path) -> tuple[str, ...]:
    keys = (
        "--key",
        "reports.pem",
        "--to",
        "ministry.pub",
        "--sign",
        "exporter.pem",
        "--passphrase-file",
        "words",
    )
    paths = (word if word.startswith("--") else str(folder / word) for word in keys)
    return ("--home", str(folder / "city"), *paths, *EXPORT)


@pytest.fixture
def folder(template: Path) -> Iterator[Path]:
    """A copy of it."""
    with TemporaryDirectory(dir=SHELVES) as name:
        shutil.copytree(template, name, dirs_exist_ok=True)
        for path in Path(name).rglob("*"):
            path.chmod((template / path.relative_to(name)).stat().st_mode)
        yield Path(name)


class Place(NamedTuple):
    """A command, and which of its files is another. Words with @ are paths in the folder."""

    command: str
    file: str

    def words(self, folder: Path) -> tuple[str, ...]:
        return tuple(
            str(folder / word[1:]) if word.startswith("@") else word
            for word in self.command.split()
        )


SIGN = (
    "root-key sign @draft.json --key @a.pem --previous @1.root.json --passphrase-file @words --yes"
)
OUT = (
    "reports export --home @city --key @reports.pem --to @ministry.pub --sign @exporter.pem"
    " --passphrase-file @words --from 2020-01-01T00:00Z --who me @out"
)
OPEN = "reports open @march.export --key @ministry.pem --signer @exporter.pub"
PLACES = [
    Place("import cards @cards.csv --home @city", "cards.csv"),
    Place("import cards @cards.csv --home @city --json", "cards.csv"),
    Place("import cards @cards.csv --home @city --dry-run", "cards.csv"),
    Place("import suspended @today.csv --home @city", "today.csv"),
    Place("import suspended @today.csv --home @city --format jsonl", "today.csv"),
    Place("init @new --root @a.pub --root @b.pub", "a.pub"),
    Place("root-key make c --out @safe --passphrase-file @words", "words"),
    Place("report-key make c --out @safe --passphrase-file @words", "words"),
    *(Place(SIGN, file) for file in ("draft.json", "a.pem", "1.root.json", "words")),
    Place("root accept @signed.json --home @city", "signed.json"),
    Place("rotate root --add @a.pub --home @city", "a.pub"),
    *(Place(OUT, file) for file in ("reports.pem", "ministry.pub", "exporter.pem", "words")),
    *(Place(OPEN, file) for file in ("march.export", "ministry.pem", "exporter.pub")),
]
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


# Homes

AT_HOME = {
    "import": "import suspended @today.csv",
    "publish": "publish",
    "publish --watch": "publish --watch",
    "serve": "serve --port 0",
    "suspend": f"suspend {CARD}",
    "lift": f"lift {CARD}",
    "add": f"add staff {CARD}",
    "remove": f"remove staff {CARD}",
    "show": "show",
    "show a card": f"show {CARD}",
    "rotate": "rotate snapshot",
    "rotate fingerprint-key": "rotate fingerprint-key --start",
    "root accept": "root accept @signed.json",
    "root discard": "root discard",
    "root show": "root show",
    "enroll": "enroll kadikoy-04",
    "strike-off": "strike-off kadikoy-03",
    "gates": "gates",
    "reports list": "reports list",
    "reports log": "reports log",
    "reports forget": "reports forget",
    "reports move": "reports move",
    "reports export": OUT.replace(" --home @city", ""),
}
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


BEFORE = {
    "publish": [f"suspend {CARD}"],
    "publish --watch": [f"suspend {CARD}"],
    "lift": [f"suspend {CARD}"],
    "remove": [f"add staff {CARD}"],
    "rotate": ["root discard"],  # what waits in the template
}


def _prepare(folder: Path, name: str) -> None:
    """Let there be something for this command to change."""
    _configure(folder, name)
    for command in BEFORE.get(name, ()):
        assert typed(main, *command.split(), "--home", str(folder / "city")).code == 0


def _configure(folder: Path, name: str) -> None:
    """Let the configuration be one with which this command has something to do."""
    if name == "reports move":
        config = folder / "city" / "backoffice.toml"
        database = f'[receiver]\ndatabase = "sqlite:///{folder}/city/reports.db"\n'
        config.write_text(config.read_text().replace("[receiver]\n", database, 1))


def _home(folder: Path, name: str) -> tuple[str, ...]:
    return (*Place(AT_HOME[name], "").words(folder), "--home", str(folder / "city"))


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


# Outputs, locales, terminals

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
    assert "written down as export" in ended.out


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
    path = f"{tmp_path}:{Path(__file__).parents[2]}"
    told = refused(started(MODULE, *_home(folder, name), environment={"PYTHONPATH": path}), PROGRAM)
    assert told == f"{PROGRAM}: {missing} is not installed; pip install 'turnike[backoffice]'\n"


# Full disks

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


# Ctrl-C


def _interrupts(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Ctrl-C in the middle of this sync or database statement."""
    steps = count(1)

    def interrupting(owner: object, name: str) -> None:
        function = getattr(owner, name)

        def call(*arguments: object, **named: object) -> object:
            if next(steps) == step:
                raise KeyboardInterrupt
            return function(*arguments, **named)

        monkeypatch.setattr(owner, name, call)

    interrupting(os, "fsync")
    interrupting(database.Database, "stage")


IT_WAS_DONE = (
    "is there already",
    "next one already",
    "waits already",
)  # only the last line was not printed
CHANGES = [
    "import",
    "suspend",
    "lift",
    "add",
    "remove",
    "rotate",
    "rotate fingerprint-key",
    "enroll",
    "reports export",
]


@pytest.mark.parametrize("name", CHANGES)
def test_ctrl_c_at_any_stage_is_one_line_and_run_again_it_is_done(
    template: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for step in count(1):
        with TemporaryDirectory(dir=SHELVES) as copy, monkeypatch.context() as patched:
            folder = Path(copy)
            shutil.copytree(template, folder, dirs_exist_ok=True)
            _prepare(folder, name)
            _interrupts(patched, step)
            ended = typed(main, *_home(folder, name))
            patched.undo()
            if ended.code == 0:
                assert step > 1 or name == "enroll", "it was interrupted nowhere"
                return
            assert (ended.code, ended.err) == (INTERRUPTED, f"{PROGRAM}: interrupted\n")
            again = typed(main, *_home(folder, name))
            assert "Traceback" not in again.err
            assert again.code == 0 or any(text in again.err for text in IT_WAS_DONE), again


def test_ctrl_c_while_a_city_is_founded_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in count(1):
        with monkeypatch.context() as patched:
            _interrupts(patched, step)
            ended = typed(main, "init", str(tmp_path / "city"), "--development")
        if ended.code == 0:
            assert step > 5
            return
        assert (ended.code, ended.err) == (INTERRUPTED, f"{PROGRAM}: interrupted\n")
        assert state(tmp_path) == {}


@pytest.mark.parametrize("group", ["root-key", "report-key"])
def test_ctrl_c_while_a_key_is_made_leaves_no_half_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str
) -> None:
    for step in count(1):
        with monkeypatch.context() as patched:
            _interrupts(patched, step)
            ended = typed(main, group, "make", "c", "--out", str(tmp_path), "--no-passphrase")
        if ended.code == 0:
            assert step > 2
            assert set(state(tmp_path)) == {"c.pem", "c.pub"}
            return
        assert (ended.code, ended.err) == (INTERRUPTED, f"{PROGRAM}: interrupted\n")
        assert state(tmp_path) == {}


def test_ctrl_c_while_a_file_comes_in_imports_nothing(folder: Path) -> None:
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    before = state(folder / "city")
    command = [
        sys.executable,
        "-m",
        MODULE,
        "import",
        "cards",
        str(pipe),
        "--home",
        str(folder / "city"),
    ]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
        pipe.open("wb") as rows,
    ):
        rows.write(f"uid\n{CARD}\n".encode())  # opened: so it reads
        rows.flush()
        wait_until_asleep(process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (
        INTERRUPTED,
        b"",
        f"{PROGRAM}: interrupted\n".encode(),
    )
    assert state(folder / "city") == before


def test_ctrl_c_at_a_question_is_one_line_and_signs_nothing(folder: Path) -> None:
    words = Place(SIGN.replace("--passphrase-file @words --yes", ""), "").words(folder)
    before = state(folder)
    for question in ("Sign this? [y/N]: ", "Passphrase: "):
        with on_a_terminal(MODULE, *words) as terminal:
            terminal.wait_for("Sign this? [y/N]: ")
            if question not in terminal.shown:
                terminal.types(b"y\n")
                terminal.wait_for(question)
            terminal.interrupts()
            ended = terminal.end()
        assert ended.code == INTERRUPTED
        assert ended.out.rstrip().endswith(f"{PROGRAM}: interrupted")
        assert "Traceback" not in ended.out
    assert state(folder) == before


def test_ctrl_c_while_another_command_is_waited_for_is_one_line(folder: Path) -> None:
    with (folder / "city" / ".hold").open("w") as hold:
        fcntl.flock(hold, fcntl.LOCK_EX)
        with on_a_terminal(MODULE, *_home(folder, "rotate")) as terminal:
            terminal.wait_for("waiting for another command to finish")
            terminal.interrupts()
            ended = terminal.end()
    assert ended.code == INTERRUPTED
    assert ended.out.rstrip().endswith(f"{PROGRAM}: interrupted")


@pytest.mark.parametrize(
    ("name", "sign"), [("publish --watch", "list 2 is public"), ("serve", "http://")]
)
def test_ctrl_c_ends_what_runs_for_ever_in_one_line(folder: Path, name: str, sign: str) -> None:
    _prepare(folder, name)
    with on_a_terminal(MODULE, *_home(folder, name)) as terminal:
        terminal.wait_for(sign)
        terminal.interrupts()
        ended = terminal.end()
    assert "Traceback" not in ended.out
    assert ended.code in ({INTERRUPTED} if name != "serve" else {0, INTERRUPTED})
