"""A page of Markdown as far as its truth is checked: code spans, lines of code, links, headings."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_FENCE = re.compile(r"^\s*(```|~~~)")
_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
_REFERENCE = re.compile(r"^\s{0,3}\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*$")


@dataclass(slots=True)
class Page:
    """What is checked of a page; each entry is its line and its text."""

    spans: list[tuple[int, str]] = field(default_factory=list)
    code_lines: list[tuple[int, str]] = field(default_factory=list)
    links: list[tuple[int, str]] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)

    @property
    def blocks(self) -> Iterator[tuple[int, str]]:
        """The code's lines joined as far as they follow each other, each with its first line."""
        begin, run = 0, list[str]()
        for line, text in self.code_lines:
            if run and line != begin + len(run):
                yield begin, "\n".join(run)
                run = []
            if not run:
                begin = line
            run.append(text)
        if run:
            yield begin, "\n".join(run)

    @property
    def anchors(self) -> set[str]:
        """The names by which a link reaches a heading, as GitHub makes them."""
        made: set[str] = set()
        for heading in self.headings:
            base = slug(heading)
            number, name = 0, base
            while name in made:
                number += 1
                name = f"{base}-{number}"
            made.add(name)
        return made


def slug(heading: str) -> str:
    """The anchor of a heading: lower case, blanks to hyphens, other signs left out."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")


def parse(text: str) -> Page:
    """Read a page. Any text is a page; nothing is raised."""
    page = Page()
    for begin, block, is_code in _blocks(text):
        if is_code:
            page.code_lines += [(begin + at, line) for at, line in enumerate(block)]
            continue
        joined = "\n".join(block)
        for span in _SPAN.finditer(joined):
            content = " ".join(span[2].split())
            page.spans.append((begin + joined.count("\n", 0, span.start()), content))
        bare = _SPAN.sub(lambda span: re.sub(r"[^\n]", "x", span[0]), joined)
        for pattern in (_LINK, _REFERENCE):
            for link in pattern.finditer(bare):
                line = begin + bare.count("\n", 0, link.start(1))
                page.links.append((line, joined[link.start(1) : link.end(1)]))
        page.headings += [heading[2] for line in block if (heading := _HEADING.match(line))]
    return page


def _blocks(text: str) -> Iterator[tuple[int, list[str], bool]]:
    """Runs of lines: paragraphs, and blocks of code without their fences."""
    run: list[str] = []
    begin, is_code, fence = 1, False, ""
    for number, line in enumerate([*text.splitlines(), ""], 1):
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1] == fence):
            if run:
                yield begin, run, is_code
            run, begin = [], number + 1
            fence = "" if fence else mark[1]
            is_code = bool(fence)
        elif fence:
            run.append(line)
        elif not line.strip():
            if run and not is_code:
                yield begin, run, False
                run = []
            elif run:
                run.append(line)
        else:
            indented = line.startswith(("    ", "\t")) and (is_code or not run)
            if run and indented != is_code:
                yield begin, run, is_code
                run = []
            if not run:
                begin, is_code = number, indented
            run.append(line)
    if run:
        yield begin, run, is_code
