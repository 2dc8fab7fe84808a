"""What is too long is found, what cannot be broken is left alone."""

import subprocess
from pathlib import Path

import pytest

from tools.sizes import main, sizes


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    return tmp_path


def put(root: Path, name: str, text: str) -> list[str]:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, encoding="utf-8")
    return list(sizes(root, [name]))


@pytest.mark.parametrize("name", ["a.py", "a.js", "a.css"])
def test_a_file_of_400_lines_is_the_longest(tree: Path, name: str) -> None:
    assert put(tree, name, "a\n" * 400) == []
    assert put(tree, name, "a\n" * 401) == [
        f"{name}:1: 401 lines; at most 400: cut the file by subject"
    ]


def test_a_page_of_the_docs_may_be_longer_than_400_lines(tree: Path) -> None:
    assert put(tree, "a.md", "a\n" * 401) == []


def test_a_function_of_50_lines_is_the_longest_and_its_decorators_do_not_count(tree: Path) -> None:
    assert put(tree, "a.py", "@decorated\ndef f():\n" + "    a\n" * 49) == []
    assert put(tree, "a.py", "class A:\n    async def f(self):\n" + "        a\n" * 50) == [
        "a.py:2: f has 51 lines; at most 50"
    ]


@pytest.mark.parametrize(
    "name", ["a.py", "a.md", "a.toml", "a.js", "a.css", "a.html", "a.sh", "Makefile", ".ci/run"]
)
def test_a_line_ends_at_column_100(tree: Path, name: str) -> None:
    begin = "# "
    assert put(tree, name, begin + "ab " * 32 + "cd\n") == []
    assert put(tree, name, begin + "ab " * 32 + "cde\n") == [f"{name}:1: 101 columns; at most 100"]


@pytest.mark.parametrize(
    "line",
    [
        "| a | " + "word " * 30 + "|",
        "* [the page of the vendor](https://example.org/" + "a" * 90 + ").",
        "https://example.org/" + "a" * 90,
    ],
)
def test_a_line_that_cannot_be_broken_may_be_longer(tree: Path, line: str) -> None:
    assert put(tree, "a.md", line + "\n") == []


def test_a_long_string_with_blanks_is_no_such_line(tree: Path) -> None:
    assert put(tree, "a.py", f'text = "{"word " * 30}"\n') != []


def test_a_folder_of_more_than_twelve_modules_needs_its_reason(tree: Path) -> None:
    for number in range(12):
        put(tree, f"room/m{number}.py", "")
    assert put(tree, "room/__init__.py", '"""A room."""\n') == []
    (excess,) = put(tree, "room/m12.py", "")
    assert excess.startswith("room: 13 modules; at most 12, or its __init__.py")
    reason = '"""A room.\n\nMore than twelve\nfiles: one for each test of a device.\n"""\n'
    assert put(tree, "room/__init__.py", reason) == []


def test_a_folder_that_is_no_package_gives_its_reason_in_its_readme(tree: Path) -> None:
    for number in range(13):
        put(tree, f"tests/m{number}.py", "")
    assert put(tree, "tests/m1.py", "") != []
    assert put(tree, "tests/README.md", "More than twelve files: one for each subject.\n") == []


def test_the_program_prints_each_excess_and_exits_1(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tree, "good/a.py", "a = 1\n")
    put(tree, "bad/a.py", "a = 1\n" * 401)
    assert main(["--root", str(tree), "good/"]) == 0
    assert main(["--root", str(tree)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "0 too long",
        "bad/a.py:1: 401 lines; at most 400: cut the file by subject",
        "1 too long",
    ]
