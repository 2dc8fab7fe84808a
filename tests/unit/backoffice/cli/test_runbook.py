"""The runbook is read at night: each command in it exists, with its options, and each link."""

import re
import shlex
from pathlib import Path

import click
import pytest

from backoffice.cli.program import main

RUNBOOK = Path(__file__).parents[4] / "docs" / "runbook.md"
# A command that is longer than a line goes on after a backslash, as in a shell.
TEXT = re.sub(r" \\\n\s+", " ", RUNBOOK.read_text(encoding="utf-8"))
# In a block of its own, or between backticks; "…" stands for what only the reader knows.
COMMANDS = sorted(
    {
        line
        for line in re.findall(r"(?:^ {4,}|`)(turnike-backoffice [^`\n]*)", TEXT, re.MULTILINE)
        if "…" not in line
    }
    | {
        f"turnike-backoffice {line}"
        for line in re.findall(r"`((?:rotate|root|root-key) [^`\n]*)`", TEXT)
        if "…" not in line
    }
)


def parsed(group: click.Command, arguments: list[str], parent: click.Context | None = None) -> str:
    """The name of the command that these arguments reach. Raises click's UsageError."""
    context = group.make_context(arguments[0], arguments[1:], parent)
    if not isinstance(group, click.Group):
        return str(context.command_path)
    below = [*context._protected_args, *context.args]
    name, command, rest = group.resolve_command(context, below)
    assert command is not None
    assert name is not None
    return parsed(command, [name, *rest], context)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_typed_as_it_is(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNIKE_HOME", "city")
    arguments = shlex.split(command)
    assert command.startswith(parsed(main, arguments))


def test_the_runbook_has_the_commands() -> None:
    assert len(COMMANDS) > 15


def test_every_link_leads_somewhere() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in TEXT.splitlines()
        if line.startswith("#")
    }
    links = set(re.findall(r"\]\(#([^)]*)\)", TEXT.replace("\n", "")))
    assert links <= headings
