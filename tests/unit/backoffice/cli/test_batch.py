"""`turnike-backoffice batch`: one process runs commands in turn, each as its own process would."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backoffice.cli.batch import LINE_BYTES_MAX

ALONE = [sys.executable, "-m", "backoffice"]


def batch(*lines: bytes) -> list[dict[str, Any]]:
    """What is answered to these lines."""
    ended = subprocess.run(
        [*ALONE, "batch"],
        input=b"\n".join((*lines, b"")),
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    return [json.loads(line) for line in ended.stdout.splitlines()]


def order(id_: str, *run: str) -> bytes:
    return json.dumps({"id": id_, "run": run}).encode()


def alone(*run: str) -> tuple[int, str, str]:
    """What the command does in a process of its own."""
    ended = subprocess.run(
        [*ALONE, *run],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


def test_each_command_is_answered_as_its_own_process_would_and_in_order(tmp_path: Path) -> None:
    home = str(tmp_path / "city")
    cards = tmp_path / "cards.csv"
    cards.write_text("uid\n04a1b2c3d4e5f6\n")
    uid = ("04a1b2c3d4e5f6", "--home", home)
    answers = batch(
        order("found", "init", home, "--development"),
        order("cards", "import", "cards", str(cards), "--home", home),
        order("ask", "show", *uid, "--json"),
        order("suspend", "suspend", *uid),
        order("ask again", "show", *uid, "--json"),
        order("wrong", "show", "04a1b2c3d4e5f7", "--home", home),
        order("unknown", "shw"),
        order("help", "--help"),
        order("no home", "show"),
    )
    told = {each["id"]: (each["code"], each["out"], each["err"]) for each in answers}
    assert [each["id"] for each in answers] == [*told]
    assert {each["event"] for each in answers} == {"done"}
    assert [name for name, (code, _, _) in told.items() if code] == ["wrong", "unknown", "no home"]
    assert json.loads(told["ask"][1]) == []
    assert json.loads(told["ask again"][1]) == json.loads(alone("show", *uid, "--json")[1]) != []
    for name, run in (
        ("wrong", ("show", "04a1b2c3d4e5f7", "--home", home)),
        ("unknown", ("shw",)),
        ("help", ("--help",)),
        ("no home", ("show",)),
    ):
        assert told[name] == alone(*run), name


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"show",
        b"[]",
        b'["show"]',
        b'{"id":"a"}',
        b'{"id":1,"run":["show"]}',
        b'{"id":"a","run":"show"}',
        b'{"id":"a","run":[1]}',
        b'{"id":"a","run":["show"],"more":1}',
        b"\xff\xfe",
        b"\0" * 20,
        b"[" * 5_000,
        b'{"id":"' + b"x" * LINE_BYTES_MAX + b'","run":["show"]}',
    ],
)
def test_a_line_that_is_no_command_is_answered_in_one_line_and_the_next_one_runs(
    line: bytes,
) -> None:
    wrong, right = batch(line, order("version", "--version"))
    assert (wrong["event"], wrong["id"], wrong["code"], wrong["out"]) == ("done", None, 2, "")
    assert wrong["err"].startswith("turnike-backoffice batch: ")
    assert wrong["err"].count("\n") == 1
    assert (right["id"], right["code"]) == ("version", 0)


@pytest.mark.parametrize("run", [(), ("serve",), ("batch",), ("publish", "--watch")])
def test_what_would_not_end_by_itself_is_not_begun(run: tuple[str, ...]) -> None:
    wrong, right = batch(order("a", *run), order("version", "--version"))
    assert (wrong["id"], wrong["code"], wrong["out"]) == ("a", 2, "")
    assert wrong["err"].endswith("start it as a process of its own\n")
    assert right["code"] == 0


def test_a_command_that_reads_its_input_does_not_eat_the_commands_to_come(tmp_path: Path) -> None:
    make = ("report-key", "make", "name", "--out", str(tmp_path))  # asks for a passphrase
    asked, right = batch(order("a", *make), order("version", "--version"))
    assert asked["code"] == 2
    assert asked["err"] == alone(*make)[2]
    assert right["code"] == 0


def test_a_fault_of_a_command_is_reported_and_the_next_one_runs(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import backoffice.cli.cards as it\nit.show.callback = lambda **_: 1 // 0\n"
    )
    ended = subprocess.run(
        [*ALONE, "batch"],
        input=order("a", "show", "--home", "x") + b"\n" + order("b", "--version"),
        capture_output=True,
        timeout=240,
        check=False,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[4]}"},
    )
    fault, right = (json.loads(line) for line in ended.stdout.splitlines())
    assert fault["code"] == 1
    assert "ZeroDivisionError" in fault["err"]
    assert (right["id"], right["code"]) == ("b", 0)


def test_with_the_reader_of_its_answers_gone_it_ends_without_a_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as out:
        ended = subprocess.run(
            [*ALONE, "batch"],
            input=order("a", "--version") + b"\n",
            stdout=out,
            stderr=subprocess.PIPE,
            timeout=240,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (141, b"")
