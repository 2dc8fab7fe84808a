"""Ctrl-C at any stage of every command of `turnike-backoffice`: one line, nothing half done."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from backoffice.cli.program import main
from backoffice.registry import database
from tests.support.city.table_city import (
    CARD,
    MODULE,
    PROGRAM,
    SHELVES,
    SIGN,
    Place,
    _home,
    _prepare,
)
from tests.support.machine.command_table import (
    INTERRUPTED,
    on_a_terminal,
    state,
    typed,
    wait_until_asleep,
)


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
