"""The README fits one screen, and its claims agree with the metadata, the code and the docs."""

import re
import tomllib
from pathlib import Path

from validator.config import load

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES_MAX = 80
COLUMNS_MAX = 100


def test_the_readme_fits_one_screen() -> None:
    lines = README.splitlines()
    assert len(lines) <= LINES_MAX
    assert [line for line in lines if len(line) > COLUMNS_MAX] == []


def test_every_file_that_the_readme_links_exists() -> None:
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", README) if "://" not in target]
    assert targets
    assert [file for file in targets if not (ROOT / file.partition("#")[0]).exists()] == []


def test_the_readme_lists_every_page_of_docs() -> None:
    missing = [
        page.name for page in (ROOT / "docs").glob("*.md") if f"(docs/{page.name})" not in README
    ]
    assert missing == []


def test_each_badge_shows_what_its_text_says_and_the_project_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    badges = dict(re.findall(r"!\[([^]]+)\]\((docs/badges/[^)]+)\)", README))
    python = project["requires-python"].removeprefix(">=")
    assert set(badges) == {
        f"python: {python}+",
        f"licence: {project['license']}",
        "status: alpha",
        "hardware: simulated",
    }
    for text, picture in badges.items():
        drawn = (ROOT / picture).read_text(encoding="utf-8")
        assert f"<title>{text}</title>" in drawn
        assert re.findall(r"<text[^>]*>([^<]+)</text>", drawn) == text.split(": ")


def test_the_six_lines_of_a_gate_are_a_configuration_that_loads(tmp_path: Path) -> None:
    section = README.partition("## A gate\n")[2].partition("\n## ")[0]
    lines = [line[4:] for line in section.splitlines() if re.match(r"    \w+ += ", line)]
    assert len(lines) == 6  # "a gate in six lines"
    file = tmp_path / "gate.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    assert load(file).gate_id == "kadikoy-03"


def test_every_number_of_the_readme_is_in_the_budget() -> None:
    budget = (ROOT / "docs" / "budget.md").read_text(encoding="utf-8")
    table = README.partition("## Four numbers\n")[2].partition("\n## ")[0]
    figures = [
        figure
        for row in table.splitlines()[2:]
        for figure in re.findall(
            r"\d[\d.]*", row.rstrip("| ").rpartition("|")[2].replace("p99", "")
        )
    ]
    assert len(figures) == 7  # p50 and p99 of three rows, and the worst of one
    known = re.findall(r"\d[\d.]*", budget)
    assert [figure for figure in figures if figure not in known] == []
