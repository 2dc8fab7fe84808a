"""A command that another package adds, when its files are missing."""

import subprocess
import sys

# The entry point of a package that was removed after Turnike was installed.
PROGRAM = """
from importlib.metadata import EntryPoint
from validator import cli
gone = EntryPoint("gone", "no_such_package.cli:gone", cli.ADDED_COMMANDS)
cli._added = lambda: {"gone": gone}
cli.main()
"""


def turnike(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_command_whose_package_is_missing_ends_in_one_line() -> None:
    ended = turnike("gone")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "turnike: gone: the package no_such_package is not installed;"
        " install Turnike from its source tree, where `make demo` does so\n"
    )


def test_help_leaves_out_a_command_whose_package_is_missing() -> None:
    ended = turnike("--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "  lane " in ended.stdout
    assert "gone" not in ended.stdout
