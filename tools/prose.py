"""The English prose of a source tree, as passages with the line on which each begins.

Prose is what a person reads: Markdown; comments and docstrings; string literals with a blank in
them (help texts, log lines, error texts, the pages' texts); the names of tests, read as sentences;
the text of HTML, SVG and YAML files and of a dashboard.
"""

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Passage:
    """Some prose. `text` has as many line breaks as the file, so that a match has its line."""

    line: int
    text: str
    is_docstring: bool = False
    is_literal: bool = False  # a text of the program, not one about it

    def line_at(self, offset: int) -> int:
        """The line of the file that holds the character at `offset`."""
        return self.line + self.text.count("\n", 0, offset)


_TURKISH = re.compile("[çğışöüÇĞİŞÖÜâ]")
_TURKISH_NAMES = re.compile("İstanbul(?:kart)?|Türkçe|Kadıköy")  # in English sentences too
_PROSE = re.compile(r"[^\W\d_]{2,}[^\S\n]+\S*[^\W\d_]{2,}")  # two words with a blank between them
_ESCAPE = re.compile(r"\\[nrtabfv0]|\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}")
_BRACES = re.compile(r"\$?\{[^{}\n]*\}")


def passages(path: Path) -> Iterator[Passage]:
    """The prose of one file, in no order; nothing for a kind of file that holds none.

    Turkish literals are left out.

    Raises:
        SyntaxError: a Python file that Python cannot read.
    """
    read = _READERS.get(path.suffix) or _READERS_BY_NAME.get(path.name)
    if read is None or path.stem.endswith("_tr"):
        return
    yield from read(path.read_text(encoding="utf-8"))


def is_prose(text: str) -> bool:
    """True if a string literal reads like English: two words with a blank between them."""
    return _PROSE.search(text) is not None and not _is_turkish(text)


def _is_turkish(text: str) -> bool:
    return _TURKISH.search(_TURKISH_NAMES.sub("", text)) is not None


def _python(source: str) -> Iterator[Passage]:
    yield from _python_comments(source)
    lines = source.splitlines()
    tree = ast.parse(source)
    docstrings = {id(node) for node in _docstrings(tree)}
    inside_another = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in ast.walk(node)
        if part is not node
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield Passage(node.lineno, node.name.replace("_", " "))
        elif isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Constant) and isinstance(node.value, str)
        ):
            is_docstring = id(node) in docstrings
            text = _literal(lines, node)
            if id(node) not in inside_another and (is_docstring or is_prose(text)):
                yield Passage(
                    node.lineno, text, is_docstring=is_docstring, is_literal=not is_docstring
                )


