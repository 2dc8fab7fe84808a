"""Every falsehood of a tree: pages, links, and the pages that code names."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tools.docs_truth import references
from tools.docs_truth.commands import Commands
from tools.docs_truth.index import Index
from tools.docs_truth.markdown import Page
from tools.docs_truth.spans import Spans
from tools.tree import below

_CHECKED = re.compile(r"README\.md|CONTRIBUTING\.md|SECURITY\.md|docs/[^/]+\.md")
_DECISIONS = "docs/decisions/"
_HISTORY = ("CHANGELOG.md", "findings/")
_VARIABLE = re.compile(r"(?<![\w/.-])(?:TURNIKE_[A-Z_]+|turnike_[a-z_]+)\b(?![./])")  # or a metric
# The checker and its tests name what does not exist, on purpose.
_UNCHECKED = ("tools/docs_truth/", "tests/docs/", "tests/tools/", "tests/golden/", "requirements/")


@dataclass(frozen=True, slots=True)
class Falsehood:
    """Something that a page names and that does not exist."""

    file: str
    line: int
    text: str
    why: str

    def __str__(self) -> str:
        """As compilers print it: file:line: text: why."""
        return f"{self.file}:{self.line}: {self.text}: {self.why}"


def falsehoods(root: Path, paths: Iterable[str] = ()) -> Iterator[Falsehood]:
    """Every falsehood in `paths`, or in the whole tree, in the order of files and lines."""
    index = Index(root)
    commands = Commands(root)
    spans = Spans(index, commands)
    for name in below(index.files, paths):
        if name.startswith(_UNCHECKED):
            continue
        found = set(_links(index, name)) if name.endswith(".md") else set()
        if name.startswith(_DECISIONS):
            for line, span in index.page(name).spans:
                if fault := spans.fault_of_path(span):
                    found.add(Falsehood(name, line, f"`{span}`", fault))
        elif _CHECKED.fullmatch(name):
            found |= set(_page(index, spans, name)) | set(_hints(index, commands, name))
        elif not name.startswith(_HISTORY) and not name.endswith((".md", ".svg")):
            found |= {Falsehood(name, *fault) for fault in references.faults(index, commands, name)}
            found |= set(_settings(index, spans, name))
        yield from sorted(found, key=lambda falsehood: (falsehood.line, falsehood.text))


def _page(index: Index, spans: Spans, name: str) -> Iterator[Falsehood]:
    page = index.page(name)
    for line, span in page.spans:
        if (fault := spans.fault(span)) and not _is_beside_another(index, page, line, span):
            yield Falsehood(name, line, f"`{span}`", fault)
    for line, code in page.code_lines:
        if fault := spans.fault_of_line(code):
            yield Falsehood(name, line, code.strip(), fault)
    for line, block in page.blocks:
        for fault in spans.faults_of_block(block):
            yield Falsehood(name, line, block.strip().partition("\n")[0], fault)
    for number, line_text in enumerate(index.text(name).splitlines(), 1):
        for variable in _VARIABLE.findall(line_text):
            if not {variable, variable.removesuffix("_total")} & index.words:
                yield Falsehood(name, number, variable, "no program has this variable or metric")


def _hints(index: Index, commands: Commands, name: str) -> Iterator[Falsehood]:
    """Commands that sentences name without a code span, also over the end of a line."""
    text = re.sub(r"`[^`]*`", lambda span: re.sub(r"[^\n]", "`", span[0]), index.text(name))
    for offset, hint, why in references.faults_of_hints(commands, text):
        yield Falsehood(name, text.count("\n", 0, offset) + 1, " ".join(hint.split()), why)


def _is_beside_another(index: Index, page: Page, line: int, span: str) -> bool:
    """True for a file's name alone that follows, on its line, a path of the same folder."""
    folders = [other.rpartition("/")[0] for at, other in page.spans if at == line]
    return "/" not in span and any(
        folder and index.has_path(f"{folder}/{span}") for folder in folders
    )


def _settings(index: Index, spans: Spans, name: str) -> Iterator[Falsehood]:
    """The comments of a configuration file: code spans, and keys as `section.key`."""
    if not name.endswith(".example.toml"):
        return
    for number, line in enumerate(index.text(name).splitlines(), 1):
        comment = line.partition("#")[2]
        keys = re.findall(r"(?<![\w./-])[a-z]+\.[a-z_]+(?![\w./])", comment)
        for span in (*re.findall(r"`([^`]+)`", comment), *keys):
            if fault := spans.fault(span):
                yield Falsehood(name, number, span, fault)


def _links(index: Index, name: str) -> Iterator[Falsehood]:
    page = index.page(name)
    for line, target in page.links:
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        at = _joined(name, path) if path else name
        if at not in index.files and at not in index.folders and at != ".":
            yield Falsehood(name, line, target, f"there is no {at}")
        elif anchor and at.endswith(".md") and anchor not in index.page(at).anchors:
            yield Falsehood(name, line, target, f"{at} has no heading #{anchor}")


def _joined(page: str, path: str) -> str:
    parts: list[str] = []
    for part in (PurePosixPath(page).parent / path).parts:
        if part == ".." and parts:
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts) or "."
