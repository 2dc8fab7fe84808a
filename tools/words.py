"""Count the words that the glossary leaves behind, and find docstrings that name nothing.

    python -m tools.words                      a table a room; exit 1 above the budget
    python -m tools.words --list PATH...       every hit, as file:line: word: text

Counted: comments, docstrings, Markdown, help texts, log and error texts (string literals with a
blank in them), names of tests, and the texts of the pages. `tools/glossary.py` has the words, with
all their forms, and the senses in which one of them is right.

Not counted, and why:
* identifiers, paths, code spans in backticks and lines of examples: a JSON key, a command, a
  protocol's word and a unit's name are contracts that a text may not change;
* CHANGELOG.md: what a released version was called then is history;
* LICENSE, minified libraries and lock files: written by others;
* Turkish texts: the glossary is of English words;
* `tools/glossary.py` and the tests of the count: they hold the words in order to find them.
"""

import argparse
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.glossary import hits, is_of_pronouns, prose_only
from tools.prose import Passage, passages
from tools.tree import below, files_of, room_of

# Per 1,000 words, as this program counts the tree of commit e65071d, the last one before the
# glossary. The budget is a tenth of that: what is left are right senses that no pattern knows.
BASELINE_PER_1000 = 19.8
BUDGET_PER_1000 = BASELINE_PER_1000 / 10

UNCOUNTED = (
    "CHANGELOG.md",
    "tools/glossary.py",
    "tests/tools/test_glossary.py",
    "tests/tools/test_words.py",
)
UNCOUNTED_FOLDERS = ("requirements/", "tests/golden/")
_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
_SHOWN_MAX = 100  # characters of a line's text in the list


@dataclass(frozen=True, slots=True)
class Finding:
    """A word to replace, or a docstring that names nothing, with the line of its file."""

    file: str
    line: int
    word: str
    text: str

    def __str__(self) -> str:
        """As compilers print it: file:line: word: text."""
        return f"{self.file}:{self.line}: {self.word}: {self.text}"


@dataclass(slots=True)
class Count:
    """What was found in some files."""

    words: int = 0
    findings: list[Finding] = field(default_factory=list)
    of_pronouns: list[Finding] = field(default_factory=list)

    @property
    def per_1000(self) -> float:
        """Findings per 1,000 words; 0 where there is no word."""
        return 1000 * len(self.findings) / self.words if self.words else 0.0

    def add(self, other: "Count") -> None:
        """Add what was found in other files."""
        self.words += other.words
        self.findings += other.findings
        self.of_pronouns += other.of_pronouns


def counted_files(root: Path, paths: Iterable[str] = ()) -> Iterator[str]:
    """The files that are counted, in `paths` or in the whole tree."""
    for name in below(files_of(root), paths):
        if name not in UNCOUNTED and not name.startswith(UNCOUNTED_FOLDERS):
            yield name


def count_file(root: Path, name: str) -> Count:
    """Count one file. A SyntaxError of a Python file goes to the caller."""
    count = Count()
    for passage in passages(root / name):
        count.words += len(_WORD.findall(prose_only(passage.text)))
        for hit in hits(passage.text):
            count.findings.append(
                _finding(name, passage, hit.offset, f"{hit.word} → {hit.instead}")
            )
        if passage.is_docstring and is_of_pronouns(passage.text):
            count.of_pronouns.append(_finding(name, passage, 0, "names nothing"))
    count.findings.sort(key=lambda finding: finding.line)
    return count


def _finding(name: str, passage: Passage, offset: int, word: str) -> Finding:
    begin = passage.text.rfind("\n", 0, offset) + 1
    text = passage.text[begin:].split("\n", 1)[0]
    cut = max(0, offset - begin - _SHOWN_MAX // 2)
    return Finding(name, passage.line_at(offset), word, text[cut : cut + _SHOWN_MAX].strip())


def report(rooms: dict[str, Count], total: Count) -> Iterator[str]:
    """The table, a line each."""
    width = max(map(len, rooms), default=4)
    yield f"{'room':{width}}  {'words':>7}  {'hits':>5}  per 1,000  docstrings that name nothing"
    for room, count in rooms.items():
        yield (
            f"{room:{width}}  {count.words:7,}  {len(count.findings):5,}"
            f"  {count.per_1000:9.2f}  {len(count.of_pronouns)}"
        )
    common = Counter(finding.word for finding in total.findings).most_common(12)
    yield "most often: " + ", ".join(f"{word.split(' → ')[0]} {times}" for word, times in common)
    yield (
        f"{total.words:,} words, {len(total.findings):,} hits: {total.per_1000:.2f} per 1,000"
        f" (budget {BUDGET_PER_1000:.2f}, a tenth of {BASELINE_PER_1000:.2f});"
        f" {len(total.of_pronouns)} docstrings that name nothing (budget 0)"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, print, and return the exit code: 1 above the budget or with an empty docstring."""
    parser = argparse.ArgumentParser(prog="python -m tools.words", description="Count old words.")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files or folders; else the tree")
    parser.add_argument("--list", action="store_true", help="print every hit instead of the table")
    parser.add_argument("--root", type=Path, default=Path(), help="another working tree to count")
    chosen = parser.parse_args(arguments)
    rooms: dict[str, Count] = {}
    total = Count()
    try:
        for name in counted_files(chosen.root, chosen.paths):
            count = count_file(chosen.root, name)
            rooms.setdefault(room_of(name), Count()).add(count)
            total.add(count)
    except (subprocess.CalledProcessError, OSError, SyntaxError) as error:
        parser.exit(2, f"tools.words: {chosen.root}: {error}; run it in a git working tree\n")
    lines: Iterable[object] = report(dict(sorted(rooms.items())), total)
    if chosen.list:
        lines = (*total.findings, *total.of_pronouns)
    for line in lines:
        sys.stdout.write(f"{line}\n")
    return int(total.per_1000 > BUDGET_PER_1000 or bool(total.of_pronouns))


if __name__ == "__main__":
    sys.exit(main())
