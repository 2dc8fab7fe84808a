"""`python -m tools.docs_truth`: print every falsehood of the docs; exit 1 if there is one."""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.docs_truth.check import falsehoods


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, print, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.docs_truth", description="Find what the docs name and is not there."
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files or folders; else the tree")
    chosen = parser.parse_args(arguments)
    try:
        found = list(falsehoods(Path(), chosen.paths))
    except (subprocess.CalledProcessError, OSError, SyntaxError) as error:
        parser.exit(2, f"tools.docs_truth: {error}; run it at the root of a git working tree\n")
    for falsehood in found:
        sys.stdout.write(f"{falsehood}\n")
    sys.stdout.write(f"{len(found)} false\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
