"""Hold the sizes that a reader can take in: files, functions, folders, lines.

    python -m tools.sizes [PATH...]            every excess, as file:line: text; exit 1 if any

* A file of Python, JavaScript or CSS has at most 400 lines, a function of Python at most 50.
* A folder has at most 12 modules beside its `__init__.py`. One with more gives its reason in the
  docstring of its `__init__.py`, or in its README.md where the folder is no package, in a sentence
  that begins "More than twelve files:".
* A line ends at column 100. Excepted are lines that cannot be broken: a row of a Markdown table,
  and a line that is one link or one run without a blank, such as a URL or a digest.
"""

import argparse
import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tools.tree import below, files_of

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50
FOLDER_MODULES_MAX = 12
COLUMNS_MAX = 100
REASON = "More than twelve files:"

CODE = frozenset({".py", ".js", ".css"})
LINED = CODE | {".md", ".toml", ".html", ".sh"}
LINED_BY_NAME = {"Makefile", "run"}  # .ci/run
_LINK = re.compile(r"(?:[-*#>]+ |\d+\. )?!?\[[^\]]*\]\(\S+\)[.,;:]?")


def sizes(root: Path, names: Sequence[str]) -> Iterator[str]:
    """Each excess in the files `names`, and in the folders that hold them.

    Raises:
        SyntaxError: a Python file that Python cannot read.
    """
    for name in names:
        path = Path(name)
        if path.suffix not in LINED and path.name not in LINED_BY_NAME:
            continue
        text = (root / name).read_text(encoding="utf-8")
        lines = text.splitlines()
        if path.suffix in CODE and len(lines) > FILE_LINES_MAX:
            yield f"{name}:1: {len(lines)} lines; at most {FILE_LINES_MAX}: cut the file by subject"
        if path.suffix == ".py":
            yield from _long_functions(name, text)
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS_MAX and not _is_unbreakable(line, path.suffix):
                yield f"{name}:{number}: {len(line)} columns; at most {COLUMNS_MAX}"
    yield from _full_folders(root, names)


def _long_functions(name: str, text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                yield (
                    f"{name}:{node.lineno}: {node.name} has {length} lines;"
                    f" at most {FUNCTION_LINES_MAX}"
                )


def _is_unbreakable(line: str, suffix: str) -> bool:
    bare = line.strip()
    if suffix == ".md" and (bare.startswith("|") or _LINK.fullmatch(bare)):
        return True
    return " " not in bare.lstrip("#/*- ")


def _full_folders(root: Path, names: Sequence[str]) -> Iterator[str]:
    modules = Counter(
        name.rpartition("/")[0]
        for name in files_of(root)
        if name.endswith(".py") and not name.endswith("__init__.py")
    )
    for folder in sorted({name.rpartition("/")[0] for name in names}):
        if modules[folder] > FOLDER_MODULES_MAX and not _gives_reason(root / folder):
            yield (
                f"{folder}: {modules[folder]} modules; at most {FOLDER_MODULES_MAX}, or its"
                f' __init__.py (README.md if it has none) gives the reason: "{REASON} …"'
            )


def _gives_reason(folder: Path) -> bool:
    init, readme = folder / "__init__.py", folder / "README.md"
    if init.is_file():
        docstring = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8")))
        return REASON in " ".join((docstring or "").split())
    return readme.is_file() and REASON in readme.read_text(encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print every excess; return the exit code: 1 if there is one."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.sizes", description="Find what is too long."
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files or folders; else the tree")
    parser.add_argument("--root", type=Path, default=Path(), help="another working tree")
    chosen = parser.parse_args(arguments)
    try:
        found = list(sizes(chosen.root, list(below(files_of(chosen.root), chosen.paths))))
    except (subprocess.CalledProcessError, OSError, SyntaxError) as error:
        parser.exit(2, f"tools.sizes: {chosen.root}: {error}; run it in a git working tree\n")
    for line in found:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{len(found)} too long\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