def _docstrings(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            match node.body:
                case [ast.Expr(ast.Constant(str()) as docstring), *_]:
                    yield docstring
                case _:
                    pass


def _literal(lines: list[str], node: ast.expr) -> str:
    """The text of a literal as the file has it, without quotes, escapes and `{values}`.

    Pieces that Python joins are joined, with the line breaks between them kept.
    """
    last = (node.end_lineno or node.lineno) - 1
    taken = lines[node.lineno - 1 : last + 1]
    # Columns are counted in bytes of UTF-8.
    taken[-1] = taken[-1].encode()[: node.end_col_offset].decode()
    taken[0] = taken[0].encode()[node.col_offset :].decode()
    text = "\n".join(taken)
    text = re.sub(r"""^[rbfuRBFU]*["']+|["']+$""", "", text)
    text = re.sub(r"""["']+([ \t]*(?:#.*)?\n\s*)[rbfuRBFU]*["']+""", _line_breaks, text)
    return _BRACES.sub(" ", _ESCAPE.sub(" ", text))


def _line_breaks(joint: re.Match[str]) -> str:
    return "\n" * joint[1].count("\n")


def _python_comments(source: str) -> Iterator[Passage]:
    """Comments; those on lines that follow each other at the same column are one passage."""
    block: list[str] = []
    begin = column = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line, at = token.start
        if block and (line != begin + len(block) or at != column):
            yield Passage(begin, "\n".join(block))
            block = []
        if not block:
            begin, column = line, at
        block.append(_uncommented(token.string))
    if block:
        yield Passage(begin, "\n".join(block))


def _uncommented(comment: str) -> str:
    is_for_a_tool = re.match(r"# *(noqa|type:|pragma|fmt:|ruff:|mypy:)", comment)
    reason = comment.split("  #", 1)[1:] if is_for_a_tool else [comment.lstrip("#! ")]
    return " ".join(reason)


_SCRIPT_PART = re.compile(
    r"""
    (?P<comment> /\*.*?\*/ | (?<![:"'`\\])//[^\n]* )
    | (?P<text> "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | `(?:\\.|[^`\\])*` )
    | (?P<pattern> (?<=[(,=:!&|?]\ )/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])+/ )
    """,
    re.DOTALL | re.VERBOSE,
)


def _script(source: str) -> Iterator[Passage]:
    """JavaScript and CSS: comments, and literals that are prose."""
    for part in _SCRIPT_PART.finditer(source):
        line = source.count("\n", 0, part.start()) + 1
        if part["comment"]:
            yield Passage(line, re.sub(r"@\w+ \{.*\}.*", "", part["comment"]))
        elif part["text"]:
            text = _BRACES.sub(" ", _ESCAPE.sub(" ", part["text"][1:-1]))
            if is_prose(text):
                yield Passage(line, text, is_literal=True)


_TAG = re.compile(r"<(?!!--)[^>]*>")
_READ_ATTRIBUTE = re.compile(r'\b(?:aria-label|title|alt|content|placeholder)="([^"]*)"')


def _markup(source: str) -> Iterator[Passage]:
    """HTML and SVG: text and comments, and those attributes that are displayed or spoken."""
    without_styles = re.sub(
        r"<(style|script)\b.*?</\1>",
        lambda part: "\n" * part[0].count("\n"),
        source,
        flags=re.DOTALL,
    )

    def bare(tag: re.Match[str]) -> str:
        read = " ".join(_READ_ATTRIBUTE.findall(tag[0]))
        return f" {read} " + "\n" * tag[0].count("\n")

    for number, line in enumerate(_TAG.sub(bare, without_styles).splitlines(), 1):
        if line.strip() and not _is_turkish(line):
            yield Passage(number, line)


def _text(source: str) -> Iterator[Passage]:
    """Markdown, a paragraph a passage, so that a phrase may run over the end of a line."""
    block: list[str] = []
    for number, line in enumerate([*source.splitlines(), ""], 1):
        if line.strip():
            block.append(re.sub(r"\]\([^)]*\)", "] ", line))
        elif block:
            yield Passage(number - len(block), "\n".join(block))
            block = []


def _hash_comments(source: str) -> Iterator[Passage]:
    """TOML, units, shell, make, SQL: comments, and literals that are prose."""
    for number, line in enumerate(source.splitlines(), 1):
        code, mark, comment = line.partition("--" if line.startswith("--") else "#")
        if mark:
            yield Passage(number, comment)
        for literal in re.findall(r'"([^"]*)"', code):
            if is_prose(literal):
                yield Passage(number, _BRACES.sub(" ", literal))


def _quoted(source: str) -> Iterator[Passage]:
    """JSON: the values that are prose."""
    for number, line in enumerate(source.splitlines(), 1):
        for literal in re.findall(r'"((?:\\.|[^"\\])*)"', line):
            if is_prose(literal):
                yield Passage(number, literal)


_READERS: dict[str, Callable[[str], Iterator[Passage]]] = {
    ".py": _python,
    ".js": _script,
    ".css": _script,
    ".html": _markup,
    ".svg": _markup,
    ".md": _text,
    ".yml": _text,
    ".json": _quoted,
    ".toml": _hash_comments,
    ".sh": _hash_comments,
    ".sql": _hash_comments,
    ".conf": _hash_comments,
    ".service": _hash_comments,
    ".rules": _hash_comments,
}
_READERS_BY_NAME = {"Makefile": _hash_comments, "run": _hash_comments}
