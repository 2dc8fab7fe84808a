"""What comments, docstrings and texts of code name: pages, files and commands."""

import re
from collections.abc import Iterator
from pathlib import Path

from tools.docs_truth.commands import Commands
from tools.docs_truth.foreign import PATHS
from tools.docs_truth.index import Index
from tools.prose import passages

_PAGE = re.compile(
    r"(?<![\w/-])((?:docs/)?(?:[\w-]+/)*(?:[\w-]+\.md\b|decisions/\d{4}[\w-]*))"
    r"(?:\s*(?:,|:|\()\s*\"([^\"]+)\")?"
)
_FILE = re.compile(r"(?<![\w/.<{-])((?:[\w-]+/)*[\w-]+\.(?:py|js|html|css))\b(?!\()")
# A program with one blank and a word after it is a hint at a command, in whatever text.
_COMMAND = re.compile(r"(?<![\w/.@-])(turnike|turnike-backoffice|firmware-sim)\s([a-z][a-z0-9-]+)")


def faults(index: Index, commands: Commands, name: str) -> Iterator[tuple[int, str, str]]:
    """For each page, section, file or command that does not exist: the line, its text, and why."""
    for passage in passages(index.root / name):
        text = " ".join(passage.text.split("\n"))
        for found in _PAGE.finditer(text):
            if fault := _fault_of_page(index, found[1], found[2]):
                yield passage.line_at(found.start()), found[0], fault
        if not name.startswith("tests/"):
            for offset, hint, why in faults_of_hints(commands, text):
                yield passage.line_at(offset), hint, why
        if passage.is_literal:
            continue  # a test's or a program's own files
        for found in _FILE.finditer(text):
            if found[1] not in PATHS and not index.has_path(found[1]):
                yield passage.line_at(found.start()), found[0], f"there is no {found[1]}"


def faults_of_hints(commands: Commands, text: str) -> Iterator[tuple[int, str, str]]:
    """For each hint at a command that does not exist: its offset, its text, and why."""
    for found in _COMMAND.finditer(text):
        if not commands.has(found[1], found[2]):
            yield found.start(), found[0], f"{found[1]} has no such command"


def _fault_of_page(index: Index, path: str, section: str | None) -> str | None:
    at = path if path.startswith("docs/") or "/" not in path else f"docs/{path}"
    if at.startswith("docs/decisions/") and not at.endswith(".md"):
        pages = [name for name in index.files if name.startswith(at)]
    else:
        pages = [name for name in index.files if name == at or Path(name).name == path]
    if not pages:
        return f"there is no {at}"
    if section and not any(_has_section(index, page, section) for page in pages):
        return f'{pages[0]} has no section "{section}"'
    return None


def _has_section(index: Index, page: str, section: str) -> bool:
    """A heading begins so, or an emphasised beginning of a paragraph, or a row of a table."""
    wanted = section.strip(" .,").lower()
    text = (index.root / page).read_text(encoding="utf-8").lower()
    emphasised = re.search(rf"(?:^|\n|[|] ?)\*{{0,2}}{re.escape(wanted)}[*:. |]", text)
    headings = (heading.lower() for heading in index.page(page).headings)
    return emphasised is not None or any(
        heading == wanted or heading.startswith((f"{wanted}:", f"{wanted} ("))
        for heading in headings
    )
