"""The count of old words over a small tree of every kind of file."""

import subprocess
from pathlib import Path

import pytest

from tools import words

TREE = {
    "validator/lane/clerk.py": '''"""The clerk: said twice, said."""

import os  # nobody imports this

VERSION = "nobody"  # noqa: F841  # whoever asks
KEY = {"told": 1, "put_aside": 2}
SHOWN = (
    "the list fares "  # a comment between
    f"well, {os.name!r} and nobody"
)


def test_the_lane_is_told_at_once() -> None:
    """It was cut."""
''',
    "validator/lane/page/words.js": """// the console is awake
const EN = { key: "told", text: "The lane heard nothing.", pattern: /said "so/ };
const TR = { text: "Rapor said şehre ulaşmıyor nobody" };
/* somebody
   looks */
""",
    "validator/lane/page/words_tr.js": "// said and told\n",
    "validator/lane/page/page.html": '<p title="nobody is here">All is said.</p>\n<!-- anew -->\n',
    "docs/a.md": "# Told\n\nIt is put\naside: [said](said.md), `said`.\n",
    "config/x.toml": 'key = "a rubbish text"  # mend it\n',
    "CHANGELOG.md": "said said said\n",
    "Makefile": '\t@echo "it tells"\n# anew\n',
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    for name, text in TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def found(root: Path, name: str) -> list[str]:
    return [
        f"{finding.line} {finding.word.split(' → ')[0]}"
        for finding in words.count_file(root, name).findings
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "validator/lane/clerk.py",
            ["1 said", "1 said", "3 nobody", "5 whoever", "8 fares", "9 nobody", "13 told"],
        ),
        ("validator/lane/page/words.js", ["1 awake", "2 heard", "4 somebody", "5 looks"]),
        ("validator/lane/page/words_tr.js", []),
        ("validator/lane/page/page.html", ["1 said", "1 nobody", "2 anew"]),
        ("docs/a.md", ["1 Told", "3 put aside", "4 said"]),
        ("config/x.toml", ["1 rubbish", "1 mend"]),
        ("Makefile", ["1 tells", "2 anew"]),
    ],
)
def test_each_kind_of_file_gives_its_prose_with_the_line(
    tree: Path, name: str, expected: list[str]
) -> None:
    assert sorted(found(tree, name)) == sorted(expected)


def test_the_list_has_a_line_for_each_hit_and_for_each_empty_docstring(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words.main(["--root", str(tree), "--list", "docs", "validator/lane/clerk.py"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "docs/a.md:1: Told → report, return, send, display: # Told"
    assert lines[-1] == "validator/lane/clerk.py:14: names nothing: It was cut."
    assert len(lines) == 3 + 7 + 1


def test_the_table_has_a_row_for_each_room_and_leaves_the_changelog_out(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words.main(["--root", str(tree)]) == 1
    rows = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines()}
    assert rows["validator/lane"][2] == "14"
    assert rows["docs"][2] == "3"
    assert rows["(root)"][2] == "2"


def test_a_tree_within_the_budget_exits_0_and_one_empty_docstring_is_too_many(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = " ".join(["card"] * 1000)
    (tree / "docs/a.md").write_text(f"{clean} said\n")
    assert words.main(["--root", str(tree), "docs"]) == 0
    assert "1,001 words, 1 hits: 1.00 per 1,000" in capsys.readouterr().out
    (tree / "docs/a.md").write_text(f"{clean} said said said\n")
    assert words.main(["--root", str(tree), "docs"]) == 1
    (tree / "docs/a.py").write_text('"""It."""\n')
    (tree / "docs/a.md").write_text(f"{clean}\n")
    assert words.main(["--root", str(tree), "docs"]) == 1


def test_the_budget_is_a_tenth_of_the_count_before_the_glossary() -> None:
    assert round(words.BUDGET_PER_1000, 3) == round(19.8 / 10, 3)


def test_a_folder_that_is_no_working_tree_is_one_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        words.main(["--root", str(tmp_path / "none")])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
